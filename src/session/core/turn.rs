//! When it is the user's turn again: once no answer, tool or change of agent is left to wait for.

use crate::protocol::ResponseStatus;

#[derive(Debug, Default)]
pub(super) struct Turn {
    busy: bool,
    /// The worst end of an answer since the turn began, and why.
    worst: Option<(ResponseStatus, Option<String>)>,
}

impl Turn {
    /// Takes note of how an answer, or the wish for one, ended.
    pub(super) fn note(&mut self, status: ResponseStatus, reason: Option<String>) {
        if self
            .worst
            .as_ref()
            .is_none_or(|(worst, _)| severity(status) > severity(*worst))
        {
            self.worst = Some((status, reason));
        }
    }

    /// Takes note of whether there is something to wait for. Tells how the turn ended, when it just has.
    pub(super) fn update(&mut self, busy: bool) -> Option<(ResponseStatus, Option<String>)> {
        let was_busy = std::mem::replace(&mut self.busy, busy);
        let ended = !busy && (was_busy || self.worst.is_some());
        ended.then(|| self.worst.take().unwrap_or((ResponseStatus::Completed, None)))
    }
}

fn severity(status: ResponseStatus) -> u8 {
    match status {
        ResponseStatus::Completed | ResponseStatus::InProgress | ResponseStatus::Other => 0,
        ResponseStatus::Cancelled => 1,
        ResponseStatus::Incomplete => 2,
        ResponseStatus::Failed => 3,
    }
}
