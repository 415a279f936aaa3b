//! Places in a trace, and which one is current.

use std::sync::Arc;

use super::data::SpanData;
use super::id::{SpanId, TraceId};
use super::span::Span;
use super::time::Timestamp;
use super::tracer::ActiveTrace;
use super::w3c::{self, Traceparent};

tokio::task_local! {
    /// The place where the application's own spans go. Only recording contexts are ever put here (rule N3).
    static CURRENT: Context;
}

/// A place in a trace, or none: spans made here hang under it.
///
/// Cheap to clone. It keeps the trace's processors alive, not the span.
#[derive(Clone, Debug, Default)]
pub struct Context(Option<Place>);

#[derive(Clone, Debug)]
struct Place {
    trace: Arc<ActiveTrace>,
    /// `None` is the root: the place directly under the trace.
    span: Option<SpanId>,
}

impl Context {
    /// The place made current by the innermost [`scope`](Self::scope) or [`sync_scope`](Self::sync_scope) around
    /// the caller, else none.
    ///
    /// A spawned task and a new thread start with none: wrap what they run in a scope to carry it over (rule P4).
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// No place: spans made here record nothing (rule N2).
    pub fn none() -> Self {
        Self(None)
    }

    pub(super) fn within(trace: &Arc<ActiveTrace>, span: Option<SpanId>) -> Self {
        Self(Some(Place {
            trace: Arc::clone(trace),
            span,
        }))
    }

    /// Whether spans made here are recorded. Ask before doing work that only a span would need.
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// The trace this place is in.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|place| place.trace.record.id)
    }

    /// The span this place is under; `None` directly under the trace, or in no trace.
    pub fn span_id(&self) -> Option<SpanId> {
        self.0.as_ref().and_then(|place| place.span)
    }

    /// This place as other systems know it, to be passed on to what works here: the value of a `traceparent` header.
    /// None where nothing is recorded.
    pub fn traceparent(&self) -> Option<Traceparent> {
        let place = self.0.as_ref()?;
        Some(Traceparent::of(&place.trace.record, place.span))
    }

    /// What the systems that this trace hangs under have to say, to be passed on with [`traceparent`](Self::traceparent):
    /// the value of a `tracestate` header.
    pub fn tracestate(&self) -> Option<&str> {
        self.0.as_ref().and_then(|place| w3c::state(&place.trace.record))
    }

    /// Starts a span here, now. The new span is not made current; use its [`Span::context`] for that.
    pub fn span(&self, data: SpanData) -> Span {
        self.start(data, Timestamp::now)
    }

    /// Starts a span here, at a given moment.
    pub fn span_at(&self, data: SpanData, started_at: Timestamp) -> Span {
        self.start(data, || started_at)
    }

    fn start(&self, data: SpanData, started_at: impl FnOnce() -> Timestamp) -> Span {
        match &self.0 {
            Some(place) => Span::start(&place.trace, place.span, data, started_at()),
            None => Span::noop(),
        }
    }

    /// Runs a future with this place current, on whatever thread it is polled. It may be spawned.
    ///
    /// A context that records nothing is not made current: the future runs in whatever scope it is awaited in
    /// (rule N3).
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let recording = self.is_recording().then(|| self.clone());
        async move {
            match recording {
                Some(context) => CURRENT.scope(context, future).await,
                None => future.await,
            }
        }
    }

    /// Runs a closure with this place current, on this thread. A thread needs no runtime for it.
    ///
    /// A context that records nothing is not made current (rule N3).
    pub fn sync_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.is_recording() {
            true => CURRENT.sync_scope(self.clone(), work),
            false => work(),
        }
    }
}
