//! The answers that the server is giving, and what came too late for one.

use std::sync::Arc;

use crate::agent::ResolvedAgent;
use crate::protocol::Id;

/// Answers known at once at the most; a server that never ends them loses the oldest.
const MAX_RUNNING: usize = 64;

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
    /// The answer that ended last: some servers send deltas after that.
    ended: Option<Id>,
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
        self.ended = id.cloned();
        Some(self.running.remove(place?).agent)
    }

    /// The agent that gives this answer, as it was when the answer began.
    pub(super) fn agent(&self, id: Option<&Id>) -> Option<&Arc<ResolvedAgent>> {
        match id {
            Some(id) => self.find(id).map(|own| &own.agent),
            None => self.running.last().map(|own| &own.agent),
        }
    }

    /// Lets nothing more of this answer through.
    pub(super) fn mute(&mut self, id: Option<&Id>) {
        for own in &mut self.running {
            if !own.outside && (id.is_none() || own.id.as_ref() == id) {
                own.muted = true;
            }
        }
    }

    /// How a delta of this answer stands. One without an id belongs to the running answer.
    pub(super) fn standing(&self, id: &str) -> Standing {
        let own = if id.is_empty() {
            self.running.last()
        } else {
            self.find(id)
        };
        match own {
            Some(own) if own.muted => Standing::Late,
            Some(own) if own.outside => Standing::Outside,
            None if !id.is_empty() && self.ended.as_deref() == Some(id) => Standing::Late,
            _ => Standing::Live,
        }
    }

    /// The id of a known answer, shared.
    pub(super) fn known(&self, id: &str) -> Option<&Id> {
        self.find(id).and_then(|own| own.id.as_ref())
    }

    fn find(&self, id: &str) -> Option<&Running> {
        self.running.iter().find(|own| own.id.as_deref() == Some(id))
    }
}
