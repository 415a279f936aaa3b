//! The queue between the threads that finish spans and the one that exports them.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::BatchConfig;
use super::accounts::{Accounts, Counts};
use super::backlog::{Backlog, Position};
use super::shutdown::GRACE;
use crate::trace::export::{ExportDeadline, Item};

/// An item and its place in the order of reception.
pub(in crate::trace) type Numbered = (u64, Item);

/// Starts the worker's thread.
pub(in crate::trace) type Start = Box<dyn FnOnce(Arc<Queue>) -> std::io::Result<JoinHandle<()>> + Send>;

pub(in crate::trace) struct Queue {
    pub(super) destination: String,
    capacity: usize,
    /// The share of the free capacity that, once used, calls the worker before its delay is over.
    early: f64,
    /// Where what does not fit is read from.
    pub(super) backlog: Option<Arc<dyn Backlog>>,
    state: Mutex<State>,
    /// Calls the worker.
    pub(super) wake: Notify,
    /// Tells threads in `flush` that what they wait for is settled, and those in `shutdown` that all is over.
    pub(super) settled: Condvar,
    /// Tells the worker, and exporters between two tries, that shutdown has begun and when it must be over.
    pub(super) closing: watch::Sender<Option<tokio::time::Instant>>,
}

pub(super) struct State {
    /// Items the worker has not taken yet.
    pub(super) incoming: Vec<Numbered>,
    /// Items waiting in memory, here or at the worker, and not on their way.
    pub(super) waiting: usize,
    /// The items from here on did not fit, and are to be read back from the backlog.
    pub(super) behind: Option<Position>,
    /// Items with lower numbers are in the backlog.
    pub(super) logged: u64,
    /// Items of those that are not settled.
    pub(super) logged_open: u64,
    /// The length of `incoming` at which the worker is called before its delay is over.
    early_at: usize,
    pub(super) accounts: Accounts,
    /// Every item received before this one is settled.
    pub(super) settled_below: u64,
    /// The lowest `settled_below` that a thread waits for; to wake it for every batch would cost more than the batch.
    pub(super) awaited: u64,
    /// The worker was called for what is in `incoming`; a call per item would cost more than the item.
    called: bool,
    /// The worker is asked not to wait for its delay.
    pub(super) urgent: bool,
    pub(super) phase: Phase,
    /// The worker's thread; whoever shuts down joins it.
    pub(super) thread: Option<JoinHandle<()>>,
}

pub(super) enum Phase {
    /// No item has come yet, so there is no worker.
    Unborn(Start),
    Running,
    /// Everything is settled; what still comes is not delivered for this reason.
    Stopped(String),
}

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
    /// A queue whose worker starts with the first item.
    pub(in crate::trace) fn new(
        destination: String,
        config: &BatchConfig,
        backlog: Option<Arc<dyn Backlog>>,
        start: Start,
    ) -> Self {
        Self::with_phase(destination, config, backlog, Phase::Unborn(start))
    }

    /// A queue of what is left in a backlog: `open` of its `logged` items. The caller runs the worker.
    pub(in crate::trace) fn of_backlog(
        destination: String,
        config: &BatchConfig,
        backlog: Arc<dyn Backlog>,
        (open, logged): (u64, u64),
        first: Position,
    ) -> Self {
        let queue = Self::with_phase(destination, config, Some(backlog), Phase::Running);
        let mut state = queue.state();
        state.behind = (open > 0).then_some(first);
        (state.logged, state.logged_open) = (logged, open);
        state.accounts.counts.received = open;
        state.accounts.counts.queued = open;
        drop(state);
        queue
    }

    fn with_phase(
        destination: String,
        config: &BatchConfig,
        backlog: Option<Arc<dyn Backlog>>,
        phase: Phase,
    ) -> Self {
        let queue = Self {
            destination,
            capacity: config.queue_size.max(1),
            early: config.early_export,
            backlog,
            state: Mutex::new(State {
                incoming: Vec::new(),
                waiting: 0,
                behind: None,
                logged: 0,
                logged_open: 0,
                early_at: 0,
                accounts: Accounts::default(),
                settled_below: 0,
                awaited: u64::MAX,
                called: false,
                urgent: false,
                phase,
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::trace) fn counts(&self) -> Counts {
        self.state().accounts.counts
    }

    /// Takes in an item that is in no log, or counts it as dropped.
    pub(in crate::trace) fn push(self: &Arc<Self>, item: Item) {
        let mut state = self.state();
        let number = state.receive();
        // What is behind comes first: a trace may be among it.
        if state.waiting >= self.capacity || state.behind.is_some() {
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
        self.call(state);
    }

    /// Takes in items that are in the log, in its order. What does not fit is read back from there.
    pub(in crate::trace) fn feed(self: &Arc<Self>, items: &[Item], place: impl Fn(usize) -> Position) {
        let mut state = self.state();
        self.start(&mut state);
        let mut new = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let number = state.receive();
            state.logged = number + 1;
            state.logged_open += 1;
            if let Phase::Stopped(reason) = &state.phase {
                let reason = reason.clone();
                if self.give_up(&mut state, &reason, (0, 1)) {
                    new.push(reason);
                }
            } else if state.waiting >= self.capacity || state.behind.is_some() {
                state.behind.get_or_insert_with(|| place(index));
            } else {
                state.incoming.push((number, item.clone()));
                state.waiting += 1;
            }
        }
        self.call(state);
        self.log(&new);
    }

    /// Calls the worker, if it has to know.
    fn call(&self, mut state: MutexGuard<'_, State>) {
        let full = state.incoming.len() >= state.early_at || state.behind.is_some();
        let early = full && !state.urgent;
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
        let new = state.accounts.lose(&reason, 1);
        drop(state);
        self.log(new.then_some(&reason));
    }

    /// Settles items that were not delivered: those in no log are lost, those in the log kept, if it keeps any. Says
    /// whether the reason is new.
    pub(super) fn give_up(&self, state: &mut State, reason: &str, (unlogged, logged): (u64, u64)) -> bool {
        state.logged_open -= logged;
        if self.backlog.as_ref().is_some_and(|backlog| backlog.keeps()) {
            let new = state.accounts.lose(reason, unlogged);
            state.accounts.keep(reason, logged) || new
        } else {
            state.accounts.lose(reason, unlogged + logged)
        }
    }

    /// Each reason once; the totals are in the report.
    pub(super) fn log(&self, reasons: impl IntoIterator<Item = impl AsRef<str>>) {
        for reason in reasons {
            tracing::warn!(
                destination = self.destination,
                "trace items are not delivered: {}",
                reason.as_ref()
            );
        }
    }

    // What the worker calls.

    /// Waits until something has changed since the last call.
    pub(super) async fn called(&self) {
        self.wake.notified().await;
    }

    pub(in crate::trace) fn closing(&self) -> Option<tokio::time::Instant> {
        *self.closing.borrow()
    }

    pub(super) fn deadline(&self) -> ExportDeadline {
        ExportDeadline::new(self.closing.subscribe())
    }

    pub(super) fn orders(&self) -> Orders {
        let state = self.state();
        Orders {
            waiting: !state.incoming.is_empty() || state.behind.is_some(),
            urgent: state.urgent || state.behind.is_some(),
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

    /// Where to read back from, and for how many items there is room; only once all that fitted was taken.
    pub(super) fn behind(&self) -> Option<(Position, usize)> {
        let state = self.state();
        let room = self.capacity.saturating_sub(state.waiting);
        let position = state.behind.filter(|_| state.incoming.is_empty() && room > 0)?;
        Some((position, room))
    }

    /// `items` items were read back; the next one is at `next`.
    pub(super) fn caught_up(&self, items: usize, next: Position) {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Stopped(_)) {
            state.waiting += items;
            state.behind = (next.number < state.logged).then_some(next);
        }
    }

    /// `items` items are on their way: they do not count against the capacity any more.
    pub(super) fn departed(&self, items: usize) {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Stopped(_)) {
            state.waiting -= items;
            self.set_early_at(&mut state);
        }
    }

    // What the application calls.

    /// Waits until everything received so far is settled, for `limit` at most.
    pub(in crate::trace) fn flush(&self, limit: Duration) -> bool {
        let mut state = self.state();
        let target = state.accounts.counts.received;
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

    /// Waits until the worker has ended, or `limit` and a moment are over.
    pub(super) fn wait_for_end(&self, limit: Duration) -> Option<JoinHandle<()>> {
        let running = |state: &mut State| matches!(state.phase, Phase::Running);
        let (mut state, _) = self
            .settled
            .wait_timeout_while(self.state(), limit.saturating_add(GRACE), running)
            .unwrap_or_else(PoisonError::into_inner);
        state.thread.take()
    }
}

impl State {
    /// Counts an item, and gives its number.
    fn receive(&mut self) -> u64 {
        let counts = &mut self.accounts.counts;
        let number = counts.received;
        counts.received += 1;
        counts.queued += 1;
        number
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}
