//! A run's file as the log behind the queue of one destination.

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::format::{Destination, Line, Mark, ranges};
use super::log::Log;
use super::run::Fate;
use crate::trace::TraceId;
use crate::trace::batch::{Backlog, Position, ReadBack, Settled};
use crate::trace::export::Item;
use crate::trace::read::TraceReader;
use crate::trace::record::TraceRecord;

/// Bytes that are read back at a time, if one item is not longer.
const READ_BYTES: usize = 4 << 20;

/// A run's file and what its lines do not tell.
#[derive(Debug, Default)]
pub(super) struct Current {
    /// Not there until the first item comes, and never if the folder can't be written to.
    pub(super) log: OnceLock<Log>,
    /// The run's traces as they are in memory: with keys of their own.
    pub(super) traces: Mutex<Vec<Arc<TraceRecord>>>,
}

/// The backlog of one destination.
pub(super) struct FileBacklog {
    current: Arc<Current>,
    /// `None`: not a place to send to later.
    to: Option<Destination>,
    /// What became of items before; those beyond its end are new.
    fates: Vec<Fate>,
    reading: Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    reader: TraceReader,
    /// The run's traces that were learned so far.
    own: HashMap<TraceId, Arc<TraceRecord>>,
    learned: usize,
}

impl FileBacklog {
    /// Of a run of this process.
    pub(super) fn new(current: Arc<Current>, to: Option<Destination>) -> Self {
        Self::of_left(current, to, Vec::new())
    }

    /// Of a run whose file was left, with what is known of its items.
    pub(super) fn of_left(current: Arc<Current>, to: Option<Destination>, fates: Vec<Fate>) -> Self {
        Self {
            current,
            to,
            fates,
            reading: Mutex::default(),
        }
    }

    fn log(&self) -> io::Result<&Log> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        self.current.log.get().ok_or_else(missing)
    }

    fn is_settled(&self, number: u64) -> bool {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.fates.get(index).is_some_and(|fate| *fate != Fate::Pending)
    }
}

impl Backlog for FileBacklog {
    fn read(&self, from: Position, items: usize) -> io::Result<ReadBack> {
        let mut lines = self.log()?.lines_from(from.offset);
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.learn(&self.current);
        let mut back = ReadBack {
            next: from,
            ..ReadBack::default()
        };
        let (mut line, mut bytes) = (Vec::new(), 0);
        while back.items.len() < items && bytes < READ_BYTES {
            line.clear();
            let read = lines.read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            back.next.offset += read as u64;
            let text = std::str::from_utf8(&line).unwrap_or_default().trim_end();
            let Line::Item(text) = Line::read(text) else {
                continue;
            };
            let number = back.next.number;
            back.next.number += 1;
            let settled = self.is_settled(number);
            if settled && !is_trace(text) {
                continue;
            }
            let item = reading.item(text);
            match item {
                _ if settled => {}
                Some(item) => {
                    bytes += read;
                    back.items.push((number, item));
                }
                None => back.damaged.push(number),
            }
        }
        if back.items.is_empty() && back.damaged.is_empty() {
            // Nothing but settled items and marks was left.
            back.next.number = u64::MAX;
        }
        Ok(back)
    }

    fn mark(&self, numbers: &[u64], settled: Settled) {
        let Some(to) = self.to.clone() else { return };
        let items = ranges(numbers.iter().copied());
        let mark = match settled {
            Settled::Sent => Mark::Sent { to, items },
            Settled::Refused => Mark::Refused { to, items },
        };
        if let Err(error) = self.log().and_then(|log| log.mark(&mark)) {
            tracing::debug!("a delivery could not be marked and will be repeated: {error}");
        }
    }

    fn keeps(&self) -> bool {
        self.to.is_some()
    }
}

impl Reading {
    fn learn(&mut self, current: &Current) {
        let traces = current.traces.lock().unwrap_or_else(PoisonError::into_inner);
        for trace in traces.iter().skip(self.learned) {
            self.reader.know(trace);
            self.own.insert(trace.id, Arc::clone(trace));
        }
        self.learned = traces.len();
    }

    fn item(&mut self, line: &str) -> Option<Item> {
        let item = self.reader.read(line).ok().flatten()?;
        let Item::Trace(trace) = &item else {
            return Some(item);
        };
        let Some(own) = self.own.get(&trace.id) else {
            return Some(item);
        };
        self.reader.know(own);
        Some(Item::Trace(Arc::clone(own)))
    }
}

/// Whether a line is that of a trace, which its spans need to be read.
fn is_trace(line: &str) -> bool {
    line.starts_with("{\"object\":\"trace\",")
}
