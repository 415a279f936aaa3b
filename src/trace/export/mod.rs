//! From batches of items to one back end's wire form: one file per back end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::id::TraceId;
use super::processor::Loss;
use super::record::{SpanRecord, TraceRecord};

mod http;
mod json_lines;
mod openai;
mod otlp;
mod retry;
mod wire;

pub use json_lines::JsonLinesExporter;
pub use openai::{InvalidEndpoint, OpenAiExporter};
pub use otlp::{InvalidOtlpConfig, OtlpConfig, OtlpExporter};
pub use retry::RetryPolicy;

/// What is exported: a trace that started, or a span that ended.
///
/// Serialized it is one object of the wire form, as `{"object":"trace.span",…}`.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A trace that started.
    Trace(Arc<TraceRecord>),
    /// A span that ended.
    Span(Arc<SpanRecord>),
}

impl Item {
    /// The trace that this is or belongs to.
    pub fn trace(&self) -> &TraceRecord {
        match self {
            Self::Trace(trace) => trace,
            Self::Span(span) => &span.trace,
        }
    }

    /// The id of that trace.
    pub fn trace_id(&self) -> TraceId {
        self.trace().id
    }
}

/// Traces that an exporter has to know of at a time.
pub const MAX_TRACES: usize = 256;

/// Brings batches to one back end.
///
/// The contract:
/// - `export` runs on the export thread's own runtime, never on the application's. A few calls may be under way at
///   a time, on the same thread.
/// - Retries, and how long one try may take, are the exporter's own affair, but both must be bounded; between tries
///   it waits with [`ExportDeadline::sleep`]. The future may be dropped at any await, when shutdown runs out of time.
/// - The items are in the order in which they were received.
/// - No reason it gives may contain a key.
pub trait SpanExporter: Send + Sync + 'static {
    /// What the destination is called in reports, as `openai`.
    fn name(&self) -> &str;

    /// Where it sends, without credentials and query, if that is a place that items can be sent to later: what a
    /// [`TraceStore`](crate::trace::TraceStore) keeps for it is known by this. `None`, as for a terminal, if it is not.
    fn endpoint(&self) -> Option<String> {
        None
    }

    /// Delivers a batch. What it returns as lost counts as lost, unless a store keeps it; all else counts as sent.
    fn export(
        &self,
        batch: Vec<Item>,
        deadline: ExportDeadline,
    ) -> impl Future<Output = Result<(), ExportError>> + Send;

    /// Delivers what it could only at the end, if anything: called when all batches with items of these traces, or of
    /// the last [`MAX_TRACES`] of them, are settled, and no more will come. What it returns as lost counts as lost, though
    /// it was counted as sent before.
    fn finish(
        &self,
        traces: Vec<TraceId>,
        deadline: ExportDeadline,
    ) -> impl Future<Output = Result<(), ExportError>> + Send {
        let _ = (traces, deadline);
        std::future::ready(Ok(()))
    }
}

/// What of a batch could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", losses.iter().map(|loss| format!("{} items lost: {}", loss.items, loss.reason)).collect::<Vec<_>>().join("; "))]
pub struct ExportError {
    /// How many items, and why. Equal reasons are added up and reported once, so they hold nothing that differs from
    /// one batch to the next.
    pub losses: Vec<Loss>,
    /// The destination will not take these items at any other time either, so that nothing is worth keeping. Otherwise
    /// a processor with a store keeps the whole batch and has it sent again later.
    pub is_final: bool,
}

impl ExportError {
    /// `items` items not delivered for a reason that may pass, as a destination that can't be reached.
    pub fn new(reason: impl Into<String>, items: usize) -> Self {
        Self {
            losses: vec![Loss {
                reason: reason.into(),
                items: items as u64,
            }],
            is_final: false,
        }
    }

    /// `items` items that the destination has refused for what they are.
    pub fn refused(reason: impl Into<String>, items: usize) -> Self {
        Self {
            is_final: true,
            ..Self::new(reason, items)
        }
    }
}

/// When an export must be over: unlimited while the processor runs, a moment as soon as its shutdown begins.
#[derive(Clone, Debug)]
pub struct ExportDeadline(watch::Receiver<Option<Instant>>);

impl ExportDeadline {
    pub(super) fn new(shutdown: watch::Receiver<Option<Instant>>) -> Self {
        Self(shutdown)
    }

    /// No deadline, for driving an exporter without a processor.
    pub fn none() -> Self {
        Self(watch::channel(None).1)
    }

    /// Waits for `wait`. Gives up and says `false` as soon as it is clear that the deadline comes first: what was to
    /// be done after the wait cannot be done any more.
    pub async fn sleep(&mut self, wait: Duration) -> bool {
        let Some(until) = Instant::now().checked_add(wait) else {
            return false;
        };
        let in_time = |deadline: &Option<Instant>| deadline.is_none_or(|deadline| until < deadline);
        tokio::select! {
            () = sleep_until(until) => in_time(&self.0.borrow()),
            () = too_late(&mut self.0, in_time) => false,
        }
    }
}

/// Returns when a deadline is known that is not `in_time`; never, if none can come any more.
async fn too_late(
    shutdown: &mut watch::Receiver<Option<Instant>>,
    in_time: impl Fn(&Option<Instant>) -> bool,
) {
    if shutdown.wait_for(|deadline| !in_time(deadline)).await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_as_soon_as_the_deadline_makes_it_pointless() {
        let (shutdown, receiver) = watch::channel(None);
        let mut deadline = ExportDeadline::new(receiver);
        assert!(deadline.sleep(Duration::from_millis(1)).await);
        let long_wait = tokio::spawn(async move { deadline.sleep(Duration::from_secs(3600)).await });
        shutdown
            .send(Some(Instant::now() + Duration::from_secs(5)))
            .unwrap();
        assert!(
            !tokio::time::timeout(Duration::from_secs(2), long_wait)
                .await
                .unwrap()
                .unwrap()
        );
        assert!(ExportDeadline::none().sleep(Duration::from_millis(1)).await);
        assert!(!ExportDeadline::none().sleep(Duration::MAX).await);
    }

    #[test]
    fn an_error_says_what_was_lost() {
        let error = ExportError::new("500 Internal Server Error", 3);
        assert_eq!(error.to_string(), "3 items lost: 500 Internal Server Error");
    }
}
