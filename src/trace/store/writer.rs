//! The thread that writes a run's items to its file and hands them on to the lanes.

use std::io;
use std::sync::{Arc, PoisonError};

use super::format::Header;
use super::log::{Chunk, Log};
use super::processor::{Findings, Shared};
use crate::trace::Timestamp;
use crate::trace::batch::Position;
use crate::trace::export::Item;

/// Items that are written at a time.
const CHUNK: usize = 1024;
/// The store is held to its limits anew each time a run has grown by this share of its size.
const SHARE: u64 = 16;

/// Writes until the intake is closed and empty.
pub(super) fn run(shared: &Shared) {
    let _fuse = Fuse(shared);
    let mut writer = Writer {
        shared,
        chunk: Chunk::default(),
        pruned_at: None,
    };
    let (mut items, mut passed) = (Vec::new(), 0);
    while shared.intake.take(&mut items, passed) {
        items.chunks(CHUNK).for_each(|items| writer.pass(items));
        passed = items.len();
        items.clear();
    }
}

/// Ends the intake should the writer ever end by a panic, so that nobody waits for it in vain.
struct Fuse<'a>(&'a Shared);

impl Drop for Fuse<'_> {
    fn drop(&mut self) {
        self.0.intake.end();
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    chunk: Chunk,
    /// The part of the size limit that the file had reached when the store was last held to its limits.
    pruned_at: Option<u64>,
}

impl Writer<'_> {
    /// Writes items and hands them on; when they can't be written, they are handed on all the same.
    fn pass(&mut self, items: &[Item]) {
        let lanes = &self.shared.lanes;
        let is_sound = self.shared.findings().trouble.is_none();
        let written = if is_sound { Some(self.write(items)) } else { None };
        match written {
            Some(Ok(first)) => {
                // Before anything may be read back.
                self.learn_traces(items);
                for lane in lanes {
                    lane.queue.feed(items, |index| self.chunk.place(first, index));
                }
                self.shared.findings().written += items.len() as u64;
                self.prune(first);
            }
            unwritten => {
                if let Some(Err(error)) = unwritten {
                    self.shared.findings().trouble(&error);
                }
                for lane in lanes {
                    items.iter().for_each(|item| lane.queue.push(item.clone()));
                }
            }
        }
    }

    fn learn_traces(&self, items: &[Item]) {
        let traces = items.iter().filter_map(|item| match item {
            Item::Trace(trace) => Some(Arc::clone(trace)),
            Item::Span(_) => None,
        });
        let known = &self.shared.current.traces;
        known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(traces);
    }

    fn write(&mut self, items: &[Item]) -> io::Result<Position> {
        self.chunk.clear();
        items.iter().try_for_each(|item| self.chunk.push(item))?;
        let log = match self.shared.current.log.get() {
            Some(log) => log,
            None => self.create(items)?,
        };
        let limit = self.shared.store.limits.size;
        if log.position().offset + self.chunk.len() as u64 > limit {
            return Err(io::Error::other(format!(
                "this run alone is over its limit of {limit} bytes"
            )));
        }
        log.append(&self.chunk)
    }

    fn create(&self, items: &[Item]) -> io::Result<&Log> {
        let first = items.first().ok_or(io::ErrorKind::InvalidInput)?;
        let destinations = self.shared.lanes.iter().filter_map(|lane| lane.to.clone());
        let mut header = Header::new(first.trace_id(), Timestamp::now(), destinations.collect());
        header.transient = !self.shared.keep;
        let log = Log::create(&self.shared.store.dir, &header)?;
        Ok(self.shared.current.log.get_or_init(|| log))
    }

    fn prune(&mut self, written: Position) {
        let step = (self.shared.store.limits.size / SHARE).max(1);
        let reached = Some(written.offset / step);
        if self.pruned_at == reached {
            return;
        }
        self.pruned_at = reached;
        match self.shared.store.prune() {
            Ok(removed) => self.shared.findings().removed.add(removed),
            Err(error) => tracing::warn!("the trace store could not be held to its limits: {error}"),
        }
    }
}

impl Findings {
    fn trouble(&mut self, error: &io::Error) {
        tracing::warn!("the trace store can't be written to: {error}");
        self.trouble = Some(error.to_string());
    }
}
