use std::fmt;

use serde_json::{Map, Value};

use crate::recording::Frame;

/// Where and how a client did not do what the recorded one did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deviation {
    /// The row's line in the recording, from 1 on.
    pub line: usize,
    /// The client, from 1 on in the order in which they came.
    pub client: u64,
    /// What is different.
    pub difference: Difference,
}

/// What a client did instead of what was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// It sent another event than the next one of the recording.
    Order {
        /// The recorded event.
        expected: String,
        /// Its own.
        sent: String,
    },
    /// Its event has another content.
    Content {
        /// The recorded event.
        event: String,
        /// The path of the first value that differs.
        path: String,
        /// That value as it was recorded, as JSON; perhaps cut short.
        recorded: String,
        /// That value as it came.
        sent: String,
    },
    /// It sent something after the last row.
    AfterEnd {
        /// What it sent.
        sent: String,
    },
    /// It left before it had sent this.
    Left {
        /// The recorded event.
        expected: String,
    },
    /// It left before this had been sent to it.
    LeftUnheard {
        /// The recorded event.
        unheard: String,
    },
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.difference {
            Difference::Order { expected, sent } => {
                write!(f, "expected {expected}, but the client sent {sent}")
            }
            Difference::Content {
                event,
                path,
                recorded,
                sent,
            } => write!(
                f,
                "{event} differs at `{path}`: recorded is {recorded}, but the client sent {sent}"
            ),
            Difference::AfterEnd { sent } => {
                write!(f, "the recording ends here, but the client sent {sent}")
            }
            Difference::Left { expected } => write!(f, "the client left without sending {expected}"),
            Difference::LeftUnheard { unheard } => write!(f, "the client left before {unheard}"),
        }
    }
}

/// A frame in a few words.
pub(super) fn describe(frame: &Frame) -> String {
    match frame {
        Frame::Event(event) => describe_event(event),
        Frame::Text(_) => "a text that is no event".to_owned(),
        Frame::Binary(_) => "bytes that are no event".to_owned(),
    }
}

fn describe_event(event: &Map<String, Value>) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(shortened);
    let kind = text(event.get("type")).unwrap_or_else(|| "an event without a type".to_owned());
    let item = event.get("item").unwrap_or(&Value::Null);
    match (text(item.get("type")), text(item.get("call_id"))) {
        (Some(item), Some(call_id)) => format!("`{kind}` ({item} of {call_id})"),
        (Some(item), None) => format!("`{kind}` ({item})"),
        _ => format!("`{kind}`"),
    }
}

/// The beginning of a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
