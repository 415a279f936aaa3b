//! Traces and spans read back from the JSON lines they were written as.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::data::{SpanData, SpanError};
use super::export::Item;
use super::id::{SpanId, TraceId};
use super::record::{JsonMap, SpanRecord, TraceRecord};
use super::time::Timestamp;

/// Reads items back from JSON, one object a line, as [`Item`] is written.
///
/// It remembers the traces it has read, since spans name theirs by its id only. Of a span of another trace, that trace
/// is taken to have no name.
///
/// ```
/// use realtime_run::trace::{Item, TraceReader};
///
/// let mut reader = TraceReader::default();
/// let line = r#"{"object":"trace","id":"trace_0123456789abcdef0123456789abcdef","workflow_name":"Concierge"}"#;
/// let Some(Item::Trace(trace)) = reader.read(line)? else { panic!("no trace") };
/// assert_eq!(trace.workflow_name, "Concierge");
/// assert_eq!(reader.read(r#"{"type":"session_start"}"#)?, None);
/// # Ok::<(), realtime_run::trace::UnreadableItem>(())
/// ```
#[derive(Debug, Default)]
pub struct TraceReader {
    traces: HashMap<TraceId, Arc<TraceRecord>>,
}

/// A line that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableItem {
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    NotJson(serde_json::Error),
    /// It says that it is a trace or a span, but something about it is wrong.
    #[error("it is no {object} as it should be: {error}")]
    Malformed {
        /// What it says it is.
        object: &'static str,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// What tells traces, spans and other lines apart; the rest is read once that is known.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TraceLine {
    id: TraceId,
    #[serde(default)]
    workflow_name: String,
    group_id: Option<String>,
    metadata: Option<JsonMap>,
}

#[derive(Deserialize)]
struct SpanLine<'a> {
    id: SpanId,
    trace_id: TraceId,
    parent_id: Option<SpanId>,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    #[serde(borrow)]
    span_data: &'a RawValue,
    error: Option<Box<SpanError>>,
    metadata: Option<Box<JsonMap>>,
}

impl TraceReader {
    /// Reads one line. `None` if it is JSON, but neither a trace nor a span.
    ///
    /// # Errors
    /// If it is no JSON, or says that it is a trace or a span and is not.
    pub fn read(&mut self, line: &str) -> Result<Option<Item>, UnreadableItem> {
        let object = match serde_json::from_str::<Line<'_>>(line) {
            Ok(Line { object }) => object.map(RawValue::get),
            Err(error) if error.is_data() => None,
            Err(error) => return Err(UnreadableItem::NotJson(error)),
        };
        match object {
            Some("\"trace\"") => {
                let trace = serde_json::from_str(line).map_err(|error| malformed("trace", error))?;
                Ok(Some(Item::Trace(self.trace(trace))))
            }
            Some("\"trace.span\"") => {
                let span = serde_json::from_str(line).and_then(|span| self.span(span));
                let span = span.map_err(|error| malformed("span", error))?;
                Ok(Some(Item::Span(Arc::new(span))))
            }
            _ => Ok(None),
        }
    }

    /// Takes spans of this trace to be of this very record.
    pub(super) fn know(&mut self, trace: &Arc<TraceRecord>) {
        self.traces.insert(trace.id, Arc::clone(trace));
    }

    fn trace(&mut self, line: TraceLine) -> Arc<TraceRecord> {
        let record = Arc::new(TraceRecord {
            id: line.id,
            workflow_name: line.workflow_name,
            group_id: line.group_id,
            metadata: line.metadata,
            api_key: None,
        });
        self.traces.insert(line.id, Arc::clone(&record));
        record
    }

    fn span(&mut self, line: SpanLine<'_>) -> serde_json::Result<SpanRecord> {
        let trace = self.traces.get(&line.trace_id).cloned();
        let trace = trace.unwrap_or_else(|| {
            self.trace(TraceLine {
                id: line.trace_id,
                workflow_name: String::new(),
                group_id: None,
                metadata: None,
            })
        });
        Ok(SpanRecord {
            id: line.id,
            trace,
            parent_id: line.parent_id,
            started_at: line.started_at,
            ended_at: line.ended_at,
            data: data(line.span_data.get())?,
            error: line.error,
            metadata: line.metadata,
        })
    }
}

fn malformed(object: &'static str, error: serde_json::Error) -> UnreadableItem {
    UnreadableItem::Malformed { object, error }
}

/// A kind of span that is not known here is kept as work of the application's own, under the name of its kind.
fn data(fields: &str) -> serde_json::Result<SpanData> {
    serde_json::from_str(fields).or_else(|_| {
        let mut data: JsonMap = serde_json::from_str(fields)?;
        let kind = data.shift_remove("type");
        let name = kind
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or("unknown")
            .to_owned();
        Ok(SpanData::Custom { name, data })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_read_back_whole() {
        let golden = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/golden/01-all-span-types.json"
        );
        let Ok(golden) = std::fs::read_to_string(golden) else {
            assert!(std::env::var_os("CI").is_none(), "../shared is missing");
            return eprintln!("skipped: ../shared is not there");
        };
        let golden: Value = serde_json::from_str(&golden).unwrap();
        let mut reader = TraceReader::default();
        let mut own_kinds = 0;
        for object in golden["body"]["data"].as_array().unwrap() {
            let item = reader.read(&object.to_string()).unwrap().unwrap();
            assert_eq!(item.trace().workflow_name, "Golden workflow");
            let Item::Span(span) = &item else { continue };
            if !matches!(object["span_data"]["type"].as_str(), Some("task" | "turn")) {
                let written = serde_json::to_value(&span.data).unwrap();
                let differs = written
                    .as_object()
                    .unwrap()
                    .iter()
                    .find(|(key, value)| object["span_data"][key] != **value);
                assert_eq!(differs, None, "{object}");
                own_kinds += 1;
            }
            let again = reader.read(&serde_json::to_string(&item).unwrap()).unwrap();
            assert_eq!(again.as_ref(), Some(&item));
        }
        assert!(own_kinds >= 14, "{own_kinds}");
    }

    #[test]
    fn an_unknown_kind_of_span_is_kept_under_its_name() {
        let line = json!({
            "object": "trace.span", "id": "span_000000000000000000000001", "parent_id": null,
            "trace_id": "trace_00000000000000000000000000000001", "started_at": "2026-01-02T03:04:05Z",
            "ended_at": null, "span_data": {"type": "turn", "turn": 3}, "error": null,
        });
        let item = TraceReader::default().read(&line.to_string()).unwrap();
        let Some(Item::Span(span)) = item else {
            panic!("{item:?}")
        };
        assert_eq!(span.trace.workflow_name, "");
        let SpanData::Custom { name, data } = &span.data else {
            panic!("{span:?}")
        };
        assert_eq!((name.as_str(), &data["turn"]), ("turn", &json!(3)));
    }

    #[test]
    fn other_lines_are_told_apart_from_broken_ones() {
        let mut reader = TraceReader::default();
        for other in ["{}", "[]", "7", r#"{"object":"list"}"#] {
            assert_eq!(reader.read(other).unwrap(), None);
        }
        let torn = reader.read(r#"{"object":"trace.sp"#).unwrap_err();
        assert!(torn.to_string().starts_with("it is no JSON"), "{torn}");
        let wrong = reader.read(r#"{"object":"trace","id":"x"}"#).unwrap_err();
        assert!(wrong.to_string().contains("`x` is not a trace id"), "{wrong}");
    }
}
