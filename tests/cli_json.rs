//! `--json`: one object per event, each of a documented type with its documented fields.

#[path = "support/cli.rs"]
mod cli;

use std::collections::{BTreeMap, BTreeSet};

use cli::Agent;
use serde_json::Value;

/// The types and fields that a run can show; the README documents them. They only ever grow.
const DOCUMENTED: &[(&str, &[&str])] = &[
    ("session_start", &["session_id", "model", "agent", "trace_id"]),
    ("agent_start", &["agent", "response_id"]),
    ("agent_end", &["agent", "response_id", "status", "reason"]),
    ("text_delta", &["item_id", "content_index", "delta"]),
    ("transcript_delta", &["item_id", "content_index", "delta"]),
    ("audio", &["item_id", "content_index", "audio"]),
    ("audio_end", &["item_id", "content_index"]),
    ("audio_interrupted", &["item_id", "content_index", "played_ms"]),
    ("speech_started", &["item_id", "audio_start_ms"]),
    ("speech_stopped", &["item_id", "audio_end_ms"]),
    ("input_transcript_delta", &["item_id", "delta"]),
    ("input_transcript", &["item_id", "transcript", "usage"]),
    ("input_transcript_failed", &["item_id", "error"]),
    ("input_audio_timeout_triggered", &["item_id"]),
    (
        "tool_approval_required",
        &["agent", "tool", "call_id", "arguments"],
    ),
    ("tool_start", &["agent", "tool", "call_id", "arguments"]),
    ("tool_end", &["agent", "tool", "call_id", "output", "error"]),
    (
        "guardrail",
        &[
            "guardrail",
            "agent",
            "where",
            "message",
            "response_id",
            "tool",
            "call_id",
        ],
    ),
    ("handoff", &["from", "to"]),
    ("history_added", &["item"]),
    ("history_updated", &["item"]),
    ("history_removed", &["item_id"]),
    ("usage", &["response_id", "usage"]),
    (
        "latency",
        &[
            "turn",
            "ended_by",
            "silence_ms",
            "first_word_ms",
            "first_audio_ms",
            "first_played",
        ],
    ),
    ("turn_end", &["status", "reason"]),
    ("error", &["error"]),
    ("warning", &["message"]),
    ("raw_server_event", &["event"]),
    ("raw_client_event", &["event"]),
    (
        "session_end",
        &[
            "reason",
            "usage",
            "transcription_usage",
            "latency",
            "duration_s",
            "deliveries",
        ],
    ),
];

fn assert_documented(event: &Value) {
    let kind = event["type"].as_str().expect("an event has a type");
    let documented: BTreeMap<_, _> = DOCUMENTED.iter().copied().collect();
    let fields = documented
        .get(kind)
        .unwrap_or_else(|| panic!("{kind} is not documented"));
    let expected: BTreeSet<&str> = fields.iter().copied().chain(["type"]).collect();
    let found: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, expected, "{kind}");
}

#[test]
fn every_line_is_a_documented_event() {
    for modality in ["text", "audio"] {
        let arguments = [
            "--simulate",
            "--json",
            "--raw",
            "--modality",
            modality,
            "-m",
            "What is the weather in Oslo?",
            "-m",
            "I have questions about invoices",
        ];
        let outcome = Agent::weather().run(arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        outcome.json().iter().for_each(assert_documented);
        let types: BTreeSet<String> = outcome.types().into_iter().collect();
        let words = if modality == "text" {
            "text_delta"
        } else {
            "transcript_delta"
        };
        for expected in [
            words,
            "tool_start",
            "tool_end",
            "handoff",
            "usage",
            "latency",
            "raw_client_event",
            "raw_server_event",
        ] {
            assert!(types.contains(expected), "{expected}: {types:?}");
        }
    }
}

#[test]
fn a_run_begins_with_its_session_and_ends_with_it() {
    let outcome = Agent::weather().run(["--simulate", "--json", "-m", "hi"]);
    let types = outcome.types();
    assert_eq!(types.first().unwrap(), "session_start");
    assert_eq!(types.last().unwrap(), "session_end");
    let turn_end = types.iter().position(|kind| kind == "turn_end").unwrap();
    assert!(types[..turn_end].contains(&"agent_end".to_owned()));
    assert!(
        !types.iter().any(|kind| kind.starts_with("raw_")),
        "only with --raw"
    );
}

#[test]
fn events_tell_what_happened() {
    let outcome = Agent::weather().run([
        "--simulate",
        "--json",
        "--modality",
        "text",
        "-m",
        "What is the weather in Oslo?",
    ]);
    let events = outcome.json();
    let find = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
    assert_eq!(find("tool_start")["tool"], "get_weather");
    assert_eq!(find("tool_start")["arguments"], r#"{"city":"Oslo"}"#);
    assert_eq!(find("tool_end")["output"], r#"{"sky":"clear","celsius":21}"#);
    assert_eq!(find("turn_end")["status"], "completed");
    assert_eq!(find("session_end")["reason"]["kind"], "closed");
    let deltas = events.iter().filter(|event| event["type"] == "text_delta");
    let words: String = deltas.map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!(words, r#"get_weather says: {"sky":"clear","celsius":21}"#);
}

#[test]
fn each_turn_tells_how_long_the_user_waited_and_the_end_sums_them_up() {
    for (modality, has_sound) in [("text", false), ("audio", true)] {
        let arguments = [
            "--simulate",
            "--json",
            "--modality",
            modality,
            "-m",
            "one",
            "-m",
            "What is the weather in Oslo?",
        ];
        let events = Agent::weather().run(arguments).json();
        let kinds =
            |kind: &str| -> Vec<&Value> { events.iter().filter(|event| event["type"] == kind).collect() };
        let turns = kinds("latency");
        assert_eq!(turns.len(), 2);
        for (number, turn) in turns.iter().enumerate() {
            assert_eq!(
                (&turn["turn"], &turn["ended_by"]),
                (&(number + 1).into(), &"message".into())
            );
            assert!(turn["first_word_ms"].as_f64().unwrap() > 0.0);
            assert_eq!(turn["first_audio_ms"].is_f64(), has_sound);
            assert_eq!(turn["silence_ms"], Value::Null);
        }
        let order: Vec<_> = events
            .iter()
            .filter_map(|event| event["type"].as_str())
            .filter(|kind| ["latency", "turn_end"].contains(kind))
            .collect();
        assert_eq!(order, ["latency", "turn_end", "latency", "turn_end"]);
        let summary = &kinds("session_end")[0]["latency"];
        assert_eq!(
            (&summary["turns"], &summary["ended_by"]["message"]),
            (&2.into(), &2.into())
        );
        let longest = turns
            .iter()
            .filter_map(|turn| turn["first_word_ms"].as_f64())
            .fold(0.0, f64::max);
        assert_eq!(summary["first_word"]["max_ms"], longest);
        assert_eq!(summary["first_word"]["count"], 2);
        assert_eq!(summary["first_audio"].is_object(), has_sound);
    }
}

#[test]
fn the_objection_of_a_guardrail_is_an_event_and_may_be_the_end() {
    for (on_trip, code, end) in [("reject", 0, "closed"), ("stop", 3, "guardrail")] {
        let agent = Agent::new(&format!(
            "output_guardrails = ['polite']\n[agents.A]\ninstructions = 'Talk.'\n\
             [guardrails.polite]\npattern = 'damn'\non_trip = '{on_trip}'\nmessage = 'Be kind.'"
        ));
        let outcome = agent.run(["--simulate", "--json", "-m", "damn it"]);
        assert_eq!(outcome.code, Some(code));
        outcome.json().iter().for_each(assert_documented);
        let events = outcome.json();
        let find = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
        let guardrail = find("guardrail");
        assert_eq!(
            (
                &guardrail["guardrail"],
                &guardrail["where"],
                &guardrail["message"]
            ),
            (&"polite".into(), &"output".into(), &"Be kind.".into())
        );
        assert!(guardrail["response_id"].is_string());
        assert_eq!(find("session_end")["reason"]["kind"], end);
    }
}

#[test]
fn trouble_still_goes_to_stderr() {
    let outcome = Agent::weather().run(["--url", "ws://127.0.0.1:1", "--json", "-m", "hi"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""));
    assert!(
        outcome.stderr.starts_with("error: cannot reach 127.0.0.1:1"),
        "{}",
        outcome.stderr
    );
}
