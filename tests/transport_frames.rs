//! What frames and closes of all kinds become, and that no credential shows anywhere (protocol.md sections 1.5, 8).

#[path = "support/server.rs"]
mod server;
#[path = "support/spans.rs"]
mod spans;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use realtime_run::Secret;
use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{EndReason, Session, SessionEvent};
use serde_json::{Value, json};
use server::{Peer, Server, end, error, part, response_event, text_delta, until, within};
use spans::traced;
use tokio_tungstenite::tungstenite::Message;

fn agents() -> Agents {
    Agents::new(Agent::new("Assistant"))
}

async fn open() -> (Session, Peer) {
    Server::start().await.open(agents()).await
}

#[tokio::test]
async fn binary_frames_that_hold_json_are_read() {
    let (mut session, mut peer) = open().await;
    let event = text_delta("r1", "a", "in binary").to_string();
    peer.send_frame(Message::binary(event)).await;
    peer.send_frame(Message::binary(vec![0xff, 0xfe])).await;
    let events = until(&mut session, |event| matches!(event, SessionEvent::Error { .. })).await;
    assert!(
        events
            .iter()
            .any(|event| matches!(event, SessionEvent::TextDelta { delta, .. } if delta == "in binary"))
    );
    let Some(SessionEvent::Error { error }) = events.last() else {
        unreachable!()
    };
    assert_eq!(error.code(), "unreadable_event");
    part(&session, &mut peer).await;
}

#[tokio::test]
async fn an_event_of_sixteen_mebibytes_is_read() {
    let (mut session, mut peer) = open().await;
    let audio = BASE64_STANDARD.encode(vec![7; 12 << 20]);
    let item = json!({"id": "a", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_audio", "transcript": "long", "audio": audio}]});
    peer.send(json!({"type": "conversation.item.retrieved", "item": item}))
        .await;
    let delta =
        json!({"type": "response.output_audio.delta", "response_id": "r1", "item_id": "a", "delta": audio});
    peer.send(delta).await;
    let events = until(&mut session, |event| matches!(event, SessionEvent::Audio { .. })).await;
    assert!(matches!(events.last(), Some(SessionEvent::Audio { audio, .. }) if audio.len() == 12 << 20));
    let history = session.history().await.unwrap();
    assert_eq!(history[0].text(), "long");
    assert!(
        serde_json::to_string(&history).unwrap().len() < 1_000,
        "audio is not kept"
    );
    part(&session, &mut peer).await;
}

#[tokio::test]
async fn close_codes_and_reasons_reach_the_application() {
    for (code, orderly) in [
        (1000, true),
        (1001, false),
        (1009, false),
        (1013, false),
        (4004, false),
    ] {
        let (mut session, peer) = open().await;
        peer.close(code, "these words").await;
        let reason = end(&mut session).await;
        let (EndReason::ServerClosed { close } | EndReason::Lost { close }) = &reason else {
            panic!("{reason:?}")
        };
        assert_eq!((close.code, close.reason.as_str()), (code, "these words"));
        assert_eq!(
            matches!(reason, EndReason::ServerClosed { .. }),
            orderly,
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_close_without_a_code_is_orderly() {
    let (mut session, mut peer) = open().await;
    peer.send_frame(Message::Close(None)).await;
    assert!(matches!(end(&mut session).await, EndReason::ServerClosed { close } if close.code == 1005));
}

#[tokio::test]
async fn a_connection_that_ends_without_a_close_frame_is_lost() {
    let (mut session, peer) = open().await;
    drop(peer);
    let reason = end(&mut session).await;
    assert_eq!(
        reason.to_string(),
        "the connection was lost (close code 1006: the connection ended without a close frame)"
    );
}

/// However many frames lie ready before it.
#[tokio::test]
async fn a_close_right_behind_other_frames_is_not_lost() {
    for frames in [0, 63, 64, 65, 128, 300] {
        let (mut session, mut peer) = open().await;
        for _ in 0..frames {
            peer.feed(text_delta("r1", "a", "x")).await;
        }
        peer.close(4000, "invalid_request_error.last_words").await;
        let mut deltas = 0;
        let close = loop {
            match within("the end", session.next()).await {
                Some(SessionEvent::TextDelta { .. }) => deltas += 1,
                Some(SessionEvent::SessionEnd {
                    reason: EndReason::Lost { close },
                    ..
                }) => break close,
                Some(_) => {}
                None => panic!("no end"),
            }
        };
        assert_eq!((deltas, close.code), (frames, 4000));
    }
}

#[tokio::test]
async fn frames_of_a_server_that_spells_errors_its_own_way_end_nothing() {
    let (mut session, mut peer) = open().await;
    for error in [
        json!("plain words"),
        json!(null),
        json!({"message": 7, "code": {}}),
        json!([1]),
    ] {
        peer.send(json!({"type": "error", "error": error})).await;
    }
    peer.send(json!({"type": "error"})).await;
    for _ in 0..5 {
        until(&mut session, |event| matches!(event, SessionEvent::Error { .. })).await;
    }
    part(&session, &mut peer).await;
}

const KEY: &str = "sk-planted-0123456789";

/// Everything a session of this server tells, in one text.
async fn all_that_is_told(serve: impl AsyncFnOnce(Peer)) -> String {
    let (traced, server) = (traced(), Server::start().await);
    let endpoint = server
        .endpoint()
        .with_key(Secret::new(KEY).unwrap())
        .with_header("x-api-key", KEY);
    let builder = Session::builder(agents()).raw_events(true);
    let mut told = format!("{builder:?} {endpoint:?}");
    let connect = traced.trace.scope(builder.endpoint(endpoint).connect());
    let (session, ()) = tokio::join!(within("the session", connect), async {
        serve(server.accept().await).await
    });
    match session {
        Ok(mut session) => {
            told += &format!("{session:?}");
            while let Some(event) = within("the end", session.next()).await {
                told += &serde_json::to_string(&event).unwrap();
                told += &format!("{event:?}");
                if let SessionEvent::SessionEnd { reason, .. } = event {
                    told += &reason.to_string();
                }
            }
        }
        Err(error) => told += &format!("{error:?} {error} {:?}", error.advice()),
    }
    for span in traced.ended() {
        told += &format!("{span:?}");
    }
    told
}

#[tokio::test]
async fn a_key_that_the_server_quotes_shows_nowhere() {
    let told = all_that_is_told(async |mut peer| {
        peer.greet().await;
        peer.send(error("odd", &format!("The key {KEY} is odd."))).await;
        let failure = json!({"status": "failed", "status_details": {"type": "failed", "error":
            {"type": "server_error", "code": KEY, "message": format!("no credit on {KEY}")}}});
        peer.send(response_event("response.created", "r1", json!({}))).await;
        peer.send(response_event("response.done", "r1", failure)).await;
        peer.send(json!({"type": "response.done", "response": KEY})).await;
        peer.send(json!({"type": KEY})).await;
        peer.send_frame(Message::text(format!("{KEY} is no JSON"))).await;
        let item = json!({"id": "u", "type": "message", "role": "user", "content": [{"type": "input_text", "text": KEY}]});
        peer.send(json!({"type": "conversation.item.added", "item": item})).await;
        peer.close(1011, &format!("bye {KEY}")).await;
    })
    .await;
    assert!(!told.contains(KEY), "{told}");
    assert!(told.contains("The key *** is odd."), "{told}");
    assert!(told.contains("bye ***"), "{told}");
}

#[tokio::test]
async fn a_key_in_a_refusal_shows_nowhere() {
    let told = all_that_is_told(async |mut peer| {
        peer.send(error(
            "invalid_api_key",
            &format!("Incorrect API key provided: {KEY}."),
        ))
        .await;
        peer.close(3000, &format!("invalid_request_error.{KEY}")).await;
    })
    .await;
    assert!(!told.contains(KEY) && told.contains("provided: ***."), "{told}");
    let told = all_that_is_told(async |peer| peer.close(3000, KEY).await).await;
    assert!(!told.contains(KEY), "{told}");
    let server = Server::start().await;
    let endpoint = server.endpoint().with_key(Secret::new(KEY).unwrap());
    let body = json!({"error": {"message": format!("Bad key {KEY}"), "code": KEY}}).to_string();
    let answer = format!("HTTP/1.1 401 No\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let connect = Session::builder(agents()).endpoint(endpoint).connect();
    let (session, asked) = tokio::join!(connect, server.answer(&answer));
    let error = session.unwrap_err();
    assert!(!format!("{error:?} {error}").contains(KEY), "{error:?}");
    assert!(asked.contains(KEY), "it was really sent");
}

/// A value of a raw event, as the server is told it.
#[tokio::test]
async fn raw_events_tell_the_wire_both_ways() {
    let server = Server::start().await;
    let (mut session, mut peer) = server
        .open_with(Session::builder(agents()).raw_events(true))
        .await;
    peer.send(json!({"type": "ping", "timestamp": 1})).await;
    session
        .send_raw(json!({"type": "input_audio_buffer.clear"}))
        .await
        .unwrap();
    let sent = peer.expect("input_audio_buffer.clear").await;
    let mut wanted: Vec<Value> = vec![json!({"type": "ping", "timestamp": 1}), sent];
    while !wanted.is_empty() {
        match within("the raw events", session.next()).await {
            Some(SessionEvent::RawServerEvent { event } | SessionEvent::RawClientEvent { event }) => {
                wanted.retain(|value| *value != event);
            }
            Some(_) => {}
            None => panic!("never told: {wanted:?}"),
        }
    }
    assert!(session.send_raw(json!({"no": "type"})).await.is_err());
    assert!(session.send_raw(json!("text")).await.is_err());
    part(&session, &mut peer).await;
}
