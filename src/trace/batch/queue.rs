//! The queue between the threads that finish spans and the one that exports them, with its accounts.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::BatchConfig;
use crate::trace::export::{ExportDeadline, Item};
use crate::trace::processor::{Loss, ShutdownReport};

/// What became of the items a [`BatchProcessor`](super::BatchProcessor) received.
/// `received == sent + dropped + queued`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items received.
    pub received: u64,
    /// Items delivered.
    pub sent: u64,
    /// Items lost.
    pub dropped: u64,
    /// Items waiting or on their way.
    pub queued: u64,
}

/// An item and its place in the order of reception.
pub(super) type Numbered = (u64, Item);

/// Starts the worker's thread.
pub(super) type Start = Box<dyn FnOnce(Arc<Queue>) -> std::io::Result<JoinHandle<()>> + Send>;

/// Different reasons for losses that are kept apart in the report; a back end with ever new messages must not
/// make it grow.
const REASONS: usize = 8;

/// How long past its limit a shutdown lets the export thread say itself what it could not send.
const GRACE: Duration = Duration::from_millis(250);

pub(super) struct Queue {
    destination: String,
    capacity: usize,
    /// The share of the free capacity that, once used, calls the worker before its delay is over.
    early: f64,
    state: Mutex<State>,
    /// Calls the worker.
    wake: Notify,
    /// Tells threads in `flush` that what they wait for is settled, and those in `shutdown` that all is over.
    settled: Condvar,
    /// Tells the worker, and exporters between two tries, that shutdown has begun and when it must be over.
    closing: watch::Sender<Option<tokio::time::Instant>>,
}

struct State {
    /// Items the worker has not taken yet.
    incoming: Vec<Numbered>,
    /// Items waiting, here or at the worker, and not on their way.
    waiting: usize,
    /// The length of `incoming` at which the worker is called before its delay is over.
    early_at: usize,
    counts: Counts,
    losses: Vec<Loss>,
    /// Every item received before this one is settled.
    settled_below: u64,
    /// The lowest `settled_below` that a thread waits for; to wake it for every batch would cost more than the batch.
    awaited: u64,
    /// The worker was called for what is in `incoming`; a call per item would cost more than the item.
    called: bool,
    /// The worker is asked not to wait for its delay.
    urgent: bool,
    phase: Phase,
    /// The worker's thread; whoever shuts down joins it.
    thread: Option<JoinHandle<()>>,
}

enum Phase {
    /// No item has come yet, so there is no worker.
    Unborn(Start),
    Running,
    /// Everything is settled; what still comes is lost for this reason.
    Stopped(String),
}

/// Why items are lost that shutdown could not wait for.
pub(super) const OUT_OF_TIME: &str = "shutdown ran out of time";
/// Why items are lost that came too late.
pub(super) const AFTER_SHUTDOWN: &str = "they came after shutdown";

/// Why items are lost when there is no worker to be had.
pub(super) fn not_started(error: &std::io::Error) -> String {
    format!("the export thread could not start: {error}")
}

/// What the worker is to do next.
pub(super) struct Orders {
    /// There is something to take.
    pub(super) waiting: bool,
    /// It is to be taken at once.
    pub(super) urgent: bool,
}

impl Queue {
    pub(super) fn new(destination: String, config: &BatchConfig, start: Start) -> Self {
        let capacity = config.queue_size.max(1);
        let queue = Self {
            destination,
            capacity,
            early: config.early_export,
            state: Mutex::new(State {
                incoming: Vec::new(),
                waiting: 0,
                early_at: 0,
                counts: Counts::default(),
                losses: Vec::new(),
                settled_below: 0,
                awaited: u64::MAX,
                called: false,
                urgent: false,
                phase: Phase::Unborn(start),
                thread: None,
            }),
            wake: Notify::new(),
            settled: Condvar::new(),
            closing: watch::Sender::new(None),
        };
        queue.set_early_at(&mut queue.state());
        queue
    }

    /// Measured by what the worker has not yet taken, else every single item would call a worker whose hands are full.
    fn set_early_at(&self, state: &mut State) {
        let free = self.capacity - (state.waiting - state.incoming.len());
        state.early_at = ((free as f64 * self.early) as usize).max(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Takes an item in, or counts it as dropped.
    pub(super) fn push(self: &Arc<Self>, item: Item) {
        let mut state = self.state();
        let number = state.counts.received;
        state.counts.received += 1;
        state.counts.queued += 1;
        if state.waiting >= self.capacity {
            let reason = format!("the queue of {} was full", self.capacity);
            return self.lose_one(state, reason);
        }
        self.start(&mut state);
        if let Phase::Stopped(reason) = &state.phase {
            let reason = reason.clone();
            return self.lose_one(state, reason);
        }
        state.incoming.push((number, item));
        state.waiting += 1;
        let early = state.incoming.len() >= state.early_at && !state.urgent;
        let call = early || !state.called;
        state.urgent |= early;
        state.called = true;
        drop(state);
        if call {
            self.wake.notify_one();
        }
    }

    fn start(self: &Arc<Self>, state: &mut State) {
        if !matches!(state.phase, Phase::Unborn(_)) {
            return;
        }
        if let Phase::Unborn(start) = std::mem::replace(&mut state.phase, Phase::Running) {
            match start(Arc::clone(self)) {
                Ok(thread) => state.thread = Some(thread),
                Err(error) => {
                    state.phase = Phase::Stopped(not_started(&error));
                    state.settled_below = u64::MAX;
                }
            }
        }
    }

    fn lose_one(&self, mut state: MutexGuard<'_, State>, reason: String) {
        let new = state.lose(&reason, 1);
        drop(state);
        self.log(new.then_some(&reason));
    }

    /// Each reason once; the totals are in the report.
    fn log(&self, reasons: impl IntoIterator<Item = impl AsRef<str>>) {
        for reason in reasons {
            tracing::warn!(
                destination = self.destination,
                "trace items are lost: {}",
                reason.as_ref()
            );
        }
    }

    // What the worker calls.

    /// Waits until something has changed since the last call.
    pub(super) async fn called(&self) {
        self.wake.notified().await;
    }

    pub(super) fn closing(&self) -> Option<tokio::time::Instant> {
        *self.closing.borrow()
    }

    pub(super) fn deadline(&self) -> ExportDeadline {
        ExportDeadline::new(self.closing.subscribe())
    }

    pub(super) fn orders(&self) -> Orders {
        let state = self.state();
        Orders {
            waiting: !state.incoming.is_empty(),
            urgent: state.urgent,
        }
    }

    /// Hands over what is waiting, in exchange for an empty buffer.
    pub(super) fn take(&self, buffer: &mut Vec<Numbered>) {
        let mut state = self.state();
        std::mem::swap(&mut state.incoming, buffer);
        state.called = false;
        state.urgent = false;
        self.set_early_at(&mut state);
    }

    /// `items` items are on their way: they do not count against the capacity any more.
    pub(super) fn departed(&self, items: usize) {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Stopped(_)) {
            state.waiting -= items;
            self.set_early_at(&mut state);
        }
    }

    /// `items` items are settled, less `losses` as sent. `first_open` is the first item the worker still holds.
    pub(super) fn settle(&self, items: usize, losses: Vec<Loss>, first_open: Option<u64>) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Stopped(_)) {
            return; // Shutdown did not wait, and has counted these as lost.
        }
        let mut left = items as u64;
        let mut new = Vec::new();
        for Loss { reason, items } in losses {
            let lost = items.min(left);
            left -= lost;
            if lost > 0 && state.lose(&reason, lost) {
                new.push(reason);
            }
        }
        state.counts.sent += left;
        state.counts.queued -= left;
        state.settled_below = first_open
            .or_else(|| state.incoming.first().map(|(number, _)| *number))
            .unwrap_or(state.counts.received);
        let reached = state.settled_below >= state.awaited;
        if reached {
            state.awaited = u64::MAX;
        }
        drop(state);
        if reached {
            self.settled.notify_all();
        }
        self.log(&new);
    }

    /// What was settled as sent turns out to be lost.
    pub(super) fn revoke(&self, losses: Vec<Loss>) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Stopped(_)) {
            return;
        }
        let mut new = Vec::new();
        for Loss { reason, items } in losses {
            let lost = items.min(state.counts.sent);
            state.counts.sent -= lost;
            state.counts.queued += lost;
            if lost > 0 && state.lose(&reason, lost) {
                new.push(reason);
            }
        }
        drop(state);
        self.log(&new);
    }

    /// Ends it: what is not settled is lost for `reason`. Says whether this call ended it.
    pub(super) fn stop(&self, reason: &str) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Stopped(_)) {
            return false;
        }
        let open = state.counts.queued;
        let new = open > 0 && state.lose(reason, open);
        let left = std::mem::take(&mut state.incoming);
        let later = if self.closing().is_some() {
            AFTER_SHUTDOWN
        } else {
            reason
        };
        let phase = std::mem::replace(&mut state.phase, Phase::Stopped(later.to_owned()));
        state.waiting = 0;
        state.settled_below = u64::MAX;
        drop(state);
        // Outside the lock: an exporter that never ran goes here, with whatever its own drop does.
        drop((left, phase));
        self.settled.notify_all();
        self.log(new.then_some(reason));
        true
    }

    // What the application calls.

    /// Waits until everything received so far is settled, for `limit` at most.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let mut state = self.state();
        let target = state.counts.received;
        if state.settled_below >= target {
            return true;
        }
        state.urgent = true;
        self.wake.notify_one();
        let asked = Instant::now();
        while state.settled_below < target {
            let left = limit.saturating_sub(asked.elapsed());
            if left.is_zero() {
                return false;
            }
            state.awaited = state.awaited.min(target);
            (state, _) = self
                .settled
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Has everything settled within `limit`, stops the worker, and reports.
    pub(super) fn shutdown(&self, limit: Duration) -> ShutdownReport {
        self.close(limit);
        let state = self.state();
        let running = |state: &mut State| matches!(state.phase, Phase::Running);
        let (mut state, _) = self
            .settled
            .wait_timeout_while(state, limit.saturating_add(GRACE), running)
            .unwrap_or_else(PoisonError::into_inner);
        let thread = state.thread.take();
        drop(state);
        // If this call has to end it, the exporter blocks its thread against its contract: then that is left behind.
        let blocked = self.stop(OUT_OF_TIME);
        if let Some(thread) =
            thread.filter(|thread| !blocked && thread.thread().id() != std::thread::current().id())
        {
            let _ = thread.join();
        }
        self.report()
    }

    /// Tells the worker when it must be over; of several calls the earliest limit holds.
    fn close(&self, limit: Duration) {
        let now = tokio::time::Instant::now();
        let deadline = now
            .checked_add(limit)
            .unwrap_or(now + Duration::from_secs(86_400));
        self.closing.send_if_modified(|closing| {
            let earlier = closing.is_none_or(|set| deadline < set);
            if earlier {
                *closing = Some(deadline);
            }
            earlier
        });
        self.wake.notify_one();
    }

    fn report(&self) -> ShutdownReport {
        let state = self.state();
        let Counts {
            received,
            sent,
            dropped,
            ..
        } = state.counts;
        ShutdownReport {
            destination: self.destination.clone(),
            received,
            sent,
            dropped,
            losses: state.losses.clone(),
        }
    }
}

impl State {
    /// Moves queued items to the dropped ones. Says whether the reason is new.
    fn lose(&mut self, reason: &str, items: u64) -> bool {
        self.counts.queued -= items;
        self.counts.dropped += items;
        if let Some(loss) = self.losses.iter_mut().find(|loss| loss.reason == reason) {
            loss.items += items;
            return false;
        }
        let new = self.losses.len() < REASONS;
        if new {
            self.losses.push(Loss {
                reason: reason.to_owned(),
                items,
            });
        } else if let Some(last) = self.losses.last_mut() {
            last.reason = "various reasons".to_owned();
            last.items += items;
        }
        new
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}
