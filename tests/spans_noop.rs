//! Sessions that are not traced: rules N1 to N3, over real sockets.

#[path = "support/server.rs"]
mod server;
#[path = "support/spans.rs"]
mod spans;

use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Session, SessionEvent};
use realtime_run::tool::{FunctionTool, ToolOutput};
use realtime_run::trace::{Context, SpanData, Tracer};
use serde_json::{Value, json};
use server::{Server, part, until};
use spans::{application_span, traced};

/// An agent of which the server would keep a trace, with a tool that opens a span.
fn agents() -> Agents {
    let look = FunctionTool::new("look", "", json!({"type": "object"}), |_| async {
        application_span("inside the tool");
        Ok(ToolOutput::from("done"))
    });
    let mut agents = Agents::new(Agent::new("Triage").tool(look));
    agents.settings.config.tracing = Some(Some(json!("auto")));
    agents
}

/// Runs a session with a call in it; gives the settings it sent.
async fn run(builder: realtime_run::session::SessionBuilder) -> Value {
    let server = Server::start().await;
    let open = builder.endpoint(server.endpoint()).connect();
    let (session, (mut peer, update)) = tokio::join!(open, async {
        let mut peer = server.accept().await;
        let update = peer.greet().await;
        (peer, update)
    });
    let mut session = session.unwrap();
    let start = session.next().await.unwrap();
    let SessionEvent::SessionStart { trace_id, .. } = start else {
        panic!("{start:?}")
    };
    assert_eq!(trace_id, session.trace_id().map(|id| id.to_string()));
    peer.call("r1", "call_1", "look", "{}").await;
    peer.expect("response.create").await;
    peer.say("r2", "a", "hello").await;
    until(&mut session, |event| {
        matches!(event, SessionEvent::TurnEnd { .. })
    })
    .await;
    part(&session, &mut peer).await;
    update
}

#[tokio::test]
async fn n1_a_session_without_tracing_records_nothing_and_asks_for_no_trace_on_the_server() {
    let traced = traced();
    let update = traced
        .trace
        .scope(run(Session::builder(agents()).without_tracing()))
        .await;
    assert_eq!(update["session"].get("tracing"), None);
    let names: Vec<_> = traced
        .ended()
        .iter()
        .map(|span| span.data.label().into_owned())
        .collect();
    assert_eq!(
        names, [""; 0],
        "not even what the tool opens: its task is the session's"
    );
    let update = traced.trace.scope(run(Session::builder(agents()))).await;
    assert_eq!(update["session"]["tracing"], "auto");
}

#[tokio::test]
async fn n1_a_session_without_tracing_has_no_export_thread() {
    let threads = std::path::Path::new("/proc/self/task");
    if !threads.exists() {
        return eprintln!("skipped: this system does not list threads in /proc/self/task");
    }
    let exporting = || {
        let names = threads
            .read_dir()
            .unwrap()
            .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("trace-export")).count()
    };
    run(Session::builder(agents()).without_tracing()).await;
    Tracer::disabled()
        .trace("T")
        .start()
        .scope(run(Session::builder(agents())))
        .await;
    assert_eq!(exporting(), 0);
}

#[tokio::test]
async fn n2_a_session_without_a_trace_works_as_usual() {
    assert!(!Context::current().is_recording());
    let update = run(Session::builder(agents())).await;
    assert_eq!(
        update["session"]["tracing"], "auto",
        "what the user asked of the server is left alone"
    );
}

#[tokio::test]
async fn n3_a_noop_never_poisons() {
    let traced = traced();
    let server = Server::start().await;
    let place = traced.trace.context();
    let outside = FunctionTool::new("look", "", json!({"type": "object"}), move |_| {
        let place = place.clone();
        async move {
            // A tool may start or enter a trace of its own.
            place.scope(async { application_span("inside the tool") }).await;
            Ok(ToolOutput::from("done"))
        }
    });
    let (session, mut peer) = server.open(Agents::new(Agent::new("Triage").tool(outside))).await;
    peer.call("r1", "call_1", "look", "{}").await;
    peer.expect("response.create").await;
    traced
        .trace
        .scope(async {
            application_span("beside the session");
            let span = Context::current().span(SpanData::custom("outer"));
            span.context().scope(async { application_span("nested") }).await;
        })
        .await;
    part(&session, &mut peer).await;
    assert_eq!(traced.parent("inside the tool"), None);
    assert_eq!(traced.parent("beside the session"), None);
    assert_eq!(traced.parent("nested"), Some(traced.span("outer").id));
    assert_eq!(traced.ended().len(), 4, "and nothing of the session");
}
