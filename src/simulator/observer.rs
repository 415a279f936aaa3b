use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::EventLog;
use super::event_log::{Frame, From};
use crate::protocol::Id;

/// What a simulator has served up to now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sessions that were opened.
    pub sessions: u64,
    /// Turns of the user: messages, and pieces of speech.
    pub turns: u64,
    /// Responses that have ended, however they did.
    pub responses: u64,
    /// Error events, by their code.
    pub errors: BTreeMap<String, u64>,
}

/// Sees all events of one connection: counts them, and writes them down if they are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Observer {
    /// One for all connections.
    tally: Arc<Mutex<Tally>>,
    log: Option<EventLog>,
    session: Option<Id>,
}

impl Observer {
    pub(super) fn new(log: Option<EventLog>) -> Self {
        Self {
            log,
            ..Self::default()
        }
    }

    /// What was counted, over all connections.
    pub(super) fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A session has been opened.
    pub(super) fn opened(&mut self, session: Id) {
        self.session = Some(session);
        self.count(|tally| tally.sessions += 1);
    }

    pub(super) fn received(&self, frame: &str) {
        self.record(From::Client, || Frame::Text(frame.to_owned()));
    }

    pub(super) fn received_binary(&self, bytes: usize) {
        self.record(From::Client, || Frame::Binary(bytes));
    }

    /// An event of the server is made.
    pub(super) fn count_event(&self, event: &Value) {
        match event["type"].as_str().unwrap_or_default() {
            "conversation.item.added" if event["item"]["role"] == "user" => {
                self.count(|tally| tally.turns += 1);
            }
            "response.done" => self.count(|tally| tally.responses += 1),
            "error" => {
                let code = event["error"]["code"].as_str().unwrap_or_default();
                self.count(|tally| *tally.errors.entry(code.to_owned()).or_default() += 1);
            }
            _ => {}
        }
    }

    /// A frame is on its way.
    pub(super) fn sent(&self, message: &Message) {
        self.record(From::Server, || match message {
            Message::Text(text) => Frame::Text(text.to_string()),
            other => Frame::Binary(other.len()),
        });
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn record(&self, from: From, frame: impl FnOnce() -> Frame) {
        if let Some(log) = &self.log {
            log.record(self.session.as_ref(), from, frame());
        }
    }
}
