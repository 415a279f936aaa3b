//! Redaction: what matches a pattern is in nothing that a tracer lets out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/sink.rs"]
mod sink;

use std::io::Write;
use std::sync::{Arc, Mutex};

use realtime_run::Secret;
use realtime_run::trace::{
    AudioContent, BatchProcessor, JsonLinesExporter, JsonMap, MemoryProcessor, OpenAiExporter, OtlpConfig,
    OtlpExporter, Redaction, SpanData, SpanError, SpanProcessor, SpanRecord, TraceRecord, Tracer, keys,
};
use serde_json::{Value, json};
use sink::{LIMIT, Sink};

const CARD: &str = "4111 1111 1111 1111";
const PATTERN: &str = r"\b\d{4}([ -]?\d{4}){3}\b";

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is told when spans start.
#[derive(Clone, Default)]
struct Starts(Arc<Mutex<String>>);

impl SpanProcessor for Starts {
    fn on_trace_start(&self, trace: &Arc<TraceRecord>) {
        *self.0.lock().unwrap() += &format!("{trace:?}");
    }

    fn on_span_start(&self, span: &SpanRecord) {
        *self.0.lock().unwrap() += &format!("{span:?}");
    }

    fn on_span_end(&self, _span: Arc<SpanRecord>) {}

    fn flush(&self, _limit: std::time::Duration) -> bool {
        true
    }

    fn shutdown(&self, limit: std::time::Duration) -> realtime_run::trace::ShutdownReport {
        MemoryProcessor::default().shutdown(limit)
    }
}

fn object(value: Value) -> JsonMap {
    value.as_object().unwrap().clone()
}

/// A span of every kind that carries content, with a card's number wherever there can be one.
fn everywhere() -> Vec<SpanData> {
    let said = || Some(format!("It is {CARD}."));
    let message = |role: &str| json!([{"role": role, "content": CARD}, {"role": role, "content": [{"type": "text", "text": CARD}]}]);
    let arguments = json!({"card": CARD, CARD: [1]}).to_string();
    vec![
        SpanData::Function {
            name: "pay".into(),
            input: Some(arguments.clone()),
            output: Some(json!({"charged": CARD}).to_string()),
            mcp_data: None,
        },
        SpanData::Generation {
            input: Some(message("user")),
            output: Some(json!([{"role": "assistant", "content": null, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "pay", "arguments": arguments}}]}])),
            model: Some("m".into()),
            model_config: Some(json!({"instructions": CARD})),
            usage: Some(json!({"total_tokens": 1})),
        },
        SpanData::Transcription {
            input: AudioContent::omitted("pcm"),
            output: said(),
            model: None,
            model_config: Some(json!({"prompt": CARD})),
        },
        SpanData::Speech {
            input: said(),
            output: AudioContent::omitted("pcm"),
            model: None,
            model_config: None,
            first_content_at: None,
        },
        SpanData::SpeechGroup { input: said() },
        SpanData::Custom {
            name: "charge".into(),
            data: object(json!({"name": CARD, "deep": [{"card": 4_111_111_111_111_111_u64, CARD: null}]})),
        },
    ]
}

#[test]
fn a_card_s_number_is_in_no_output_at_all() {
    let sink = Sink::always(200);
    let (kept, starts, memory) = (
        Kept::default(),
        Starts::default(),
        Arc::new(MemoryProcessor::default()),
    );
    let endpoint = sink.url("/otlp");
    let variable = |name: &str| (name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").then(|| endpoint.clone());
    let otlp = OtlpExporter::new(OtlpConfig::from_variables(variable).unwrap());
    let openai = OpenAiExporter::new(Some(&sink.url("/openai"))).unwrap();
    let tracer = Tracer::builder()
        .processor(starts.clone())
        .processor(Arc::clone(&memory))
        .processor(BatchProcessor::new(JsonLinesExporter::new(
            "stdout",
            kept.clone(),
        )))
        .processor(BatchProcessor::new(otlp))
        .processor(BatchProcessor::new(openai.api_key(Secret::new("sk-1"))))
        .redact(Redaction::default().pattern(PATTERN).unwrap())
        .build();
    let trace = tracer
        .trace("Shop")
        .metadata(object(json!({"note": CARD, "site": "north"})));
    let trace = trace.start();
    for data in everywhere() {
        let mut span = trace.context().span(data.clone());
        span.update(|own| *own = data);
        let details = json!({"tool_name": "pay", "error": format!("{CARD} was refused")});
        span.set_error(SpanError::new(format!("Refused: {CARD}")).with_data(details));
        span.set_metadata("note", CARD);
        span.set_metadata(keys::CALL_ID, "call_4111111111111111");
        span.finish();
    }
    drop(trace);
    let reports = tracer.shutdown(LIMIT);
    assert!(reports.iter().all(|report| report.is_complete()), "{reports:?}");

    let lines = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let mut outputs = vec![lines.clone(), starts.0.lock().unwrap().clone()];
    outputs.extend(memory.spans().iter().map(|span| format!("{span:?}")));
    for request in sink.requests() {
        outputs.push(String::from_utf8_lossy(&request.body).into_owned());
    }
    assert!(outputs.len() >= 10);
    for output in outputs {
        assert!(output.contains("[redacted]"), "{output}");
        for shape in [CARD, "4111111111111111,", "4111111111111111}", "4111 "] {
            assert!(!output.contains(shape), "{shape} in {output}");
        }
    }
    assert!(lines.contains(r#""site":"north""#) && lines.contains(r#""call_id":"call_4111111111111111""#));
    assert!(
        lines.contains(r#"{\"card\":\"[redacted]\",\"[redacted]\":[1]}"#),
        "{lines}"
    );
}

#[test]
fn several_patterns_hold_together_and_none_changes_nothing() {
    let seen = |redaction: Redaction| {
        let memory = Arc::new(MemoryProcessor::default());
        let tracer = Tracer::builder().processor(Arc::clone(&memory)).redact(redaction);
        let trace = tracer.build().trace("t").start();
        let span = trace.context().span(SpanData::SpeechGroup {
            input: Some("Ada owes 7 to ada@example.com".into()),
        });
        span.finish();
        match &memory.spans()[0].data {
            SpanData::SpeechGroup { input } => input.clone().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let words = Redaction::default().pattern("(?i)ada").unwrap();
    let mail = Redaction::default().pattern(r"\S+@\S+").unwrap();
    assert_eq!(seen(Redaction::default()), "Ada owes 7 to ada@example.com");
    assert_eq!(seen(mail.and(words)), "[redacted] owes 7 to [redacted]");
}
