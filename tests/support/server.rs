//! A Realtime server that does just what the test says, over real loopback sockets.
//!
//! Use it with `#[path = "support/server.rs"] mod server;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_run::agent::Agents;
use realtime_run::session::{EndReason, Session, SessionBuilder, SessionError, SessionEvent};
use realtime_run::transport::Endpoint;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// How long a test waits for what must come.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits for what must happen.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {LIMIT:?} in vain: {what}"),
    }
}

pub struct Server {
    listener: TcpListener,
    pub url: String,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1/realtime", listener.local_addr().unwrap());
        Self { listener, url }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.url).unwrap()
    }

    /// Takes the next connection.
    pub async fn accept(&self) -> Peer {
        within("a connection", async {
            let (stream, _) = self.listener.accept().await.unwrap();
            let mut request = None;
            #[expect(clippy::result_large_err, reason = "the WebSocket library asks for this type")]
            let keep = |asked: &Request, response: Response| {
                request = Some(asked.clone());
                Ok(response)
            };
            let socket = accept_hdr_async(stream, keep).await.unwrap();
            Peer {
                socket,
                request: request.unwrap(),
            }
        })
        .await
    }

    /// Takes the next connection, reads its handshake and answers with these bytes; gives what it asked.
    pub async fn answer(&self, response: &str) -> String {
        within("a handshake", async {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            let asked = read_head(&mut stream).await;
            stream.write_all(response.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            // Until the client has left: closing with something unread would reset the connection.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            asked
        })
        .await
    }

    /// Takes the next connection and says nothing; the connection stays open while the result is kept.
    pub async fn ignore(&self) -> TcpStream {
        within("a connection", self.listener.accept()).await.unwrap().0
    }

    /// Opens a session and brings it to where it can be used; gives both sides of it.
    pub async fn open(&self, agents: Agents) -> (Session, Peer) {
        self.open_with(Session::builder(agents)).await
    }

    pub async fn open_with(&self, builder: SessionBuilder) -> (Session, Peer) {
        let serve = async {
            let mut peer = self.accept().await;
            peer.greet().await;
            peer
        };
        let connect = within("the session to open", builder.endpoint(self.endpoint()).connect());
        let (session, peer) = tokio::join!(connect, serve);
        (session.unwrap(), peer)
    }

    /// Opens a session that must fail, with the server doing as told meanwhile.
    pub async fn refuse(&self, builder: SessionBuilder, serve: impl Future<Output = ()>) -> SessionError {
        let connect = within("the session to fail", builder.endpoint(self.endpoint()).connect());
        let (session, ()) = tokio::join!(connect, serve);
        session.expect_err("it opened")
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// One client, as the server sees it.
pub struct Peer {
    pub socket: WebSocketStream<TcpStream>,
    /// The handshake.
    pub request: Request,
}

impl Peer {
    /// Opens the session and takes its settings; gives the `session.update`.
    pub async fn greet(&mut self) -> Value {
        self.send(created()).await;
        let update = self.expect("session.update").await;
        self.send(updated()).await;
        update
    }

    pub async fn send(&mut self, event: Value) {
        self.send_frame(Message::text(event.to_string())).await;
    }

    pub async fn send_all(&mut self, events: impl IntoIterator<Item = Value>) {
        for event in events {
            self.send(event).await;
        }
    }

    /// Hands over an event without pushing it out, so that many leave together with what is sent next.
    pub async fn feed(&mut self, event: Value) {
        let frame = Message::text(event.to_string());
        within("the client to read", self.socket.feed(frame))
            .await
            .unwrap();
    }

    pub async fn send_frame(&mut self, frame: Message) {
        within("the client to read", self.socket.send(frame))
            .await
            .unwrap();
    }

    /// The next event of the client; `None` when it has left.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match within("an event of the client", self.socket.next()).await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) => {
                    // The reply goes out as the end is read.
                    within("the end", self.socket.next()).await;
                    return None;
                }
                Err(_) => return None,
                Ok(other) => panic!("the client sent {other:?}"),
            }
        }
    }

    /// The next event of this type, others passed over.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            match self.next().await {
                Some(event) if event["type"] == kind => return event,
                Some(_) => {}
                None => panic!("the client left without {kind}"),
            }
        }
    }

    /// Everything up to the client's leave.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    pub async fn close(mut self, code: u16, reason: &str) {
        let close = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        within("a close", self.socket.close(Some(close))).await.unwrap();
        self.rest().await;
    }

    pub async fn ping(&mut self) {
        self.send_frame(Message::Ping(Bytes::new())).await;
    }

    /// Lets the model call a function in an answer of its own.
    pub async fn call(&mut self, response: &str, call_id: &str, name: &str, arguments: &str) {
        self.send_all([
            response_event("response.created", response, json!({"status": "in_progress"})),
            call(response, call_id, name, arguments),
            response_event("response.done", response, json!({"status": "completed"})),
        ])
        .await;
    }

    /// Answers in writing.
    pub async fn say(&mut self, response: &str, item: &str, words: &str) {
        self.send_all([
            response_event("response.created", response, json!({"status": "in_progress"})),
            text_delta(response, item, words),
            response_event("response.done", response, json!({"status": "completed"})),
        ])
        .await;
    }
}

pub fn created() -> Value {
    json!({"type": "session.created", "session": {"id": "sess_1", "model": "gpt-realtime"}})
}

pub fn updated() -> Value {
    json!({"type": "session.updated", "session": {"id": "sess_1", "model": "gpt-realtime"}})
}

pub fn error(code: &str, message: &str) -> Value {
    json!({"type": "error", "error":
        {"type": "invalid_request_error", "code": code, "message": message, "param": null, "event_id": null}})
}

pub fn response_event(kind: &str, response: &str, mut fields: Value) -> Value {
    fields["id"] = response.into();
    fields["conversation_id"] = "conv_1".into();
    json!({"type": kind, "response": fields})
}

pub fn text_delta(response: &str, item: &str, delta: &str) -> Value {
    json!({"type": "response.output_text.delta", "response_id": response, "item_id": item,
        "output_index": 0, "content_index": 0, "delta": delta})
}

pub fn call(response: &str, call_id: &str, name: &str, arguments: &str) -> Value {
    json!({"type": "response.output_item.done", "response_id": response, "output_index": 0, "item":
        {"id": format!("item_{call_id}"), "type": "function_call", "status": "completed",
         "name": name, "call_id": call_id, "arguments": arguments}})
}

/// Closes the session, with the server taking part; gives what the session still sent.
pub async fn part(session: &Session, peer: &mut Peer) -> Vec<Value> {
    let ((), rest) = tokio::join!(within("the close", session.close()), peer.rest());
    rest
}

/// Reads events until one is as wanted, and gives all of them.
pub async fn until(session: &mut Session, wanted: impl Fn(&SessionEvent) -> bool) -> Vec<SessionEvent> {
    let mut events = Vec::new();
    loop {
        let event = within("an event of the session", session.next()).await;
        let event = event.unwrap_or_else(|| panic!("the session ended after {events:?}"));
        let found = wanted(&event);
        events.push(event);
        if found {
            return events;
        }
    }
}

/// Reads to the end, and gives its reason.
pub async fn end(session: &mut Session) -> EndReason {
    let events = until(session, |event| matches!(event, SessionEvent::SessionEnd { .. })).await;
    assert_eq!(within("the end", session.next()).await, None);
    match events.last() {
        Some(SessionEvent::SessionEnd { reason, .. }) => reason.clone(),
        _ => unreachable!(),
    }
}
