//! What came of all scripts together, in lines for people.

use std::time::Duration;

use realtime_run::session::Percentiles;

use crate::cli::columns::columns;
use crate::cli::duration;
use crate::cli::smoke::results::{Results, ScriptResult, Standing};
use crate::cli::style::{Paint, in_one_line};

/// Characters of a name that are shown.
const SHOWN: usize = 40;

/// A row for each script, and a line that counts them.
pub fn lines(results: &Results, paint: Paint) -> Vec<String> {
    let heading = [
        "script",
        "runs",
        "first word p50 p90 p99",
        "first sound p50 p90 p99",
        "tokens",
    ];
    let mut rows = vec![heading.map(str::to_owned)];
    rows.extend(results.scripts.iter().map(row));
    let mut lines: Vec<String> = columns(&rows).iter().map(|line| paint.dim(line)).collect();
    lines.push(counts(results, paint));
    lines
}

fn row(script: &ScriptResult) -> [String; 5] {
    [
        in_one_line(&script.name, SHOWN),
        runs(script),
        percentiles(script.first_words()),
        percentiles(script.first_sounds()),
        script.usage().total().to_string(),
    ]
}

/// How many of its runs passed, as `18/20 (90%)`.
fn runs(script: &ScriptResult) -> String {
    let (passed, runs) = (script.passed(), script.runs.len());
    match script.pass_percent() {
        None => "not run".to_owned(),
        Some(_) if script.planned == 1 => format!("{passed}/{runs}"),
        Some(percent) => format!("{passed}/{runs} ({percent}%)"),
    }
}

fn percentiles(measured: Vec<Duration>) -> String {
    match Percentiles::of(measured) {
        None => "-".to_owned(),
        Some(of) => [of.p50, of.p90, of.p99].map(duration::show).join(", "),
    }
}

/// As `2 passed, 1 failed in 1.24 s`.
fn counts(results: &Results, paint: Paint) -> String {
    let all = [
        (Standing::Passed, "passed"),
        (Standing::Flaky, "flaky"),
        (Standing::Failed, "failed"),
        (Standing::Broken, "broken"),
        (Standing::TimedOut, "timed out"),
        (Standing::NotRun, "not run"),
    ];
    let counts = all.map(|(standing, word)| (standing, results.count(standing), word));
    let told = counts.iter().filter(|(_, count, _)| *count > 0);
    let told: Vec<String> = told
        .map(|(standing, count, word)| {
            let text = format!("{count} {word}");
            match standing {
                Standing::Passed => paint.name(&text),
                Standing::Flaky | Standing::NotRun => paint.warning(&text),
                _ => paint.error(&text),
            }
        })
        .collect();
    format!("{} in {}", told.join(", "), duration::show(results.duration))
}
