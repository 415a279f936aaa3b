//! When agent spans start and end: rules L1 to L6, over real sockets.

#[path = "support/server.rs"]
mod server;
#[path = "support/spans.rs"]
mod spans;

use std::sync::Arc;
use std::time::Duration;

use realtime_run::agent::{Agent, Agents};
use realtime_run::context::{TemplateError, Variables};
use realtime_run::session::{EndReason, Session, SessionBuilder, SessionError, SessionEvent};
use realtime_run::tool::{FunctionTool, Tool, ToolCall, ToolError, ToolFuture, ToolOutput, ToolSpec};
use serde_json::json;
use server::{Peer, Server, end, error, part, until, updated, within};
use spans::{Traced, traced};
use tokio::sync::Notify;

fn tool(name: &str) -> FunctionTool {
    FunctionTool::new(name, "", json!({"type": "object"}), |_| async {
        Ok(ToolOutput::from("done"))
    })
}

/// A tool that never ends by itself, and tells when it has begun.
fn endless(begun: &Arc<Notify>) -> FunctionTool {
    let begun = Arc::clone(begun);
    FunctionTool::new("endless", "", json!({"type": "object"}), move |_| {
        begun.notify_one();
        std::future::pending::<Result<ToolOutput, ToolError>>()
    })
}

fn agents() -> Agents {
    let triage = Agent::new("Triage").tool(tool("look")).handoff("Billing");
    Agents::new(triage).with(Agent::new("Billing").handoff("Triage"))
}

async fn open(traced: &Traced, server: &Server, agents: Agents) -> (Session, Peer) {
    traced.trace.scope(server.open(agents)).await
}

/// Checks that Triage's span is the only one, and how it ended.
fn check_end(traced: &Traced, error: Option<&str>) {
    traced.check_all_ended_once();
    assert_eq!(traced.started(), 1);
    assert_eq!(traced.error("Triage").as_deref(), error);
}

#[tokio::test]
async fn l1_entry_starts_one_span_for_the_starting_agent() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = open(&traced, &server, agents()).await;
    assert_eq!((traced.started(), traced.ended().len()), (1, 0));
    part(&session, &mut peer).await;
    assert_eq!(traced.span("Triage").data.label(), "Triage");
}

#[tokio::test]
async fn l2_closing_ends_the_span() {
    let (traced, server) = (traced(), Server::start().await);
    let (mut session, mut peer) = open(&traced, &server, agents()).await;
    let (_, rest) = tokio::join!(session.close(), peer.rest());
    assert_eq!(rest.len(), 0);
    check_end(&traced, None);
    assert_eq!(end(&mut session).await, EndReason::Closed);
    assert!(matches!(
        session.send_message("hello").await,
        Err(SessionError::Ended)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_closing_twice_and_from_many_tasks_at_once_ends_it_once() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = open(&traced, &server, agents()).await;
    let closing: Vec<_> = (0..8)
        .map(|_| {
            let handle = session.handle();
            tokio::spawn(async move { handle.close().await })
        })
        .collect();
    peer.rest().await;
    for task in closing {
        within("every close to return", task).await.unwrap();
    }
    within("a close after the end", session.close()).await;
    check_end(&traced, None);
}

#[tokio::test]
async fn l2_a_server_that_vanishes_ends_the_span() {
    let (traced, server) = (traced(), Server::start().await);
    let (mut session, peer) = open(&traced, &server, agents()).await;
    drop(peer);
    assert!(matches!(end(&mut session).await, EndReason::Lost { close } if close.code == 1006));
    assert!(traced.error("Triage").unwrap().contains("connection was lost"));
    traced.check_all_ended_once();
}

#[tokio::test]
async fn l2_a_server_that_closes_ends_the_span() {
    for (code, fails) in [(1000, false), (1001, true), (1011, true)] {
        let (traced, server) = (traced(), Server::start().await);
        let (mut session, peer) = open(&traced, &server, agents()).await;
        peer.close(code, "enough").await;
        end(&mut session).await;
        assert_eq!(traced.error("Triage").is_some(), fails, "{code}");
        traced.check_all_ended_once();
    }
}

#[tokio::test]
async fn l2_a_fatal_error_ends_the_span_with_the_servers_words() {
    let (traced, server) = (traced(), Server::start().await);
    let (mut session, mut peer) = open(&traced, &server, agents()).await;
    peer.send(error("session_expired", "An hour is over.")).await;
    peer.close(1001, "An hour is over.").await;
    assert!(matches!(end(&mut session).await, EndReason::Failed { .. }));
    let told = "the server ended the session: An hour is over. (session_expired)";
    check_end(&traced, Some(told));
}

#[test]
fn l2_the_end_of_the_runtime_ends_the_span() {
    let traced = traced();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opened = runtime.block_on(async {
        let server = Server::start().await;
        open(&traced, &server, agents()).await
    });
    drop(runtime);
    check_end(&traced, Some("the session was aborted"));
    drop(opened);
}

#[tokio::test]
async fn l2_dropping_the_session_ends_the_span() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = open(&traced, &server, agents()).await;
    drop(session);
    peer.rest().await;
    traced.wait_for("Triage").await;
    check_end(&traced, None);
}

#[tokio::test]
async fn l2_dropping_the_session_ends_the_span_even_while_handles_are_left() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = open(&traced, &server, agents()).await;
    let handle = session.handle();
    drop(session);
    peer.rest().await;
    within("the end", handle.closed()).await;
    check_end(&traced, None);
    assert!(matches!(
        handle.send_message("hello").await,
        Err(SessionError::Ended)
    ));
}

#[tokio::test]
async fn l2_aborting_the_application_ends_the_span() {
    let (traced, server) = (traced(), Server::start().await);
    let (mut session, _peer) = open(&traced, &server, agents()).await;
    let application = tokio::spawn(async move { while session.next().await.is_some() {} });
    application.abort();
    assert!(application.await.is_err_and(|error| error.is_cancelled()));
    traced.wait_for("Triage").await;
    check_end(&traced, None);
}

#[tokio::test]
async fn l2_a_panic_in_the_application_ends_the_span() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, _peer) = open(&traced, &server, agents()).await;
    let application = tokio::spawn(async move {
        let _session = session;
        panic!("as intended");
    });
    assert!(application.await.is_err_and(|error| error.is_panic()));
    traced.wait_for("Triage").await;
    traced.check_all_ended_once();
}

#[tokio::test]
async fn l2_a_panic_in_a_tool_ends_its_span_and_the_session_goes_on() {
    let (traced, server) = (traced(), Server::start().await);
    let broken = FunctionTool::new("broken", "", json!({"type": "object"}), |_| async {
        if true {
            panic!("as intended");
        }
        Ok("unreached")
    });
    let (session, mut peer) = open(&traced, &server, Agents::new(Agent::new("Triage").tool(broken))).await;
    peer.call("r1", "call_1", "broken", "{}").await;
    let output = peer.expect("conversation.item.create").await;
    assert!(
        output["item"]["output"].as_str().unwrap().contains("broke off"),
        "{output}"
    );
    peer.expect("response.create").await;
    assert!(traced.error("broken").is_some());
    part(&session, &mut peer).await;
    assert_eq!(traced.error("Triage"), None);
    traced.check_all_ended_once();
}

/// A tool that breaks the contract: it panics when it is asked whether the agent has it.
struct Faulty(ToolSpec);

impl Tool for Faulty {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn is_enabled(&self, _context: &Variables) -> Result<bool, TemplateError> {
        panic!("as intended")
    }

    fn call(&self, _call: ToolCall) -> ToolFuture {
        unreachable!("no agent has it")
    }
}

#[tokio::test]
async fn l2_a_panic_in_the_sessions_own_task_ends_the_span() {
    let (traced, server) = (traced(), Server::start().await);
    let builder = Session::builder(Agents::new(
        Agent::new("Triage").tool(Faulty(ToolSpec::new("faulty", ""))),
    ));
    let error = traced.trace.scope(server.refuse(builder, async {})).await;
    assert!(matches!(error, SessionError::Ended));
    check_end(&traced, Some("the session is over"));
}

#[tokio::test]
async fn l2_a_tool_still_running_is_ended_with_an_error_that_says_so() {
    for in_line in [false, true] {
        let (traced, server) = (traced(), Server::start().await);
        let begun = Arc::new(Notify::new());
        let mut agents = Agents::new(Agent::new("Triage").tool(endless(&begun)));
        agents.settings.async_tool_calls = !in_line;
        let (session, mut peer) = open(&traced, &server, agents).await;
        peer.call("r1", "call_1", "endless", "{}").await;
        within("the tool to begin", begun.notified()).await;
        part(&session, &mut peer).await;
        let told = "The session ended before the tool had finished";
        assert_eq!(
            traced.error("endless").as_deref(),
            Some(told),
            "in line: {in_line}"
        );
        assert_eq!(traced.error("Triage"), None);
        traced.check_all_ended_once();
    }
}

/// Opens a session that must fail, and gives why; the span must say the same, and be the only one.
async fn failed_entry(builder: SessionBuilder, serve: impl AsyncFnOnce(&Server)) -> SessionError {
    let (traced, server) = (traced(), Server::start().await);
    let refuse = server.refuse(builder, serve(&server));
    let error = traced.trace.scope(refuse).await;
    check_end(&traced, Some(&error.to_string()));
    error
}

fn builder() -> SessionBuilder {
    Session::builder(agents())
}

#[tokio::test]
async fn l3_an_agent_that_cannot_be_resolved_leaves_nothing_dangling() {
    let agents = Agents::new(Agent::new("Triage").handoff("Nobody"));
    let error = failed_entry(Session::builder(agents), async |_| {}).await;
    assert!(matches!(error, SessionError::Resolve(_)), "{error:?}");
}

#[tokio::test]
async fn l3_a_connection_refused_leaves_nothing_dangling() {
    let traced = traced();
    let endpoint = Server::start().await.endpoint();
    let error = traced
        .trace
        .scope(builder().endpoint(endpoint).connect())
        .await
        .unwrap_err();
    assert!(matches!(error, SessionError::Connect(_)), "{error:?}");
    check_end(&traced, Some(&error.to_string()));
}

#[tokio::test]
async fn l3_an_http_refusal_leaves_nothing_dangling() {
    let error = failed_entry(builder(), async |server| {
        let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        server.answer(answer).await;
    })
    .await;
    assert!(matches!(error, SessionError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn l3_an_error_and_a_close_leave_nothing_dangling() {
    let failure = failed_entry(builder(), async |server| {
        let mut peer = server.accept().await;
        peer.send(error("invalid_api_key", "Wrong key.")).await;
        peer.close(3000, "invalid_request_error.invalid_api_key").await;
    })
    .await;
    assert!(matches!(failure, SessionError::Refused { .. }), "{failure:?}");
}

#[tokio::test]
async fn l3_refused_settings_leave_nothing_dangling() {
    let failure = failed_entry(builder(), async |server| {
        let mut peer = server.accept().await;
        peer.send(server::created()).await;
        let update = peer.expect("session.update").await;
        let mut refusal = error("unknown_parameter", "Unknown parameter: 'session.x'.");
        refusal["error"]["event_id"] = update["event_id"].clone();
        peer.send(refusal).await;
        peer.rest().await;
    })
    .await;
    assert!(matches!(failure, SessionError::Settings { .. }), "{failure:?}");
}

#[tokio::test]
async fn l3_a_timeout_leaves_nothing_dangling() {
    let failure = failed_entry(
        builder().open_timeout(Duration::from_millis(50)),
        async |server| {
            server.accept().await.rest().await;
        },
    )
    .await;
    assert!(matches!(failure, SessionError::Timeout(_)), "{failure:?}");
}

#[tokio::test]
async fn l3_a_connection_that_breaks_during_entry_leaves_nothing_dangling() {
    let failure = failed_entry(builder(), async |server| {
        let mut peer = server.accept().await;
        peer.send(server::created()).await;
        peer.expect("session.update").await;
    })
    .await;
    assert!(matches!(failure, SessionError::Closed(_)), "{failure:?}");
}

#[tokio::test]
async fn l3_an_application_that_gives_up_on_entry_leaves_nothing_dangling() {
    let (traced, server) = (traced(), Server::start().await);
    let connect = builder().endpoint(server.endpoint()).connect();
    let task = tokio::spawn(traced.trace.scope(connect));
    let mut peer = server.accept().await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    peer.rest().await;
    traced.wait_for("Triage").await;
    check_end(&traced, Some("the session is over"));
}

#[tokio::test]
async fn l4_a_handoff_ends_one_span_and_starts_the_next() {
    for in_line in [false, true] {
        let (traced, server) = (traced(), Server::start().await);
        let mut agents = agents();
        agents.settings.async_tool_calls = !in_line;
        let (session, mut peer) = open(&traced, &server, agents).await;
        peer.call("r1", "call_1", "transfer_to_billing", "{}").await;
        peer.expect("session.update").await;
        assert_eq!(
            traced.named("Triage").len(),
            0,
            "the old agent is in charge until the server has the new one's settings"
        );
        peer.send(updated()).await;
        peer.expect("response.create").await;
        part(&session, &mut peer).await;
        let (triage, billing) = (traced.span("Triage"), traced.span("Billing"));
        assert_eq!(triage.ended_at, Some(billing.started_at), "in line: {in_line}");
        assert_eq!((triage.error.clone(), billing.error.clone()), (None, None));
        assert_eq!(traced.error("Triage → Billing"), None);
        traced.check_all_ended_once();
    }
}

#[tokio::test]
async fn l4_a_handoff_back_and_forth_leaves_a_chain_without_gaps() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = open(&traced, &server, agents()).await;
    for (number, agent) in ["billing", "triage", "billing"].into_iter().enumerate() {
        let (response, call) = (format!("r{number}"), format!("call_{number}"));
        peer.call(&response, &call, &format!("transfer_to_{agent}"), "{}")
            .await;
        peer.expect("session.update").await;
        peer.send(updated()).await;
        peer.expect("response.create").await;
        peer.send(server::response_event("response.created", "x", json!({})))
            .await;
        peer.send(server::response_event(
            "response.done",
            "x",
            json!({"status": "completed"}),
        ))
        .await;
    }
    part(&session, &mut peer).await;
    let spans: Vec<_> = traced
        .ended()
        .into_iter()
        .filter(|span| span.parent_id.is_none())
        .collect();
    let names: Vec<_> = spans.iter().map(|span| span.data.label().into_owned()).collect();
    assert_eq!(names, ["Triage", "Billing", "Triage", "Billing"]);
    assert!(
        spans
            .windows(2)
            .all(|pair| pair[0].ended_at == Some(pair[1].started_at))
    );
}

/// Switches the agent, with the server taking its settings.
async fn switch(session: &Session, peer: &mut Peer, agent: &str) {
    let (switched, ()) = tokio::join!(within("the switch", session.update_agent(agent)), async {
        peer.expect("session.update").await;
        peer.send(updated()).await;
    });
    switched.unwrap();
}

#[tokio::test]
async fn l5_a_manual_switch_is_a_handoff() {
    let (traced, server) = (traced(), Server::start().await);
    let (mut session, mut peer) = open(&traced, &server, agents()).await;
    switch(&session, &mut peer, "Billing").await;
    until(&mut session, |event| {
        matches!(event, SessionEvent::Handoff { .. })
    })
    .await;
    part(&session, &mut peer).await;
    assert_eq!(
        traced.span("Triage").ended_at,
        Some(traced.span("Billing").started_at)
    );
    assert_eq!(traced.parent("Triage → Billing"), Some(traced.span("Triage").id));
    traced.check_all_ended_once();
}

#[tokio::test]
async fn l5_a_switch_to_the_agent_in_charge_starts_a_new_span() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = open(&traced, &server, agents()).await;
    switch(&session, &mut peer, "Triage").await;
    part(&session, &mut peer).await;
    let spans = traced.named("Triage");
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0].ended_at, Some(spans[1].started_at));
}

#[tokio::test]
async fn l6_a_switch_to_an_unknown_agent_keeps_the_old_one() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = open(&traced, &server, agents()).await;
    let error = session.update_agent("Nobody").await.unwrap_err();
    assert!(
        error.to_string().contains("agent `Nobody` could not take over"),
        "{error}"
    );
    assert!(
        traced
            .error("Triage → Nobody")
            .unwrap()
            .contains("no agent `Nobody`")
    );
    assert_eq!(traced.named("Triage").len(), 0, "its span goes on");
    part(&session, &mut peer).await;
    assert_eq!(traced.error("Triage"), None);
    traced.check_all_ended_once();
}

#[tokio::test]
async fn l6_a_handoff_whose_settings_are_refused_keeps_the_old_agent() {
    let (traced, server) = (traced(), Server::start().await);
    let (session, mut peer) = open(&traced, &server, agents()).await;
    peer.call("r1", "call_1", "transfer_to_billing", "{}").await;
    let update = peer.expect("session.update").await;
    let mut refusal = error("cannot_update_voice", "The voice stays.");
    refusal["error"]["event_id"] = update["event_id"].clone();
    peer.send(refusal).await;
    let output = peer.expect("conversation.item.create").await;
    assert!(
        output["item"]["output"]
            .as_str()
            .unwrap()
            .contains("The voice stays."),
        "{output}"
    );
    assert!(
        traced
            .error("Triage → Billing")
            .unwrap()
            .contains("The voice stays.")
    );
    peer.expect("response.create").await;
    part(&session, &mut peer).await;
    assert_eq!(traced.named("Billing").len(), 0);
    assert_eq!(traced.error("Triage"), None);
    traced.check_all_ended_once();
}
