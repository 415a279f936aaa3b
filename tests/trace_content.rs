//! The switch that keeps content out of traces.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_run::trace::{
    AudioContent, Item, ShutdownReport, SpanData, SpanError, SpanProcessor, SpanRecord, Timestamp,
    TraceRecord, Tracer,
};
use serde_json::{Map, Value, json};

/// A word that stands for content.
const SAID: &str = "xyzzy";
/// A word that stands for what stays.
const NAME: &str = "plugh";

/// Keeps all it is shown, as an exporter would write it.
#[derive(Default)]
struct Seen {
    started: Mutex<Vec<String>>,
    ended: Mutex<Vec<Value>>,
}

impl SpanProcessor for Seen {
    fn on_trace_start(&self, _trace: &Arc<TraceRecord>) {}

    fn on_span_start(&self, span: &SpanRecord) {
        self.started.lock().unwrap().push(format!("{span:?}"));
    }

    fn on_span_end(&self, span: Arc<SpanRecord>) {
        let written = serde_json::to_value(Item::Span(span)).unwrap();
        self.ended.lock().unwrap().push(written);
    }

    fn flush(&self, _limit: Duration) -> bool {
        true
    }

    fn shutdown(&self, _limit: Duration) -> ShutdownReport {
        unimplemented!("not asked for here")
    }
}

/// One span of each kind that can hold content, full of it.
fn spans() -> Vec<SpanData> {
    let said = || Some(SAID.to_owned());
    let name = || Some(NAME.to_owned());
    let audio = || AudioContent {
        data: SAID.to_owned(),
        format: NAME.to_owned(),
    };
    let config = || Some(json!({"voice": NAME}));
    let messages = |role: &str| Some(json!([{"role": role, "content": SAID}]));
    vec![
        SpanData::Function {
            name: NAME.to_owned(),
            input: said(),
            output: said(),
            mcp_data: Some(json!({"server": NAME})),
        },
        SpanData::Generation {
            input: messages("user"),
            output: messages("assistant"),
            model: name(),
            model_config: config(),
            usage: Some(json!({"input_tokens": 10, "output_tokens": 5})),
        },
        SpanData::Transcription {
            input: audio(),
            output: said(),
            model: name(),
            model_config: config(),
        },
        SpanData::Speech {
            input: said(),
            output: audio(),
            model: name(),
            model_config: config(),
            first_content_at: Some(Timestamp::from_micros(1)),
        },
        SpanData::SpeechGroup { input: said() },
        SpanData::Custom {
            name: NAME.to_owned(),
            data: Map::from_iter([("note".to_owned(), json!(SAID))]),
        },
    ]
}

/// What a processor sees of the spans: when they start, and when they have ended.
fn seen(include: bool) -> (Vec<String>, Vec<Value>) {
    let seen = Arc::new(Seen::default());
    let tracer = Tracer::builder()
        .processor(Arc::clone(&seen))
        .include_content(include)
        .build();
    let place = tracer.trace("content").start().context();
    for data in spans() {
        let mut span = place.span(data.clone());
        span.update(|later| *later = data);
        span.finish();
    }
    let (started, ended) = (&seen.started, &seen.ended);
    (started.lock().unwrap().clone(), ended.lock().unwrap().clone())
}

#[test]
fn content_is_there_unless_it_is_switched_off() {
    let (started, ended) = seen(true);
    assert!(started.iter().all(|span| span.contains(SAID)), "{started:#?}");
    assert!(
        ended.iter().all(|span| span.to_string().contains(SAID)),
        "{ended:#?}"
    );
}

#[test]
fn without_content_no_processor_sees_any() {
    let (started, ended) = seen(false);
    assert!(!started.iter().any(|span| span.contains(SAID)), "{started:#?}");
    assert!(
        !ended.iter().any(|span| span.to_string().contains(SAID)),
        "{ended:#?}"
    );
}

#[test]
fn without_content_names_times_settings_and_usage_stay() {
    let (_, ended) = seen(false);
    let kinds: Vec<_> = ended.iter().map(|span| &span["span_data"]["type"]).collect();
    let all = [
        "function",
        "generation",
        "transcription",
        "speech",
        "speech_group",
        "custom",
    ];
    assert_eq!(kinds, all);
    for span in ended
        .iter()
        .filter(|span| span["span_data"]["type"] != "speech_group")
    {
        assert!(span.to_string().contains(NAME), "{span}");
        assert!(
            span["started_at"].is_string() && span["ended_at"].is_string(),
            "{span}"
        );
    }
    assert_eq!(
        ended[1]["span_data"]["usage"],
        json!({"input_tokens": 10, "output_tokens": 5})
    );
    assert!(ended[3]["span_data"]["first_content_at"].is_string());
}

#[test]
fn without_content_errors_stay_but_not_what_a_tool_said() {
    let seen = Arc::new(Seen::default());
    let tracer = Tracer::builder()
        .processor(Arc::clone(&seen))
        .include_content(false)
        .build();
    let place = tracer.trace("content").start().context();
    let error = SpanError::new("Error running tool").with_data(json!({"tool_name": NAME, "error": SAID}));
    let mut function = place.span(SpanData::function(NAME));
    function.set_error(error);
    function.finish();
    let error =
        SpanError::new("Error running guardrail").with_data(json!({"guardrail": NAME, "error": SAID}));
    let mut guardrail = place.span(SpanData::guardrail(NAME));
    guardrail.set_error(error);
    guardrail.finish();
    let mut agent = place.span(SpanData::agent(NAME));
    agent.set_error(SpanError::new("lost").with_data(json!({"error": NAME})));
    agent.finish();
    let ended = seen.ended.lock().unwrap();
    let expected = json!({"message": "Error running tool", "data": {"tool_name": NAME}});
    assert_eq!(ended[0]["error"], expected);
    let expected = json!({"message": "Error running guardrail", "data": {"guardrail": NAME}});
    assert_eq!(ended[1]["error"], expected);
    assert_eq!(
        ended[2]["error"],
        json!({"message": "lost", "data": {"error": NAME}})
    );
}
