//! What spans tell by the conventions of OpenTelemetry and OpenInference, for every kind of span.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/rich.rs"]
mod rich;
#[path = "support/sink.rs"]
mod sink;

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use collector::{Received, decode};
use realtime_run::trace::{
    AudioContent, ExportDeadline, Item, MemoryProcessor, OtlpConfig, OtlpExporter, SpanData, SpanError,
    SpanExporter, SpanRecord, Timestamp, Tracer,
};
use regex::Regex;
use serde_json::{Value, json};
use sink::Sink;

/// The spans as a collector gets them, the root last.
async fn exported(spans: Vec<Arc<SpanRecord>>) -> Vec<Received> {
    let sink = Sink::always(200);
    let endpoint = sink.url("");
    let variable = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
    let exporter = OtlpExporter::new(OtlpConfig::from_variables(variable).unwrap());
    let traces = vec![spans[0].trace_id()];
    let items = spans.into_iter().map(Item::Span).collect();
    exporter.export(items, ExportDeadline::none()).await.unwrap();
    exporter.finish(traces, ExportDeadline::none()).await.unwrap();
    let requests = sink.requests();
    requests
        .iter()
        .flat_map(|request| decode(&request.body))
        .collect()
}

/// Names, kinds and attributes, without what differs from run to run.
fn told(spans: &[Received]) -> String {
    let mut told = String::new();
    for own in spans {
        let kind = own.span.kind().as_str_name().trim_start_matches("SPAN_KIND_");
        writeln!(told, "{} ({kind})", own.span.name).unwrap();
        let status = own.span.status.clone().unwrap();
        if status.code != 0 {
            writeln!(told, "  status: {}", masked(&status.message)).unwrap();
        }
        for (key, value) in own.attributes() {
            writeln!(told, "  {key} = {}", masked(&text(&value))).unwrap();
        }
    }
    told
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Ids, counts and times differ from run to run, and so do how much came of an answer that was cut and whether any of it
/// was played.
fn masked(text: &str) -> String {
    static MASKS: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
        [
            (r"\b(call|resp|trace)_[0-9A-Za-z]{3,}", "${1}_…"),
            (r"\bword( word)* ?", "word…"),
            (r#""first_played_ms":[0-9.]+,"#, ""),
            (r"[0-9]+", "N"),
        ]
        .map(|(pattern, mask)| (Regex::new(pattern).unwrap(), mask))
    });
    let mask = |text: String, (pattern, mask): &(Regex, &str)| pattern.replace_all(&text, *mask).into_owned();
    MASKS.iter().fold(text.to_owned(), mask)
}

#[tokio::test]
async fn a_rich_session_by_both_conventions() {
    let Some(spans) = rich::session(Tracer::builder()).await else {
        return;
    };
    let spans = exported(spans).await;
    assert!(
        spans
            .iter()
            .all(|own| own.attributes()["openinference.span.kind"].is_string())
    );
    insta::assert_snapshot!(told(&spans));
}

#[tokio::test]
async fn every_other_kind_of_span_by_both_conventions() {
    let memory = Arc::new(MemoryProcessor::default());
    let tracer = Tracer::builder().processor(Arc::clone(&memory)).build();
    let trace = tracer.trace("Kinds").start();
    let usage = json!({
        "total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
        "input_token_details": {"text_tokens": 5, "audio_tokens": 15, "image_tokens": 0, "cached_tokens": 4,
            "cached_tokens_details": {"text_tokens": 1, "audio_tokens": 3, "image_tokens": 0}},
        "output_token_details": {"text_tokens": 2, "audio_tokens": 8},
    });
    let kinds = [
        SpanData::Function {
            name: "search".into(),
            input: Some(r#"{"q":"x"}"#.into()),
            output: Some("found".into()),
            mcp_data: Some(json!({"server": "docs"})),
        },
        SpanData::Guardrail {
            name: "no_cards".into(),
            triggered: true,
        },
        SpanData::McpTools {
            server: Some("docs".into()),
            result: Some(vec!["search".into()]),
        },
        SpanData::Response {
            response_id: Some("resp_1".into()),
            usage: Some(usage),
        },
        SpanData::Speech {
            input: Some("Hello.".into()),
            output: AudioContent {
                data: "QUJD".into(),
                format: "pcm".into(),
            },
            model: Some("m".into()),
            model_config: Some(json!({"voice": "marin"})),
            first_content_at: Some(Timestamp::from_micros(0)),
        },
        SpanData::SpeechGroup {
            input: Some("All of it.".into()),
        },
        SpanData::Custom {
            name: "charge".into(),
            data: serde_json::from_value(json!({"amount": 7})).unwrap(),
        },
    ];
    for data in kinds {
        trace.context().span(data).finish();
    }
    let mut failed = trace.context().span(SpanData::handoff("A", "B"));
    failed.set_error(SpanError::new("no such agent"));
    failed.finish();
    let spans = exported(memory.spans()).await;
    assert!(
        spans
            .iter()
            .all(|own| own.attributes()["openinference.span.kind"].is_string())
    );
    insta::assert_snapshot!(told(&spans));
}
