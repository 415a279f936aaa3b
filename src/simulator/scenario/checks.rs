//! The sense of a scenario file: that each step does something, and nothing that cannot be done. All checks pass over
//! what is of the wrong shape; that is told elsewhere.

use crate::file::{Content, Diagnostic, Node, check_pattern, quoted};
use crate::simulator::opening::OpeningRefusal;

/// The keys of which an action has one: what happens.
const ACTIONS: [&str; 11] = [
    "say",
    "call",
    "hand_off",
    "fail",
    "cut_off",
    "wait_ms",
    "send",
    "send_binary",
    "huge_item_bytes",
    "close",
    "deaf_ms",
];
/// The keys that go with others.
const COMPANIONS: [(&str, &[&str]); 3] = [
    ("pace_ms", &["say"]),
    ("arguments", &["call", "hand_off"]),
    ("reason", &["close"]),
];
/// The keys of which a condition has one.
const TRIGGERS: [&str; 3] = ["user_says", "user_matches", "tool_output"];
/// Close codes that stand for something that no peer can send (RFC 6455, section 7.4.1).
const UNSENDABLE: [&str; 4] = ["1004", "1005", "1006", "1015"];
/// The most bytes of a close reason (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;

/// All that is wrong with the sense of the file `root`, which was written as `source`.
pub(super) fn check(root: &Node, source: &str) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    for step in root.get("steps").into_iter().flat_map(Node::items) {
        mistakes.extend(step.get("when").and_then(|when| condition(when, source)));
        if let Some(then) = step.get("then") {
            for action in then.items() {
                mistakes.extend(self::action(action));
            }
            mistakes.extend(order(then.items()));
        }
    }
    let refuse = root.get("faults").and_then(|faults| faults.get("refuse"));
    mistakes.extend(refuse.and_then(refusal));
    mistakes.extend(root.get("seed").and_then(|seed| seeded(root, seed)));
    mistakes
}

fn is_table(node: &Node) -> bool {
    matches!(node.content, Content::Table(_))
}

/// The keys of `keys` that a table has.
fn given<'a>(table: &'a Node, keys: &[&'static str]) -> Vec<(&'static str, &'a Node)> {
    let entry = |key: &&'static str| Some((*key, table.get(key)?));
    keys.iter().filter_map(entry).collect()
}

/// A condition has one trigger, and one that can be judged.
fn condition(when: &Node, source: &str) -> Option<Diagnostic> {
    if !is_table(when) {
        return None;
    }
    match given(when, &TRIGGERS).as_slice() {
        [] if when.entries().next().is_none() => Some(
            Diagnostic::at(when.span.clone(), "nothing says when this step fits").help(format!(
                "give one of {}; or leave `when` out for a step that always fits",
                quoted(&TRIGGERS)
            )),
        ),
        [(one, _), (other, node), ..] => Some(both(one, other, node).help("keep one of them")),
        [("user_matches", pattern)] => check_pattern(source, pattern),
        _ => None,
    }
}

fn both(one: &str, other: &str, node: &Node) -> Diagnostic {
    Diagnostic::at(
        node.key_span.clone(),
        format!("both `{one}` and `{other}` are given"),
    )
}

/// An action does one thing, and one that can be done.
fn action(action: &Node) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    if !is_table(action) {
        return mistakes;
    }
    let done = given(action, &ACTIONS);
    match done.as_slice() {
        [] if action
            .entries()
            .all(|(key, _)| COMPANIONS.iter().any(|(known, _)| *known == key)) =>
        {
            mistakes.push(
                Diagnostic::at(action.span.clone(), "nothing happens here")
                    .help(format!("give one of {}", quoted(&ACTIONS))),
            )
        }
        [(one, _), (other, node), ..] => mistakes.push(both(one, other, node).help(format!(
            "each has braces of its own: `then = [{{ {one} = … }}, {{ {other} = … }}]`"
        ))),
        _ => {}
    }
    for (companion, with) in COMPANIONS {
        if let Some(node) = action.get(companion)
            && !done.is_empty()
            && given(action, with).is_empty()
        {
            let message = format!("`{companion}` goes with {}", quoted(with).replace(", ", " or "));
            mistakes.push(Diagnostic::at(node.key_span.clone(), message));
        }
    }
    mistakes.extend(action.get("close").and_then(close_code));
    mistakes.extend(action.get("reason").and_then(close_reason));
    mistakes
}

fn close_code(code: &Node) -> Option<Diagnostic> {
    let number = code.to_json().to_string();
    UNSENDABLE.contains(&number.as_str()).then(|| {
        let help = match number.as_str() {
            "1006" => "to lose the connection, write `\"drop\"`",
            _ => "1000 is a good end, 1011 a server's error",
        };
        let message = format!("no peer can send the close code {number}");
        Diagnostic::at(code.span.clone(), message).help(help)
    })
}

fn close_reason(reason: &Node) -> Option<Diagnostic> {
    let text = &reason.text()?.value;
    // The schema counts characters.
    (text.len() > LONGEST_REASON && text.chars().count() <= LONGEST_REASON).then(|| {
        let message = format!("too long: at most {LONGEST_REASON} bytes of UTF-8 are allowed");
        Diagnostic::at(reason.span.clone(), message)
    })
}

/// What nothing can follow, or only faults.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Anything,
    Faults,
    Nothing,
}

/// Nothing follows the end of a connection, and no words the end of a response.
fn order(actions: &[Node]) -> Option<Diagnostic> {
    let mut reach = (Reach::Anything, "");
    for action in actions {
        let name = name(action)?;
        let is_content = matches!(
            name,
            "say" | "call" | "hand_off" | "fail" | "cut_off" | "done" | "stay_silent"
        );
        match reach {
            (Reach::Nothing, end) => {
                let message = format!("nothing can follow `{end}`");
                return Some(
                    Diagnostic::at(action.span.clone(), message).help("leave it out, or put it before"),
                );
            }
            (Reach::Faults, end) if is_content => {
                let message = format!("the response has ended with `{end}`");
                let help = "only faults and `wait_ms` can follow; put it before, or into another step";
                return Some(Diagnostic::at(action.span.clone(), message).help(help));
            }
            _ => {}
        }
        match name {
            "close" | "drop" | "expire" | "stay_silent" => reach = (Reach::Nothing, name),
            "fail" | "cut_off" | "done" => reach = (Reach::Faults, name),
            _ => {}
        }
    }
    None
}

/// What an action is called; none if that is told elsewhere.
fn name(action: &Node) -> Option<&str> {
    match action.text() {
        Some(word) => Some(&word.value),
        None => given(action, &ACTIONS).first().map(|(name, _)| *name),
    }
}

/// A seed is for what is left to chance.
fn seeded(root: &Node, seed: &Node) -> Option<Diagnostic> {
    let steps = root.get("steps").map_or(&[][..], Node::items);
    let is_needed = steps.iter().any(|step| step.get("chance").is_some());
    (!is_needed).then(|| {
        Diagnostic::at(seed.key_span.clone(), "nothing here is left to chance")
            .help("give a step a `chance`, or leave `seed` out")
    })
}

fn refusal(refuse: &Node) -> Option<Diagnostic> {
    let text = refuse.text()?;
    let expected = text.value.parse::<OpeningRefusal>().err()?;
    Some(Diagnostic::at(refuse.span.clone(), expected))
}
