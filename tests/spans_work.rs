//! The spans of everything that happens in a session, as they come out of a whole one with the simulator.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/rich.rs"]
mod rich;

use std::fmt::Write;
use std::sync::Arc;

use realtime_run::trace::{SpanData, SpanId, SpanRecord, Tracer, keys};
use serde_json::Value;

async fn rich_session(include_content: bool) -> Option<Vec<Arc<SpanRecord>>> {
    rich::session(Tracer::builder().include_content(include_content)).await
}

/// The spans as a tree, without ids, times and numbers.
fn tree(spans: &[Arc<SpanRecord>]) -> String {
    let mut tree = String::new();
    write_children(&mut tree, spans, None, 0);
    tree
}

fn write_children(tree: &mut String, spans: &[Arc<SpanRecord>], parent: Option<SpanId>, depth: usize) {
    for span in spans.iter().filter(|span| span.parent_id == parent) {
        writeln!(tree, "{}{}", "  ".repeat(depth), line(span)).unwrap();
        write_children(tree, spans, Some(span.id), depth + 1);
    }
}

fn line(span: &SpanRecord) -> String {
    let data = serde_json::to_value(&span.data).unwrap();
    let mut line = format!("{} {}", span.data.kind(), span.data.label());
    for field in [
        "tools",
        "handoffs",
        "input",
        "output",
        "usage",
        "first_content_at",
    ] {
        match &data[field] {
            Value::Null => {}
            Value::Object(usage) if field == "usage" => {
                let names: Vec<_> = usage.keys().map(String::as_str).collect();
                write!(line, "\n    usage: {}", names.join(", ")).unwrap();
            }
            Value::String(_) if field == "first_content_at" => line.push_str("\n    first_content_at"),
            value => write!(line, "\n    {field}: {}", masked(value)).unwrap(),
        }
    }
    if let SpanData::Guardrail { triggered, .. } = span.data {
        write!(line, "\n    triggered: {triggered}").unwrap();
    }
    for name in ["server", "result", "mcp_data"] {
        if !data[name].is_null() {
            write!(line, "\n    {name}: {}", data[name]).unwrap();
        }
    }
    if let Some(approval) = span
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.get(keys::APPROVAL))
    {
        write!(line, "\n    approval: {approval}").unwrap();
    }
    if let Some(error) = &span.error {
        let error = serde_json::to_value(error).unwrap();
        write!(line, "\n    error: {}", masked(&error)).unwrap();
    }
    line
}

/// Numbers and the ids of calls differ from run to run, and so does how much came of an answer that was cut.
fn masked(value: &Value) -> Value {
    match value {
        Value::Number(_) => "N".into(),
        Value::String(text) if text.starts_with("word") => "word …".into(),
        Value::String(text) if text.starts_with("Card") => "Card …".into(),
        Value::String(text) if text.starts_with("call_") => "call_…".into(),
        Value::String(text) if text.starts_with("Interrupted after") => {
            "Interrupted after N ms were heard".into()
        }
        Value::Array(values) => values.iter().map(masked).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), masked(value)))
            .collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn the_whole_span_tree_of_a_rich_session() {
    let Some(spans) = rich_session(true).await else {
        return;
    };
    insta::assert_snapshot!(tree(&spans));
}

#[tokio::test]
async fn p3_no_work_starts_after_the_end_of_its_agent() {
    let Some(spans) = rich_session(true).await else {
        return;
    };
    for span in &spans {
        let Some(parent) = spans.iter().find(|parent| Some(parent.id) == span.parent_id) else {
            assert!(matches!(span.data, SpanData::Agent { .. }), "{span:?}");
            continue;
        };
        assert!(parent.started_at <= span.started_at, "{span:?} before {parent:?}");
        assert!(
            Some(span.started_at) <= parent.ended_at,
            "{span:?} after {parent:?}"
        );
    }
}

#[tokio::test]
async fn without_content_the_same_spans_tell_nothing_of_what_was_said() {
    let Some(spans) = rich_session(false).await else {
        return;
    };
    let all: String = spans
        .iter()
        .map(|span| format!("{:?}{:?}", span.data, span.error))
        .collect();
    for said in [
        "weather?",
        "Rome",
        "sunny",
        "4111",
        "A-7",
        "such invoice",
        "pay you back",
        "Billing here",
        "word",
        "aside",
        "seconds of audio",
    ] {
        assert!(!all.contains(said), "{said} in {all}");
    }
    let generations = spans.iter().filter(|span| span.data.kind() == "generation");
    assert_eq!(generations.clone().count(), 13);
    for span in generations {
        let SpanData::Generation { usage, model, .. } = &span.data else {
            panic!()
        };
        assert!(usage.is_some() && model.is_some());
    }
}
