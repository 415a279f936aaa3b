//! What spans hang under: rules P1 to P4, over real sockets.

#[path = "support/server.rs"]
mod server;
#[path = "support/spans.rs"]
mod spans;

use std::sync::Arc;

use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Session, SessionEvent, SessionHandle};
use realtime_run::tool::{FunctionTool, ToolOutput};
use realtime_run::trace::{Context, SpanData};
use serde_json::json;
use server::{Peer, Server, part, until, updated, within};
use spans::{application_span, traced};
use tokio::sync::Notify;

fn agents(tool: FunctionTool) -> Agents {
    Agents::new(Agent::new("Triage").tool(tool).handoff("Billing"))
        .with(Agent::new("Billing").handoff("Triage"))
}

fn tool<F: Future<Output = ()> + Send + 'static>(
    name: &str,
    run: impl Fn() -> F + Send + Sync + 'static,
) -> FunctionTool {
    FunctionTool::new(name, "", json!({"type": "object"}), move |_| {
        let running = run();
        async move {
            running.await;
            Ok(ToolOutput::from("done"))
        }
    })
}

fn idle() -> FunctionTool {
    tool("look", || async {})
}

/// Takes the settings of the agent that takes over.
async fn hand_over(session: &mut Session, peer: &mut Peer) {
    peer.expect("session.update").await;
    peer.send(updated()).await;
    until(session, |event| matches!(event, SessionEvent::Handoff { .. })).await;
}

async fn switch(session: SessionHandle, agent: &str) {
    within("the switch", session.update_agent(agent)).await.unwrap();
}

#[tokio::test]
async fn p1_agent_spans_are_siblings_under_what_was_current_at_entry() {
    let (traced, server) = (traced(), Server::start().await);
    let outer = traced.trace.context().span(SpanData::custom("outer"));
    let (mut session, mut peer) = outer.context().scope(server.open(agents(idle()))).await;
    // Later calls come from elsewhere in the trace, and from outside of it.
    let elsewhere = traced.trace.context().span(SpanData::custom("elsewhere"));
    let switch = elsewhere.context().scope(switch(session.handle(), "Billing"));
    tokio::join!(switch, hand_over(&mut session, &mut peer));
    peer.call("r1", "call_1", "transfer_to_triage", "{}").await;
    hand_over(&mut session, &mut peer).await;
    part(&session, &mut peer).await;
    let spans: Vec<_> = ["Triage", "Billing", "Triage → Billing", "Billing → Triage"]
        .iter()
        .flat_map(|name| traced.named(name))
        .collect();
    assert_eq!(spans.len(), 5);
    for span in spans
        .iter()
        .filter(|span| matches!(span.data, SpanData::Agent { .. }))
    {
        assert_eq!(span.parent_id, outer.id(), "{}", span.data.label());
    }
}

#[tokio::test]
async fn p1_directly_in_a_trace_agent_spans_have_no_parent() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = traced.trace.scope(server.open(agents(idle()))).await;
    part(&session, &mut peer).await;
    assert_eq!(traced.parent("Triage"), None);
}

#[tokio::test]
async fn p2_the_applications_spans_hang_under_what_it_made_current() {
    let (traced, server) = (traced(), Server::start().await);
    let own = traced.trace.context().span(SpanData::custom("own"));
    own.context()
        .scope(async {
            application_span("before entry");
            let (mut session, mut peer) = server.open(agents(idle())).await;
            application_span("before the handoff");
            peer.call("r1", "call_1", "transfer_to_billing", "{}").await;
            peer.expect("session.update").await;
            application_span("during the handoff");
            peer.send(updated()).await;
            until(&mut session, |event| {
                matches!(event, SessionEvent::Handoff { .. })
            })
            .await;
            application_span("after the handoff");
            part(&session, &mut peer).await;
            application_span("after the end");
        })
        .await;
    for name in [
        "before entry",
        "before the handoff",
        "during the handoff",
        "after the handoff",
        "after the end",
    ] {
        assert_eq!(traced.parent(name), own.id(), "{name}");
    }
}

#[tokio::test]
async fn p3_a_tool_that_outlives_a_handoff_keeps_its_parent() {
    let (traced, server) = (traced(), Server::start().await);
    let (begun, may_end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = tool("slow", {
        let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
        move || {
            let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
            async move {
                begun.notify_one();
                may_end.notified().await;
            }
        }
    });
    let (mut session, mut peer) = traced.trace.scope(server.open(agents(slow))).await;
    peer.call("r1", "call_1", "slow", "{}").await;
    within("the tool to begin", begun.notified()).await;
    peer.call("r2", "call_2", "transfer_to_billing", "{}").await;
    hand_over(&mut session, &mut peer).await;
    may_end.notify_one();
    traced.wait_for("slow").await;
    part(&session, &mut peer).await;
    let (triage, slow) = (traced.span("Triage"), traced.span("slow"));
    assert_eq!(slow.parent_id, Some(triage.id));
    assert!(slow.ended_at > triage.ended_at, "it outlives its parent");
    assert_eq!(slow.error, None);
}

#[tokio::test]
async fn p3_nothing_starts_under_a_finished_agent() {
    let (traced, server) = (traced(), Server::start().await);
    let (mut session, mut peer) = traced.trace.scope(server.open(agents(idle()))).await;
    // The answer begins under Triage, and calls its tool when Billing is in charge.
    peer.send(server::response_event("response.created", "r1", json!({})))
        .await;
    until(&mut session, |event| {
        matches!(event, SessionEvent::AgentStart { .. })
    })
    .await;
    let switch = switch(session.handle(), "Billing");
    tokio::join!(switch, hand_over(&mut session, &mut peer));
    peer.send(server::call("r1", "call_1", "look", "{}")).await;
    traced.wait_for("look").await;
    part(&session, &mut peer).await;
    let spans = traced.ended();
    for span in &spans {
        let parent = spans.iter().find(|parent| Some(parent.id) == span.parent_id);
        if let Some(parent) = parent {
            assert!(
                Some(span.started_at) <= parent.ended_at,
                "{} under {}",
                span.data.label(),
                parent.data.label()
            );
        }
    }
    assert_eq!(traced.parent("look"), Some(traced.span("Billing").id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_spans_opened_inside_a_tool_nest_under_its_span() {
    for in_line in [false, true] {
        let (traced, server) = (traced(), Server::start().await);
        let busy = tool("busy", || async {
            application_span("at once");
            tokio::task::yield_now().await;
            application_span("later");
            let place = Context::current();
            let on_a_task = place.scope(async { application_span("on a task") });
            tokio::spawn(on_a_task).await.unwrap();
            let on_a_thread = move || place.sync_scope(|| application_span("on a thread"));
            tokio::task::spawn_blocking(on_a_thread).await.unwrap();
        });
        let mut agents = agents(busy);
        agents.settings.async_tool_calls = !in_line;
        let (session, mut peer) = traced.trace.scope(server.open(agents)).await;
        peer.call("r1", "call_1", "busy", "{}").await;
        peer.expect("response.create").await;
        part(&session, &mut peer).await;
        let tool = traced.span("busy");
        for name in ["at once", "later", "on a task", "on a thread"] {
            assert_eq!(traced.parent(name), Some(tool.id), "{name}, in line: {in_line}");
        }
        assert_eq!(tool.parent_id, Some(traced.span("Triage").id));
        traced.check_all_ended_once();
    }
}

#[tokio::test]
async fn p4_tools_that_run_at_the_same_time_each_see_their_own_span() {
    let (traced, server) = (traced(), Server::start().await);
    let met = Arc::new(tokio::sync::Barrier::new(2));
    let meeting = |name: &'static str| {
        let met = Arc::clone(&met);
        tool(name, move || {
            let met = Arc::clone(&met);
            async move {
                met.wait().await;
                application_span(&format!("in {name}"));
                met.wait().await;
            }
        })
    };
    let agents = Agents::new(Agent::new("Triage").tool(meeting("left")).tool(meeting("right")));
    let (session, mut peer) = traced.trace.scope(server.open(agents)).await;
    peer.send_all([
        server::call("r1", "call_1", "left", "{}"),
        server::call("r1", "call_2", "right", "{}"),
    ])
    .await;
    peer.expect("response.create").await;
    part(&session, &mut peer).await;
    for name in ["left", "right"] {
        assert_eq!(traced.parent(&format!("in {name}")), Some(traced.span(name).id));
    }
}
