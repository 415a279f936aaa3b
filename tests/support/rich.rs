//! A session in which much happens, with the simulator.
//!
//! Use it with `#[path = "support/rich.rs"] mod rich;`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Session, SessionEvent};
use realtime_run::simulator::{Brain, Options, Output, Prompt, Simulator};
use realtime_run::tool::{FunctionTool, ToolError};
use realtime_run::trace::{MemoryProcessor, SpanRecord, TracerBuilder};
use realtime_run::transport::Endpoint;
use serde_json::json;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// Gives its answers in order.
struct Script(VecDeque<Output>);

impl Brain for Script {
    fn answer(&mut self, _prompt: &Prompt<'_>) -> Vec<Output> {
        self.0.pop_front().into_iter().collect()
    }
}

fn script() -> Box<dyn Brain> {
    let say = |words: &str| Output::Say(words.to_owned());
    let call = |name: &str, arguments: &str| Output::Call {
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    Box::new(Script(VecDeque::from([
        call("weather", r#"{"city":"Rome"}"#),
        say("I could not find out."),
        call("transfer_to_billing", "{}"),
        say("Billing here."),
        say(&"word ".repeat(2_000)),
        say("An aside."),
        say("Goodbye."),
    ])))
}

fn agents() -> Agents {
    let weather = FunctionTool::new("weather", "", json!({"type": "object"}), |_| async {
        Err::<String, _>(ToolError::new("no such city"))
    });
    let triage = Agent::new("Triage").tool(weather).handoff("Billing");
    Agents::new(triage).with(Agent::new("Billing").handoff("Triage"))
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

/// Until the user's turn, with all sound played at once: else it would be up to the clock what an interruption cuts.
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

/// A failing tool, speech, a handoff, an interruption, an answer out of band; the spans in the order of their starts, as
/// the tracer has them.
pub async fn session(tracer: TracerBuilder) -> Vec<Arc<SpanRecord>> {
    let options = Options {
        delta_interval: Duration::from_millis(5),
        brain: Arc::new(script),
        ..Options::default()
    };
    let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
    let memory = Arc::new(MemoryProcessor::default());
    let tracer = tracer.processor(Arc::clone(&memory)).build();
    let trace = tracer.trace("rich").start();
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let connect = Session::builder(agents()).endpoint(endpoint).connect();
    let mut session = trace.scope(connect).await.unwrap();

    session.send_message("What is the weather?").await.unwrap();
    until_turn_end(&mut session).await;
    session.send_audio(vec![0; 48_000], true).await.unwrap();
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
    spans
}
