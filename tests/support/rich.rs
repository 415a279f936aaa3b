//! A session in which much happens, with the simulator.
//!
//! Use it with `#[path = "support/rich.rs"] mod rich;`.

#[path = "../mcp/mod.rs"]
mod mcp;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mcp::Watched;
use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Decision, Session, SessionEvent};
use realtime_run::simulator::{Brain, Options, Output, Pace, Prompt, Reply, Simulator};
use realtime_run::tool::{FunctionTool, McpServer, PatternGuardrail, ToolError};
use realtime_run::trace::{MemoryProcessor, SpanRecord, TracerBuilder};
use realtime_run::transport::Endpoint;
use serde_json::json;
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
        say(&format!("Card 4111 1111 1111 1111 {}", "word ".repeat(1_000))),
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
                    handle.report_played(&item_id, content_index, played);
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
pub async fn session(tracer: TracerBuilder) -> Option<Vec<Arc<SpanRecord>>> {
    let shop = Watched::new("shop", &["tools=echo"])?;
    let options = Options {
        pace: Pace::Every(Duration::from_millis(5)),
        brain: Arc::new(script),
        ..Options::default()
    };
    let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
    let memory = Arc::new(MemoryProcessor::default());
    let tracer = tracer.processor(Arc::clone(&memory)).build();
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
