//! What GitHub Actions makes of lines: groups that fold, and annotations at the places of files.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use std::env;

use realtime_run::script::{Finding, Met, Place, Verdict};

use crate::cli::smoke::results::{Results, Run, ScriptResult, Standing};
use crate::cli::style::in_one_line;

/// Characters of a message at most.
const SHOWN: usize = 1_000;

/// Whether this runs there.
pub fn is_there() -> bool {
    env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true")
}

/// Lines that are folded away under a title.
pub fn group(title: &str, lines: &[String]) -> Vec<String> {
    let mut group = vec![format!("::group::{}", data(title))];
    group.extend(lines.iter().map(|line| defused(line)));
    group.push("::endgroup::".to_owned());
    group
}

/// A line without what would be taken for a command of the old form, which counts wherever it stands in a line. That it
/// begins as one of the new form is up to whoever wrote its first word.
pub fn defused(line: &str) -> String {
    line.replace("##[", "## [")
}

/// An annotation for each thing that is wrong with scripts that did not pass, and for each script that is flaky.
pub fn annotations(results: &Results) -> Vec<String> {
    results.scripts.iter().flat_map(of_script).collect()
}

fn of_script(script: &ScriptResult) -> Vec<String> {
    match script.standing() {
        Standing::Passed | Standing::NotRun => Vec::new(),
        Standing::Flaky => {
            let file = script.path.display().to_string();
            let message = format!(
                "{} of {} runs passed, some not at once",
                script.passed(),
                script.runs.len()
            );
            let place = Place { file, line: 1 };
            vec![annotation("warning", &place, &script.name, &message)]
        }
        _ => {
            let mut wrong: Vec<String> = script.runs.iter().flat_map(|run| of_run(script, run)).collect();
            let mut known = Vec::new();
            wrong.retain(|line| {
                let is_new = !known.contains(line);
                known.push(line.clone());
                is_new
            });
            wrong
        }
    }
}

/// What is wrong with the attempt that counts.
fn of_run(script: &ScriptResult, run: &Run) -> Vec<String> {
    let Some(last) = run.attempts.last() else {
        return Vec::new();
    };
    let outcome = &last.outcome;
    let findings = outcome.turns.iter().flat_map(|turn| &turn.findings);
    let mut wrong: Vec<String> = findings
        .chain(&outcome.spans)
        .filter_map(|finding| missed(script, finding))
        .collect();
    if let Verdict::Broken { reason } | Verdict::TimedOut { reason } = &outcome.verdict {
        let begin = Place {
            file: script.path.display().to_string(),
            line: 1,
        };
        let place = outcome.turns.last().map_or(&begin, |turn| &turn.place);
        wrong.push(annotation("error", place, &script.name, reason));
    }
    wrong
}

fn missed(script: &ScriptResult, finding: &Finding) -> Option<String> {
    let Met::No { came } = &finding.met else {
        return None;
    };
    let [expected, came] = [&finding.expected, came].map(|text| in_one_line(text, SHOWN));
    let message = format!("expected {expected}\ncame {came}");
    Some(annotation("error", &finding.place, &script.name, &message))
}

fn annotation(kind: &str, place: &Place, title: &str, message: &str) -> String {
    let (file, title) = (property(&place.file), property(title));
    format!(
        "::{kind} file={file},line={},title={title}::{}",
        place.line,
        data(message)
    )
}

/// Text as what follows the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text as the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_is_escaped() {
        let place = Place {
            file: "a,b:c.smoke.toml".into(),
            line: 7,
        };
        assert_eq!(
            annotation("error", &place, "50%, at once", "one\r\n::error::two: 50%"),
            "::error file=a%2Cb%3Ac.smoke.toml,line=7,title=50%25%2C at once::one%0D%0A::error::two: 50%25"
        );
        assert_eq!(
            group("a\nb", &["  ##[error]x".to_owned()]),
            ["::group::a%0Ab", "  ## [error]x", "::endgroup::"]
        );
    }
}
