//! What of a happening is not as an expectation wants it.

use serde_json::Value;

use super::{args, words};
use crate::script::happening::Happening;
use crate::script::{Conditions, EventKind};

/// Something that is not as it should be.
#[derive(Debug)]
pub(super) struct Miss {
    /// How far off that is: of several happenings the one that is the least far off is shown.
    pub(super) distance: u32,
    /// What it is, in words for people.
    pub(super) words: String,
}

impl Miss {
    /// Another thing altogether.
    const NAME: u32 = 8;
    const TEXT: u32 = 4;
    const AGENT: u32 = 3;
    const ARGUMENT: u32 = 2;
    /// The right thing, but too late, too dear, or one that counts for something else.
    pub(super) const SLIGHT: u32 = 1;

    pub(super) fn new(distance: u32, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { distance, words }
    }
}

/// What is not as it should be, apart from what a language model has to judge. Empty if all is as
/// it should be.
pub(super) fn misses(conditions: &Conditions, happening: &Happening) -> Vec<Miss> {
    let mut misses = Vec::new();
    misses.extend(name(conditions, happening));
    misses.extend(agent(conditions, happening));
    misses.extend(arguments(conditions, happening));
    misses.extend(text(conditions, happening));
    misses.extend(cost(conditions, happening));
    misses
}

fn name(conditions: &Conditions, happening: &Happening) -> Option<Miss> {
    let expected = conditions.name.as_ref()?;
    (happening.name.as_ref() != Some(expected))
        .then(|| Miss::new(Miss::NAME, format!("that is not `{expected}`")))
}

fn agent(conditions: &Conditions, happening: &Happening) -> Option<Miss> {
    let expected = conditions.agent.as_ref()?;
    if happening.agent.as_ref() == Some(expected) {
        return None;
    }
    let words = match (&happening.agent, happening.kind) {
        (None, _) => format!("no agent is known for it (expected `{expected}`)"),
        (Some(actual), EventKind::Handoff) => format!("`{actual}` takes charge, not `{expected}`"),
        (Some(actual), _) => format!("the agent is `{actual}`, not `{expected}`"),
    };
    Some(Miss::new(Miss::AGENT, words))
}

fn arguments(conditions: &Conditions, happening: &Happening) -> Vec<Miss> {
    let differences = match (&conditions.args, &happening.args) {
        (None, _) => Vec::new(),
        (Some(_), None) => vec!["it has no arguments".to_owned()],
        (Some(expected @ Value::Object(_)), Some(Value::String(_))) => {
            vec![format!("its arguments are not valid JSON (expected {expected})")]
        }
        (Some(expected), Some(actual)) => args::differences(expected, actual),
    };
    let miss = |words| Miss::new(Miss::ARGUMENT, words);
    differences.into_iter().map(miss).collect()
}

fn text(conditions: &Conditions, happening: &Happening) -> Vec<Miss> {
    let mut misses = Vec::new();
    if let Some(part) = &conditions.text_contains
        && !happening.words.to_lowercase().contains(&part.to_lowercase())
    {
        misses.push(Miss::new(
            Miss::TEXT,
            format!("it does not contain {}", words::quote(part)),
        ));
    }
    if let Some(pattern) = &conditions.text_matches
        && !pattern.is_match(&happening.words)
    {
        misses.push(Miss::new(Miss::TEXT, format!("it does not match /{pattern}/")));
    }
    misses
}

fn cost(conditions: &Conditions, happening: &Happening) -> Vec<Miss> {
    let mut misses = Vec::new();
    if let Some(within) = conditions.within
        && happening.after > within
    {
        let [took, within] = [happening.after, within].map(words::time);
        misses.push(Miss::new(
            Miss::SLIGHT,
            format!("it came after {took}, not within {within}"),
        ));
    }
    if let Some(most) = conditions.max_tokens {
        match &happening.usage {
            None => misses.push(Miss::new(Miss::SLIGHT, "its tokens were not told")),
            Some(usage) if usage.total() > most => {
                let used = words::tokens(usage);
                misses.push(Miss::new(
                    Miss::SLIGHT,
                    format!("it used {used}, more than {most}"),
                ));
            }
            Some(_) => {}
        }
    }
    misses
}
