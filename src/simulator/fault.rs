//! What no good server does, for tests of clients.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

/// Something wrong that happens once, among the frames of a response or between responses.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// An event as it is given; an `event_id` is added where there is none.
    Event(Map<String, Value>),
    /// A text frame as it is given, such as one that is no JSON.
    Text(String),
    /// A binary frame.
    Binary(Bytes),
    /// The server closes the connection.
    Close {
        /// The close code.
        code: u16,
        /// The close reason, at most 123 bytes.
        reason: String,
    },
    /// The connection ends without a close frame.
    Drop,
    /// The server reads nothing for so long, so that it answers no ping either.
    Deaf(Duration),
}

/// What is wrong with a server all along.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Keys that are null in every event, however deep they stand.
    pub null_keys: Vec<String>,
    /// Types of events that come twice.
    pub duplicate: Vec<String>,
    /// How many deltas of each response come once more, after its `response.done`.
    pub late_deltas: usize,
    /// How long every frame is held back.
    pub frame_delay: Duration,
}

impl Faults {
    /// Sets the keys to null.
    pub(super) fn null(&self, event: &mut Map<String, Value>) {
        for (key, value) in event {
            if self.null_keys.contains(key) {
                *value = Value::Null;
            }
            self.null_within(value);
        }
    }

    fn null_within(&self, value: &mut Value) {
        match value {
            Value::Object(object) => self.null(object),
            Value::Array(values) => values.iter_mut().for_each(|value| self.null_within(value)),
            _ => {}
        }
    }
}
