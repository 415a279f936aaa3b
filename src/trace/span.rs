//! A span while its work goes on.

use std::iter::repeat_n;
use std::sync::Arc;

use serde_json::Value;

use super::context::Context;
use super::data::{SpanData, SpanError};
use super::id::SpanId;
use super::record::SpanRecord;
use super::time::Timestamp;
use super::tracer::ActiveTrace;

/// A span while its work goes on. Made by [`Context::span`].
///
/// It cannot be cloned, and finishing takes it away, so it is finished exactly once (rule L2): by
/// [`finish`](Self::finish) or [`finish_at`](Self::finish_at), or, on whatever way out is taken (a return, an
/// aborted task, a panic), by being dropped. Finishing hands it to the tracer's processors and never blocks.
///
/// A no-op span does nothing, at no cost worth a name.
#[derive(Debug)]
#[must_use = "a span that is dropped at once has no duration"]
pub struct Span(Option<Open>);

#[derive(Debug)]
struct Open {
    trace: Arc<ActiveTrace>,
    /// Shared with the processors only once it is finished; until then this is the only handle.
    record: Arc<SpanRecord>,
}

impl Span {
    /// A span that records nothing.
    pub fn noop() -> Self {
        Self(None)
    }

    pub(super) fn start(
        trace: &Arc<ActiveTrace>,
        parent_id: Option<SpanId>,
        data: SpanData,
        started_at: Timestamp,
    ) -> Self {
        let mut record = SpanRecord {
            id: SpanId::random(),
            trace: Arc::clone(&trace.record),
            parent_id,
            started_at,
            ended_at: None,
            data,
            error: None,
            metadata: None,
        };
        trace.clean(&mut record);
        let record = Arc::new(record);
        trace
            .processors()
            .iter()
            .for_each(|processor| processor.on_span_start(&record));
        Self(Some(Open {
            trace: Arc::clone(trace),
            record,
        }))
    }

    /// Whether anything said to this span is kept.
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// The span's id; `None` for a no-op.
    pub fn id(&self) -> Option<SpanId> {
        self.0.as_ref().map(|open| open.record.id)
    }

    /// The place under this span, for its children. It may outlive the span. Of a no-op span: no place at all.
    pub fn context(&self) -> Context {
        match &self.0 {
            Some(open) => Context::within(&open.trace, Some(open.record.id)),
            None => Context::none(),
        }
    }

    /// Changes what the span tells. For a no-op `change` is not called.
    pub fn update(&mut self, change: impl FnOnce(&mut SpanData)) {
        self.with_record(|record| change(&mut record.data));
    }

    /// Sets what went wrong; the last call holds.
    pub fn set_error(&mut self, error: SpanError) {
        self.with_record(|record| record.error = Some(Box::new(error)));
    }

    /// Tells one thing more about the work, under a name of the application's choice or of [`keys`](super::keys).
    pub fn set_metadata(&mut self, key: &str, value: impl Into<Value>) {
        self.with_record(|record| {
            let metadata = record.metadata.get_or_insert_default();
            metadata.insert(key.to_owned(), value.into());
        });
    }

    /// Finishes the span now.
    pub fn finish(self) {
        drop(self);
    }

    /// Finishes the span at a given moment; at its start, if that is later.
    pub fn finish_at(mut self, ended_at: Timestamp) {
        self.end(|| ended_at);
    }

    fn with_record(&mut self, change: impl FnOnce(&mut SpanRecord)) {
        if let Some(open) = &mut self.0 {
            change(Arc::make_mut(&mut open.record));
        }
    }

    fn end(&mut self, ended_at: impl FnOnce() -> Timestamp) {
        if let Some(Open { trace, mut record }) = self.0.take() {
            let ended = Arc::make_mut(&mut record);
            ended.ended_at = Some(ended_at().max(ended.started_at));
            trace.clean(ended);
            let processors = trace.processors();
            // A handle for each; the last one gets ours.
            let handles = repeat_n(record, processors.len());
            processors
                .iter()
                .zip(handles)
                .for_each(|(processor, record)| processor.on_span_end(record));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.end(Timestamp::now);
    }
}
