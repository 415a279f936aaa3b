//! What came of runs, an object a line, for programs.

use serde::Serialize;

use super::Ended;
use crate::cli::keys::Keys;
use crate::cli::smoke::report::{AttemptReport, clean};
use crate::cli::smoke::results::{Results, Standing};

/// An attempt has ended.
#[derive(Serialize)]
#[serde(tag = "type", rename = "attempt")]
struct AttemptLine<'a> {
    script: &'a str,
    path: String,
    agent: String,
    run: u32,
    attempt: u32,
    /// Whether another attempt follows.
    retried: bool,
    /// The rest is as in reports.
    #[serde(flatten)]
    told: AttemptReport,
}

/// All is over.
#[derive(Serialize)]
#[serde(tag = "type", rename = "summary")]
struct SummaryLine<'a> {
    duration_ms: f64,
    interrupted: bool,
    scripts: Vec<ScriptLine<'a>>,
}

#[derive(Serialize)]
struct ScriptLine<'a> {
    script: &'a str,
    path: String,
    status: &'static str,
    runs: usize,
    passed: usize,
}

/// The line for an attempt.
pub fn attempt(ended: &Ended<'_>, keys: &Keys) -> Option<String> {
    let line = AttemptLine {
        script: &ended.script.name,
        path: ended.script.path.display().to_string(),
        agent: ended.script.agent.display().to_string(),
        run: ended.time.run,
        attempt: ended.time.attempt,
        retried: ended.goes_on,
        told: AttemptReport::new(ended.attempt),
    };
    self::line(&line, keys)
}

/// The line at the end.
pub fn summary(results: &Results, keys: &Keys) -> Option<String> {
    let scripts = results.scripts.iter().map(|script| ScriptLine {
        script: &script.name,
        path: script.path.display().to_string(),
        status: Standing::as_str(script.standing()),
        runs: script.runs.len(),
        passed: script.passed(),
    });
    let line = SummaryLine {
        duration_ms: results.duration.as_micros() as f64 / 1e3,
        interrupted: results.is_interrupted,
        scripts: scripts.collect(),
    };
    self::line(&line, keys)
}

/// The types of a line can all be written as JSON.
fn line(object: &impl Serialize, keys: &Keys) -> Option<String> {
    clean(object, keys).ok().map(|line| line.to_string())
}
