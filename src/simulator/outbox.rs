//! Frames on their way to the client.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::Message;

use crate::protocol::ApiError;

use super::fault::{Fault, Faults};
use super::id;
use super::observer::Observer;

/// Frames that wait to be written, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Frame>,
    /// The length of all of them, by which the connection decides whether to read on.
    bytes: usize,
    /// What is wrong with every frame.
    faults: Faults,
    /// The last deltas, as many as are to come late.
    late: VecDeque<String>,
    /// Sees every frame.
    pub(super) observer: Observer,
}

#[derive(Debug)]
enum Frame {
    Message(Message),
    Break(Break),
}

/// What happens once all before it has been written.
#[derive(Debug, PartialEq)]
pub(super) enum Break {
    /// The connection is closed with a code and a reason.
    Close(u16, String),
    /// It ends without a word.
    Drop,
    /// Nothing is read for so long.
    Deaf(Duration),
}

impl Outbox {
    /// An outbox whose frames have these faults.
    pub(super) fn new(faults: Faults, observer: Observer) -> Self {
        Self {
            faults,
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
        self.faults.null(&mut event);
        let event = Value::Object(event);
        let frame = event.to_string();
        self.observer.count_event(&event);
        if kind.ends_with(".delta") {
            self.keep_late(&frame);
        }
        if self.faults.duplicate.iter().any(|twice| twice == kind) {
            self.push(Message::text(frame.clone()));
        }
        self.push(Message::text(frame));
        if kind == "response.done" {
            for late in std::mem::take(&mut self.late) {
                self.push(Message::text(late));
            }
        }
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

    /// Puts a fault in line.
    pub(super) fn send_fault(&mut self, fault: Fault) {
        let breaking = match fault {
            Fault::Event(mut event) => {
                let id = || Value::from(id::new("event_").as_str());
                event.entry("event_id").or_insert_with(id);
                return self.push(Message::text(Value::Object(event).to_string()));
            }
            Fault::Text(text) => return self.push(Message::text(text)),
            Fault::Binary(bytes) => return self.push(Message::Binary(bytes)),
            Fault::Close { code, reason } => Break::Close(code, reason),
            Fault::Drop => Break::Drop,
            Fault::Deaf(time) => Break::Deaf(time),
        };
        self.frames.push_back(Frame::Break(breaking));
    }

    fn keep_late(&mut self, delta: &str) {
        if self.faults.late_deltas > 0 {
            if self.late.len() >= self.faults.late_deltas {
                self.late.pop_front();
            }
            self.late.push_back(delta.to_owned());
        }
    }

    fn push(&mut self, message: Message) {
        self.observer.sent(&message);
        self.bytes += message.len();
        self.frames.push_back(Frame::Message(message));
    }

    /// Takes the next message, if that is what comes next.
    pub(super) fn take(&mut self) -> Option<Message> {
        match self.frames.pop_front()? {
            Frame::Message(message) => {
                self.bytes -= message.len();
                Some(message)
            }
            other => {
                self.frames.push_front(other);
                None
            }
        }
    }

    /// Takes the next break, if that is what comes next.
    pub(super) fn take_break(&mut self) -> Option<Break> {
        match self.frames.pop_front()? {
            Frame::Break(next) => Some(next),
            other => {
                self.frames.push_front(other);
                None
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faulty(faults: Faults) -> Outbox {
        Outbox::new(faults, Observer::default())
    }

    fn texts(outbox: &mut Outbox) -> Vec<Value> {
        let mut texts = Vec::new();
        while let Some(frame) = outbox.take() {
            texts.push(serde_json::from_str(frame.to_text().unwrap()).unwrap());
        }
        assert_eq!(outbox.bytes(), 0);
        texts
    }

    #[test]
    fn keys_are_null_however_deep_they_stand() {
        let mut outbox = faulty(Faults {
            null_keys: vec!["event_id".into(), "id".into()],
            ..Faults::default()
        });
        outbox.send("x", json!({"list": [{"id": "a", "other": 1}]}));
        assert_eq!(
            texts(&mut outbox),
            [json!({"type": "x", "event_id": null, "list": [{"id": null, "other": 1}]})]
        );
    }

    #[test]
    fn the_last_deltas_come_once_more_after_the_end_and_what_is_named_comes_twice() {
        let mut outbox = faulty(Faults {
            late_deltas: 2,
            duplicate: vec!["response.done".into()],
            ..Faults::default()
        });
        for piece in ["a", "b", "c"] {
            outbox.send_delta("response.output_text.delta", json!({}), piece);
        }
        outbox.send("response.done", json!({}));
        outbox.send("response.done", json!({}));
        let seen: Vec<_> = texts(&mut outbox)
            .iter()
            .map(|event| event["delta"].as_str().unwrap_or("done").to_owned())
            .collect();
        assert_eq!(
            seen,
            ["a", "b", "c", "done", "done", "b", "c", "done", "done"],
            "and only once"
        );
    }
}
