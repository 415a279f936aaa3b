//! Tracers and traces.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::id::TraceId;
use super::keys;
use super::processor::{ShutdownReport, SpanProcessor};
use super::record::{JsonMap, SpanRecord, TraceRecord};
use super::redact::Redaction;
use super::w3c::Traceparent;
use crate::Secret;

/// Starts traces and holds the processors that get what they record. Cheap to clone; clones share the processors.
///
/// When the last handle goes (tracers, traces, contexts and open spans all hold one), the processors are dropped,
/// and [`BatchProcessor`](super::BatchProcessor) flushes as it goes.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Processors>>);

struct Processors {
    all: Vec<Box<dyn SpanProcessor>>,
    /// Whether they get what was said and done in the work, or only names, times, usage and errors.
    include_content: bool,
    /// What they don't get of it.
    redaction: Redaction,
}

impl Tracer {
    /// A tracer without processors: no trace, no span, no thread, no request (rule N1).
    pub fn disabled() -> Self {
        Self(None)
    }

    /// Collects the processors of a new tracer.
    pub fn builder() -> TracerBuilder {
        TracerBuilder {
            processors: Vec::new(),
            include_content: true,
            redaction: Redaction::default(),
        }
    }

    /// Whether traces started here are recorded.
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Prepares a trace of a workflow; [`TraceBuilder::start`] starts it.
    pub fn trace(&self, workflow_name: impl Into<String>) -> TraceBuilder {
        TraceBuilder {
            processors: self.0.clone(),
            id: None,
            workflow_name: workflow_name.into(),
            group_id: None,
            metadata: None,
            parent: None,
            api_key: None,
        }
    }

    /// Waits until every processor has settled what it got so far, for `limit` at most in all. Says whether they
    /// have. Blocks; in async code call it through `spawn_blocking`.
    pub fn flush(&self, limit: Duration) -> bool {
        let asked = Instant::now();
        self.processors()
            .iter()
            .all(|processor| processor.flush(limit.saturating_sub(asked.elapsed())))
    }

    /// Stops every processor, all at the same time so that each has the whole `limit`, and reports what became of
    /// what they got, in the order in which they were added. Blocks for `limit` and a moment at most. May be
    /// called again, from several threads too.
    pub fn shutdown(&self, limit: Duration) -> Vec<ShutdownReport> {
        let processors = self.processors();
        std::thread::scope(|threads| {
            let running: Vec<_> = processors
                .iter()
                .map(|processor| {
                    let work = || processor.shutdown(limit);
                    std::thread::Builder::new()
                        .name("trace-shutdown".into())
                        .spawn_scoped(threads, work)
                })
                .collect();
            let joined = running.into_iter().map(|thread| thread.ok()?.join().ok());
            // No thread to be had, or a processor that broke the contract and panicked: ask it here.
            joined
                .zip(processors)
                .map(|(report, it)| report.unwrap_or_else(|| it.shutdown(limit)))
                .collect()
        })
    }

    fn processors(&self) -> &[Box<dyn SpanProcessor>] {
        self.0.as_ref().map_or(&[], |processors| &processors.all)
    }
}

impl fmt::Debug for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} processors", self.all.len())
    }
}

/// Collects the processors of a tracer.
#[must_use]
pub struct TracerBuilder {
    processors: Vec<Box<dyn SpanProcessor>>,
    include_content: bool,
    redaction: Redaction,
}

impl TracerBuilder {
    /// Adds a processor. Each gets everything. Pass an `Arc` of it to keep a handle.
    pub fn processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.processors.push(Box::new(processor));
        self
    }

    /// Sets whether spans carry content; they do unless told otherwise. What is content, and what stays without it, is
    /// told at [`SpanData::remove_content`](super::SpanData::remove_content). Content is taken out before any processor
    /// sees a span, so no exporter can let it through.
    pub fn include_content(mut self, include: bool) -> Self {
        self.include_content = include;
        self
    }

    /// Sets what is taken out of spans and of the metadata of traces. It is taken out before any processor sees them, so
    /// that no exporter can let it through.
    pub fn redact(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// The tracer; without any processor, a disabled one.
    pub fn build(self) -> Tracer {
        let processors = Processors {
            all: self.processors,
            include_content: self.include_content,
            redaction: self.redaction,
        };
        Tracer((!processors.all.is_empty()).then(|| Arc::new(processors)))
    }
}

/// Prepares a trace.
#[derive(Debug)]
#[must_use = "a trace begins with `start`"]
pub struct TraceBuilder {
    processors: Option<Arc<Processors>>,
    id: Option<TraceId>,
    workflow_name: String,
    group_id: Option<String>,
    metadata: Option<JsonMap>,
    parent: Option<(Traceparent, Option<String>)>,
    api_key: Option<Secret>,
}

impl TraceBuilder {
    /// Sets the trace's id; without it, the id is random.
    pub fn id(mut self, id: TraceId) -> Self {
        self.id = Some(id);
        self
    }

    /// Links this trace with others, as those of one call or one chat.
    pub fn group_id(mut self, group_id: impl Into<String>) -> Self {
        self.group_id = Some(group_id.into());
        self
    }

    /// Tells more about the run.
    pub fn metadata(mut self, metadata: JsonMap) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Hangs this trace under a span of another system, with what the systems involved have to say (`tracestate`).
    ///
    /// The trace keeps its own id: two runs under one parent are two traces. Towards other systems (OTLP, and
    /// [`Context::traceparent`]) it is part of the parent's trace. It is kept in the metadata, under
    /// [`keys::TRACEPARENT`] and [`keys::TRACESTATE`].
    pub fn parent(mut self, parent: Traceparent, state: Option<String>) -> Self {
        self.parent = Some((parent, state));
        self
    }

    /// Has this trace exported with a key of its own instead of the exporter's.
    pub fn api_key(mut self, api_key: Secret) -> Self {
        self.api_key = Some(api_key);
        self
    }

    /// Starts the trace and tells the processors. Of a disabled tracer: a trace that records nothing.
    pub fn start(self) -> Trace {
        let Some(processors) = self.processors else {
            return Trace::disabled();
        };
        let mut metadata = self.metadata;
        if let Some(metadata) = &mut metadata {
            processors.redaction.fields(metadata, keys::STRUCTURE);
        }
        if let Some((parent, state)) = self.parent {
            let metadata = metadata.get_or_insert_default();
            metadata.insert(keys::TRACEPARENT.to_owned(), parent.to_string().into());
            if let Some(state) = state {
                metadata.insert(keys::TRACESTATE.to_owned(), state.into());
            }
        }
        let record = Arc::new(TraceRecord {
            id: self.id.unwrap_or_else(TraceId::random),
            workflow_name: self.workflow_name,
            group_id: self.group_id,
            metadata,
            api_key: self.api_key,
        });
        let trace = Arc::new(ActiveTrace { record, processors });
        trace
            .processors()
            .iter()
            .for_each(|processor| processor.on_trace_start(&trace.record));
        Trace(Some(trace))
    }
}

/// One workflow run: the root that spans belong to. Cheap to clone; may record nothing.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Arc<ActiveTrace>>);

/// A recording trace, shared by its handles, its contexts and its open spans.
#[derive(Debug)]
pub(super) struct ActiveTrace {
    /// In an `Arc` of its own: finished spans wait for export with it, and must not keep the processors alive.
    pub(super) record: Arc<TraceRecord>,
    processors: Arc<Processors>,
}

impl ActiveTrace {
    pub(super) fn processors(&self) -> &[Box<dyn SpanProcessor>] {
        &self.processors.all
    }

    /// Takes out of a span what no processor is to see.
    pub(super) fn clean(&self, span: &mut SpanRecord) {
        let Processors {
            include_content,
            redaction,
            ..
        } = &*self.processors;
        if !include_content {
            span.remove_content();
        }
        if !redaction.is_empty() {
            redaction.span(span);
        }
    }
}

impl Trace {
    /// A trace that records nothing.
    pub fn disabled() -> Self {
        Self(None)
    }

    /// Whether spans of this trace are recorded.
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// The trace's id; `None` if it records nothing.
    pub fn id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|trace| trace.record.id)
    }

    /// The place directly under the trace.
    pub fn context(&self) -> Context {
        self.0
            .as_ref()
            .map_or_else(Context::none, |trace| Context::within(trace, None))
    }

    /// Runs a future with this trace current; see [`Context::scope`].
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.context().scope(future)
    }
}
