//! What processors and exporters are given.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::data::{SpanData, SpanError};
use super::id::{SpanId, TraceId};
use super::keys;
use super::time::Timestamp;
use crate::Secret;

/// The key under which the error of a function or guardrail span quotes the tool.
const TOOL_ERROR: &str = "error";

/// A JSON object.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;

/// A trace as processors see it: told once, when it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRecord {
    /// The trace's id.
    pub id: TraceId,
    /// What kind of work the trace covers; the back end groups and names by it.
    pub workflow_name: String,
    /// What links several traces, as one call or one chat.
    pub group_id: Option<String>,
    /// Whatever else the application tells about the run.
    pub metadata: Option<JsonMap>,
    /// The key this trace is exported with, if not the exporter's own.
    pub api_key: Option<Secret>,
}

/// A span as processors see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// The span's id.
    pub id: SpanId,
    /// The trace it belongs to.
    pub trace: Arc<TraceRecord>,
    /// The span it hangs under; `None` under the trace itself.
    pub parent_id: Option<SpanId>,
    /// When the work began.
    pub started_at: Timestamp,
    /// When the work ended, never before it began; `None` while it goes on.
    pub ended_at: Option<Timestamp>,
    /// What the span tells about the work.
    pub data: SpanData,
    /// What went wrong in it.
    pub error: Option<Box<SpanError>>,
    /// Whatever else the application tells about it.
    pub metadata: Option<Box<JsonMap>>,
}

impl SpanRecord {
    /// The id of the trace it belongs to.
    pub fn trace_id(&self) -> TraceId {
        self.trace.id
    }

    /// Takes out what [`SpanData::remove_content`] takes out, and from the error of a function or a guardrail what the
    /// tool said.
    pub(super) fn remove_content(&mut self) {
        self.data.remove_content();
        if let (SpanData::Function { .. } | SpanData::Guardrail { .. }, Some(error)) =
            (&self.data, &mut self.error)
            && let Some(Value::Object(details)) = &mut error.data
        {
            details.shift_remove(TOOL_ERROR);
        }
    }

    /// When the first word, sound or call of an answer came, or the first sound of a speech.
    pub fn first_content_at(&self) -> Option<Timestamp> {
        match &self.data {
            SpanData::Speech { first_content_at, .. } => *first_content_at,
            _ => self.moment(keys::FIRST_CONTENT_AT),
        }
    }

    /// When the user's turn had ended that this, an answer's span, is the first answer to.
    pub fn turn_ended_at(&self) -> Option<Timestamp> {
        self.moment(keys::TURN_ENDED_AT)
    }

    /// What that end of the turn is known by, as `speech_stopped`.
    pub fn turn_ended_by(&self) -> Option<&str> {
        self.told(keys::TURN_ENDED_BY)?.as_str()
    }

    /// How long after the end of the user's turn this, a speech's span, began to be heard, if it was the first sound then.
    pub fn first_played_after(&self) -> Option<Duration> {
        let millis = self.told(keys::FIRST_PLAYED_MS)?.as_f64()?;
        Duration::try_from_secs_f64(millis / 1_000.0).ok()
    }

    /// A time that the metadata tell.
    fn moment(&self, key: &str) -> Option<Timestamp> {
        Timestamp::deserialize(self.told(key)?).ok()
    }

    fn told(&self, key: &str) -> Option<&Value> {
        self.metadata.as_ref()?.get(key)
    }

    /// How long the work took; `None` while it goes on.
    pub fn duration(&self) -> Option<Duration> {
        self.ended_at
            .map(|ended_at| ended_at.saturating_duration_since(self.started_at))
    }
}
