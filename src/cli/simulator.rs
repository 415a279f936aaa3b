//! What the simulated server says, as the command line asks for it.

use std::env;

use anyhow::anyhow;
use realtime_run::Secret;
use realtime_run::simulator::{Llm, Options, Scenario};

use crate::cli::args::SimulatorArgs;
use crate::cli::exit::Failure;

impl SimulatorArgs {
    /// The first flag that was given, if one was.
    pub fn given(&self) -> Option<&'static str> {
        match (&self.scenario, &self.llm) {
            (Some(_), _) => Some("--scenario"),
            (_, Some(_)) => Some("--llm"),
            _ => None,
        }
    }
}

/// How the server behaves.
pub fn options(args: &SimulatorArgs) -> Result<Options, Failure> {
    let options = Options::default();
    let options = match &args.scenario {
        Some(path) => options.with_scenario(&Scenario::load(path)?),
        None => options,
    };
    Ok(match (&args.llm, &args.llm_model) {
        (Some(url), Some(model)) => options.with_llm(llm(url, model, args)?),
        _ => options,
    })
}

fn llm(url: &str, model: &str, args: &SimulatorArgs) -> Result<Llm, Failure> {
    let key = match &args.llm_key_env {
        None => None,
        Some(name) => {
            let key = env::var(name).ok().and_then(Secret::new);
            let missing =
                || anyhow!("the environment variable `{name}`, which --llm-key-env names, is not set");
            Some(key.ok_or_else(missing).map_err(Failure::usage)?)
        }
    };
    Llm::new(url, model, key, args.llm_timeout.unwrap_or(Llm::SILENCE)).map_err(Failure::usage)
}
