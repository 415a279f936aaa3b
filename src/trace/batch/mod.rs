//! The processor that stands between spans and an exporter: a bounded queue and a thread of its own.
//!
//! In come traces and finished spans, from any thread, at the price of one short lock; out go batches, to one
//! [`SpanExporter`]. Every item is counted as received before it is queued, and ends as sent or as dropped.

mod accounts;
mod backlog;
mod queue;
mod settle;
mod shutdown;
mod worker;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::export::{Item, SpanExporter};
use super::processor::{ShutdownReport, SpanProcessor};
use super::record::{SpanRecord, TraceRecord};
pub use accounts::Counts;
pub(super) use backlog::{Backlog, Position, ReadBack, Settled};
pub(super) use queue::Queue;
pub(super) use shutdown::AFTER_SHUTDOWN;
pub(super) use worker::{Patience, run};

/// How much a [`BatchProcessor`] holds and when it exports.
#[derive(Clone, Debug)]
pub struct BatchConfig {
    /// Items that may wait at a time. What comes when it is full is dropped and counted.
    pub queue_size: usize,
    /// Items in a batch at most.
    pub batch_size: usize,
    /// How long the first waiting item waits for company.
    pub delay: Duration,
    /// The share of the queue (0 to 1) at which it is exported without waiting for the delay.
    pub early_export: f64,
    /// Batches on their way at the same time, so that one that waits for its retry holds up no other.
    pub in_flight: usize,
}

impl Default for BatchConfig {
    /// 8192 items, batches of 128, every 5 s or when 0.7 full, 4 batches on their way.
    fn default() -> Self {
        Self {
            queue_size: 8192,
            batch_size: 128,
            delay: Duration::from_secs(5),
            early_export: 0.7,
            in_flight: 4,
        }
    }
}

/// How long a processor that is dropped without [`SpanProcessor::shutdown`] takes to deliver what it holds.
pub(super) const DROP_LIMIT: Duration = Duration::from_secs(5);

/// Collects traces and finished spans into batches for one exporter.
///
/// - Taking an item in never blocks: it is a push under a short lock, or, when the queue is full, a count.
/// - `received == sent + dropped + queued` at any time, and `queued` is 0 after shutdown; see [`Counts`].
/// - The exporter runs on a thread of its own, with its own runtime, so nothing is lost when the application's
///   runtime ends first. The thread starts with the first item and ends with shutdown, or when the processor is
///   dropped; without items there is none (rule N1).
/// - Shutdown may be called from several threads; the shortest limit holds.
/// - A trace is never sent after one of its spans: while the batch with a trace is not settled, the spans of that
///   trace wait; others pass them.
#[derive(Debug)]
pub struct BatchProcessor {
    queue: Arc<Queue>,
}

impl BatchProcessor {
    /// A processor with the default configuration.
    pub fn new(exporter: impl SpanExporter) -> Self {
        Self::with_config(exporter, BatchConfig::default())
    }

    /// A processor with a configuration; sizes of zero count as one.
    pub fn with_config(exporter: impl SpanExporter, config: BatchConfig) -> Self {
        let destination = exporter.name().to_owned();
        let worker = config.clone();
        let start = move |queue: Arc<Queue>| {
            let own = Arc::clone(&queue);
            let work = || worker::run(Arc::new(exporter), own, worker, Patience::Endless);
            spawn(queue, work)
        };
        Self {
            queue: Arc::new(Queue::new(destination, &config, None, Box::new(start))),
        }
    }

    /// What became of what was received, up to now.
    pub fn counts(&self) -> Counts {
        self.queue.counts()
    }
}

/// Starts the export thread of a queue, with a runtime of its own.
pub(super) fn spawn<F: Future<Output = ()>>(
    queue: Arc<Queue>,
    work: impl FnOnce() -> F + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("trace-export".into())
        .spawn(move || {
            let fuse = Fuse(queue);
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    runtime.block_on(work());
                    // Not a plain drop: that would wait for name lookups still under way.
                    runtime.shutdown_background();
                }
                Err(error) => _ = fuse.0.stop(&queue::not_started(&error)),
            }
        })
}

/// Settles the queue should the worker ever end by a panic, so that nobody waits for it in vain.
struct Fuse(Arc<Queue>);

impl Drop for Fuse {
    fn drop(&mut self) {
        self.0.stop("the export thread failed");
    }
}

impl SpanProcessor for BatchProcessor {
    fn on_trace_start(&self, trace: &Arc<TraceRecord>) {
        self.queue.push(Item::Trace(Arc::clone(trace)));
    }

    fn on_span_end(&self, span: Arc<SpanRecord>) {
        self.queue.push(Item::Span(span));
    }

    fn flush(&self, limit: Duration) -> bool {
        self.queue.flush(limit)
    }

    fn shutdown(&self, limit: Duration) -> ShutdownReport {
        self.queue.shutdown(limit)
    }
}

impl Drop for BatchProcessor {
    fn drop(&mut self) {
        self.queue.shutdown(DROP_LIMIT);
    }
}
