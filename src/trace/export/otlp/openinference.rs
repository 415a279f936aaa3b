//! The attributes of the OpenInference conventions.

use serde_json::{Map, Value, json};

use super::attributes::Attributes;
use super::messages::{self, Message, Part};
use crate::trace::{JsonMap, SpanData, SpanRecord, TraceRecord, keys};

/// Those of the root.
pub(super) fn of_root(attributes: &mut Attributes, trace: &TraceRecord) {
    attributes.set("openinference.span.kind", "CHAIN");
    if let Some(metadata) = &trace.metadata {
        attributes.json("metadata", &Value::Object(metadata.clone()));
    }
}

/// Those of a span, by its kind. `came_from` is the agent that handed over to the one of an agent span.
pub(super) fn of_span(attributes: &mut Attributes, span: &SpanRecord, came_from: Option<&str>) {
    attributes.set("openinference.span.kind", kind(&span.data));
    match &span.data {
        SpanData::Agent { name, .. } => {
            attributes.set("agent.name", name.clone());
            attributes.set("graph.node.id", name.clone());
            attributes.text("graph.node.parent_id", came_from);
        }
        SpanData::Function {
            name,
            input: arguments,
            output: result,
            ..
        } => {
            attributes.set("tool.name", name.clone());
            let call_id = span.metadata.as_ref().and_then(|own| own.get(keys::CALL_ID));
            attributes.text("tool.id", call_id.and_then(Value::as_str));
            text(attributes, "input", arguments.as_deref());
            text(attributes, "output", result.as_deref());
        }
        SpanData::Handoff { from_agent, to_agent } => {
            text(attributes, "input", from_agent.as_deref());
            text(attributes, "output", to_agent.as_deref());
        }
        SpanData::Guardrail { triggered, .. } => {
            value(attributes, "output", &json!({"triggered": triggered}));
        }
        SpanData::McpTools {
            result: Some(names), ..
        } => value(attributes, "output", &json!(names)),
        SpanData::Generation {
            input,
            output,
            model,
            model_config,
            usage,
        } => {
            attributes.set("llm.system", "openai");
            attributes.text("llm.model_name", model.as_deref());
            if let Some(settings) = model_config {
                attributes.json("llm.invocation_parameters", settings);
            }
            for (name, list, messages) in [
                ("input", "llm.input_messages", input),
                ("output", "llm.output_messages", output),
            ] {
                if let Some(messages) = messages.as_ref().filter(|list| **list != json!([])) {
                    value(attributes, name, messages);
                    conversation(attributes, list, &messages::read(Some(messages)));
                }
            }
            tokens(attributes, usage.as_ref());
        }
        SpanData::Response { usage, .. } => {
            attributes.set("llm.system", "openai");
            tokens(attributes, usage.as_ref());
        }
        SpanData::Transcription {
            output,
            model,
            model_config,
            ..
        } => {
            attributes.set("llm.system", "openai");
            attributes.text("llm.model_name", model.as_deref());
            if let Some(settings) = model_config {
                attributes.json("llm.invocation_parameters", settings);
            }
            text(attributes, "output", output.as_deref());
            let usage = span.metadata.as_ref().and_then(|own| own.get(keys::USAGE));
            tokens(attributes, usage);
        }
        SpanData::Speech { input, .. } | SpanData::SpeechGroup { input } => {
            text(attributes, "input", input.as_deref());
        }
        SpanData::McpTools { result: None, .. } | SpanData::Custom { .. } => {}
    }
    let metadata = metadata(span);
    if !metadata.is_empty() {
        attributes.json("metadata", &Value::Object(metadata));
    }
}

fn kind(data: &SpanData) -> &'static str {
    match data {
        SpanData::Agent { .. } => "AGENT",
        // The model asks for a handoff by calling a tool.
        SpanData::Function { .. } | SpanData::Handoff { .. } => "TOOL",
        SpanData::Guardrail { .. } => "GUARDRAIL",
        SpanData::Generation { .. } | SpanData::Response { .. } | SpanData::Transcription { .. } => "LLM",
        // Speech is a part of an answer, whose own span counts its tokens.
        SpanData::McpTools { .. }
        | SpanData::Speech { .. }
        | SpanData::SpeechGroup { .. }
        | SpanData::Custom { .. } => "CHAIN",
    }
}

/// What the span tells that has no attribute of its own.
fn metadata(span: &SpanRecord) -> JsonMap {
    let fields = match &span.data {
        SpanData::Agent {
            handoffs,
            tools,
            output_type,
            ..
        } => json!({"tools": tools, "handoffs": handoffs, "output_type": output_type}),
        SpanData::Function { mcp_data, .. } => json!({"mcp_data": mcp_data}),
        SpanData::McpTools { server, .. } => json!({"server": server}),
        SpanData::Transcription { input, .. } => json!({"format": input.format}),
        SpanData::Speech {
            output,
            model_config,
            first_content_at,
            ..
        } => json!({
            "format": output.format, "model_config": model_config, "first_content_at": first_content_at}),
        SpanData::Custom { data, .. } => Value::Object(data.clone()),
        _ => Value::Null,
    };
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let own = span.metadata.as_deref().cloned().unwrap_or_default();
    let error = span.error.as_ref().and_then(|error| error.data.clone());
    let error = error.map(|details| ("error".to_owned(), details));
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .chain(own)
        .chain(error)
        .collect()
}

/// What went in or came out, as text: it may be JSON all the same.
fn text(attributes: &mut Attributes, name: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    let is_json = text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    content(attributes, name, text.to_owned(), is_json);
}

fn value(attributes: &mut Attributes, name: &str, value: &Value) {
    content(attributes, name, value.to_string(), true);
}

fn content(attributes: &mut Attributes, name: &str, text: String, is_json: bool) {
    let mime_type = if is_json { "application/json" } else { "text/plain" };
    attributes.set(format!("{name}.value"), text);
    attributes.set(format!("{name}.mime_type"), mime_type);
}

fn tokens(attributes: &mut Attributes, usage: Option<&Value>) {
    let Some(usage) = usage else { return };
    for (key, path) in [
        ("llm.token_count.prompt", "/input_tokens"),
        ("llm.token_count.completion", "/output_tokens"),
        ("llm.token_count.total", "/total_tokens"),
        (
            "llm.token_count.prompt_details.cache_read",
            "/input_token_details/cached_tokens",
        ),
        (
            "llm.token_count.prompt_details.audio",
            "/input_token_details/audio_tokens",
        ),
        (
            "llm.token_count.completion_details.audio",
            "/output_token_details/audio_tokens",
        ),
    ] {
        attributes.count(key, usage, path);
    }
}

/// Messages, each field an attribute with its place in the name.
fn conversation(attributes: &mut Attributes, list: &str, messages: &[Message<'_>]) {
    for (place, message) in messages.iter().enumerate() {
        let prefix = format!("{list}.{place}.message");
        attributes.set(format!("{prefix}.role"), message.role.to_owned());
        let (mut calls, mut contents) = (0, 0);
        for part in &message.parts {
            match part {
                Part::Call { id, name, arguments } => {
                    let call = format!("{prefix}.tool_calls.{calls}.tool_call");
                    calls += 1;
                    attributes.set(format!("{call}.id"), (*id).to_owned());
                    attributes.set(format!("{call}.function.name"), (*name).to_owned());
                    attributes.set(format!("{call}.function.arguments"), (*arguments).to_owned());
                }
                Part::Answer { id, text } => {
                    attributes.set(format!("{prefix}.tool_call_id"), (*id).to_owned());
                    attributes.set(format!("{prefix}.content"), text.clone().into_owned());
                }
                Part::Text(text) if is_only_content(message) => {
                    attributes.set(format!("{prefix}.content"), (*text).to_owned());
                }
                Part::Text(_) | Part::Other { .. } => {
                    content_part(attributes, &format!("{prefix}.contents.{contents}"), part);
                    contents += 1;
                }
            }
        }
    }
}

/// One of several parts of a message's content.
fn content_part(attributes: &mut Attributes, prefix: &str, part: &Part<'_>) {
    let prefix = format!("{prefix}.message_content");
    match part {
        Part::Text(text) => {
            attributes.set(format!("{prefix}.type"), "text");
            attributes.set(format!("{prefix}.text"), (*text).to_owned());
        }
        Part::Other { kind, uri } => {
            let kind = kind.trim_start_matches("input_").trim_start_matches("output_");
            attributes.set(format!("{prefix}.type"), kind.to_owned());
            attributes.text(format!("{prefix}.image.image.url"), *uri);
        }
        Part::Call { .. } | Part::Answer { .. } => {}
    }
}

/// Whether the message's content is this one part, and not a list.
fn is_only_content(message: &Message<'_>) -> bool {
    let is_content = |part: &&Part<'_>| matches!(part, Part::Text(_) | Part::Other { .. });
    message.parts.iter().filter(is_content).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_message_are_told_one_by_one() {
        let list = json!([{"role": "user", "content": [{"type": "text", "text": "look"},
            {"type": "input_image", "image_url": "https://h/a.png"}, {"type": "input_audio"}]}]);
        let mut attributes = Attributes::default();
        conversation(&mut attributes, "l", &messages::read(Some(&list)));
        let written = attributes
            .0
            .iter()
            .map(|own| format!("{}={}", own.key, own.value));
        let expected = [
            "l.0.message.role=user",
            "l.0.message.contents.0.message_content.type=text",
            "l.0.message.contents.0.message_content.text=look",
            "l.0.message.contents.1.message_content.type=image",
            "l.0.message.contents.1.message_content.image.image.url=https://h/a.png",
            "l.0.message.contents.2.message_content.type=audio",
        ];
        assert_eq!(written.collect::<Vec<_>>(), expected);
    }
}
