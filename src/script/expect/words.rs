//! What is expected and what happened, in words for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::protocol::{ResponseStatus, Usage};
use crate::script::happening::Happening;
use crate::script::{Conditions, EventKind, Expectation};

/// Characters of a text that are shown.
const TEXT_SHOWN: usize = 160;
/// Characters of arguments that are shown.
const ARGS_SHOWN: usize = 240;
/// Happenings that are listed at the most.
const LISTED: usize = 6;

/// What is expected.
pub(super) fn expected(expectation: &Expectation) -> String {
    let Expectation {
        event, conditions, ..
    } = expectation;
    let mut words = named(*event, conditions.name.as_deref());
    if expectation.absent {
        words = no(&words);
    }
    words.push_str(&agent(*event, conditions.agent.as_deref()));
    words.push_str(&wanted(conditions));
    words
}

/// A thing of this kind, with its article.
fn named(event: EventKind, name: Option<&str>) -> String {
    let (alone, of) = match event {
        EventKind::Response => ("an answer", "an answer"),
        EventKind::ToolCall => ("a tool call", "a call of"),
        EventKind::ToolResult => ("a tool result", "a result of"),
        EventKind::Handoff => ("a handoff", "a handoff"),
        EventKind::Guardrail => ("a guardrail objection", "an objection of"),
        EventKind::Error => ("an error", "an error"),
        EventKind::Interrupted => ("an interruption", "an interruption"),
        EventKind::Usage => ("a usage report", "a usage report"),
    };
    match name {
        Some(name) => format!("{of} `{name}`"),
        None => alone.to_owned(),
    }
}

/// What an agent has to do with a thing of this kind.
fn agent(event: EventKind, agent: Option<&str>) -> String {
    let Some(agent) = agent else {
        return String::new();
    };
    let relation = match event {
        EventKind::Response | EventKind::ToolCall | EventKind::Error => "by",
        EventKind::Handoff | EventKind::Guardrail => "to",
        EventKind::ToolResult | EventKind::Usage => "for",
        EventKind::Interrupted => "of",
    };
    format!(" {relation} `{agent}`")
}

fn wanted(conditions: &Conditions) -> String {
    let mut words = Vec::new();
    if let Some(args) = &conditions.args {
        words.push(format!("with {}", shorten(&args.to_string(), ARGS_SHOWN)));
    }
    if let Some(text) = &conditions.text_contains {
        words.push(format!("that contains {}", quote(text)));
    }
    if let Some(pattern) = &conditions.text_matches {
        words.push(format!("that matches /{pattern}/"));
    }
    if let Some(claim) = &conditions.judge {
        words.push(format!("of which it is true that {}", quote(claim)));
    }
    if let Some(tokens) = conditions.max_tokens {
        let s = if tokens == 1 { "" } else { "s" };
        words.push(format!("with at most {tokens} token{s}"));
    }
    if let Some(within) = conditions.within {
        words.push(format!("within {}", time(within)));
    }
    match words.is_empty() {
        true => String::new(),
        false => format!(" {}", words.join(", ")),
    }
}

/// Something that happened.
pub(super) fn happened(happening: &Happening) -> String {
    let Happening { kind, agent: who, .. } = happening;
    let mut words = match (kind, happening.status) {
        (EventKind::ToolResult, ResponseStatus::Failed) => {
            format!("a failure of `{}`", happening.name.as_deref().unwrap_or_default())
        }
        (EventKind::Usage, _) => {
            let tokens = happening.usage.as_ref().map(tokens).unwrap_or_default();
            format!("a usage report of {tokens}")
        }
        _ => named(*kind, happening.name.as_deref()),
    };
    words.push_str(&agent(*kind, who.as_deref()));
    match (kind, happening.status) {
        (EventKind::Response, ResponseStatus::Cancelled) => words.push_str(", cut off"),
        (EventKind::Response, ResponseStatus::Incomplete) => words.push_str(", incomplete"),
        (EventKind::Response, ResponseStatus::Failed) => words.push_str(", failed"),
        _ => {}
    }
    if let (EventKind::ToolCall, Some(args)) = (kind, &happening.args) {
        let _ = write!(words, " with {}", shorten(&args.to_string(), ARGS_SHOWN));
    }
    if !happening.words.is_empty() {
        let _ = write!(words, ": {}", quote(&happening.words));
    }
    words
}

/// That no such thing came, and what did; tokens, which come with every answer, are left out.
pub(super) fn none_of(event: EventKind, all: &[Happening]) -> String {
    let told: Vec<_> = all.iter().filter(|own| own.kind != EventKind::Usage).collect();
    if told.is_empty() {
        return "nothing".to_owned();
    }
    let mut list: Vec<_> = told.iter().take(LISTED).map(|own| happened(own)).collect();
    if told.len() > LISTED {
        list.push(format!("{} more", told.len() - LISTED));
    }
    format!("{}, but {}", no(&named(event, None)), list.join("; "))
}

/// That there is none of what comes with its article.
fn no(noun: &str) -> String {
    format!(
        "no {}",
        noun.split_once(' ').map_or(noun, |(_article, noun)| noun)
    )
}

/// Tokens, as a sum and by where they went.
pub(super) fn tokens(usage: &Usage) -> String {
    let Usage {
        input_tokens,
        output_tokens,
        ..
    } = usage;
    format!(
        "{} tokens ({input_tokens} in, {output_tokens} out)",
        usage.total()
    )
}

/// A text in one line, and not too long, in quotes.
pub(in crate::script) fn quote(text: &str) -> String {
    format!("\"{}\"", shorten(text, TEXT_SHOWN))
}

fn shorten(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A length of time in the unit that suits it.
pub(in crate::script) fn time(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}
