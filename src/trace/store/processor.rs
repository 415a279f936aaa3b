//! The processor that writes every item to a store, and has it delivered from there.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::TraceStore;
use super::backlog::Current;
use super::bounds::Removed;
use super::intake::{CAPACITY, Intake, State};
use super::lane::{Earlier, Lane};
use super::leftover::finish;
use super::writer;
use crate::trace::batch::{AFTER_SHUTDOWN, BatchConfig, DROP_LIMIT};
use crate::trace::export::{Item, SpanExporter};
use crate::trace::processor::{Loss, ShutdownReport, SpanProcessor};
use crate::trace::record::{SpanRecord, TraceRecord};

/// Writes traces and finished spans to a [`TraceStore`], and brings them from there to any number of destinations.
///
/// - Taking an item in never blocks. It is in the run's file within 100 ms, from which a process that is killed does not
///   take it away.
/// - Each destination has a queue and a thread of its own, and none holds up another. What does not fit into a queue is
///   read back from the file, so neither slow destinations nor bursts lose anything, and memory stays bounded.
/// - What an exporter with an [endpoint](SpanExporter::endpoint) can't deliver is kept, unless the destination refuses it
///   for good. It is sent, at least once and with the same ids, by the next run with the same destination, or by
///   [`StoredRun::resend`](super::StoredRun::resend). To other destinations it is lost, and counted.
/// - A folder that can't be written to, or a full disk, is [told](StoreReport::trouble), and the rest of the run goes
///   through the queues alone, as with a [`BatchProcessor`](crate::trace::BatchProcessor).
/// - Keys are not written. So what is sent later of a trace with a key of its own goes with the exporter's key.
/// - Its threads start with the first item, and end with shutdown or when it is dropped (rule N1).
///
/// Its own [`ShutdownReport`] tells how many items are in the file; [`report`](Self::report) tells the rest.
pub struct StoreProcessor {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Collects what a [`StoreProcessor`] is to do.
#[must_use]
pub struct StoreProcessorBuilder {
    store: TraceStore,
    keep: bool,
    lanes: Vec<Lane>,
    current: Arc<Current>,
}

/// What a [`StoreProcessor`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// The run's file, if one was made.
    pub path: Option<PathBuf>,
    /// Why items could not be written, if so.
    pub trouble: Option<String>,
    /// What had to go to keep the store within its limits.
    pub removed: Removed,
    /// What became of the items, a report for each destination in the order in which they were added.
    pub lanes: Vec<LaneReport>,
}

/// What became of items on the way to one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneReport {
    /// The items of the run itself.
    pub own: ShutdownReport,
    /// What earlier runs had left.
    pub earlier: Earlier,
}

pub(super) struct Shared {
    pub(super) store: TraceStore,
    /// Whether the file stays when all is delivered.
    pub(super) keep: bool,
    pub(super) lanes: Vec<Lane>,
    pub(super) current: Arc<Current>,
    pub(super) intake: Intake,
    findings: Mutex<Findings>,
}

#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) written: u64,
    pub(super) trouble: Option<String>,
    pub(super) removed: Removed,
    /// Nothing more is done with the file.
    finished: bool,
}

impl Shared {
    pub(super) fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreProcessorBuilder {
    /// Adds a destination.
    pub fn to(self, exporter: impl SpanExporter) -> Self {
        self.to_with(exporter, BatchConfig::default())
    }

    /// Adds a destination, with a configuration of its queue.
    pub fn to_with(mut self, exporter: impl SpanExporter, config: BatchConfig) -> Self {
        let (store, current) = (self.store.clone(), Arc::clone(&self.current));
        self.lanes.push(Lane::new(exporter, config, store, current));
        self
    }

    /// Sets whether the run's file stays when everything in it is delivered; it does unless told otherwise.
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// The processor.
    pub fn build(self) -> StoreProcessor {
        StoreProcessor {
            shared: Arc::new(Shared {
                store: self.store,
                keep: self.keep,
                lanes: self.lanes,
                current: self.current,
                intake: Intake::default(),
                findings: Mutex::default(),
            }),
            thread: Mutex::default(),
        }
    }
}

impl StoreProcessor {
    /// A processor that writes to a store; without more, to nowhere else.
    pub fn builder(store: TraceStore) -> StoreProcessorBuilder {
        StoreProcessorBuilder {
            store,
            keep: true,
            lanes: Vec::new(),
            current: Arc::default(),
        }
    }

    /// What it has done up to now.
    pub fn report(&self) -> StoreReport {
        let findings = self.shared.findings();
        let log = self.shared.current.log.get();
        StoreReport {
            path: log.map(|log| log.path().to_owned()),
            trouble: findings.trouble.clone(),
            removed: findings.removed,
            lanes: self.shared.lanes.iter().map(|lane| self.lane(lane)).collect(),
        }
    }

    fn lane(&self, lane: &Lane) -> LaneReport {
        let mut own = lane.queue.report();
        for Loss { reason, items } in self.lost_before() {
            own.received += items;
            own.dropped += items;
            own.losses.push(Loss { reason, items });
        }
        LaneReport {
            own,
            earlier: lane.earlier(),
        }
    }

    /// What never got to any lane.
    fn lost_before(&self) -> Vec<Loss> {
        let counts = self.shared.intake.state().counts;
        let loss = |items, reason: &str| Loss {
            reason: reason.to_owned(),
            items,
        };
        let full = format!("the queue of {CAPACITY} was full");
        let mut losses = vec![loss(counts.overflown, &full), loss(counts.late, AFTER_SHUTDOWN)];
        losses.retain(|loss| loss.items > 0);
        losses
    }

    fn push(&self, item: Item) {
        let mut state = self.shared.intake.state();
        if !state.started {
            self.start(&mut state);
        }
        self.shared.intake.push(state, item);
    }

    fn start(&self, state: &mut State) {
        state.started = true;
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name("trace-store".into())
            .spawn(move || writer::run(&shared));
        match thread {
            Ok(thread) => *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread),
            Err(error) => {
                state.over = true;
                self.shared.findings().trouble = Some(format!("its thread could not start: {error}"));
            }
        }
    }

    /// Does what is to be done with the file when all is over, once.
    fn finish(&self) {
        let mut findings = self.shared.findings();
        if std::mem::replace(&mut findings.finished, true) {
            return;
        }
        drop(findings);
        let Some(log) = self.shared.current.log.get() else {
            return;
        };
        let mut lanes = self.shared.lanes.iter().filter(|lane| lane.to.is_some());
        let has_destinations = lanes.clone().next().is_some();
        if has_destinations && lanes.all(|lane| lane.queue.counts().kept == 0) {
            finish(log, !self.shared.keep);
        }
        log.release();
    }

    fn store_report(&self) -> ShutdownReport {
        let findings = self.shared.findings();
        let received = self.shared.intake.state().counts.received;
        let mut losses = self.lost_before();
        let lost: u64 = losses.iter().map(|loss| loss.items).sum();
        let unwritten = received.saturating_sub(findings.written + lost);
        if unwritten > 0 {
            let reason = findings.trouble.clone();
            losses.push(Loss {
                reason: reason.unwrap_or_else(|| "shutdown ran out of time".to_owned()),
                items: unwritten,
            });
        }
        ShutdownReport {
            destination: "store".to_owned(),
            received,
            sent: findings.written,
            dropped: lost + unwritten,
            losses,
            ..ShutdownReport::default()
        }
    }
}

impl SpanProcessor for StoreProcessor {
    fn on_trace_start(&self, trace: &Arc<TraceRecord>) {
        self.push(Item::Trace(Arc::clone(trace)));
    }

    fn on_span_end(&self, span: Arc<SpanRecord>) {
        self.push(Item::Span(span));
    }

    fn flush(&self, limit: Duration) -> bool {
        let asked = Instant::now();
        let left = || limit.saturating_sub(asked.elapsed());
        self.shared.intake.flush(left()) && self.shared.lanes.iter().all(|lane| lane.queue.flush(left()))
    }

    fn shutdown(&self, limit: Duration) -> ShutdownReport {
        let asked = Instant::now();
        // What is written is not lost: that comes first, even when there is no time for anything else.
        self.shared.intake.close(limit.max(WRITE_LIMIT));
        let left = limit.saturating_sub(asked.elapsed());
        let lanes = &self.shared.lanes;
        lanes.iter().for_each(|lane| lane.queue.close(left));
        for lane in lanes {
            lane.queue.shutdown(limit.saturating_sub(asked.elapsed()));
        }
        let is_over = self.shared.intake.state().over;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) =
            thread.filter(|thread| is_over && thread.thread().id() != std::thread::current().id())
        {
            let _ = thread.join();
        }
        self.finish();
        self.store_report()
    }
}

/// How long a shutdown without time may take to write what is waiting.
const WRITE_LIMIT: Duration = Duration::from_millis(250);

impl Drop for StoreProcessor {
    fn drop(&mut self) {
        self.shutdown(DROP_LIMIT);
    }
}

impl fmt::Debug for StoreProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreProcessor")
            .field("store", &self.shared.store)
            .finish_non_exhaustive()
    }
}
