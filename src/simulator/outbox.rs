//! Frames on their way to the client.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use crate::protocol::ApiError;

use super::id;
use super::observer::Observer;

/// Frames that wait to be written, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<String>,
    /// The length of all of them, by which the connection decides whether to read on.
    bytes: usize,
    /// Sees every frame.
    pub(super) observer: Observer,
}

impl Outbox {
    pub(super) fn new(observer: Observer) -> Self {
        Self {
            observer,
            ..Self::default()
        }
    }

    /// Puts an event in line; `fields` is an object with what the event has besides `type` and `event_id`.
    pub(super) fn send(&mut self, kind: &str, fields: Value) {
        let mut event = Map::new();
        event.insert("type".into(), kind.into());
        event.insert("event_id".into(), id::new("event_").as_str().into());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        let event = Value::Object(event);
        let frame = event.to_string();
        self.observer.sent(&event, &frame);
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Puts a text-like delta in line: with padding, so that the length of a frame does not give away its words
    /// (protocol.md section 3).
    pub(super) fn send_delta(&mut self, kind: &str, mut fields: Value, delta: &str) {
        const BLOCK: usize = 16;
        let length = delta.chars().count();
        let padding: String = id::letters(length.next_multiple_of(BLOCK) - length).collect();
        fields["delta"] = delta.into();
        fields["obfuscation"] = padding.into();
        self.send(kind, fields);
    }

    /// Puts an error in line.
    pub(super) fn send_error(&mut self, error: &ApiError) {
        self.send("error", serde_json::json!({ "error": error }));
    }

    pub(super) fn take(&mut self) -> Option<String> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
