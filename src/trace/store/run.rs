//! One run in the store, as it is read.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{Destination, Header, Line, Mark, Ranges};
use super::leftover::{Choice, Leftover};
use crate::trace::batch::BatchConfig;
use crate::trace::export::{Item, SpanExporter};
use crate::trace::processor::ShutdownReport;
use crate::trace::read::TraceReader;
use crate::trace::{Timestamp, TraceId};

/// One run in the store: what its file's first line says. [`read`](Self::read) gives the rest.
#[derive(Clone, Debug)]
pub struct StoredRun {
    path: PathBuf,
    pub(super) header: Header,
}

/// A file in the store that no run can be read from.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct UnreadableRun {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

/// What the file of a run holds.
#[derive(Clone, Debug, Default)]
pub struct RunContent {
    /// The traces and spans, in the order in which they were written.
    pub items: Vec<Item>,
    /// What became of them, by destination.
    pub deliveries: Vec<Delivery>,
    /// What is wrong with the file, a sentence each. What is wrong is left out, and the rest is there.
    pub damage: Vec<String>,
}

/// What became of a run's items at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where they were to go.
    pub destination: Destination,
    /// Items delivered.
    pub sent: u64,
    /// Items that the destination will never take.
    pub refused: u64,
    /// Items that are still to be sent.
    pub pending: u64,
}

impl StoredRun {
    pub(super) fn open(path: PathBuf) -> Result<Self, UnreadableRun> {
        let header = || {
            let mut lines = Lines::open(&path).map_err(|error| error.to_string())?;
            match lines.next().map_err(|error| error.to_string())? {
                Some((_, line)) => Header::read(line),
                None => Err("its first line is missing or torn".to_owned()),
            }
        };
        match header() {
            Ok(header) => Ok(Self { path, header }),
            Err(reason) => Err(UnreadableRun { path, reason }),
        }
    }

    /// The run's file. It is JSON lines that [`TraceReader`] reads, too.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id of the run's first trace; there is no other unless the program that wrote it made more than one.
    pub fn trace_id(&self) -> TraceId {
        self.header.trace_id
    }

    /// When the run began.
    pub fn started_at(&self) -> Timestamp {
        self.header.started_at
    }

    /// Where its items are sent over a network.
    pub fn destinations(&self) -> &[Destination] {
        &self.header.destinations
    }

    /// Whether a process holds the file: the run still goes on, or what is left of it is being sent.
    pub fn is_held(&self) -> bool {
        let file = File::open(&self.path);
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
    }

    /// Sends what of this run is not yet at the exporter's destination: everything, if the run was not meant to go there.
    /// It ends early when the destination can't take it now, or when `over` ends. `None` if nothing is left, or if a
    /// process has the run in hand.
    ///
    /// # Errors
    /// If the file can't be read, or the exporter has no [endpoint](SpanExporter::endpoint).
    pub async fn resend(
        &self,
        exporter: &Arc<impl SpanExporter>,
        over: impl Future<Output = ()>,
    ) -> io::Result<Option<ShutdownReport>> {
        let to = Destination::of(&**exporter).ok_or(io::ErrorKind::Unsupported)?;
        let Some(left) = Leftover::open(&self.path, &to, Choice::Any)? else {
            return Ok(None);
        };
        let config = BatchConfig::default();
        Ok(Some(left.deliver(exporter, &config, over).await))
    }

    /// Reads the whole file. That of a run that goes on is read as far as it is written.
    ///
    /// # Errors
    /// If the file can't be read; damage within it is told in the content.
    pub fn read(&self) -> io::Result<RunContent> {
        let mut lines = Lines::open(&self.path)?;
        let mut content = RunContent::default();
        let mut reader = TraceReader::default();
        let mut accounts: Vec<Account> = self.header.destinations.iter().map(Account::new).collect();
        let mut items = 0;
        lines.next()?; // the header
        while let Some((number, line)) = lines.next()? {
            match Line::read(line) {
                Line::Mark(mark) => Account::enter(&mut accounts, &mark),
                Line::Item(line) => {
                    items += 1;
                    let damage = match reader.read(line) {
                        Ok(Some(item)) => {
                            content.items.push(item);
                            continue;
                        }
                        Ok(None) => "it is neither a trace nor a span".to_owned(),
                        Err(error) => error.to_string(),
                    };
                    content.damage.push(format!("line {number}: {damage}"));
                }
            }
        }
        if lines.torn {
            content
                .damage
                .push("the last line is torn: the process was killed while it wrote".to_owned());
        }
        content.deliveries = accounts.iter().map(|account| account.delivery(items)).collect();
        Ok(content)
    }
}

/// What marks say of one destination.
pub(super) struct Account {
    pub(super) destination: Destination,
    sent: Ranges,
    refused: Ranges,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Pending,
    Sent,
    Refused,
}

impl Account {
    pub(super) fn new(destination: &Destination) -> Self {
        Self {
            destination: destination.clone(),
            sent: Ranges::new(),
            refused: Ranges::new(),
        }
    }

    /// Enters a mark into the account that it is about; into a new one, if need be.
    pub(super) fn enter(accounts: &mut Vec<Self>, mark: &Mark) {
        let (Mark::Sent { to, .. } | Mark::Refused { to, .. }) = mark else {
            return;
        };
        if !accounts.iter().any(|account| account.destination == *to) {
            accounts.push(Self::new(to));
        }
        accounts.iter_mut().for_each(|account| account.take(mark));
    }

    /// Takes in a mark, if it is about this destination.
    fn take(&mut self, mark: &Mark) {
        match mark {
            Mark::Sent { to, items } if *to == self.destination => self.sent.extend(items),
            Mark::Refused { to, items } if *to == self.destination => self.refused.extend(items),
            _ => {}
        }
    }

    /// What became of each of the first `items` items.
    pub(super) fn fates(&self, items: u64) -> Vec<Fate> {
        let mut fates = vec![Fate::Pending; usize::try_from(items).unwrap_or_default()];
        for (ranges, fate) in [(&self.refused, Fate::Refused), (&self.sent, Fate::Sent)] {
            for (first, last) in ranges {
                // As much of it as there is: the file may be damaged.
                let end = last.saturating_add(1).min(items);
                let range = (*first.min(&end)) as usize..end as usize;
                fates[range].fill(fate);
            }
        }
        fates
    }

    pub(super) fn delivery(&self, items: u64) -> Delivery {
        let fates = self.fates(items);
        let count = |fate| fates.iter().filter(|it| **it == fate).count() as u64;
        Delivery {
            destination: self.destination.clone(),
            sent: count(Fate::Sent),
            refused: count(Fate::Refused),
            pending: count(Fate::Pending),
        }
    }
}

/// The whole lines of a file, one after the other.
pub(super) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    /// The bytes of all whole lines so far.
    pub(super) offset: u64,
    /// The file does not end with a line break: its last line is not whole, and was not given.
    pub(super) torn: bool,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            reader: BufReader::with_capacity(64 << 10, File::open(path)?),
            line: Vec::new(),
            number: 0,
            offset: 0,
            torn: false,
        })
    }

    /// The next line, without its end, and its number, from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &str)>> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        match self.line.split_last() {
            Some((b'\n', line)) => {
                self.number += 1;
                self.offset += line.len() as u64 + 1;
                // A line that is no text is none of ours; it keeps its number.
                Ok(Some((self.number, std::str::from_utf8(line).unwrap_or_default())))
            }
            Some(_) => {
                self.torn = true;
                Ok(None)
            }
            None => Ok(None),
        }
    }
}
