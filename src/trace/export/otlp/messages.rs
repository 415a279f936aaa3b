//! Messages of a generation span, read for the conventions to write: the chat form, in which the session puts them.
//! An application may have put anything there, so what is of another form is passed over.

use std::borrow::Cow;

use serde_json::Value;

pub(super) struct Message<'a> {
    pub(super) role: &'a str,
    pub(super) parts: Vec<Part<'a>>,
}

pub(super) enum Part<'a> {
    Text(&'a str),
    /// A call of a tool; the arguments are JSON text, if the model wrote it well.
    Call {
        id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    /// What a tool answered.
    Answer {
        id: &'a str,
        text: Cow<'a, str>,
    },
    /// Content that has no words: its kind, and where it is.
    Other {
        kind: &'a str,
        uri: Option<&'a str>,
    },
}

/// The messages of a list.
pub(super) fn read(list: Option<&Value>) -> Vec<Message<'_>> {
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(message).collect()
}

/// Whether any of these calls a tool.
pub(super) fn have_calls(messages: &[Message<'_>]) -> bool {
    let mut parts = messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part, Part::Call { .. }))
}

fn message(value: &Value) -> Option<Message<'_>> {
    let role = value["role"].as_str()?;
    let mut parts = Vec::new();
    let content = &value["content"];
    match (value["tool_call_id"].as_str(), content) {
        (_, Value::Null) => {}
        (Some(id), Value::String(text)) => parts.push(Part::Answer {
            id,
            text: text.into(),
        }),
        (Some(id), other) => parts.push(Part::Answer {
            id,
            text: other.to_string().into(),
        }),
        (None, Value::String(text)) => parts.push(Part::Text(text)),
        (None, other) => parts.extend(other.as_array().into_iter().flatten().filter_map(part)),
    }
    let calls = value["tool_calls"].as_array();
    parts.extend(calls.into_iter().flatten().filter_map(call));
    Some(Message { role, parts })
}

fn part(value: &Value) -> Option<Part<'_>> {
    let kind = value["type"].as_str()?;
    Some(match value["text"].as_str() {
        Some(text) => Part::Text(text),
        None => Part::Other {
            kind,
            uri: value["image_url"].as_str(),
        },
    })
}

fn call(value: &Value) -> Option<Part<'_>> {
    let function = &value["function"];
    Some(Part::Call {
        id: value["id"].as_str().unwrap_or_default(),
        name: function["name"].as_str()?,
        arguments: function["arguments"].as_str().unwrap_or_default(),
    })
}
