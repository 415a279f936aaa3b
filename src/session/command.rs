use bytes::Bytes;
use serde_json::{Map, Value};

use super::Decision;
use super::played::Played;
use crate::protocol::Part;

/// What the application wants of a session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// Say something to the model, and have it answered.
    Message(Vec<Part>),
    /// Pass on sound of the user; `commit` ends the turn by hand and has it answered.
    Audio { audio: Bytes, commit: bool },
    /// Stop the running answer, in sound and on the server.
    Interrupt,
    /// Put another agent in charge; the outcome is told under `ticket`.
    UpdateAgent { agent: String, ticket: u64 },
    /// Run a call that waits for approval, or refuse it; the outcome is told under `ticket`.
    Decide {
        call_id: String,
        decision: Decision,
        ticket: u64,
    },
    /// How much of a part the application has played.
    Played(Played),
    /// Send an event as the application wrote it.
    Raw(Map<String, Value>),
    /// End the session.
    Close,
}
