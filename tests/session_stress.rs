//! Sessions under load: applications that read nothing, servers that read nothing, tools in crowds.

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{EndReason, HistoryItem, Session, SessionError, SessionEvent};
use realtime_run::tool::{FunctionTool, ToolOutput};
use serde_json::json;
use server::{Peer, Server, part, text_delta, until, within};

fn agents() -> Agents {
    Agents::new(Agent::new("Assistant"))
}

async fn open() -> (Session, Peer) {
    Server::start().await.open(agents()).await
}

/// More events than the session's queue for the application holds.
const MANY: usize = 5_000;
/// Bytes of each of them; all together are more than the sockets hold.
const DELTA: usize = 8_000;

/// Sends as many deltas as the client takes; tells how many it has sent.
fn flood(mut peer: Peer, sent: &Arc<AtomicUsize>) -> tokio::task::JoinHandle<Peer> {
    let sent = Arc::clone(sent);
    let words = "x".repeat(DELTA);
    tokio::spawn(async move {
        use futures_util::SinkExt;
        use tokio_tungstenite::tungstenite::Message;
        for number in 0..MANY {
            let frame = Message::text(text_delta("r1", "a", &format!("{number} {words}")).to_string());
            // Without the limit of other waits: that it waits is what is tested.
            if peer.socket.send(frame).await.is_err() {
                break;
            }
            sent.fetch_add(1, Ordering::Relaxed);
        }
        peer
    })
}

/// Waits until the session has stopped listening: its history holds about as many deltas, of so many bytes each, as its
/// queue holds events, and grows no more.
async fn until_it_listens_no_more(session: &Session, delta: usize) {
    let mut words = 0;
    loop {
        let history = session.history().await.unwrap();
        let now = history.iter().map(|item| item.text().len()).sum();
        if now == words && now > 1_000 * delta {
            return;
        }
        words = now;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_reads_nothing_makes_the_server_wait_and_loses_nothing() {
    let (mut session, peer) = open().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let flooding = flood(peer, &sent);
    within(
        "the session to be full",
        until_it_listens_no_more(&session, DELTA),
    )
    .await;
    assert!(sent.load(Ordering::Relaxed) < MANY, "it was not made to wait");
    let handle = session.handle();
    let reading = tokio::spawn(async move {
        let mut deltas = Vec::new();
        while let Some(event) = session.next().await {
            if let SessionEvent::TextDelta { delta, .. } = event {
                deltas.push(delta);
            }
        }
        deltas
    });
    let mut peer = within("the flood to end", flooding).await.unwrap();
    peer.send(text_delta("r1", "a", "the last")).await;
    peer.close(1000, "").await;
    let deltas = within("the end", reading).await.unwrap();
    within("the end", handle.closed()).await;
    assert_eq!(deltas.len(), MANY + 1);
    let in_order = deltas.iter().enumerate().take(MANY);
    assert!(
        in_order
            .into_iter()
            .all(|(number, delta)| delta.starts_with(&format!("{number} ")))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_reads_nothing_is_heard_and_can_close() {
    let (mut session, peer) = open().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let flooding = flood(peer, &sent);
    within(
        "the session to be full",
        until_it_listens_no_more(&session, DELTA),
    )
    .await;
    session.send_message("hello").await.unwrap();
    within("the close", session.close()).await;
    assert!(matches!(
        session.send_message("more").await,
        Err(SessionError::Ended)
    ));
    // What had come before is still there to be read, however late.
    let mut deltas = 0;
    let reason = loop {
        match within("the last events", session.next()).await {
            Some(SessionEvent::TextDelta { .. }) => deltas += 1,
            Some(SessionEvent::SessionEnd { reason, .. }) => break reason,
            Some(_) => {}
            None => panic!("the end was lost"),
        }
    };
    assert_eq!(reason, EndReason::Closed);
    assert!(deltas > 1_000, "{deltas}");
    let mut peer = within("the flood to end", flooding).await.unwrap();
    let rest = peer.rest().await;
    assert!(
        rest.iter()
            .any(|event| event["type"] == "conversation.item.create"),
        "the message went out first"
    );
}

#[tokio::test]
async fn what_is_said_goes_out_while_events_wait_to_be_read() {
    let (session, mut peer) = open().await;
    for _ in 0..1_100 {
        peer.feed(text_delta("r1", "a", &"x".repeat(1_000))).await;
    }
    peer.send(json!({"type": "ping"})).await;
    within(
        "the session to be full",
        until_it_listens_no_more(&session, 1_000),
    )
    .await;
    session.send_message("hello").await.unwrap();
    peer.expect("response.create").await;
    part(&session, &mut peer).await;
}

#[tokio::test]
async fn a_session_closes_though_neither_side_reads() {
    let (session, mut peer) = open().await;
    let handle = session.handle();
    let talking = tokio::spawn(async move {
        let sound = vec![0; 4 << 20];
        while handle.send_audio(sound.clone(), false).await.is_ok() {}
    });
    peer.expect("input_audio_buffer.append").await;
    within("the close", session.close()).await;
    within("the talking to end", talking).await.unwrap();
}

#[tokio::test]
async fn events_of_the_sessions_own_do_not_keep_it_from_closing() {
    let server = Server::start().await;
    let (session, peer) = server
        .open_with(Session::builder(agents()).raw_events(true))
        .await;
    let handle = session.handle();
    let reading = tokio::spawn(async move {
        let mut peer = peer;
        peer.rest().await.len()
    });
    let talking = tokio::spawn(async move { while handle.send_message("hello").await.is_ok() {} });
    // Each message is told as a raw event that nobody reads: some time no more are taken.
    tokio::task::yield_now().await;
    let handle = session.handle();
    while tokio::time::timeout(std::time::Duration::from_millis(50), handle.history())
        .await
        .is_ok()
    {}
    within("the close", session.close()).await;
    within("the talking to end", talking).await.unwrap();
    assert!(within("the server", reading).await.unwrap() > 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_calls_each_has_its_output_and_all_have_one_answer() {
    const CALLS: usize = 200;
    let echo = FunctionTool::new("echo", "", json!({"type": "object"}), |call| async move {
        tokio::task::yield_now().await;
        Ok(ToolOutput::from(call.arguments["n"].to_string()))
    });
    let server = Server::start().await;
    let (mut session, mut peer) = server.open(Agents::new(Agent::new("Assistant").tool(echo))).await;
    peer.feed(server::response_event("response.created", "r1", json!({})))
        .await;
    for number in 0..CALLS {
        let arguments = json!({ "n": number }).to_string();
        peer.feed(server::call("r1", &format!("call_{number}"), "echo", &arguments))
            .await;
    }
    peer.send(server::response_event(
        "response.done",
        "r1",
        json!({"status": "completed"}),
    ))
    .await;
    let mut outputs = Vec::new();
    loop {
        let event = peer.next().await.unwrap();
        match event["type"].as_str().unwrap() {
            "conversation.item.create" => {
                let (call, output) = (
                    &event["item"]["call_id"],
                    event["item"]["output"].as_str().unwrap(),
                );
                assert_eq!(*call, format!("call_{output}"));
                outputs.push(output.parse::<usize>().unwrap());
            }
            "response.create" => break,
            other => panic!("{other}"),
        }
    }
    outputs.sort_unstable();
    assert!(outputs.into_iter().eq(0..CALLS));
    peer.say("r2", "a", "done").await;
    until(&mut session, |event| {
        matches!(event, SessionEvent::TurnEnd { .. })
    })
    .await;
    let history = session.history().await.unwrap();
    let calls = history
        .iter()
        .filter(|item| matches!(item, HistoryItem::ToolCall { output: Some(_), .. }));
    assert_eq!(calls.count(), CALLS);
    part(&session, &mut peer).await;
}

#[tokio::test]
async fn a_tool_in_line_makes_events_wait_but_loses_none() {
    const EVENTS: usize = 3_000;
    let may_end = Arc::new(tokio::sync::Notify::new());
    let slow = FunctionTool::new("slow", "", json!({"type": "object"}), {
        let may_end = Arc::clone(&may_end);
        move |_| {
            let may_end = Arc::clone(&may_end);
            async move {
                may_end.notified().await;
                Ok(ToolOutput::from("done"))
            }
        }
    });
    let mut agents = Agents::new(Agent::new("Assistant").tool(slow));
    agents.settings.async_tool_calls = false;
    let server = Server::start().await;
    let (mut session, mut peer) = server.open(agents).await;
    peer.feed(server::call("r1", "call_1", "slow", "{}")).await;
    let flood = async {
        for number in 0..EVENTS {
            peer.feed(text_delta("r1", "a", &format!("{number} "))).await;
        }
        peer.send(text_delta("r1", "a", "last")).await;
    };
    let read = async {
        let events = until(&mut session, |event| {
            matches!(event, SessionEvent::ToolStart { .. })
        })
        .await;
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, SessionEvent::TextDelta { .. }))
        );
        may_end.notify_one();
        until(
            &mut session,
            |event| matches!(event, SessionEvent::TextDelta { delta, .. } if delta == "last"),
        )
        .await
    };
    let (events, ()) = tokio::join!(read, flood);
    assert!(
        matches!(events[0], SessionEvent::ToolEnd { .. }),
        "{:?}",
        events[0]
    );
    let deltas = events
        .iter()
        .filter(|event| matches!(event, SessionEvent::TextDelta { .. }));
    assert_eq!(deltas.count(), EVENTS + 1);
    part(&session, &mut peer).await;
}

/// The last usage, and the reason of the end, are not lost to a tool that was still running in line.
#[tokio::test]
async fn what_waits_for_a_tool_in_line_is_heard_when_the_server_closes() {
    let slow = FunctionTool::new("slow", "", json!({"type": "object"}), |_| {
        std::future::pending::<Result<ToolOutput, realtime_run::tool::ToolError>>()
    });
    let mut agents = Agents::new(Agent::new("Assistant").tool(slow));
    agents.settings.async_tool_calls = false;
    let server = Server::start().await;
    let (mut session, mut peer) = server.open(agents).await;
    peer.send(server::call("r1", "call_1", "slow", "{}")).await;
    until(&mut session, |event| {
        matches!(event, SessionEvent::ToolStart { .. })
    })
    .await;
    let done = json!({"status": "completed", "usage": {"total_tokens": 42}});
    peer.send(server::response_event("response.done", "r1", done))
        .await;
    peer.send(server::error("session_expired", "An hour is over."))
        .await;
    peer.close(1001, "An hour is over.").await;
    let events = until(&mut session, |event| {
        matches!(event, SessionEvent::SessionEnd { .. })
    })
    .await;
    let Some(SessionEvent::SessionEnd { reason, usage, .. }) = events.last() else {
        unreachable!()
    };
    assert!(matches!(reason, EndReason::Failed { .. }), "{reason}");
    assert_eq!(usage.total_tokens, 42);
}
