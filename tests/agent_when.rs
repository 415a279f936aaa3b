//! What an agent that takes charge gets: by conditions, by templates, and by what is overridden for a run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_run::agent::{Agent, AgentFile, Agents, ResolveError};
use realtime_run::context::{TemplateError, Variables};
use realtime_run::session::{Session, SessionError, SessionEvent};
use realtime_run::simulator::Simulator;
use realtime_run::tool::{McpServers, Tool, ToolCall, ToolFuture, ToolOutput, ToolSpec};
use realtime_run::transport::Endpoint;
use serde_json::{Value, json};

const FILE: &str = r#"
start = "Triage"
context = { user = { tier = "gold", open = 0 } }

[agents.Triage]
instructions = "A {{ user.tier }} guest."
tools = ["always", "gold_only", "end_session"]
handoffs = [{ agent = "Refunds", when = "user.tier == 'gold'", tool_name = "refund" }, "Billing"]

[agents.Billing]
instructions = "Plain."
tools = ["always"]
handoffs = ["Triage"]

[agents.Refunds]
instructions = "Plain."

[tools.always]
description = "Does it."
output = "done"

[tools.gold_only]
description = "Does it."
output = "done"
when = "user.tier == 'gold' and not user.open"

[tools.spare]
description = "Does it."
output = "done"
when = "user.tier == 'gold'"
"#;

fn agents() -> Agents {
    AgentFile::parse("test.toml", FILE, Path::new("."))
        .unwrap()
        .agents
}

fn gold() -> Value {
    json!({"user": {"tier": "gold", "open": 0}})
}

fn silver() -> Value {
    json!({"user": {"tier": "silver", "open": 0}})
}

#[tokio::test]
async fn m1_what_is_not_enabled_is_left_out() {
    let triage = agents()
        .resolve("Triage", &gold(), &McpServers::new())
        .await
        .unwrap();
    assert_eq!(triage.instructions, "A gold guest.");
    assert_eq!(triage.tool_names(), ["always", "gold_only", "end_session"]);
    assert_eq!(triage.handoff_names(), ["Refunds", "Billing"]);

    let triage = agents()
        .resolve("Triage", &silver(), &McpServers::new())
        .await
        .unwrap();
    assert_eq!(triage.instructions, "A silver guest.");
    assert_eq!(triage.tool_names(), ["always", "end_session"]);
    assert_eq!(triage.handoff_names(), ["Billing"]);
    let sent: Vec<String> = triage
        .session_config()
        .tools
        .unwrap()
        .into_iter()
        .map(|function| function.name)
        .collect();
    assert_eq!(sent, ["always", "end_session", "transfer_to_billing"]);
    assert!(triage.find("gold_only").is_none() && triage.find("refund").is_none());
}

#[tokio::test]
async fn what_the_context_lacks_keeps_an_agent_from_taking_charge() {
    let error = agents()
        .resolve("Triage", &json!({}), &McpServers::new())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the instructions of agent `Triage` can't be worked out: `user` is undefined"
    );
    let error = agents()
        .resolve("Triage", &json!({"user": {"tier": "gold"}}), &McpServers::new())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the condition of the tool `gold_only` of agent `Triage` can't be worked out: `user.open` is undefined"
    );
}

#[tokio::test]
async fn overrides_hold_on_entry_only_and_are_filtered() {
    let mut agents = agents();
    agents.override_tools(&["spare", "always"]).unwrap();
    agents.override_handoffs(&["Refunds"]).unwrap();
    let entered = agents.resolve_entry(&gold(), &McpServers::new()).await.unwrap();
    assert_eq!(entered.tool_names(), ["spare", "always"]);
    assert_eq!(entered.handoff_names(), ["Refunds"]);
    assert!(
        entered.find("refund").is_some(),
        "its own way to hand over is kept"
    );
    let entered = agents.resolve_entry(&silver(), &McpServers::new()).await.unwrap();
    assert_eq!(entered.tool_names(), ["always"]);
    assert_eq!(entered.handoff_names(), [""; 0]);

    let later = agents
        .resolve("Triage", &gold(), &McpServers::new())
        .await
        .unwrap();
    assert_eq!(later.tool_names(), ["always", "gold_only", "end_session"]);
    assert_eq!(later.handoff_names(), ["Refunds", "Billing"]);
}

#[tokio::test]
async fn an_override_may_leave_nothing() {
    let mut agents = agents();
    agents.override_tools::<&str>(&[]).unwrap();
    agents.override_handoffs::<&str>(&[]).unwrap();
    let entered = agents.resolve_entry(&gold(), &McpServers::new()).await.unwrap();
    assert_eq!(entered.session_config().tools, Some(Vec::new()));
    assert_eq!(entered.handoff_names(), [""; 0]);
}

#[test]
fn an_override_by_what_there_is_not_says_what_there_is() {
    let mut agents = agents();
    assert_eq!(
        agents
            .override_tools(&["always", "alway"])
            .unwrap_err()
            .to_string(),
        "there is no tool `alway`; the tools are `always`, `gold_only`, `spare`, `end_session`"
    );
    assert_eq!(
        agents.override_handoffs(&["Refund"]).unwrap_err().to_string(),
        "there is no agent `Refund`; the agents are `Triage`, `Billing`, `Refunds`"
    );
}

/// A tool that counts how often it is asked whether it is enabled.
struct Counted {
    spec: ToolSpec,
    asked: Arc<AtomicUsize>,
}

impl Tool for Counted {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, _: ToolCall) -> ToolFuture {
        Box::pin(async { Ok(ToolOutput::from("done")) })
    }

    fn is_enabled(&self, _: &Variables) -> Result<bool, TemplateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }
}

#[tokio::test]
async fn m2_a_condition_is_asked_once_for_each_time_an_agent_takes_charge() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        spec: ToolSpec::new("counted", "Counts."),
        asked: Arc::clone(&asked),
    };
    let agents = Agents::new(Agent::new("A").tool(counted)).with(Agent::new("B"));
    let simulator = Simulator::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let mut session = Session::builder(agents)
        .endpoint(endpoint)
        .connect()
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    session.send_message("counted, please").await.unwrap();
    while !matches!(session.next().await.unwrap(), SessionEvent::TurnEnd { .. }) {}
    session.update_agent("B").await.unwrap();
    assert_eq!(
        asked.load(Ordering::Relaxed),
        1,
        "neither calls nor other agents ask"
    );
    session.update_agent("A").await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    session.close().await;
    simulator.shutdown().await;
}

#[tokio::test]
async fn l3_an_entry_whose_condition_fails_tells_why() {
    let mut agents = agents();
    agents.context = json!({"user": {"tier": "gold"}});
    let endpoint = Endpoint::new("ws://127.0.0.1:9").unwrap();
    let error = Session::builder(agents)
        .endpoint(endpoint)
        .connect()
        .await
        .unwrap_err();
    let SessionError::Resolve(ResolveError::Template { what, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(what, "the condition of the tool `gold_only`");
}
