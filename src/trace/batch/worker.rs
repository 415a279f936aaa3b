//! The export thread's loop: takes items from the queue, forms batches, has a few exported at a time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::BatchConfig;
use super::queue::{Numbered, Queue};
use super::settle::Batch;
use super::shutdown::{AFTER_SHUTDOWN, OUT_OF_TIME};
use crate::trace::TraceId;
use crate::trace::export::{ExportError, Item, MAX_TRACES, SpanExporter};

/// When a worker ends before its queue is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::trace) enum Patience {
    /// Never: what can't be delivered now is no reason not to try what comes next.
    Endless,
    /// When a batch has to be kept for later: so would the next.
    UntilKept,
}

/// Runs until the queue is closed and everything is settled, or shutdown's time is over, or its patience.
pub(in crate::trace) async fn run(
    exporter: Arc<impl SpanExporter>,
    queue: Arc<Queue>,
    config: BatchConfig,
    patience: Patience,
) {
    let mut worker = Worker {
        exporter,
        queue,
        config,
        kept_because: None,
        buffer: Vec::new(),
        ready: VecDeque::new(),
        exports: JoinSet::new(),
        in_flight: HashMap::new(),
        unsettled: HashSet::new(),
        seen: VecDeque::new(),
    };
    let mut due = None;
    let left_because = loop {
        let orders = worker.queue.orders();
        let closing = worker.queue.closing();
        let now = Instant::now();
        if closing.is_some_and(|deadline| deadline <= now) {
            break OUT_OF_TIME.to_owned();
        }
        if patience == Patience::UntilKept
            && let Some(reason) = worker.kept_because.take()
        {
            break reason;
        }
        due = orders.waiting.then(|| due.unwrap_or(now + worker.config.delay));
        if orders.urgent || closing.is_some() || due.is_some_and(|due| due <= now) {
            worker.take();
            due = None;
            worker.catch_up();
        }
        worker.send();
        if closing.is_some() && worker.is_idle() {
            worker.finish().await;
            break AFTER_SHUTDOWN.to_owned();
        }
        tokio::select! {
            () = worker.queue.called() => {}
            Some(result) = worker.exports.join_next_with_id() => worker.settle(result),
            () = at(due) => {}
            () = at(closing) => {}
        }
    };
    // What came to its end in this very moment is not lost.
    while let Some(result) = worker.exports.try_join_next_with_id() {
        worker.settle(result);
    }
    worker.queue.stop(&left_because);
}

/// Returns at the given moment; never, if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

struct Worker<E> {
    exporter: Arc<E>,
    queue: Arc<Queue>,
    config: BatchConfig,
    /// Goes back and forth between here and the queue, so that neither has to grow anew.
    buffer: Vec<Numbered>,
    /// Taken from the queue, in order, to be sent as soon as possible.
    ready: VecDeque<Numbered>,
    exports: JoinSet<Result<(), ExportError>>,
    in_flight: HashMap<Id, InFlight>,
    /// The traces on their way; their spans wait.
    unsettled: HashSet<TraceId>,
    /// The traces that were last sent of, for the exporter to finish.
    seen: VecDeque<TraceId>,
    /// Why the last batch that could not be delivered is kept for later.
    kept_because: Option<String>,
}

/// A batch on its way.
struct InFlight {
    numbers: Vec<u64>,
    traces: Vec<TraceId>,
}

impl<E: SpanExporter> Worker<E> {
    fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.in_flight.is_empty() && !self.queue.orders().waiting
    }

    fn take(&mut self) {
        self.queue.take(&mut self.buffer);
        self.ready.extend(self.buffer.drain(..));
    }

    /// Reads back what did not fit into the queue, as much as can be sent soon.
    fn catch_up(&mut self) {
        let soon = self.config.batch_size.max(1) * self.config.in_flight.max(1);
        while self.ready.len() < soon
            && let Some((from, room)) = self.queue.behind()
            && let Some(backlog) = &self.queue.backlog
        {
            match backlog.read(from, room.min(soon)) {
                Ok(back) => {
                    self.queue.caught_up(back.items.len(), back.next);
                    self.ready.extend(back.items);
                    self.queue.settle_damaged(&back.damaged, self.first_open());
                }
                Err(error) => {
                    let reason = format!("the trace store can't be read: {error}");
                    let in_flight: usize = self.in_flight.values().map(|batch| batch.numbers.len()).sum();
                    let in_hand = (self.ready.len() + in_flight) as u64;
                    self.queue.lose_backlog(&reason, in_hand, self.first_open());
                }
            }
        }
    }

    fn send(&mut self) {
        while self.in_flight.len() < self.config.in_flight.max(1) {
            let batch = self.next_batch();
            if batch.is_empty() {
                return;
            }
            let entry = InFlight {
                numbers: batch.iter().map(|(number, _)| *number).collect(),
                traces: traces(&batch),
            };
            self.unsettled.extend(&entry.traces);
            self.note(&batch);
            self.queue.departed(batch.len());
            let items: Vec<Item> = batch.into_iter().map(|(_, item)| item).collect();
            let (exporter, deadline) = (Arc::clone(&self.exporter), self.queue.deadline());
            let export = self
                .exports
                .spawn(async move { exporter.export(items, deadline).await });
            self.in_flight.insert(export.id(), entry);
        }
    }

    /// Takes note of what traces a batch is of.
    fn note(&mut self, batch: &[Numbered]) {
        for (_, item) in batch {
            let id = item.trace_id();
            if self.seen.back() != Some(&id) && !self.seen.contains(&id) {
                if self.seen.len() == MAX_TRACES {
                    self.seen.pop_front();
                }
                self.seen.push_back(id);
            }
        }
    }

    /// The first items that may be sent now, in order. Spans of a trace that is on its way stay behind, so that a
    /// trace is never sent after one of its spans.
    fn next_batch(&mut self) -> Vec<Numbered> {
        let size = self.config.batch_size.max(1);
        let mut batch = Vec::with_capacity(size.min(self.ready.len()));
        let mut behind = Vec::new();
        while batch.len() < size
            && let Some(item) = self.ready.pop_front()
        {
            match self.unsettled.contains(&item.1.trace_id()) {
                true => behind.push(item),
                false => batch.push(item),
            }
        }
        behind
            .into_iter()
            .rev()
            .for_each(|item| self.ready.push_front(item));
        batch
    }

    /// Has the exporter deliver what it could only at the end.
    async fn finish(&mut self) {
        let traces: Vec<TraceId> = self.seen.drain(..).collect();
        let finish = self.exporter.finish(traces, self.queue.deadline());
        let losses = tokio::select! {
            finished = finish => finished.err().map_or_else(Vec::new, |error| error.losses),
            // How much it was, only the exporter knows.
            () = self.queue.out_of_time() => ExportError::new(OUT_OF_TIME, 1).losses,
        };
        self.queue.revoke(losses);
    }

    fn settle(&mut self, result: Result<(Id, Result<(), ExportError>), JoinError>) {
        let (id, result) = match result {
            Ok(finished) => finished,
            Err(error) => (
                error.id(),
                Err(ExportError::new("the exporter panicked", usize::MAX)),
            ),
        };
        let Some(batch) = self.in_flight.remove(&id) else {
            return;
        };
        batch
            .traces
            .iter()
            .for_each(|trace| _ = self.unsettled.remove(trace));
        let spans = (batch.numbers.len() - batch.traces.len()) as u64;
        let batch = Batch {
            numbers: batch.numbers,
            spans,
            result,
        };
        let kept_because = self.queue.settle(batch, self.first_open());
        self.kept_because = kept_because.or(self.kept_because.take());
    }

    /// The first item that is here and not settled.
    fn first_open(&self) -> Option<u64> {
        let in_flight = self.in_flight.values().filter_map(|batch| batch.numbers.first());
        let ready = self.ready.front().map(|(number, _)| number);
        in_flight.chain(ready).min().copied()
    }
}

fn traces(batch: &[Numbered]) -> Vec<TraceId> {
    let trace = |(_, item): &Numbered| match item {
        Item::Trace(trace) => Some(trace.id),
        Item::Span(_) => None,
    };
    batch.iter().filter_map(trace).collect()
}
