//! Who decides on calls that need approval, and what their answers look like.

use std::io::{self, IsTerminal};

use realtime_run::session::Decision;
use serde::Deserialize;
use serde_json::Value;

use super::args::Approve;

/// Who decides on calls that need approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approver {
    /// The command line did: the same for every call.
    Settled(bool),
    /// A person at the terminal.
    Person,
    /// A program, which reads events and writes lines of JSON.
    Program,
    /// There is nobody to ask.
    Nobody,
}

impl Approver {
    /// Nobody can be asked where stdin is taken.
    pub fn choose(approve: Approve, json: bool, is_stdin_taken: bool) -> Self {
        // The question goes to stderr.
        let is_person = || io::stdin().is_terminal() && io::stderr().is_terminal();
        match approve {
            Approve::Always => Self::Settled(true),
            Approve::Never => Self::Settled(false),
            Approve::Ask if is_stdin_taken => Self::Nobody,
            Approve::Ask if json => Self::Program,
            Approve::Ask if is_person() => Self::Person,
            Approve::Ask => Self::Nobody,
        }
    }
}

/// What a person is asked to type.
pub const CHOICE: &str = "  [o]nce, [a]lways, [n]o, or no with a message to the model";

/// The decision that a person typed; none if it can't be told.
pub fn typed(line: &str) -> Option<Decision> {
    let line = line.trim();
    let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let message = rest.trim_start_matches(|c: char| c.is_whitespace() || ",.:;".contains(c));
    match (word.to_lowercase().as_str(), rest) {
        ("o" | "once", "") => Some(Decision::approve()),
        ("a" | "always", "") => Some(Decision::approve().always()),
        ("n" | "no", _) if message.is_empty() => Some(Decision::reject()),
        ("n" | "no", _) => Some(Decision::reject().message(message)),
        _ => None,
    }
}

/// A decision as a program writes it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    Approve {
        call_id: String,
        #[serde(default)]
        always: bool,
    },
    Reject {
        call_id: String,
        message: Option<String>,
        #[serde(default)]
        always: bool,
    },
}

/// The call and the decision on it that a line of JSON holds, or what is wrong with them; none for a line that is no
/// decision at all.
pub fn written(line: &str) -> Option<Result<(String, Decision), String>> {
    is_meant(line).then(|| match serde_json::from_str(line) {
        Ok(written) => Ok(decision(written)),
        Err(error) => Err(error.to_string()),
    })
}

/// Whether a line is meant to be a decision, with or without slips.
fn is_meant(line: &str) -> bool {
    match serde_json::from_str(line) {
        Ok(Value::Object(object)) => {
            let kind = object.get("type").and_then(Value::as_str);
            object.contains_key("call_id") || matches!(kind, Some("approve" | "reject"))
        }
        Ok(_) => false,
        Err(_) => line.trim_start().starts_with('{') && line.contains("\"call_id\""),
    }
}

fn decision(written: Written) -> (String, Decision) {
    let (call_id, decision, always) = match written {
        Written::Approve { call_id, always } => (call_id, Decision::approve(), always),
        Written::Reject {
            call_id,
            message: None,
            always,
        } => (call_id, Decision::reject(), always),
        Written::Reject {
            call_id,
            message: Some(message),
            always,
        } => (call_id, Decision::reject().message(message), always),
    };
    match always {
        true => (call_id, decision.always()),
        false => (call_id, decision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_answers_in_a_letter_or_a_word() {
        for (line, expected) in [
            ("o", Some(Decision::approve())),
            (" Once ", Some(Decision::approve())),
            ("a", Some(Decision::approve().always())),
            ("ALWAYS", Some(Decision::approve().always())),
            ("n", Some(Decision::reject())),
            ("no.", Some(Decision::reject())),
            ("n  ask first", Some(Decision::reject().message("ask first"))),
            ("No, ask: first", Some(Decision::reject().message("ask: first"))),
        ] {
            assert_eq!(typed(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_clear_answer_approves_nothing() {
        for line in [
            "",
            "y",
            "ok",
            "oh",
            "o please",
            "a bit",
            "always?",
            "note this",
            "nobody",
            "1",
        ] {
            assert_eq!(typed(line), None, "{line}");
        }
    }

    #[test]
    fn a_program_answers_in_json() {
        for (line, expected) in [
            (r#"{"type":"approve","call_id":"c"}"#, Decision::approve()),
            (
                r#" {"call_id":"c","type":"approve","always":true}"#,
                Decision::approve().always(),
            ),
            (
                r#"{"type":"reject","call_id":"c","message":null}"#,
                Decision::reject(),
            ),
            (
                r#"{"type":"reject","call_id":"c","message":"no","always":true}"#,
                Decision::reject().message("no").always(),
            ),
        ] {
            assert_eq!(written(line), Some(Ok(("c".to_owned(), expected))), "{line}");
        }
    }

    #[test]
    fn a_program_s_slips_are_told_and_other_lines_are_not_its_answers() {
        for (line, wrong) in [
            (r#"{"type":"approve"}"#, "missing field `call_id`"),
            (
                r#"{"type":"aprove","call_id":"c"}"#,
                "unknown variant `aprove`, expected `approve` or `reject` at line 1 column 16",
            ),
            (
                r#"{"type":"approve","call_id":"c","allways":true}"#,
                "unknown field `allways`, expected `call_id` or `always`",
            ),
            (
                r#"{"type":"approve","call_id":"c""#,
                "EOF while parsing an object at line 1 column 31",
            ),
        ] {
            assert_eq!(written(line), Some(Err(wrong.to_owned())), "{line}");
        }
        for line in [
            "",
            "approve",
            r#"{"type":"hello"}"#,
            "[1]",
            "{ call_id",
            "\"call_id\"",
        ] {
            assert_eq!(written(line), None, "{line}");
        }
    }
}
