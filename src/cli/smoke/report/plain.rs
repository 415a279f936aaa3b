//! What came of an attempt as plain text, for those who read a report without its looks.

use std::fmt::Write;

use realtime_run::script::{Finding, Met, Outcome, Place, Speaker, TurnOutcome, Verdict};

/// What went wrong, in one line; nothing if nothing did.
pub fn summary(outcome: &Outcome) -> Option<String> {
    match &outcome.verdict {
        Verdict::Passed => None,
        Verdict::Broken { reason } | Verdict::TimedOut { reason } => Some(in_a_line(reason)),
        Verdict::Failed => {
            let mut unmet = unmet(outcome);
            let first = unmet.next().map_or_else(String::new, |(finding, came)| {
                format!("expected {}; came: {}", finding.expected, came)
            });
            let others = unmet.count();
            let more = if others > 0 {
                format!(" (and {others} more)")
            } else {
                String::new()
            };
            Some(in_a_line(&first) + &more)
        }
    }
}

/// Where the first thing stands that did not come.
pub fn place(outcome: &Outcome) -> Option<&Place> {
    let turn = outcome.turns.last().map(|turn| &turn.place);
    let unmet = unmet(outcome).next().map(|(finding, _)| &finding.place);
    match outcome.verdict {
        Verdict::Passed => None,
        Verdict::Failed => unmet,
        Verdict::Broken { .. } | Verdict::TimedOut { .. } => turn,
    }
}

/// All that did not come, turn by turn, with what came instead.
pub fn details(outcome: &Outcome) -> String {
    let mut text = String::new();
    if let Verdict::Broken { reason } | Verdict::TimedOut { reason } = &outcome.verdict {
        let _ = writeln!(text, "{reason}");
    }
    for turn in &outcome.turns {
        if turn.findings.iter().any(|finding| finding.met != Met::Yes) {
            let _ = writeln!(text, "{} the user {}", at(&turn.place), turn.act);
            tell(&mut text, &turn.findings);
        }
    }
    if outcome.spans.iter().any(|finding| finding.met != Met::Yes) {
        text += "the trace\n";
        tell(&mut text, &outcome.spans);
    }
    text
}

/// What was said and done, turn by turn.
pub fn transcript(turns: &[TurnOutcome]) -> String {
    let mut text = String::new();
    for turn in turns {
        let _ = writeln!(text, "{} the user {}", at(&turn.place), turn.act);
        for line in &turn.transcript {
            let who = match &line.speaker {
                Speaker::User => "user",
                Speaker::Agent(name) | Speaker::Tool(name) => name,
                Speaker::Note => "note",
            };
            let _ = writeln!(text, "  {who}: {}", indented(&line.text));
        }
    }
    text
}

fn unmet(outcome: &Outcome) -> impl Iterator<Item = (&Finding, &str)> {
    let turns = outcome.turns.iter().flat_map(|turn| &turn.findings);
    turns
        .chain(&outcome.spans)
        .filter_map(|finding| match &finding.met {
            Met::No { came } => Some((finding, came.as_str())),
            Met::Yes | Met::Untold => None,
        })
}

fn tell(text: &mut String, findings: &[Finding]) {
    for finding in findings {
        let (what, came) = match &finding.met {
            Met::Yes => continue,
            Met::No { came } => ("not met", Some(came)),
            Met::Untold => ("not known", None),
        };
        let _ = writeln!(
            text,
            "  {what}: {} {}",
            at(&finding.place),
            indented(&finding.expected)
        );
        if let Some(came) = came {
            let _ = writeln!(text, "    came: {}", indented(came));
        }
        if let Some(ruling) = &finding.ruling {
            let _ = writeln!(text, "    judge: {}", indented(&ruling.reason));
        }
    }
}

fn at(place: &Place) -> String {
    format!("{}:{}", place.file, place.line)
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n      ")
}

fn in_a_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
