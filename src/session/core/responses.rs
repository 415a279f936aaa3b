//! The answers that the server is giving, and what came too late for one.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::agent::ResolvedAgent;
use crate::protocol::Id;

/// Answers known at once at the most; a server that never ends them loses the oldest.
const MAX_RUNNING: usize = 64;
/// Ended answers that are still known as such.
const MAX_ENDED: usize = 16;

#[derive(Debug)]
struct Running {
    id: Option<Id>,
    /// The agent as it was when the answer began: its tools are the ones that are called.
    agent: Arc<ResolvedAgent>,
    /// Whether it was interrupted: what still comes of it is not passed on (protocol.md, trap 7).
    muted: bool,
    /// Whether it stands outside the conversation.
    outside: bool,
}

#[derive(Debug, Default)]
pub(super) struct Responses {
    running: Vec<Running>,
    /// The answers that ended last: some servers send deltas after that, or tell of the end twice.
    ended: VecDeque<Id>,
}

/// What to do with a delta of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Pass it on and keep it.
    Live,
    /// Pass it on, but it is no part of the conversation.
    Outside,
    /// It came too late.
    Late,
}

impl Responses {
    /// Whether an answer has begun, and perhaps ended, before. One without an id is always taken for a new one.
    pub(super) fn has_begun(&self, id: Option<&Id>) -> bool {
        id.is_some_and(|id| self.find(id).is_some()) || self.has_ended(id)
    }

    pub(super) fn has_ended(&self, id: Option<&Id>) -> bool {
        id.is_some_and(|id| self.ended.contains(id))
    }

    pub(super) fn is_running(&self, id: Option<&Id>) -> bool {
        self.running.iter().any(|own| own.id.as_ref() == id)
    }

    pub(super) fn begin(&mut self, id: Option<Id>, agent: Arc<ResolvedAgent>, outside: bool) {
        if self.running.len() == MAX_RUNNING {
            self.running.remove(0);
        }
        self.running.push(Running {
            id,
            agent,
            muted: false,
            outside,
        });
    }

    /// Takes out an answer that has ended; gives the agent that gave it.
    pub(super) fn end(&mut self, id: Option<&Id>) -> Option<Arc<ResolvedAgent>> {
        let place = match id {
            Some(id) => self.running.iter().position(|own| own.id.as_ref() == Some(id)),
            None => self.running.iter().position(|own| own.id.is_none()),
        };
        if let Some(id) = id {
            self.ended.truncate(MAX_ENDED - 1);
            self.ended.push_front(id.clone());
        }
        Some(self.running.remove(place?).agent)
    }

    /// The agent that gives this answer, as it was when the answer began.
    pub(super) fn agent(&self, id: Option<&Id>) -> Option<&Arc<ResolvedAgent>> {
        self.agent_of(id.map_or("", Id::as_str))
    }

    /// The same for a delta of the answer.
    pub(super) fn agent_of(&self, id: &str) -> Option<&Arc<ResolvedAgent>> {
        self.find(id).map(|own| &own.agent)
    }

    /// Lets nothing more of this answer through; without an id, of the one that has none.
    pub(super) fn mute(&mut self, id: Option<&Id>) {
        for own in &mut self.running {
            if own.id.as_ref() == id {
                own.muted = true;
            }
        }
    }

    /// How a delta of this answer stands. One without an id belongs to the running answer.
    pub(super) fn standing(&self, id: &str) -> Standing {
        match self.find(id) {
            Some(own) if own.muted => Standing::Late,
            Some(own) if own.outside => Standing::Outside,
            None if self.ended.iter().any(|ended| ended == id) => Standing::Late,
            _ => Standing::Live,
        }
    }

    /// The id of the answer that a delta belongs to, shared.
    pub(super) fn known(&self, id: &str) -> Option<&Id> {
        self.find(id).and_then(|own| own.id.as_ref())
    }

    /// The answer that an event with this id is about; one without an id is about the running answer.
    fn find(&self, id: &str) -> Option<&Running> {
        match id {
            "" => self.running.last(),
            id => self.running.iter().find(|own| own.id.as_deref() == Some(id)),
        }
    }
}
