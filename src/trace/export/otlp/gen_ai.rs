//! The attributes of OpenTelemetry's conventions for generative AI, in which `gen_ai.provider.name` names the form of the
//! API, not who runs it.

use serde_json::{Map, Value, json};

use super::attributes::Attributes;
use super::messages::{self, Message, Part};
use crate::trace::{SpanData, SpanError, SpanRecord, TraceRecord, keys};

const PROVIDER: &str = "openai";

/// Those of the root.
pub(super) fn of_root(attributes: &mut Attributes, trace: &TraceRecord) {
    operation(attributes, "invoke_workflow");
    attributes.set("gen_ai.workflow.name", trace.workflow_name.clone());
}

/// Those of a span, by its kind.
pub(super) fn of_span(attributes: &mut Attributes, span: &SpanRecord) {
    match &span.data {
        SpanData::Agent { name, .. } => {
            operation(attributes, "invoke_agent");
            attributes.set("gen_ai.agent.name", name.clone());
        }
        SpanData::Function {
            name, input, output, ..
        } => {
            operation(attributes, "execute_tool");
            attributes.set("gen_ai.tool.name", name.clone());
            attributes.set("gen_ai.tool.type", "function");
            attributes.text("gen_ai.tool.call.id", metadata(span, keys::CALL_ID));
            attributes.text("gen_ai.tool.call.arguments", input.as_deref());
            attributes.text("gen_ai.tool.call.result", output.as_deref());
        }
        SpanData::McpTools { .. } => attributes.set("mcp.method.name", "tools/list"),
        SpanData::Generation {
            input,
            output,
            model,
            model_config,
            usage,
        } => {
            operation(attributes, "generate_content");
            attributes.text("gen_ai.request.model", model.as_deref());
            attributes.text("gen_ai.response.id", metadata(span, keys::RESPONSE_ID));
            let config = model_config.as_ref().unwrap_or(&Value::Null);
            attributes.count("gen_ai.request.max_tokens", config, "/max_output_tokens");
            attributes.text("gen_ai.output.type", output_type(config));
            let output = messages::read(output.as_ref());
            let reason = finish_reason(span.error.as_deref(), messages::have_calls(&output));
            if let Some(reason) = reason {
                attributes.texts("gen_ai.response.finish_reasons", vec![reason.to_owned()]);
            }
            conversation(
                attributes,
                "gen_ai.input.messages",
                &messages::read(input.as_ref()),
                None,
            );
            conversation(attributes, "gen_ai.output.messages", &output, reason);
            tokens(attributes, usage.as_ref());
        }
        SpanData::Response { response_id, usage } => {
            operation(attributes, "generate_content");
            attributes.text("gen_ai.response.id", response_id.as_deref());
            tokens(attributes, usage.as_ref());
        }
        SpanData::Transcription { model, .. } => {
            attributes.set("gen_ai.provider.name", PROVIDER);
            attributes.text("gen_ai.request.model", model.as_deref());
            attributes.set("gen_ai.output.type", "text");
            let usage = span
                .metadata
                .as_ref()
                .and_then(|metadata| metadata.get(keys::USAGE));
            tokens(attributes, usage);
        }
        SpanData::Speech { model, .. } => {
            attributes.set("gen_ai.provider.name", PROVIDER);
            attributes.text("gen_ai.request.model", model.as_deref());
            attributes.set("gen_ai.output.type", "speech");
        }
        SpanData::Handoff { .. }
        | SpanData::Guardrail { .. }
        | SpanData::SpeechGroup { .. }
        | SpanData::Custom { .. } => {}
    }
}

fn operation(attributes: &mut Attributes, name: &'static str) {
    attributes.set("gen_ai.operation.name", name);
    attributes.set("gen_ai.provider.name", PROVIDER);
}

fn metadata<'a>(span: &'a SpanRecord, key: &str) -> Option<&'a str> {
    span.metadata.as_ref()?.get(key)?.as_str()
}

fn output_type(config: &Value) -> Option<&'static str> {
    let modalities = config["output_modalities"].as_array()?;
    let is_spoken = modalities.iter().any(|modality| modality == "audio");
    Some(if is_spoken { "speech" } else { "text" })
}

/// Why the model stopped (protocol.md section 5.7: status and reason of a response); none where it is not known.
fn finish_reason(error: Option<&SpanError>, has_calls: bool) -> Option<&'static str> {
    let Some(error) = error else {
        return Some(if has_calls { "tool_calls" } else { "stop" });
    };
    let data = error.data.as_ref()?;
    match (data["status"].as_str()?, data["reason"].as_str()) {
        ("incomplete", Some("max_output_tokens")) => Some("length"),
        ("incomplete", Some("content_filter")) => Some("content_filter"),
        ("cancelled", _) => Some("cancelled"),
        ("failed", _) => Some("error"),
        _ => None,
    }
}

fn tokens(attributes: &mut Attributes, usage: Option<&Value>) {
    let Some(usage) = usage else { return };
    for (key, path) in [
        ("gen_ai.usage.input_tokens", "/input_tokens"),
        ("gen_ai.usage.output_tokens", "/output_tokens"),
        (
            "gen_ai.usage.cache_read.input_tokens",
            "/input_token_details/cached_tokens",
        ),
        (
            "gen_ai.usage.text.input_tokens",
            "/input_token_details/text_tokens",
        ),
        (
            "gen_ai.usage.audio.input_tokens",
            "/input_token_details/audio_tokens",
        ),
        (
            "gen_ai.usage.image.input_tokens",
            "/input_token_details/image_tokens",
        ),
        (
            "gen_ai.usage.audio.cache_read.input_tokens",
            "/input_token_details/cached_tokens_details/audio_tokens",
        ),
        (
            "gen_ai.usage.text.output_tokens",
            "/output_token_details/text_tokens",
        ),
        (
            "gen_ai.usage.audio.output_tokens",
            "/output_token_details/audio_tokens",
        ),
    ] {
        attributes.count(key, usage, path);
    }
}

/// Messages in the form of the convention's own schema; `reason` is told with those that came out.
fn conversation(
    attributes: &mut Attributes,
    key: &'static str,
    messages: &[Message<'_>],
    reason: Option<&'static str>,
) {
    if messages.is_empty() {
        return;
    }
    let message = |message: &Message<'_>| {
        let parts: Vec<Value> = message.parts.iter().map(part).collect();
        let mut fields = Map::from_iter([
            ("role".to_owned(), message.role.into()),
            ("parts".to_owned(), parts.into()),
        ]);
        if let Some(reason) = reason {
            // The schema of messages has a word of its own for this one.
            let reason = if reason == "tool_calls" {
                "tool_call"
            } else {
                reason
            };
            fields.insert("finish_reason".to_owned(), reason.into());
        }
        Value::Object(fields)
    };
    attributes.json(key, &messages.iter().map(message).collect());
}

fn part(part: &Part<'_>) -> Value {
    match part {
        Part::Text(text) => json!({"type": "text", "content": text}),
        Part::Call { id, name, arguments } => {
            let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(*arguments));
            json!({"type": "tool_call", "id": id, "name": name, "arguments": arguments})
        }
        Part::Answer { id, text } => json!({"type": "tool_call_response", "id": id, "response": text}),
        Part::Other { uri: Some(uri), .. } => json!({"type": "uri", "modality": "image", "uri": uri}),
        Part::Other { kind, uri: None } => json!({"type": kind}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finish_reasons_are_those_of_the_protocol() {
        let told = |data: Value| finish_reason(Some(&SpanError::new("x").with_data(data)), true);
        assert_eq!(finish_reason(None, false), Some("stop"));
        assert_eq!(finish_reason(None, true), Some("tool_calls"));
        let incomplete = |reason| told(json!({"status": "incomplete", "reason": reason}));
        assert_eq!(incomplete("max_output_tokens"), Some("length"));
        assert_eq!(incomplete("content_filter"), Some("content_filter"));
        assert_eq!(incomplete("whim"), None);
        assert_eq!(
            told(json!({"status": "cancelled", "reason": "turn_detected"})),
            Some("cancelled")
        );
        assert_eq!(told(json!({"status": "failed"})), Some("error"));
        assert_eq!(told(json!({"status": "in_progress"})), None);
        assert_eq!(finish_reason(Some(&SpanError::new("x")), false), None);
    }

    #[test]
    fn messages_take_the_form_of_the_convention() {
        let list = json!([
            {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "input_audio"},
                {"type": "input_image", "image_url": "https://h/a.png"}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "d", "type": "function", "function": {"name": "g", "arguments": "{\"a\""}}]},
            {"role": "tool", "tool_call_id": "c", "content": "done"},
            "no message",
        ]);
        let mut attributes = Attributes::default();
        conversation(
            &mut attributes,
            "k",
            &messages::read(Some(&list)),
            Some("tool_calls"),
        );
        let written: Value = serde_json::from_str(&attributes.0[0].value.as_str()).unwrap();
        let expected = json!([
            {"role": "user", "parts": [{"type": "text", "content": "look"}, {"type": "input_audio"},
                {"type": "uri", "modality": "image", "uri": "https://h/a.png"}], "finish_reason": "tool_call"},
            {"role": "assistant", "parts": [
                {"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}},
                {"type": "tool_call", "id": "d", "name": "g", "arguments": "{\"a\""}], "finish_reason": "tool_call"},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "done"}],
                "finish_reason": "tool_call"},
        ]);
        assert_eq!(written, expected);
    }
}
