//! Bodies beside those of the reference SDK's exporter, recorded in `../shared/golden`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::request::{body, group_by_key};
use super::sanitize::sanitize;
use crate::Secret;
use crate::trace::export::Item;
use crate::trace::{
    AudioContent, Context, JsonMap, MemoryProcessor, Span, SpanData, SpanError, Timestamp, Trace, Tracer,
};

fn golden(name: &str) -> Option<Value> {
    let path = format!("{}/../shared/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read(&path) {
        Ok(text) => Some(serde_json::from_slice(&text).unwrap()),
        Err(error) => {
            eprintln!("skipped: {path}: {error}");
            None
        }
    }
}

/// The recordings' clock: each reading is 250,001 µs after the last.
fn tick(number: u32) -> Timestamp {
    Timestamp::from_micros(1_767_323_045_000_000) + number * Duration::from_micros(250_001)
}

fn object(value: Value) -> JsonMap {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

struct Recorded {
    memory: Arc<MemoryProcessor>,
    trace: Trace,
}

impl Recorded {
    fn new(build: impl FnOnce(&Tracer) -> Trace) -> Self {
        let memory = Arc::new(MemoryProcessor::default());
        let tracer = Tracer::builder().processor(Arc::clone(&memory)).build();
        Self {
            trace: build(&tracer),
            memory,
        }
    }

    fn items(&self) -> Vec<Item> {
        let traces = self.memory.traces().into_iter().map(Item::Trace);
        traces
            .chain(self.memory.spans().into_iter().map(Item::Span))
            .collect()
    }

    /// The body, with the recorded ids in the place of our random ones.
    fn body(&self, sanitized: bool, ids_as_in: &Value) -> String {
        let items = self.items();
        let mut text =
            String::from_utf8(body(&items.iter().collect::<Vec<_>>(), sanitized).unwrap()).unwrap();
        for (item, recorded) in items.iter().zip(ids_as_in.as_array().unwrap()) {
            if let Item::Span(span) = item {
                text = text.replace(&span.id.to_string(), recorded["id"].as_str().unwrap());
            }
        }
        text
    }
}

/// Starts and ends a span under `parent`.
fn span(parent: &Context, start: u32, data: SpanData) -> Span {
    parent.span_at(data, tick(start))
}

fn function(name: &str, input: Option<&str>, output: Option<Value>, mcp_data: Option<Value>) -> SpanData {
    let output = output.map(|value| SpanData::text_of(&value));
    SpanData::Function {
        name: name.into(),
        input: input.map(Into::into),
        output,
        mcp_data,
    }
}

fn every_kind_of_span() -> Recorded {
    let recorded = Recorded::new(|tracer| {
        tracer
            .trace("Golden workflow")
            .id("trace_00000000000000000000000000000001".parse().unwrap())
            .group_id("group_golden")
            .metadata(object(
                json!({"user": "u-1", "n": 3, "nested": {"a": [1, 2.5, null, true]}}),
            ))
            .start()
    });
    let root = recorded.trace.context();
    let names = |names: [&str; 2]| Some(names.map(str::to_owned).to_vec());
    let agent = SpanData::Agent {
        name: "Triage".into(),
        handoffs: names(["Billing", "Support"]),
        tools: names(["get_weather", "search"]),
        output_type: Some("str".into()),
    };
    let agent = span(&root, 0, agent);
    let place = agent.context();
    let work = |start: u32, data: SpanData| span(&place, start, data).finish_at(tick(start + 1));
    let failed = |start: u32, data: SpanData, error: SpanError| {
        let mut span = span(&place, start, data);
        span.set_error(error);
        span.finish_at(tick(start + 1));
    };

    work(
        1,
        function(
            "get_weather",
            Some(r#"{"city":"Tokyo"}"#),
            Some(json!("sunny")),
            None,
        ),
    );
    let input = r#"{"q":"naïve “q” 中文 😀"}"#;
    let (output, server) = (json!({"hits": 2, "ok": true}), json!({"server": "docs"}));
    work(3, function("mcp_search", Some(input), Some(output), Some(server)));
    work(
        5,
        SpanData::McpTools {
            server: Some("docs".into()),
            result: names(["search", "fetch"]),
        },
    );
    work(
        7,
        SpanData::Generation {
            input: Some(json!([{"role": "user", "content": "hi"}])),
            output: Some(json!([{"role": "assistant", "content": "hello"}])),
            model: Some("gpt-5".into()),
            model_config: Some(json!({"temperature": 0.5, "base_url": null})),
            usage: Some(json!({"input_tokens": 10, "output_tokens": 5})),
        },
    );
    let usage = Some(json!({"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}));
    work(
        9,
        SpanData::Response {
            response_id: Some("resp_0123456789".into()),
            usage,
        },
    );
    work(
        11,
        SpanData::Transcription {
            input: AudioContent {
                data: "QUJD".into(),
                format: "pcm".into(),
            },
            output: Some("hello".into()),
            model: Some("gpt-4o-transcribe".into()),
            model_config: Some(json!({"language": "en"})),
        },
    );
    let group = span(
        &place,
        13,
        SpanData::SpeechGroup {
            input: Some("Hello there".into()),
        },
    );
    let speech = SpanData::Speech {
        input: Some("Hello there".into()),
        output: AudioContent {
            data: "UENN".into(),
            format: "pcm".into(),
        },
        model: Some("gpt-4o-mini-tts".into()),
        model_config: Some(json!({"voice": "ash"})),
        first_content_at: Some(Timestamp::from_micros(1_767_323_049_123_456)),
    };
    span(&group.context(), 14, speech).finish_at(tick(15));
    group.finish_at(tick(16));
    work(
        17,
        SpanData::Guardrail {
            name: "no_secrets".into(),
            triggered: true,
        },
    );
    work(
        19,
        SpanData::Guardrail {
            name: "on_topic".into(),
            triggered: false,
        },
    );
    let custom = |name: &str, data: Value| SpanData::Custom {
        name: name.into(),
        data: object(data),
    };
    work(21, custom("my_step", json!({"a": 1, "b": [true, null, 1.5]})));
    let error =
        SpanError::new("Error running tool").with_data(json!({"tool_name": "broken_tool", "error": "boom"}));
    failed(23, function("broken_tool", Some("{}"), None, None), error);
    failed(
        25,
        function("broken_tool2", None, None, None),
        SpanError::new("Timed out"),
    );
    let usage = json!({"requests": 1, "input_tokens": 10, "output_tokens": 5, "total_tokens": 15});
    work(
        27,
        custom(
            "task",
            json!({"sdk_span_type": "task", "name": "Golden workflow", "usage": usage}),
        ),
    );
    work(
        29,
        custom(
            "turn",
            json!({"sdk_span_type": "turn", "turn": 1, "agent_name": "Triage"}),
        ),
    );
    work(31, SpanData::handoff("Triage", "Billing"));
    agent.finish_at(tick(33));
    span(&root, 34, SpanData::agent("Billing")).finish_at(tick(35));
    recorded
}

/// The recorded text, but for what is ours by intent: microseconds always, and JSON where an object becomes text.
fn as_we_write(recorded: &Value) -> String {
    let text = recorded["raw_body"].as_str().unwrap();
    text.replace("T03:04:05+00:00", "T03:04:05.000000+00:00")
        .replace("{'hits': 2, 'ok': True}", r#"{\"hits\":2,\"ok\":true}"#)
}

#[test]
fn every_kind_of_span_is_written_as_the_sdk_writes_it() {
    let Some(recorded) = golden("01-all-span-types.json") else {
        return;
    };
    assert_eq!(
        every_kind_of_span().body(false, &recorded["body"]["data"]),
        as_we_write(&recorded)
    );
}

#[test]
fn and_the_same_at_openai() {
    let Some(recorded) = golden("02-all-span-types-openai-endpoint.json") else {
        return;
    };
    let items = &recorded["body"]["data"];
    assert_eq!(every_kind_of_span().body(true, items), as_we_write(&recorded));
}

#[test]
fn the_harness_id_of_a_trace_is_on_its_spans() {
    let Some(recorded) = golden("09-values-json-cannot-carry.json") else {
        return;
    };
    let recorded = &recorded["request"]["body"]["data"];
    let ours = Recorded::new(|tracer| {
        tracer
            .trace("T")
            .id("trace_00000000000000000000000000000006".parse().unwrap())
            .metadata(object(json!({"inf": [1], "agent_harness_id": "h-1"})))
            .start()
    });
    let root = ours.trace.context();
    let data = json!({"tuple": [1, 2], "int key": {"1": "b", "null": "c"}, "nested": {"ok": 1}});
    span(
        &root,
        0,
        SpanData::Custom {
            name: "c".into(),
            data: object(data),
        },
    )
    .finish_at(tick(1));
    let data = object(json!({"s": "a?b"}));
    span(
        &root,
        2,
        SpanData::Custom {
            name: "lone surrogate".into(),
            data,
        },
    )
    .finish_at(tick(3));
    let mut last = span(&root, 4, SpanData::agent("with metadata"));
    last.set_metadata("extra", 1);
    last.finish_at(tick(5));
    let expected = json!({ "data": recorded }).to_string();
    assert_eq!(
        ours.body(false, recorded),
        expected.replace("T03:04:05+00:00", "T03:04:05.000000+00:00")
    );
}

#[test]
fn one_request_per_key_in_order_of_appearance() {
    let Some(recorded) = golden("04-per-trace-api-keys.json") else {
        return;
    };
    let memory = Arc::new(MemoryProcessor::default());
    let tracer = Tracer::builder().processor(Arc::clone(&memory)).build();
    for (number, key) in [Some("sk-A"), Some("sk-B"), None, Some("sk-A")]
        .into_iter()
        .enumerate()
    {
        let mut trace = tracer
            .trace("T")
            .id(format!("trace_{number:032}").parse().unwrap());
        if let Some(key) = key {
            trace = trace.api_key(Secret::new(key).unwrap());
        }
        trace
            .start()
            .context()
            .span(SpanData::custom(number.to_string()))
            .finish();
    }
    let pairs = memory.traces().into_iter().zip(memory.spans());
    let items: Vec<Item> = pairs
        .flat_map(|(trace, span)| [Item::Trace(trace), Item::Span(span)])
        .collect();
    let default = Secret::new("sk-REPLACED");
    let ours: Vec<Value> = group_by_key(&items, default.as_ref())
        .into_iter()
        .map(|group| {
            let id = |item: &&Item| match item {
                Item::Trace(trace) => trace.id.to_string(),
                Item::Span(span) => format!("span_{:024}", span.data.label().parse::<u32>().unwrap()),
            };
            let ids: Vec<String> = group.items.iter().map(id).collect();
            json!({"authorization": format!("Bearer {}", group.api_key.unwrap().expose()), "ids": ids})
        })
        .collect();
    assert_eq!(Value::from(ours), recorded);
}

/// The recordings give big values by their making.
fn expanded(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(expanded).collect(),
        Value::Object(map) => match (map.get("$repeat"), map.get("$items")) {
            (Some(text), _) => text
                .as_str()
                .unwrap()
                .repeat(map["times"].as_u64().unwrap() as usize)
                .into(),
            (_, Some(item)) => vec![expanded(item); map["count"].as_u64().unwrap() as usize].into(),
            _ => Value::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), expanded(value)))
                    .collect(),
            ),
        },
        other => other.clone(),
    }
}

fn sha256(text: &str) -> String {
    // The one that TLS brings along; a digest in a test is no cause for a dependency.
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .unwrap();
    suite
        .common
        .hash_provider
        .hash(text.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn what_the_endpoint_refuses_is_made_acceptable() {
    let Some(recorded) = golden("07-sanitizer-cases.json") else {
        return;
    };
    let cases = recorded["cases"].as_array().unwrap();
    for recorded in cases {
        let case = recorded["case"].as_str().unwrap();
        let before = expanded(&recorded["item"]);
        let mut item = before.clone();
        if let Some(Value::Object(span_data)) = item.get_mut("span_data") {
            sanitize(span_data);
        }
        let text = item.to_string();
        if recorded["changed"] == json!(false) {
            assert_eq!(text, before.to_string(), "{case}");
        } else if let Some(result) = recorded.get("result") {
            assert_eq!(text, result.to_string(), "{case}");
        } else {
            let expected = &recorded["result_compact_json"];
            assert_eq!(text.len() as u64, expected["bytes"].as_u64().unwrap(), "{case}");
            assert_eq!(sha256(&text), expected["sha256"].as_str().unwrap(), "{case}");
        }
    }
    assert!(cases.len() > 30, "the recording has {} cases", cases.len());
}
