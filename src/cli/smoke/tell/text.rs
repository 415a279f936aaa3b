//! What came of an attempt, in lines for people.

use realtime_run::script::{Finding, Met, TurnOutcome, Verdict};

use super::Ended;
use crate::cli::duration;
use crate::cli::smoke::results::Standing;
use crate::cli::style::{Paint, harmless, in_one_line};

/// Characters of a text that are shown.
const SHOWN: usize = 400;
/// Columns of the word at the beginning of a line.
const WORD: usize = 9;

/// The line that tells how it went, as `passed   Rome 2/3  0.31 s`.
pub fn headline(ended: &Ended<'_>, paint: Paint) -> String {
    let standing = ended.standing();
    let word = match standing {
        _ if ended.goes_on => "retry",
        Standing::TimedOut => "timeout",
        other => other.as_str(),
    };
    let padding = " ".repeat(WORD.saturating_sub(word.len()));
    let word = match standing {
        _ if ended.goes_on => paint.warning(word),
        Standing::Passed => paint.name(word),
        Standing::Flaky => paint.warning(word),
        _ => paint.error(word),
    };
    let mut line = format!("{word}{padding}{}", title(ended));
    if standing == Standing::Flaky {
        line += &format!(", passed at attempt {}", ended.time.attempt);
    }
    let took = duration::show(ended.attempt.outcome.duration);
    format!("{line}  {}", paint.dim(&took))
}

/// The script's name, and which run and attempt it is where there are several.
fn title(ended: &Ended<'_>) -> String {
    let script = ended.script;
    let mut title = in_one_line(&script.name, SHOWN);
    if script.planned > 1 {
        title += &format!(" {}/{}", ended.time.run, script.planned);
    }
    if ended.goes_on {
        title += &format!(", attempt {}", ended.time.attempt);
    }
    title
}

/// What is wrong with it, if something is: the turn, what was expected, what came, the trace, and the command that plays it
/// again.
pub fn details(ended: &Ended<'_>, paint: Paint) -> Vec<String> {
    let outcome = &ended.attempt.outcome;
    let stopped = match &outcome.verdict {
        Verdict::Broken { reason } | Verdict::TimedOut { reason } => Some(in_one_line(reason, SHOWN)),
        Verdict::Passed | Verdict::Failed => None,
    };
    let mut lines = Vec::new();
    for (number, turn) in outcome.turns.iter().enumerate() {
        let mut wrong = findings(&turn.findings, paint);
        if number + 1 == outcome.turns.len() {
            wrong.extend(stopped.iter().map(|reason| format!("    {reason}")));
        }
        if !wrong.is_empty() {
            lines.push(format!("  {}", place(turn)));
            lines.extend(wrong);
        }
    }
    if outcome.turns.is_empty() {
        lines.extend(stopped.iter().map(|reason| format!("  {reason}")));
    }
    let missed = findings(&outcome.spans, paint);
    if !missed.is_empty() {
        lines.push("  the trace".to_owned());
        lines.extend(missed);
    }
    if lines.is_empty() && outcome.verdict == Verdict::Passed {
        return lines;
    }
    if let Some(trace_id) = &outcome.trace_id {
        lines.push(paint.dim(&format!("  trace  {trace_id}")));
    }
    if !ended.goes_on {
        lines.push(paint.dim(&format!("  again  {}", harmless(&ended.script.rerun))));
    }
    lines
}

fn place(turn: &TurnOutcome) -> String {
    let (file, line) = (&turn.place.file, turn.place.line);
    in_one_line(&format!("{file}:{line}: {}", turn.act), SHOWN)
}

/// Those that were not met; of those that could not be told only how many.
fn findings(findings: &[Finding], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let mut untold = 0;
    for finding in findings {
        match &finding.met {
            Met::Yes => {}
            Met::Untold => untold += 1,
            Met::No { came } => {
                let expected = in_one_line(&finding.expected, SHOWN);
                let line = paint.dim(&format!("(line {})", finding.place.line));
                lines.push(format!("    {} {expected} {line}", paint.bold("expected")));
                lines.push(format!(
                    "    {}     {}",
                    paint.bold("came"),
                    in_one_line(came, SHOWN)
                ));
            }
        }
    }
    if untold > 0 {
        lines.push(format!("    {untold} more could not be told"));
    }
    lines
}
