//! A bare WebSocket client that knows nothing of the crate's own session.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use realtime_run::simulator::{Options, Simulator};

/// Longer than anything here takes, even on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(20);

pub async fn simulator() -> Simulator {
    Simulator::bind("127.0.0.1:0").await.expect("a free port")
}

pub async fn simulator_with(options: Options) -> Simulator {
    Simulator::bind_with("127.0.0.1:0", options)
        .await
        .expect("a free port")
}

/// One connection.
pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// Connects, and takes in `session.created`.
    pub async fn open(simulator: &Simulator) -> Self {
        let mut client = Self::connect(&format!("{}?model=gpt-realtime-2.1", simulator.url())).await;
        client.until("session.created").await;
        client
    }

    pub async fn connect(url: &str) -> Self {
        let (socket, _) = timeout(LIMIT, connect_async(url))
            .await
            .expect("in time")
            .expect("a connection");
        Self { socket }
    }

    pub async fn send(&mut self, event: Value) {
        self.send_frame(Message::text(event.to_string())).await;
    }

    pub async fn send_frame(&mut self, frame: Message) {
        timeout(LIMIT, self.socket.send(frame))
            .await
            .expect("in time")
            .expect("sent");
    }

    /// The next frame, or how the connection ended.
    pub async fn frame(&mut self) -> Option<tungstenite::Result<Message>> {
        timeout(LIMIT, self.socket.next()).await.expect("a frame in time")
    }

    /// The next event.
    pub async fn event(&mut self) -> Value {
        loop {
            match self
                .frame()
                .await
                .expect("an open connection")
                .expect("a good frame")
            {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not an event: {other:?}"),
            }
        }
    }

    /// All events up to the first of a type, which is the last of them.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let is_last = event["type"] == kind;
            assert!(
                is_last || event["type"] != "error" || kind == "error",
                "waiting for {kind}, got {event}"
            );
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    /// The next event of a type; others before it are passed over.
    pub async fn next(&mut self, kind: &str) -> Value {
        self.until(kind).await.pop().expect("the last event")
    }

    /// Sends an event that must be refused, and returns the error.
    pub async fn refused(&mut self, event: Value) -> Value {
        self.send(event).await;
        self.next("error").await["error"].take()
    }

    pub async fn update(&mut self, mut session: Value) -> Value {
        session["type"] = "realtime".into();
        self.send(json!({"type": "session.update", "session": session}))
            .await;
        self.next("session.updated").await["session"].take()
    }

    pub async fn say(&mut self, text: &str) {
        self.send(json!({"type": "conversation.item.create", "item": {
            "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}],
        }}))
        .await;
    }

    pub async fn respond(&mut self) {
        self.send(json!({"type": "response.create"})).await;
    }

    /// A whole turn: the user's words, and all events until the rate limits after the response.
    pub async fn turn(&mut self, text: &str) -> Vec<Value> {
        self.say(text).await;
        self.respond().await;
        self.until("rate_limits.updated").await
    }

    /// Answers a function call, and takes in the response to that.
    pub async fn answer_call(&mut self, call: &Value, output: &str) -> Vec<Value> {
        self.send(json!({"type": "conversation.item.create", "item": {
            "type": "function_call_output", "call_id": call["call_id"], "output": output,
        }}))
        .await;
        self.respond().await;
        self.until("rate_limits.updated").await
    }
}

/// The types of events, with runs of one type as one.
pub fn order(events: &[Value]) -> Vec<String> {
    let mut kinds: Vec<String> = events
        .iter()
        .map(|event| event["type"].as_str().expect("a type").to_owned())
        .collect();
    kinds.dedup();
    kinds
}

/// The first event of a type.
pub fn find<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    events
        .iter()
        .find(|event| event["type"] == kind)
        .unwrap_or_else(|| panic!("no {kind} among {:?}", order(events)))
}

/// What the response of some events holds.
pub fn outputs(events: &[Value]) -> Vec<Value> {
    find(events, "response.done")["response"]["output"]
        .as_array()
        .expect("outputs")
        .clone()
}

/// The words of a response, spoken or written.
pub fn words(events: &[Value]) -> String {
    let parts = outputs(events);
    let parts = parts
        .iter()
        .filter_map(|item| item["content"].as_array())
        .flatten();
    parts
        .filter_map(|part| part["transcript"].as_str().or_else(|| part["text"].as_str()))
        .collect()
}

/// The only function call of a response.
pub fn call(events: &[Value]) -> Value {
    let mut calls = outputs(events);
    calls.retain(|item| item["type"] == "function_call");
    assert_eq!(calls.len(), 1, "one call in {events:#?}");
    calls.remove(0)
}

/// The function tools that most tests use.
pub fn weather_tool() -> Value {
    json!({
        "type": "function",
        "name": "get_weather",
        "description": "Look up the weather for a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    })
}
