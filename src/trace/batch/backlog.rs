//! What may stand behind a queue: a log on disk that has every item, so that none is lost when the queue is full.

use std::io;

use super::queue::Numbered;

/// The place of an item in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::trace) struct Position {
    /// Its number, from 0.
    pub(in crate::trace) number: u64,
    /// Where it begins, in bytes.
    pub(in crate::trace) offset: u64,
}

/// Items read back from a log.
#[derive(Debug, Default)]
pub(in crate::trace) struct ReadBack {
    pub(in crate::trace) items: Vec<Numbered>,
    /// The numbers of items that can't be read any more.
    pub(in crate::trace) damaged: Vec<u64>,
    /// Where to read on.
    pub(in crate::trace) next: Position,
}

/// What became of items that were delivered or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::trace) enum Settled {
    Sent,
    Refused,
}

/// The log behind the queue of one destination.
pub(in crate::trace) trait Backlog: Send + Sync {
    /// Reads about `items` items from `from` on, at least one if there is any.
    fn read(&self, from: Position, items: usize) -> io::Result<ReadBack>;

    /// Marks items as settled, by their numbers in order. If that fails they are sent again some day, no more.
    fn mark(&self, numbers: &[u64], settled: Settled);

    /// Whether what could not be delivered is there to be sent later.
    fn keeps(&self) -> bool;
}
