use std::path::PathBuf;

use clap::Args;

use crate::cli::pairs;
use crate::cli::smoke::{MinPassRate, ReportFile};

/// Scripts instead of a conversation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Smoke tests")]
#[group(conflicts_with_all = ["messages", "audio_in", "approve", "record", "raw", "trace_id"])]
pub struct ScriptArgs {
    /// Play a script and judge what comes of it: a file, or a folder and all `*.smoke.toml` in it and below (repeatable)
    #[arg(id = "script", long, group = "replayed", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// A value for the scripts' variables (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pairs::key_value, requires = "script")]
    pub set: Vec<(String, String)>,
    /// Play only scripts whose name or path contains this
    #[arg(long, value_name = "TEXT", requires = "script")]
    pub filter: Option<String>,
    /// Play each script so often
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100_000), requires = "script")]
    pub repeat: u32,
    /// The share of a script's runs that have to pass, such as 0.9 or 90%
    #[arg(long, value_name = "RATE", default_value = "1", requires = "script")]
    pub min_pass_rate: MinPassRate,
    /// Play what did not pass up to so many times more; what passes then is flaky, which is no failure
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u32).range(..=100), requires = "script")]
    pub retries: u32,
    /// Play so many at the same time; one after the other, none makes another slower
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1_000), requires = "script")]
    pub concurrency: u32,
    /// Begin nothing more once a script has failed
    #[arg(long, requires = "script")]
    pub fail_fast: bool,
    /// An endpoint of OpenAI's chat completions that answers `judge`, such as http://127.0.0.1:11434/v1
    #[arg(long, value_name = "URL", requires = "script")]
    pub judge_url: Option<String>,
    /// The model that judges
    #[arg(long, value_name = "MODEL", requires = "script")]
    pub judge_model: Option<String>,
    /// The environment variable that holds the judge's key [default: OPENAI_API_KEY if the judge is OpenAI, else none]
    #[arg(long, value_name = "NAME", requires = "judge_url")]
    pub judge_key_env: Option<String>,
    /// Write a JUnit report, which CI systems read
    #[arg(long, value_name = "FILE", requires = "script")]
    pub junit: Option<PathBuf>,
    /// Write a report, as its name ends: FILE.json for programs, FILE.html for people (repeatable)
    #[arg(long, value_name = "FILE", requires = "script")]
    pub report: Vec<ReportFile>,
    /// Write a first script for the agent file, to begin with: to --script, else beside the agent file as NAME.smoke.toml
    #[arg(long, requires = "file")]
    pub init: bool,
}
