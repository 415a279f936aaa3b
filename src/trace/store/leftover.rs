//! What another run has left in its file, and its delivery.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::backlog::{Current, FileBacklog};
use super::format::{Destination, Header, Line, Mark};
use super::log::Log;
use super::run::{Account, Fate, Lines};
use crate::trace::batch::{BatchConfig, Patience, Position, Queue, run};
use crate::trace::export::SpanExporter;
use crate::trace::processor::ShutdownReport;

/// Longer than any run: a limit that is none.
const UNLIMITED: Duration = Duration::from_secs(86_400);

/// What a file says, read while this process holds it.
pub(super) struct Scan {
    pub(super) header: Header,
    pub(super) accounts: Vec<Account>,
    pub(super) items: u64,
    /// Where the first item is.
    first: Position,
    /// Where the whole lines end.
    end: Position,
    /// The last line says that nothing is left.
    is_settled: bool,
}

impl Scan {
    /// Reads the marks of a file; `None` if no run can be read from it.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut lines = Lines::open(path)?;
        let header = match lines.next()?.map(|(_, line)| Header::read(line)) {
            Some(Ok(header)) => header,
            _ => return Ok(None),
        };
        let mut scan = Self {
            accounts: header.destinations.iter().map(Account::new).collect(),
            header,
            items: 0,
            first: Position {
                number: 0,
                offset: lines.offset,
            },
            end: Position::default(),
            is_settled: false,
        };
        while let Some((_, line)) = lines.next()? {
            match Line::read(line) {
                Line::Item(_) => {
                    scan.items += 1;
                    scan.is_settled = false;
                }
                Line::Mark(mark) => {
                    scan.is_settled = matches!(mark, Mark::Settled);
                    Account::enter(&mut scan.accounts, &mark);
                }
            }
        }
        scan.end = Position {
            number: scan.items,
            offset: lines.offset,
        };
        Ok(Some(scan))
    }

    /// Items that are still to be sent, to all destinations together.
    pub(super) fn pending(&self) -> u64 {
        let pending = |account: &Account| account.delivery(self.items).pending;
        self.accounts.iter().map(pending).sum()
    }
}

/// A run's file that no other process has in hand, with something left for one destination.
pub(super) struct Leftover {
    current: Arc<Current>,
    scan: Scan,
    to: Destination,
    fates: Vec<Fate>,
}

/// Whether what is left is sent to where it was meant to go, or anything to anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Meant,
    Any,
}

impl Leftover {
    /// Takes a file in hand; `None` if another process has it, or if nothing in it is left for the destination.
    pub(super) fn open(path: &Path, to: &Destination, choice: Choice) -> io::Result<Option<Self>> {
        if choice == Choice::Meant && !is_meant(path, to)? {
            return Ok(None);
        }
        let Some(log) = Log::reopen(path)? else {
            return Ok(None);
        };
        let Some(scan) = Scan::read(path)? else {
            return Ok(None);
        };
        let account = scan.accounts.iter().find(|account| account.destination == *to);
        let fates = match (account, choice) {
            (Some(account), _) => account.fates(scan.items),
            (None, Choice::Any) => Account::new(to).fates(scan.items),
            (None, Choice::Meant) => return Ok(None),
        };
        if !fates.contains(&Fate::Pending) {
            return Ok(None);
        }
        log.set_end(scan.end)?;
        let current = Arc::new(Current::default());
        let _ = current.log.set(log);
        Ok(Some(Self {
            current,
            scan,
            to: to.clone(),
            fates,
        }))
    }

    /// Sends what is left, until it is sent, the destination can't take it now, or `over` comes true.
    pub(super) async fn deliver(
        self,
        exporter: &Arc<impl SpanExporter>,
        config: &BatchConfig,
        over: impl Future<Output = ()>,
    ) -> ShutdownReport {
        let open = self.fates.iter().filter(|fate| **fate == Fate::Pending).count() as u64;
        let others = self.scan.pending() - self.pending_before();
        let backlog = FileBacklog::of_left(Arc::clone(&self.current), Some(self.to.clone()), self.fates);
        let queue = Arc::new(Queue::of_backlog(
            self.to.exporter.clone(),
            config,
            Arc::new(backlog),
            (open, self.scan.items),
            self.scan.first,
        ));
        queue.close(UNLIMITED); // It is to send what there is, and then to end.
        let mut work = pin!(run(
            Arc::clone(exporter),
            Arc::clone(&queue),
            config.clone(),
            Patience::UntilKept
        ));
        tokio::select! {
            () = &mut work => {}
            () = over => {
                queue.close(Duration::ZERO);
                work.await;
            }
        }
        let report = queue.report();
        if let (Some(log), true) = (self.current.log.get(), report.kept == 0 && others == 0) {
            finish(log, self.scan.header.transient);
        }
        report
    }

    fn pending_before(&self) -> u64 {
        let account = self.scan.accounts.iter().find(|it| it.destination == self.to);
        account.map_or(0, |account| account.delivery(self.scan.items).pending)
    }
}

/// Nothing is left to be sent of this file: says so in it, or removes it.
pub(super) fn finish(log: &Log, is_transient: bool) {
    if is_transient {
        log.remove();
    } else if let Err(error) = log.mark(&Mark::Settled) {
        tracing::debug!("{} could not be marked: {error}", log.path().display());
    }
}

/// Whether a file has anything to do with a destination, seen without reading all of it.
fn is_meant(path: &Path, to: &Destination) -> io::Result<bool> {
    let mut lines = Lines::open(path)?;
    let meant = match lines.next()?.map(|(_, line)| Header::read(line)) {
        Some(Ok(header)) => header.destinations.contains(to),
        _ => false,
    };
    Ok(meant && !ends_settled(path)?)
}

/// Whether the last line of a file is the mark that nothing is left.
fn ends_settled(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;

    let mark = serde_json::to_string(&Mark::Settled)? + "\n";
    let file = std::fs::File::open(path)?;
    let mut tail = vec![0; mark.len()];
    let Some(start) = file.metadata()?.len().checked_sub(mark.len() as u64) else {
        return Ok(false);
    };
    file.read_exact_at(&mut tail, start)?;
    Ok(tail == mark.as_bytes())
}

/// The files that may hold something for a destination, oldest first.
pub(super) fn candidates(files: Vec<PathBuf>, to: &Destination) -> Vec<PathBuf> {
    let is_candidate = |path: &PathBuf| is_meant(path, to).unwrap_or_default();
    files.into_iter().filter(is_candidate).collect()
}
