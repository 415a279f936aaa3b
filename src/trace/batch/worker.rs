//! The export thread's loop: takes items from the queue, forms batches, has a few exported at a time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::BatchConfig;
use super::queue::{AFTER_SHUTDOWN, Numbered, OUT_OF_TIME, Queue};
use crate::trace::TraceId;
use crate::trace::export::{ExportError, Item, SpanExporter};
use crate::trace::processor::Loss;

/// Runs until the queue is closed and everything is settled, or shutdown's time is over.
pub(super) async fn run(exporter: impl SpanExporter, queue: Arc<Queue>, config: BatchConfig) {
    let mut worker = Worker {
        exporter: Arc::new(exporter),
        queue,
        config,
        buffer: Vec::new(),
        ready: VecDeque::new(),
        exports: JoinSet::new(),
        in_flight: HashMap::new(),
        unsettled: HashSet::new(),
    };
    let mut due = None;
    let left_because = loop {
        let orders = worker.queue.orders();
        let closing = worker.queue.closing();
        let now = Instant::now();
        if closing.is_some_and(|deadline| deadline <= now) {
            break OUT_OF_TIME;
        }
        due = orders.waiting.then(|| due.unwrap_or(now + worker.config.delay));
        if orders.urgent || closing.is_some() || due.is_some_and(|due| due <= now) {
            worker.take();
            due = None;
        }
        worker.send();
        if let Some(deadline) = closing
            && worker.is_idle()
        {
            worker.finish(deadline).await;
            break AFTER_SHUTDOWN;
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
    worker.queue.stop(left_because);
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
}

/// A batch on its way.
struct InFlight {
    first: u64,
    items: usize,
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

    fn send(&mut self) {
        while self.in_flight.len() < self.config.in_flight.max(1) {
            let batch = self.next_batch();
            let Some((first, _)) = batch.first() else { return };
            let entry = InFlight {
                first: *first,
                items: batch.len(),
                traces: traces(&batch),
            };
            self.unsettled.extend(&entry.traces);
            self.queue.departed(batch.len());
            let items: Vec<Item> = batch.into_iter().map(|(_, item)| item).collect();
            let (exporter, deadline) = (Arc::clone(&self.exporter), self.queue.deadline());
            let export = self
                .exports
                .spawn(async move { exporter.export(items, deadline).await });
            self.in_flight.insert(export.id(), entry);
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
    async fn finish(&self, deadline: Instant) {
        let finish = self.exporter.finish(self.queue.deadline());
        let losses = match timeout_at(deadline, finish).await {
            Ok(finished) => finished.err().map_or_else(Vec::new, |error| error.losses),
            // How much it was, only the exporter knows.
            Err(_) => ExportError::new(OUT_OF_TIME, 1).losses,
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
        let losses: Vec<Loss> = result.err().map_or_else(Vec::new, |error| error.losses);
        let in_flight = self.in_flight.values().map(|batch| batch.first);
        let ready = self.ready.front().map(|(number, _)| *number);
        self.queue
            .settle(batch.items, losses, in_flight.chain(ready).min());
    }
}

fn traces(batch: &[Numbered]) -> Vec<TraceId> {
    let trace = |(_, item): &Numbered| match item {
        Item::Trace(trace) => Some(trace.id),
        Item::Span(_) => None,
    };
    batch.iter().filter_map(trace).collect()
}
