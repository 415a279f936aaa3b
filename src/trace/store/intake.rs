//! Where a run's items wait for the thread that writes them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::trace::export::Item;

/// Items that may wait; what comes when it is full is lost, and counted.
pub(super) const CAPACITY: usize = 1 << 17;
/// How long the first waiting item waits for company.
const LINGER: Duration = Duration::from_millis(10);
/// Items that are written without waiting for more.
const ENOUGH: usize = 4096;

/// Takes items in from any thread, and gives them to one.
#[derive(Debug, Default)]
pub(super) struct Intake {
    state: Mutex<State>,
    /// Calls the writer.
    wake: Condvar,
    /// Tells that everything taken so far was handed on, or that the writer has ended.
    done: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    items: Vec<Item>,
    pub(super) counts: Intakes,
    /// Items handed on.
    passed: u64,
    /// Threads that wait for that.
    flushing: usize,
    /// There is, or was, a writer.
    pub(super) started: bool,
    closing: bool,
    /// The writer has ended, or there will be none.
    pub(super) over: bool,
}

/// What came in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Intakes {
    pub(super) received: u64,
    /// Items for which there was no room.
    pub(super) overflown: u64,
    /// Items that came after the end.
    pub(super) late: u64,
}

impl Intake {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an item in, or counts it as lost.
    pub(super) fn push(&self, mut state: MutexGuard<'_, State>, item: Item) {
        state.counts.received += 1;
        if state.closing || state.over {
            state.counts.late += 1;
        } else if state.items.len() >= CAPACITY {
            state.counts.overflown += 1;
        } else {
            state.items.push(item);
            let waiting = state.items.len();
            drop(state);
            if waiting == 1 || waiting == ENOUGH {
                self.wake.notify_one();
            }
        }
    }

    /// Gives what is waiting, in exchange for an empty buffer; the writer says how many items of before it has handed on.
    /// `false` when it is over.
    pub(super) fn take(&self, buffer: &mut Vec<Item>, passed: usize) -> bool {
        let mut state = self.state();
        state.passed += passed as u64;
        if passed > 0 && state.flushing > 0 {
            self.done.notify_all();
        }
        let idle = |state: &mut State| state.items.is_empty() && !state.closing;
        state = self
            .wake
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner);
        let lone = |state: &mut State| state.items.len() < ENOUGH && state.flushing == 0 && !state.closing;
        (state, _) = self
            .wake
            .wait_timeout_while(state, LINGER, lone)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.items, buffer);
        !buffer.is_empty()
    }

    /// The writer has ended.
    pub(super) fn end(&self) {
        self.state().over = true;
        self.done.notify_all();
    }

    /// Waits until everything received so far was handed on, for `limit` at most.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let mut state = self.state();
        let target = state.counts.received - state.counts.overflown - state.counts.late;
        state.flushing += 1;
        self.wake.notify_one();
        let open = |state: &mut State| state.passed < target && !state.over;
        let (mut state, timeout) = self
            .done
            .wait_timeout_while(state, limit, open)
            .unwrap_or_else(PoisonError::into_inner);
        state.flushing -= 1;
        !timeout.timed_out()
    }

    /// Has the writer write what is waiting and end, and waits for that; for `limit` at most.
    pub(super) fn close(&self, limit: Duration) {
        let mut state = self.state();
        state.closing = true;
        self.wake.notify_one();
        state.over |= !state.started;
        let begun = Instant::now();
        while !state.over {
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            (state, _) = self
                .done
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
