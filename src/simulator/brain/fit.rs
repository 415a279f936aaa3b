//! Which function the user's words are about.

use crate::protocol::FunctionDefinition;

/// The name of a handoff begins so, in all the SDKs.
const HANDOFF: &str = "transfer_to_";

/// What a match counts: a word of the name; a word of the description that no other function shares; any other word.
const IN_NAME: u32 = 4;
const IN_DESCRIPTION: u32 = 2;
const SHARED: u32 = 1;
/// The least that counts as fitting.
const THRESHOLD: u32 = 2;

/// Words that say nothing about what somebody wants, or that stand in every description.
const STOP_WORDS: &str = " a about after again agent all also am an and any are as ask at available be because been \
    before by can conversation could current customer did do does don done each find for from function get give given \
    go good got had handle handoff has have hello help her here hey hi him his how i if in into information is it its \
    just know let like list look lookup make may me more much must my name need new no not now number of ok okay on \
    one or other our out over people person please question quite return really request right run say see send set \
    she should show so some somebody someone something specific take talk tell than thank thanks that the their them \
    then there these they thing this those to today tool transfer up us use user using value very want was we well \
    were what when where which who why will with without would yes you your ";

/// Whether calling this function hands the conversation to another agent.
pub(super) fn is_handoff(name: &str) -> bool {
    name.starts_with(HANDOFF)
}

/// The function that fits some words best, if one fits at all. Of two that fit as well, one that is no handoff
/// comes first, and then the one that was named first.
pub(super) fn best<'a>(tools: &[&'a FunctionDefinition], words: &str) -> Option<&'a FunctionDefinition> {
    let mut wanted = terms(words);
    wanted.sort_unstable();
    wanted.dedup();
    let known: Vec<_> = tools.iter().map(|tool| Known::of(tool)).collect();
    let mut best: Option<(u32, bool, &FunctionDefinition)> = None;
    for (tool, own) in tools.iter().zip(&known) {
        let score = wanted.iter().map(|term| own.score(term, &known)).sum();
        let rank = (score, !is_handoff(&tool.name));
        if score >= THRESHOLD && best.is_none_or(|(score, is_own, _)| rank > (score, is_own)) {
            best = Some((rank.0, rank.1, tool));
        }
    }
    best.map(|(_, _, tool)| tool)
}

/// The words by which a function is known.
struct Known {
    name: Vec<String>,
    description: Vec<String>,
}

impl Known {
    fn of(tool: &FunctionDefinition) -> Self {
        let name = tool.name.strip_prefix(HANDOFF).unwrap_or(&tool.name);
        let mut description = terms(&tool.description);
        for property in tool.parameters["properties"]
            .as_object()
            .into_iter()
            .flat_map(|all| all.values())
        {
            let choices = property["enum"].as_array().into_iter().flatten();
            description.extend(choices.filter_map(|choice| choice.as_str()).flat_map(terms));
        }
        Self {
            name: terms(name),
            description,
        }
    }

    fn score(&self, term: &str, all: &[Self]) -> u32 {
        if self.name.iter().any(|known| is_same(known, term)) {
            IN_NAME
        } else if !self.describes(term) {
            0
        } else if all.iter().filter(|other| other.describes(term)).count() == 1 {
            IN_DESCRIPTION
        } else {
            SHARED
        }
    }

    fn describes(&self, term: &str) -> bool {
        self.description.iter().any(|known| is_same(known, term))
    }
}

/// The words that carry meaning, each without its ending. Names in `snake_case` and `camelCase` are taken apart.
fn terms(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in text.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let (Some(word), true) = (words.last_mut(), c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| word.chars().count() > 1 && !STOP_WORDS.contains(&format!(" {word} ")));
    words.iter().map(|word| stem(word).to_owned()).collect()
}

/// A word without the endings of English grammar.
fn stem(word: &str) -> &str {
    let long_enough = |stem: &&str| stem.len() >= 3;
    let verb = ["ing", "ed"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending))
        .filter(long_enough);
    if let Some(stem) = verb {
        // As in "cancelled" and "planning".
        let mut letters = stem.chars().rev();
        let is_doubled = letters.next().is_some_and(|last| Some(last) == letters.next());
        let end = stem.char_indices().next_back().map_or(0, |(at, _)| at);
        return if is_doubled {
            &stem[..end]
        } else {
            stem.trim_end_matches('e')
        };
    }
    let plural = word
        .strip_suffix("ies")
        .or_else(|| word.strip_suffix('s').filter(|stem| !stem.ends_with('s')));
    let stem = plural.filter(long_enough).unwrap_or(word);
    stem.strip_suffix(['e', 'y']).filter(long_enough).unwrap_or(stem)
}

/// Whether two stems are forms of one word, such as "calculat" and "calculation".
fn is_same(one: &str, other: &str) -> bool {
    const SHARED_START: usize = 6;
    const ENDINGS: usize = 4;
    if one == other {
        return true;
    }
    let shared = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let rest = one.chars().count().max(other.chars().count()) - shared;
    shared >= SHARED_START && rest <= ENDINGS
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for forms in [
            ["refund", "refunds", "refunded", "refunding"],
            ["invoice", "invoices", "invoiced", "invoicing"],
            ["cancel", "cancels", "cancelled", "cancelling"],
            ["query", "queries", "query", "query"],
        ] {
            assert!(forms.iter().all(|form| stem(form) == stem(forms[0])), "{forms:?}");
        }
        assert!(is_same(stem("calculate"), stem("calculator")));
        assert!(!is_same(stem("international"), stem("internet")));
    }

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(terms("lookUpInvoice"), ["invoic"]);
        assert_eq!(terms("cancel_subscription"), ["cancel", "subscription"]);
    }

    #[test]
    fn the_better_match_wins_and_ties_stay_here() {
        let tool = |name: &str, description: &str| FunctionDefinition {
            name: name.into(),
            description: description.into(),
            parameters: json!({"properties": {"unit": {"enum": ["celsius", "fahrenheit"]}}}),
        };
        let tools = [
            tool(
                "transfer_to_Refunds",
                "Handoff to the Refunds agent to handle the request.",
            ),
            tool("issue_refund", "Pays money back for an order."),
            tool("order_status", "Where an order is, and its delivery."),
        ];
        let tools: Vec<_> = tools.iter().collect();
        let name = |words| best(&tools, words).map(|tool| tool.name.as_str());
        assert_eq!(name("Refund it"), Some("issue_refund"));
        assert_eq!(
            name("Hand me to the refunds people: agent!"),
            Some("issue_refund")
        );
        assert_eq!(name("Is the delivery late?"), Some("order_status"));
        assert_eq!(name("I ordered money"), Some("order_status"));
        assert_eq!(name("What is your name?"), None);
        assert_eq!(name(""), None);
    }
}
