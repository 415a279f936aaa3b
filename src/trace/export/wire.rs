//! The objects that the traces endpoint takes; JSON lines on stdout are the same objects.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::Item;
use crate::trace::record::{JsonMap, SpanRecord, TraceRecord};
use crate::trace::{SpanError, SpanId, Timestamp, TraceId};

#[derive(Serialize)]
#[serde(tag = "object", rename = "trace")]
struct TraceObject<'a> {
    id: TraceId,
    workflow_name: &'a str,
    group_id: Option<&'a str>,
    metadata: Option<&'a JsonMap>,
}

#[derive(Serialize)]
#[serde(tag = "object", rename = "trace.span")]
struct SpanObject<'a, D> {
    id: SpanId,
    trace_id: TraceId,
    parent_id: Option<SpanId>,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    span_data: D,
    error: Option<&'a SpanError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Cow<'a, JsonMap>>,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Trace(trace) => serialize_trace(trace, serializer),
            Self::Span(span) => serialize_span(span, &span.data, serializer),
        }
    }
}

pub(super) fn serialize_trace<S: Serializer>(trace: &TraceRecord, serializer: S) -> Result<S::Ok, S::Error> {
    TraceObject {
        id: trace.id,
        workflow_name: &trace.workflow_name,
        group_id: trace.group_id.as_deref(),
        metadata: trace.metadata.as_ref(),
    }
    .serialize(serializer)
}

/// Writes a span with `span_data` in the place of its own.
pub(super) fn serialize_span<S: Serializer>(
    span: &SpanRecord,
    span_data: impl Serialize,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    SpanObject {
        id: span.id,
        trace_id: span.trace_id(),
        parent_id: span.parent_id,
        started_at: span.started_at,
        ended_at: span.ended_at,
        span_data,
        error: span.error.as_deref(),
        metadata: metadata(span),
    }
    .serialize(serializer)
}

/// The one key of a trace's metadata that the reference SDK repeats on each of its spans.
const REPEATED_KEY: &str = "agent_harness_id";

fn metadata(span: &SpanRecord) -> Option<Cow<'_, JsonMap>> {
    let repeated = span
        .trace
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.get_key_value(REPEATED_KEY));
    match (repeated, &span.metadata) {
        (None, own) => own.as_deref().map(Cow::Borrowed),
        (Some((key, value)), own) => {
            let own = own
                .as_deref()
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), value.clone()));
            Some(Cow::Owned(
                [(key.clone(), value.clone())].into_iter().chain(own).collect(),
            ))
        }
    }
}
