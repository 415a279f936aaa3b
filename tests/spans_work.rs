//! The spans of everything that happens in a session, as they come out of a whole one with the simulator.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod mcp;

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use mcp::Watched;
use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Decision, Session, SessionEvent};
use realtime_run::simulator::{Brain, Options, Output, Pace, Prompt, Reply, Simulator};
use realtime_run::tool::{FunctionTool, McpServer, PatternGuardrail, ToolError};
use realtime_run::trace::{MemoryProcessor, SpanData, SpanId, SpanRecord, Tracer, keys};
use realtime_run::transport::Endpoint;
use serde_json::{Value, json};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// Gives its answers in order.
struct Script(VecDeque<Output>);

impl Brain for Script {
    fn answer(&mut self, _prompt: &Prompt<'_>) -> Reply {
        self.0.pop_front().into_iter().collect::<Vec<_>>().into()
    }
}

fn script() -> Box<dyn Brain> {
    let say = |words: &str| Output::Say(words.to_owned());
    let call = |name: &str, arguments: &str| Output::Call {
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    Box::new(Script(VecDeque::from([
        call("echo", r#"{"message":"Rome is sunny."}"#),
        say("It is sunny."),
        say(&format!("Card 4111 1111 1111 1111 {}", "and more ".repeat(1_000))),
        say("I must not say that."),
        call("transfer_to_billing", "{}"),
        say("Billing here."),
        call("refund", r#"{"invoice":"A-7"}"#),
        say("I could not pay you back."),
        call("transfer_to_triage", "{}"),
        say("Triage again."),
        say(&"word ".repeat(2_000)),
        say("An aside."),
        say("Goodbye."),
    ])))
}

/// Triage knows an MCP server and must not say card numbers; Billing can pay back, which a person has to approve and
/// which fails.
fn agents(server: McpServer) -> Agents {
    let refund = FunctionTool::new("refund", "", json!({"type": "object"}), |_| async {
        Err::<String, _>(ToolError::new("no such invoice"))
    });
    let no_cards = PatternGuardrail::new("no_cards", r"\b\d{4}( \d{4}){3}\b").unwrap();
    let triage = Agent::new("Triage")
        .mcp_server(server)
        .output_guardrail(no_cards)
        .handoff("Billing");
    let billing = Agent::new("Billing")
        .tool(refund.approval(true))
        .handoff("Triage");
    Agents::new(triage).with(billing)
}

async fn until_sound(session: &mut Session) {
    let wait = async {
        while let Some(event) = session.next().await {
            if matches!(event, SessionEvent::Audio { .. }) {
                return;
            }
        }
        panic!("the session ended before the sound");
    };
    assert!(timeout(LIMIT, wait).await.is_ok(), "waited in vain for sound");
}

/// Until the user's turn, with every call approved, and all sound played at once: else it would be up to the clock what
/// an interruption cuts.
async fn until_turn_end(session: &mut Session) {
    let handle = session.handle();
    let wait = async {
        let mut played = 0;
        while let Some(event) = session.next().await {
            match event {
                SessionEvent::Audio {
                    item_id,
                    content_index,
                    audio,
                } => {
                    played += audio.len() as u64;
                    let report = handle.report_played(&item_id, content_index, played);
                    report.await.unwrap();
                }
                SessionEvent::ToolApprovalRequired { call_id, .. } => {
                    handle.decide(call_id, Decision::approve()).await.unwrap();
                }
                SessionEvent::TurnEnd { .. } => return,
                _ => {}
            }
        }
        panic!("the session ended before the turn");
    };
    assert!(
        timeout(LIMIT, wait).await.is_ok(),
        "waited in vain for the end of a turn"
    );
}

/// A tool of an MCP server, words that a guardrail objects to, a handoff, a tool that is approved and fails, a handoff
/// back, an interruption, an answer out of band; the spans in the order of their starts. None, loudly, where there is no
/// Python for the server.
async fn rich_session(include_content: bool) -> Option<Vec<Arc<SpanRecord>>> {
    let shop = Watched::new("shop", &["tools=echo"])?;
    let options = Options {
        pace: Pace::Every(Duration::from_millis(5)),
        brain: Arc::new(script),
        ..Options::default()
    };
    let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
    let memory = Arc::new(MemoryProcessor::default());
    let tracer = Tracer::builder()
        .processor(Arc::clone(&memory))
        .include_content(include_content)
        .build();
    let trace = tracer.trace("rich").start();
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let connect = Session::builder(agents(shop.server()))
        .endpoint(endpoint)
        .connect();
    let mut session = trace.scope(connect).await.unwrap();

    session.send_message("What is the weather?").await.unwrap();
    until_turn_end(&mut session).await;
    session.send_message("What is my card?").await.unwrap();
    until_turn_end(&mut session).await;
    session.send_audio(vec![0; 48_000], true).await.unwrap();
    until_turn_end(&mut session).await;
    session.send_message("Pay me back.").await.unwrap();
    until_turn_end(&mut session).await;
    session.send_message("Let me talk to Triage.").await.unwrap();
    until_turn_end(&mut session).await;
    session.send_message("Tell me all.").await.unwrap();
    until_sound(&mut session).await;
    session.interrupt().await.unwrap();
    until_turn_end(&mut session).await;
    let aside = json!({"type": "response.create", "response": {"conversation": "none", "output_modalities": ["text"]}});
    session.send_raw(aside).await.unwrap();
    until_turn_end(&mut session).await;
    session.send_message("Thanks.").await.unwrap();
    until_turn_end(&mut session).await;
    timeout(LIMIT, session.close()).await.unwrap();
    simulator.shutdown().await;

    let mut spans = memory.spans();
    // What the server tells in one breath begins in the same moment: then this is the order.
    let rank = |kind| {
        ["transcription", "generation"]
            .iter()
            .position(|first| *first == kind)
    };
    spans.sort_by_key(|span| (span.started_at, rank(span.data.kind()).unwrap_or(2)));
    Some(spans)
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
