//! The way of a run's items to one destination: a queue of its own, and a thread of its own.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::TraceStore;
use super::backlog::{Current, FileBacklog};
use super::format::Destination;
use super::leftover::{Choice, Leftover, candidates};
use crate::trace::batch::{BatchConfig, Patience, Queue, run, spawn};
use crate::trace::export::SpanExporter;

/// What earlier runs have left may use this share of the time that a shutdown has, and no more than this time: one part
/// in four, one second.
const SHARE: (u32, Duration) = (4, Duration::from_secs(1));

/// The way to one destination.
pub(super) struct Lane {
    pub(super) queue: Arc<Queue>,
    pub(super) to: Option<Destination>,
    earlier: Arc<Mutex<Earlier>>,
}

/// What was sent of earlier runs, on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Runs of which something was sent.
    pub runs: u64,
    /// Spans that were sent.
    pub spans: u64,
}

impl Lane {
    /// A way that begins with the first item. What earlier runs in the store have left for the same destination goes the
    /// same way, in the background.
    pub(super) fn new(
        exporter: impl SpanExporter,
        config: BatchConfig,
        store: TraceStore,
        current: Arc<Current>,
    ) -> Self {
        let name = exporter.name().to_owned();
        let to = Destination::of(&exporter);
        let backlog = Arc::new(FileBacklog::new(current, to.clone()));
        let earlier = Arc::new(Mutex::default());
        let leftovers = to.clone().map(|to| Leftovers {
            store,
            to,
            sent: Arc::clone(&earlier),
        });
        let worker = config.clone();
        let start = move |queue: Arc<Queue>| {
            let own = Arc::clone(&queue);
            let work = move || async move {
                let exporter = Arc::new(exporter);
                let left = async {
                    if let Some(leftovers) = leftovers {
                        leftovers.send(&exporter, &worker, &own).await;
                    }
                };
                let own = run(
                    Arc::clone(&exporter),
                    Arc::clone(&own),
                    worker.clone(),
                    Patience::Endless,
                );
                tokio::join!(own, left);
            };
            spawn(queue, work)
        };
        Self {
            queue: Arc::new(Queue::new(name, &config, Some(backlog), Box::new(start))),
            to,
            earlier,
        }
    }

    pub(super) fn earlier(&self) -> Earlier {
        *self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What earlier runs have left for one destination.
struct Leftovers {
    store: TraceStore,
    to: Destination,
    sent: Arc<Mutex<Earlier>>,
}

impl Leftovers {
    /// Sends it, file by file, one batch at a time, until the run's own shutdown wants to be over.
    async fn send(self, exporter: &Arc<impl SpanExporter>, config: &BatchConfig, own: &Queue) {
        let config = BatchConfig {
            in_flight: 1,
            ..config.clone()
        };
        let mut over = pin!(share_is_over(own));
        let (store, to) = (self.store.clone(), self.to.clone());
        let Some(files) = blocking(move || Some(candidates(store.files().ok()?, &to))).await else {
            return;
        };
        for path in files {
            let to = self.to.clone();
            let left = blocking(move || Leftover::open(&path, &to, Choice::Meant).ok()?).await;
            let Some(left) = left else { continue };
            let is_over = std::cell::Cell::new(false);
            let report = left
                .deliver(exporter, &config, async {
                    over.as_mut().await;
                    is_over.set(true);
                })
                .await;
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.runs += u64::from(report.sent > 0);
            sent.spans += report.sent_spans;
            drop(sent);
            if is_over.get() || report.kept > 0 {
                return;
            }
        }
    }
}

/// Reading files waits for the disk: not on the thread that sends.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

/// Returns when a run's shutdown has no more time for what other runs left: none, if its own is not delivered either.
async fn share_is_over(own: &Queue) {
    let deadline = own.closed().await;
    if own.counts().kept == 0 {
        let (parts, most) = SHARE;
        let share = deadline.saturating_duration_since(Instant::now()) / parts;
        sleep(share.min(most)).await;
    }
}
