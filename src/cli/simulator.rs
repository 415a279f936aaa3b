//! What the simulated server says, as the command line asks for it.

use std::env;
use std::sync::Arc;

use anyhow::anyhow;
use realtime_run::Secret;
use realtime_run::simulator::{Llm, Options, Scenario, SpeechCommand};

use crate::cli::args::SimulatorArgs;
use crate::cli::exit::Failure;

impl SimulatorArgs {
    /// The first flag that was given, if one was.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--scenario", self.scenario.is_some()),
            ("--llm", self.llm.is_some()),
            ("--tts-command", self.tts_command.is_some()),
            ("--stt-command", self.stt_command.is_some()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// How the server behaves.
pub fn options(args: &SimulatorArgs) -> Result<Options, Failure> {
    let mut options = Options {
        voice: command("--tts-command", args.tts_command.as_deref())?,
        ..Options::default()
    };
    if let Some(ears) = command("--stt-command", args.stt_command.as_deref())? {
        options.transcriber = Arc::new(ears);
    }
    let options = match &args.scenario {
        Some(path) => options.with_scenario(&Scenario::load(path)?),
        None => options,
    };
    Ok(match (&args.llm, &args.llm_model) {
        (Some(url), Some(model)) => options.with_llm(llm(url, model, args)?),
        _ => options,
    })
}

fn command(flag: &str, line: Option<&str>) -> Result<Option<SpeechCommand>, Failure> {
    let Some(line) = line else { return Ok(None) };
    let command = SpeechCommand::new(line).ok_or_else(|| anyhow!("{flag} names no program"));
    command.map(Some).map_err(Failure::usage)
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
