//! What became of the items that a queue received.

use crate::trace::processor::{Loss, ShutdownReport};

/// What became of the items a [`BatchProcessor`](super::BatchProcessor) received.
/// `received == sent + kept + dropped + queued`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items received.
    pub received: u64,
    /// Items delivered.
    pub sent: u64,
    /// Items that could not be delivered, and are in the store for later; see [`StoreProcessor`](super::super::StoreProcessor).
    pub kept: u64,
    /// Items lost.
    pub dropped: u64,
    /// Items waiting or on their way.
    pub queued: u64,
}

/// Different reasons that are kept apart in the report; a back end with ever new messages must not make it grow.
const REASONS: usize = 8;

/// The accounts of a queue.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) counts: Counts,
    losses: Vec<Loss>,
    postponements: Vec<Loss>,
    batches: u64,
    sent_spans: u64,
}

impl Accounts {
    /// Moves queued items to the sent ones; `spans` of them are spans, and they went in one batch.
    pub(super) fn send(&mut self, items: u64, spans: u64) {
        self.counts.queued -= items;
        self.counts.sent += items;
        self.sent_spans += spans.min(items);
        self.batches += u64::from(items > 0);
    }

    /// Moves queued items to the dropped ones. Says whether the reason is new.
    pub(super) fn lose(&mut self, reason: &str, items: u64) -> bool {
        self.counts.queued -= items;
        self.counts.dropped += items;
        enter(&mut self.losses, reason, items)
    }

    /// Moves sent items to the dropped ones. Says whether the reason is new.
    pub(super) fn revoke(&mut self, reason: &str, items: u64) -> bool {
        let items = items.min(self.counts.sent);
        self.counts.sent -= items;
        self.counts.dropped += items;
        enter(&mut self.losses, reason, items)
    }

    /// Moves queued items to those kept for later. Says whether the reason is new.
    pub(super) fn keep(&mut self, reason: &str, items: u64) -> bool {
        self.counts.queued -= items;
        self.counts.kept += items;
        enter(&mut self.postponements, reason, items)
    }

    pub(super) fn report(&self, destination: &str) -> ShutdownReport {
        let Counts {
            received,
            sent,
            kept,
            dropped,
            ..
        } = self.counts;
        ShutdownReport {
            destination: destination.to_owned(),
            received,
            sent,
            kept,
            dropped,
            losses: self.losses.clone(),
            postponements: self.postponements.clone(),
            batches: self.batches,
            sent_spans: self.sent_spans,
        }
    }
}

fn enter(list: &mut Vec<Loss>, reason: &str, items: u64) -> bool {
    if items == 0 {
        return false;
    }
    if let Some(loss) = list.iter_mut().find(|loss| loss.reason == reason) {
        loss.items += items;
        return false;
    }
    let new = list.len() < REASONS;
    if new {
        list.push(Loss {
            reason: reason.to_owned(),
            items,
        });
    } else if let Some(last) = list.last_mut() {
        last.reason = "various reasons".to_owned();
        last.items += items;
    }
    new
}
