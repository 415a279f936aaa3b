//! What came of runs, an object a line, for programs.

use realtime_run::script::Outcome;
use realtime_run::trace::Timestamp;
use serde::Serialize;

use super::Ended;
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
    started_at: Timestamp,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// All is over.
#[derive(Serialize)]
#[serde(tag = "type", rename = "summary")]
struct SummaryLine<'a> {
    duration_s: f64,
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
pub fn attempt(ended: &Ended<'_>) -> Option<String> {
    line(&AttemptLine {
        script: &ended.script.name,
        path: ended.script.path.display().to_string(),
        agent: ended.script.agent.display().to_string(),
        run: ended.time.run,
        attempt: ended.time.attempt,
        retried: ended.goes_on,
        started_at: ended.attempt.started_at,
        outcome: &ended.attempt.outcome,
    })
}

/// The line at the end.
pub fn summary(results: &Results) -> Option<String> {
    let scripts = results.scripts.iter().map(|script| ScriptLine {
        script: &script.name,
        path: script.path.display().to_string(),
        status: Standing::as_str(script.standing()),
        runs: script.runs.len(),
        passed: script.passed(),
    });
    line(&SummaryLine {
        duration_s: results.duration.as_secs_f64(),
        interrupted: results.is_interrupted,
        scripts: scripts.collect(),
    })
}

/// The types of a line can all be written as JSON.
fn line(object: &impl Serialize) -> Option<String> {
    serde_json::to_string(object).ok()
}
