//! What agent spans tell: rules M1 to M3, over real sockets.

#[path = "support/server.rs"]
mod server;
#[path = "support/spans.rs"]
mod spans;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_run::agent::{Agent, Agents, Handoff};
use realtime_run::tool::{FunctionTool, Tool, ToolCall, ToolFuture, ToolOutput, ToolSpec};
use realtime_run::trace::{SpanData, SpanRecord};
use serde_json::{Value, json};
use server::{Server, part, updated, within};
use spans::{application_span, traced};

fn tool(name: &str) -> FunctionTool {
    FunctionTool::new(name, "", json!({"type": "object"}), |_| async {
        application_span("unused");
        Ok(ToolOutput::from("done"))
    })
}

/// The names of the functions in a `session.update`.
fn sent(update: &Value) -> Vec<&str> {
    let tools = update["session"]["tools"]
        .as_array()
        .expect("a list of tools is always sent");
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// Tools and handoffs of an agent's span.
fn told(span: &SpanRecord) -> (Vec<String>, Vec<String>) {
    match &span.data {
        SpanData::Agent {
            tools: Some(tools),
            handoffs: Some(handoffs),
            ..
        } => (tools.clone(), handoffs.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn m1_m3_tools_and_handoffs_are_those_really_sent() {
    let triage = Agent::new("Triage")
        .tool(tool("look"))
        .tool(tool("listen"))
        .handoff("Billing")
        .handoff(Handoff::to("Refunds & Returns").tool_name("give_back"));
    let agents = Agents::new(triage)
        .with(Agent::new("Billing"))
        .with(Agent::new("Refunds & Returns").tool(tool("look")));
    let (traced, server) = (traced(), Server::start().await);
    let connect = realtime_run::session::Session::builder(agents)
        .endpoint(server.endpoint())
        .connect();
    let (session, (mut peer, update)) = tokio::join!(traced.trace.scope(connect), async {
        let mut peer = server.accept().await;
        let update = peer.greet().await;
        (peer, update)
    });
    let session = session.unwrap();
    assert_eq!(
        sent(&update),
        ["look", "listen", "transfer_to_billing", "give_back"]
    );
    let (switched, billing) = tokio::join!(within("the switch", session.update_agent("Billing")), async {
        let update = peer.expect("session.update").await;
        peer.send(updated()).await;
        update
    });
    switched.unwrap();
    assert_eq!(
        sent(&billing),
        [""; 0],
        "an empty list is sent, or the tools of the agent before would stay"
    );
    part(&session, &mut peer).await;
    let (tools, handoffs) = told(&traced.span("Triage"));
    assert_eq!(tools, ["look", "listen"]);
    assert_eq!(
        handoffs,
        ["Billing", "Refunds & Returns"],
        "by the names of the agents, not of the tools"
    );
    assert_eq!(told(&traced.span("Billing")), (vec![], vec![]));
}

#[tokio::test]
async fn m1_a_span_that_failed_before_anything_was_sent_tells_no_tools() {
    let traced = traced();
    let agents = Agents::new(Agent::new("Triage").tool(tool("look")).handoff("Nobody"));
    let server = Server::start().await;
    let refuse = server.refuse(realtime_run::session::Session::builder(agents), async {});
    traced.trace.scope(refuse).await;
    let span = traced.span("Triage");
    assert!(matches!(
        &span.data,
        SpanData::Agent {
            tools: None,
            handoffs: None,
            ..
        }
    ));
}

/// A tool that counts how often it is asked what it is.
struct Counted {
    spec: ToolSpec,
    asked: Arc<AtomicUsize>,
}

impl Tool for Counted {
    fn spec(&self) -> &ToolSpec {
        self.asked.fetch_add(1, Ordering::Relaxed);
        &self.spec
    }

    fn call(&self, _call: ToolCall) -> ToolFuture {
        Box::pin(async { Ok(ToolOutput::from("done")) })
    }
}

#[tokio::test]
async fn m2_an_agent_is_resolved_once_for_each_activation() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        spec: ToolSpec::new("counted", ""),
        asked: Arc::clone(&asked),
    };
    let agents =
        Agents::new(Agent::new("Triage").tool(counted)).with(Agent::new("Billing").handoff("Triage"));
    asked.store(0, Ordering::Relaxed); // its schema was read once, when it was added
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = traced.trace.scope(server.open(agents)).await;
    let first = asked.swap(0, Ordering::Relaxed);
    for agent in ["Billing", "Triage"] {
        let (switched, ()) = tokio::join!(within("the switch", session.update_agent(agent)), async {
            peer.expect("session.update").await;
            peer.send(updated()).await;
        });
        switched.unwrap();
    }
    assert_eq!(
        asked.load(Ordering::Relaxed),
        first,
        "the second activation costs what the first did, no more"
    );
    part(&session, &mut peer).await;
    assert!(
        traced
            .named("Triage")
            .iter()
            .all(|span| told(span).0 == ["counted"])
    );
}
