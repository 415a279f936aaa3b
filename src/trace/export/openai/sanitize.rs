//! What the traces endpoint refuses, and how the reference SDK makes it acceptable.

use serde_json::Value;

use super::truncate::truncate;
use crate::trace::{JsonMap, SpanData};

/// The endpoint takes fields up to this many bytes of compact JSON.
const FIELD_BYTES: usize = 100_000;

/// Whether spans of this kind have anything that might have to change.
pub(super) fn may_need_it(data: &SpanData) -> bool {
    !matches!(
        data,
        SpanData::Agent { .. }
            | SpanData::Handoff { .. }
            | SpanData::Guardrail { .. }
            | SpanData::McpTools { .. }
            | SpanData::Custom { .. }
    )
}

/// Makes a `span_data` object acceptable: usage in the form the endpoint knows, no reasoning, no field too long.
pub(super) fn sanitize(span_data: &mut JsonMap) {
    let generation = match span_data.get("type").and_then(Value::as_str) {
        Some("custom") => return,
        Some("response") => {
            span_data.shift_remove("usage");
            false
        }
        other => other == Some("generation"),
    };
    for field in ["input", "output"] {
        if let Some(value) = span_data.get_mut(field) {
            if generation {
                remove_reasoning(value);
            }
            truncate(value, FIELD_BYTES);
        }
    }
    if generation {
        sanitize_usage(span_data);
    }
}

/// The endpoint knows two counts; everything else goes to `details`. Without the two counts there is no usage.
fn sanitize_usage(span_data: &mut JsonMap) {
    let Some(Value::Object(usage)) = span_data.get_mut("usage") else {
        return;
    };
    let mut rest = std::mem::take(usage);
    let counts =
        ["input_tokens", "output_tokens"].map(|name| rest.shift_remove(name).map(|count| (name, count)));
    let [
        Some(input @ (_, Value::Number(_))),
        Some(output @ (_, Value::Number(_))),
    ] = counts
    else {
        span_data.shift_remove("usage");
        return;
    };
    let mut details = match rest.shift_remove("details") {
        Some(Value::Object(details)) => details,
        _ => JsonMap::new(),
    };
    details.extend(rest.into_iter().filter(|(_, value)| !value.is_null()));
    usage.extend([input, output].map(|(name, count)| (name.to_owned(), count)));
    if !details.is_empty() {
        usage.insert("details".to_owned(), details.into());
    }
}

/// Takes the model's own thoughts out of a list of messages.
fn remove_reasoning(messages: &mut Value) {
    let Value::Array(messages) = messages else { return };
    messages.retain(|message| message["type"] != "reasoning");
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        if message.get("object").is_some_and(|object| object == "response") {
            message.get_mut("output").into_iter().for_each(remove_reasoning);
        }
        if message.get("role").is_some_and(|role| role == "assistant") {
            for key in ["reasoning", "reasoning_content", "thinking", "thinking_blocks"] {
                message.shift_remove(key);
            }
            if let Some(Value::Array(parts)) = message.get_mut("content") {
                parts.retain(|part| part["type"] != "thinking" && part["type"] != "redacted_thinking");
            }
        }
    }
}
