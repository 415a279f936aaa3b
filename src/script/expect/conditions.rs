//! What of a happening is not as an expectation wants it.

use serde_json::Value;

use super::{args, words};
use crate::script::happening::Happening;
use crate::script::{Conditions, EventKind};

/// What is not as it should be, in words for people, apart from what a language model has to judge. Empty if all is as
/// it should be.
pub(super) fn misses(conditions: &Conditions, happening: &Happening) -> Vec<String> {
    let mut misses = Vec::new();
    misses.extend(name(conditions, happening));
    misses.extend(agent(conditions, happening));
    misses.extend(arguments(conditions, happening));
    misses.extend(text(conditions, happening));
    misses.extend(cost(conditions, happening));
    misses
}

fn name(conditions: &Conditions, happening: &Happening) -> Option<String> {
    let expected = conditions.name.as_ref()?;
    (happening.name.as_ref() != Some(expected)).then(|| format!("it is not of `{expected}`"))
}

fn agent(conditions: &Conditions, happening: &Happening) -> Option<String> {
    let expected = conditions.agent.as_ref()?;
    if happening.agent.as_ref() == Some(expected) {
        return None;
    }
    Some(match (&happening.agent, happening.kind) {
        (None, _) => format!("it is not known to be of `{expected}`"),
        (Some(actual), EventKind::Handoff) => format!("`{actual}` takes charge, not `{expected}`"),
        (Some(actual), _) => format!("the agent is `{actual}`, not `{expected}`"),
    })
}

fn arguments(conditions: &Conditions, happening: &Happening) -> Vec<String> {
    match (&conditions.args, &happening.args) {
        (None, _) => Vec::new(),
        (Some(_), None) => vec!["it has no arguments".to_owned()],
        (Some(expected @ Value::Object(_)), Some(Value::String(_))) => {
            vec![format!("its arguments are no JSON, expected is {expected}")]
        }
        (Some(expected), Some(actual)) => args::differences(expected, actual),
    }
}

fn text(conditions: &Conditions, happening: &Happening) -> Vec<String> {
    let mut misses = Vec::new();
    if let Some(part) = &conditions.text_contains
        && !happening.words.to_lowercase().contains(&part.to_lowercase())
    {
        misses.push(format!("it does not contain {}", words::quote(part)));
    }
    if let Some(pattern) = &conditions.text_matches
        && !pattern.is_match(&happening.words)
    {
        misses.push(format!("it does not match /{pattern}/"));
    }
    misses
}

fn cost(conditions: &Conditions, happening: &Happening) -> Vec<String> {
    let mut misses = Vec::new();
    if let Some(within) = conditions.within
        && happening.after > within
    {
        let [took, within] = [happening.after, within].map(words::time);
        misses.push(format!("it came after {took}, not within {within}"));
    }
    if let Some(most) = conditions.max_tokens {
        match &happening.usage {
            None => misses.push("its tokens were not told".to_owned()),
            Some(usage) if usage.total() > most => {
                misses.push(format!("it used {}, more than {most}", words::tokens(usage)));
            }
            Some(_) => {}
        }
    }
    misses
}
