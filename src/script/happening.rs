//! Something that happened in a turn, as expectations see it.

use std::time::Duration;

use serde_json::Value;

use super::EventKind;
use crate::protocol::{ResponseStatus, Usage};

/// Something that happened, of a kind that can be expected.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Happening {
    pub(super) kind: EventKind,
    /// When, counted from the end of what the user said or did; while that is not known yet, from when the session was open.
    pub(super) after: Duration,
    /// The agent that answers, calls or is objected to; of a handoff, the one that takes charge.
    pub(super) agent: Option<String>,
    /// The tool or the guardrail.
    pub(super) name: Option<String>,
    /// The arguments of the call; as text if they are no JSON.
    pub(super) args: Option<Value>,
    /// What was said, answered or objected.
    pub(super) words: String,
    /// The tokens of the answer, as far as the server told them.
    pub(super) usage: Option<Usage>,
    /// How the answer, or the tool's work, ended.
    pub(super) status: ResponseStatus,
}

impl Happening {
    /// One of which nothing is known but its kind and its time.
    pub(super) fn new(kind: EventKind, after: Duration) -> Self {
        Self {
            kind,
            after,
            agent: None,
            name: None,
            args: None,
            words: String::new(),
            usage: None,
            status: ResponseStatus::Completed,
        }
    }
}
