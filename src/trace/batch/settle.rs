//! How items leave the queue's accounts: batch by batch, or all that is left when it is over.

use super::backlog::Settled;
use super::queue::{Phase, Queue, State};
use super::shutdown::AFTER_SHUTDOWN;
use crate::trace::export::ExportError;
use crate::trace::processor::Loss;

/// A batch that came back from the exporter.
pub(super) struct Batch {
    /// The numbers of its items, in order.
    pub(super) numbers: Vec<u64>,
    /// How many of them are spans.
    pub(super) spans: u64,
    pub(super) result: Result<(), ExportError>,
}

impl Queue {
    /// Settles a batch. `first_open` is the first item that the worker still holds. Says why the batch is kept for
    /// later, if it is.
    pub(super) fn settle(&self, batch: Batch, first_open: Option<u64>) -> Option<String> {
        let mut state = self.state();
        if matches!(state.phase, Phase::Stopped(_)) {
            return None; // Shutdown did not wait, and has counted these as lost.
        }
        let logged = batch.numbers.partition_point(|number| *number < state.logged);
        drop(state);
        let keeps = logged > 0 && self.backlog.as_ref().is_some_and(|backlog| backlog.keeps());
        let (losses, is_final) = match batch.result {
            Ok(()) => (Vec::new(), true),
            Err(error) => (error.losses, error.is_final),
        };
        let is_kept = keeps && !is_final;
        if let (Some(backlog), true, false) = (&self.backlog, keeps, is_kept) {
            let settled = match losses.is_empty() {
                true => Settled::Sent,
                false => Settled::Refused,
            };
            backlog.mark(&batch.numbers[..logged], settled);
        }
        state = self.state();
        if matches!(state.phase, Phase::Stopped(_)) {
            return None;
        }
        let (items, logged) = (batch.numbers.len() as u64, logged as u64);
        let mut new = Vec::new();
        let mut kept_because = None;
        if is_kept {
            let reason = losses
                .into_iter()
                .next()
                .map(|loss| loss.reason)
                .unwrap_or_default();
            if self.give_up(&mut state, &reason, (items - logged, logged)) {
                new.push(reason.clone());
            }
            kept_because = Some(reason);
        } else {
            state.logged_open -= logged;
            let mut left = items;
            for Loss { reason, items } in losses {
                let lost = items.min(left);
                left -= lost;
                if lost > 0 && state.accounts.lose(&reason, lost) {
                    new.push(reason);
                }
            }
            state.accounts.send(left, batch.spans);
        }
        self.move_on(state, first_open);
        self.log(&new);
        kept_because
    }

    /// What was settled as sent turns out to be lost.
    pub(super) fn revoke(&self, losses: Vec<Loss>) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Stopped(_)) {
            return;
        }
        let mut new = Vec::new();
        for Loss { reason, items } in losses {
            if state.accounts.revoke(&reason, items) {
                new.push(reason);
            }
        }
        drop(state);
        self.log(&new);
    }

    /// Settles items of the log that can't be read any more.
    pub(super) fn settle_damaged(&self, numbers: &[u64], first_open: Option<u64>) {
        if numbers.is_empty() {
            return;
        }
        if let Some(backlog) = &self.backlog {
            backlog.mark(numbers, Settled::Refused);
        }
        let mut state = self.state();
        if !matches!(state.phase, Phase::Stopped(_)) {
            state.logged_open -= numbers.len() as u64;
            state
                .accounts
                .lose("their lines in the store are damaged", numbers.len() as u64);
            self.move_on(state, first_open);
        }
    }

    /// The backlog can't be read: what is behind, which is all that the worker does not have `in_hand`, is not
    /// delivered now.
    pub(super) fn lose_backlog(&self, reason: &str, in_hand: u64, first_open: Option<u64>) {
        let mut state = self.state();
        if state.behind.take().is_none() || matches!(state.phase, Phase::Stopped(_)) {
            return;
        }
        let items = state.logged_open - in_hand;
        let new = self.give_up(&mut state, reason, (0, items));
        self.move_on(state, first_open);
        self.log(new.then_some(reason));
    }

    fn move_on(&self, mut state: std::sync::MutexGuard<'_, State>, first_open: Option<u64>) {
        state.settled_below = first_open
            .or_else(|| state.incoming.first().map(|(number, _)| *number))
            .or(state.behind.map(|position| position.number))
            .unwrap_or(state.accounts.counts.received);
        let reached = state.settled_below >= state.awaited;
        if reached {
            state.awaited = u64::MAX;
        }
        drop(state);
        if reached {
            self.settled.notify_all();
        }
    }

    /// Ends it: what is not settled is lost or kept for `reason`. Says whether this call ended it.
    pub(super) fn stop(&self, reason: &str) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Stopped(_)) {
            return false;
        }
        let logged = state.logged_open;
        let unlogged = state.accounts.counts.queued - logged;
        let new = self.give_up(&mut state, reason, (unlogged, logged));
        let left = std::mem::take(&mut state.incoming);
        let later = if self.closing().is_some() {
            AFTER_SHUTDOWN
        } else {
            reason
        };
        let phase = std::mem::replace(&mut state.phase, Phase::Stopped(later.to_owned()));
        state.waiting = 0;
        state.behind = None;
        state.settled_below = u64::MAX;
        drop(state);
        // Outside the lock: an exporter that never ran goes here, with whatever its own drop does.
        drop((left, phase));
        self.settled.notify_all();
        self.log(new.then_some(reason));
        true
    }
}
