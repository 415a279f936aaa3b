//! From our spans to OpenTelemetry's: ids, times, names, and what both conventions tell of them.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{SpanData as OtelSpan, SpanEvents, SpanLinks};

use super::attributes::Attributes;
use super::runs::Run;
use super::{gen_ai, openinference};
use crate::trace::{SpanData, SpanError, SpanRecord, Timestamp, TraceRecord, w3c};

/// What `error.type` says of an error without a type.
const OTHER: &str = "_OTHER";

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
});

/// A span that has ended; `came_from` is the agent that handed over to the one of an agent span.
pub(super) fn span(span: &SpanRecord, came_from: Option<&str>) -> OtelSpan {
    let trace = &*span.trace;
    let mut attributes = Attributes::default();
    gen_ai::of_span(&mut attributes, span);
    openinference::of_span(&mut attributes, span, came_from);
    let parent_id = span
        .parent_id
        .map_or_else(|| w3c::root_id(trace.id), w3c::span_id);
    let is_call = matches!(span.data, SpanData::Generation { .. } | SpanData::Response { .. });
    OtelSpan {
        parent_span_id: SpanId::from_bytes(parent_id),
        span_kind: if is_call {
            SpanKind::Client
        } else {
            SpanKind::Internal
        },
        start_time: time(span.started_at),
        end_time: time(span.ended_at.unwrap_or(span.started_at)),
        ..bare(
            trace,
            w3c::span_id(span.id),
            name(&span.data).into_owned(),
            attributes,
            span.error.as_deref(),
        )
    }
}

/// The span that stands for a whole trace, as far as it is known.
pub(super) fn root(run: &Run) -> OtelSpan {
    let trace = &*run.trace;
    let mut attributes = Attributes::default();
    gen_ai::of_root(&mut attributes, trace);
    openinference::of_root(&mut attributes, trace);
    let parent = w3c::parent(trace);
    OtelSpan {
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span_id())),
        parent_span_is_remote: parent.is_some(),
        start_time: time(run.started_at),
        end_time: time(run.ended_at),
        ..bare(
            trace,
            w3c::root_id(trace.id),
            trace.workflow_name.clone(),
            attributes,
            run.error.as_deref(),
        )
    }
}

/// What is the same for all spans.
fn bare(
    trace: &TraceRecord,
    id: [u8; 8],
    name: String,
    mut attributes: Attributes,
    error: Option<&SpanError>,
) -> OtelSpan {
    let conversation = trace.group_id.clone().unwrap_or_else(|| trace.id.to_string());
    attributes.set("gen_ai.conversation.id", conversation.clone());
    attributes.set("session.id", conversation);
    let status = match error {
        Some(error) => {
            attributes.set("error.type", error_type(error).to_owned());
            Status::error(error.message.clone())
        }
        None => Status::Unset,
    };
    let state = w3c::state(trace).and_then(|state| TraceState::from_str(state).ok());
    OtelSpan {
        span_context: SpanContext::new(
            TraceId::from_bytes(w3c::trace_id(trace)),
            SpanId::from_bytes(id),
            TraceFlags::SAMPLED,
            false,
            state.unwrap_or_default(),
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Owned(name),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes: attributes.0,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: SCOPE.clone(),
    }
}

fn time(moment: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(moment.as_micros())
}

/// What is done, then to what: names are few, so that back ends can group by them.
fn name(data: &SpanData) -> Cow<'_, str> {
    let (what, to) = match data {
        SpanData::Agent { name, .. } => ("invoke_agent", Some(name)),
        SpanData::Function { name, .. } => ("execute_tool", Some(name)),
        SpanData::Handoff { to_agent, .. } => ("handoff", to_agent.as_ref()),
        SpanData::Guardrail { name, .. } => ("guardrail", Some(name)),
        SpanData::McpTools { server, .. } => ("tools/list", server.as_ref()),
        SpanData::Generation { model, .. } => ("generate_content", model.as_ref()),
        SpanData::Response { .. } => ("generate_content", None),
        SpanData::Transcription { model, .. } => ("transcription", model.as_ref()),
        SpanData::Speech { model, .. } => ("speech", model.as_ref()),
        SpanData::SpeechGroup { .. } => ("speech_group", None),
        SpanData::Custom { name, .. } => return name.into(),
    };
    match to {
        Some(to) => format!("{what} {to}").into(),
        None => what.into(),
    }
}

/// What kind of error, in a word that its details hold.
fn error_type(error: &SpanError) -> &str {
    let details = error.data.as_ref();
    let word = |key| details?.get(key)?.as_str().filter(|word| !word.is_empty());
    ["code", "type", "reason", "status"]
        .into_iter()
        .find_map(word)
        .unwrap_or(OTHER)
}
