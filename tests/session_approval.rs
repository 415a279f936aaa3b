//! Calls that need approval, in whole sessions of agents from files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::agent::AgentFile;
use realtime_run::session::{Decision, Session, SessionError, SessionEvent};
use realtime_run::simulator::Simulator;
use realtime_run::trace::{MemoryProcessor, Trace, Tracer};
use realtime_run::transport::Endpoint;
use serde_json::Value;

/// Far beyond what any of these sessions needs.
const LIMIT: Duration = Duration::from_secs(20);

const FILE: &str = r#"
start = "Desk"
tool_refusal_message = "Nobody lets you call {{ tool }}."

[context]
limit = 50

[agents.Desk]
instructions = "You are careful."
tools = ["refund", "set_limit", "close_account"]
handoffs = ["Manager"]

[agents.Manager]
instructions = "You are the manager."

[tools.refund]
description = "Refunds an amount of euros."
parameters = { type = "object", properties = { euros = { type = "integer", minimum = 1 } }, required = ["euros"] }
command = ["sh", "-c", "cat"]
needs_approval = "args.euros > limit"

[tools.set_limit]
description = "Sets the limit."
output = { output = "set", context = { limit = 1000 } }
updates_context = true

[tools.close_account]
description = "Closes the account."
output = "closed"
needs_approval = true
tool_refusal_message = "The account stays."
"#;

struct Stage {
    simulator: Simulator,
    session: Session,
    memory: Arc<MemoryProcessor>,
    trace: Trace,
}

impl Stage {
    async fn new() -> Self {
        let simulator = Simulator::bind("127.0.0.1:0").await.unwrap();
        let memory = Arc::new(MemoryProcessor::default());
        let tracer = Tracer::builder().processor(Arc::clone(&memory)).build();
        let trace = tracer.trace("test").start();
        let agents = AgentFile::parse("file.toml", FILE, Path::new("."))
            .unwrap()
            .agents;
        let endpoint = Endpoint::new(&simulator.url()).unwrap();
        let connect = Session::builder(agents).endpoint(endpoint).connect();
        let session = trace.scope(connect).await.unwrap();
        Self {
            simulator,
            session,
            memory,
            trace,
        }
    }

    async fn next(&mut self) -> SessionEvent {
        let next = tokio::time::timeout(LIMIT, self.session.next()).await;
        next.unwrap().unwrap()
    }

    async fn says(&self, words: &str) {
        self.session.send_message(words).await.unwrap();
    }

    /// Reads on until a call is asked about, and gives its id.
    async fn is_asked(&mut self) -> String {
        loop {
            match self.next().await {
                SessionEvent::ToolApprovalRequired { call_id, .. } => return call_id,
                SessionEvent::TurnEnd { .. } => panic!("nobody was asked"),
                _ => {}
            }
        }
    }

    /// Reads on to the end of the turn; gives what the model was told of its calls. Nobody is asked meanwhile.
    async fn turn_ends(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            match self.next().await {
                SessionEvent::ToolEnd { output, .. } => told.push(output),
                SessionEvent::ToolApprovalRequired { call_id, .. } => panic!("asked about {call_id}"),
                SessionEvent::TurnEnd { .. } => return told,
                _ => {}
            }
        }
    }

    async fn ends(self) -> Arc<MemoryProcessor> {
        self.session.close().await;
        self.simulator.shutdown().await;
        drop(self.trace);
        self.memory
    }
}

#[tokio::test]
async fn a_file_says_which_calls_wait_and_what_a_refusal_says() {
    let mut stage = Stage::new().await;
    stage.says("refund 20 euros").await;
    assert_eq!(stage.turn_ends().await, [r#"{"euros":20}"#]);
    stage.says("refund 60 euros").await;
    let call_id = stage.is_asked().await;
    stage.session.decide(call_id, Decision::approve()).await.unwrap();
    assert_eq!(stage.turn_ends().await, [r#"{"euros":60}"#]);
    stage.says("refund 70 euros").await;
    let call_id = stage.is_asked().await;
    stage.session.decide(call_id, Decision::reject()).await.unwrap();
    assert_eq!(stage.turn_ends().await, ["Nobody lets you call refund."]);
    stage.says("close my account").await;
    let call_id = stage.is_asked().await;
    stage
        .session
        .decide(call_id, Decision::reject().always())
        .await
        .unwrap();
    assert_eq!(stage.turn_ends().await, ["The account stays."]);
    stage.says("close my account").await;
    assert_eq!(stage.turn_ends().await, ["The account stays."]);
    // The condition is over the context as it is now.
    stage.says("set limit").await;
    assert_eq!(stage.turn_ends().await, ["set"]);
    stage.says("refund 80 euros").await;
    assert_eq!(stage.turn_ends().await, [r#"{"euros":80}"#]);

    let memory = stage.ends().await;
    let approvals: Vec<Value> = memory
        .spans()
        .iter()
        .filter(|span| span.data.kind() == "function")
        .map(|span| {
            let metadata = span.metadata.as_ref().unwrap();
            let decided = metadata.get("approval").cloned();
            assert_eq!(decided.is_some(), metadata.contains_key("approval_waited_ms"));
            let is_rejected = decided.as_ref().is_some_and(|decided| decided == "rejected");
            assert_eq!(span.error.is_some(), is_rejected);
            decided.unwrap_or_default()
        })
        .collect();
    assert_eq!(
        approvals,
        [
            Value::Null,
            "approved".into(),
            "rejected".into(),
            "rejected".into(),
            "rejected".into(),
            Value::Null,
            Value::Null,
        ]
    );
}

#[tokio::test]
async fn the_user_goes_on_talking_while_a_call_waits() {
    let mut stage = Stage::new().await;
    stage.says("refund 60 euros").await;
    let call_id = stage.is_asked().await;
    stage.says("hello").await;
    loop {
        if let SessionEvent::TranscriptDelta { delta, .. } = stage.next().await
            && delta.contains("hello")
        {
            break;
        }
    }
    stage.session.decide(call_id, Decision::approve()).await.unwrap();
    assert_eq!(stage.turn_ends().await, [r#"{"euros":60}"#]);
    stage.ends().await;
}

#[tokio::test]
async fn a_change_of_agent_and_the_end_settle_what_waits() {
    let mut stage = Stage::new().await;
    stage.says("refund 60 euros").await;
    let call_id = stage.is_asked().await;
    stage.session.update_agent("Manager").await.unwrap();
    assert_eq!(
        stage.turn_ends().await,
        ["The tool refund was not run: it was not approved before Manager took over."]
    );
    let late = stage.session.decide(call_id.as_str(), Decision::approve()).await;
    assert!(matches!(late, Err(SessionError::NotWaiting { call_id: told }) if told == call_id));

    stage.session.update_agent("Desk").await.unwrap();
    assert_eq!(
        stage.turn_ends().await,
        [""; 0],
        "a change of agent ends like a turn"
    );
    stage.says("close my account").await;
    let call_id = stage.is_asked().await;
    let handle = stage.session.handle();
    let memory = stage.ends().await;
    let over = handle.decide(call_id, Decision::approve()).await;
    assert!(matches!(over, Err(SessionError::Ended)));
    let spans = memory.spans();
    let errors = spans.iter().filter(|span| span.data.kind() == "function");
    let errors: Vec<&str> = errors
        .map(|span| span.error.as_ref().unwrap().message.as_str())
        .collect();
    assert_eq!(
        errors,
        [
            "Tool call was not approved before a handoff",
            "The session ended before the call was approved"
        ]
    );
}
