//! The language model that judges what agents say, as the command line asks for it.

use std::env;

use anyhow::anyhow;
use realtime_run::Secret;
use realtime_run::script::Judge;
use url::Url;

use crate::cli::args::ScriptArgs;
use crate::cli::exit::Failure;

/// The host that OPENAI_API_KEY is for.
const OPENAI: &str = "api.openai.com";

/// The judge; `None` if there is none.
pub fn judge(args: &ScriptArgs) -> Result<Option<Judge>, Failure> {
    let (Some(url), Some(model)) = (&args.judge_url, &args.judge_model) else {
        return Ok(None);
    };
    let key = match &args.judge_key_env {
        Some(name) => {
            let missing =
                || anyhow!("the environment variable `{name}`, which --judge-key-env names, is not set");
            Some(key(name).ok_or_else(missing).map_err(Failure::usage)?)
        }
        None => is_openai(url).then(|| key("OPENAI_API_KEY")).flatten(),
    };
    let judge = Judge::new(url, model, key, Judge::LIMIT).map_err(Failure::usage)?;
    Ok(Some(judge))
}

fn key(name: &str) -> Option<Secret> {
    env::var(name).ok().and_then(Secret::new)
}

/// Whether a key for OpenAI may go there: over TLS alone.
fn is_openai(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.host_str() == Some(OPENAI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_named_goes_to_openai_only() {
        assert!(is_openai("https://api.openai.com/v1"));
        for other in [
            "http://api.openai.com/v1",
            "https://api.openai.com.example/v1",
            "http://127.0.0.1:11434/v1",
            "nonsense",
        ] {
            assert!(!is_openai(other), "{other}");
        }
    }
}
