//! A Realtime server that does what the test says, right or wrong.
//!
//! Use it with `#[path = "support/fake_server.rs"] mod fake_server;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{self, Message};

/// What the server does next.
pub enum Do {
    /// Sends an event.
    Send(Value),
    /// Closes the connection with a code and a reason.
    Close(u16, &'static str),
    /// Drops the connection without a word.
    Drop,
}

type Script = dyn Fn(&Value) -> Vec<Do> + Send + Sync;

pub struct FakeServer {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// A server that greets, takes all settings, and answers everything else as `script` says.
    pub fn start(script: impl Fn(&Value) -> Vec<Do> + Send + Sync + 'static) -> Self {
        Self::start_silent(move |event| match event["type"].as_str().unwrap() {
            "open" => vec![Do::Send(session("session.created"))],
            "session.update" => vec![Do::Send(session("session.updated"))],
            _ => script(event),
        })
    }

    /// A server that does nothing but what `script` says; a new connection is the event `open`.
    pub fn start_silent(script: impl Fn(&Value) -> Vec<Do> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let acceptor = std::thread::spawn({
            let over = Arc::clone(&over);
            let script: Arc<Script> = Arc::new(script);
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let script = Arc::clone(&script);
                    std::thread::spawn(move || serve(stream, &*script));
                }
            }
        });
        Self {
            address,
            over,
            acceptor: Some(acceptor),
        }
    }

    pub fn url(&self) -> String {
        format!("ws://{}/v1/realtime", self.address)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the acceptor
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Serves a connection until the client leaves it.
fn serve(stream: TcpStream, script: &Script) {
    let Ok(mut socket) = tungstenite::accept(stream) else {
        return;
    };
    let mut event = json!({"type": "open"});
    loop {
        for step in script(&event) {
            let done = match step {
                Do::Send(event) => socket.send(Message::text(event.to_string())),
                Do::Close(code, reason) => {
                    let code = CloseCode::from(code);
                    socket.close(Some(CloseFrame {
                        code,
                        reason: reason.into(),
                    }))
                }
                Do::Drop => return,
            };
            if done.is_err() {
                return;
            }
        }
        event = loop {
            match socket.read() {
                Ok(Message::Text(text)) => break serde_json::from_str(&text).unwrap(),
                Ok(_) => {}
                Err(_) => return,
            }
        };
    }
}

fn session(kind: &str) -> Value {
    json!({"type": kind, "event_id": "event_0", "session": {
        "type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "fake",
    }})
}

/// The beginning of an answer.
pub fn created(id: &str) -> Do {
    Do::Send(
        json!({"type": "response.created", "event_id": "event_1", "response": {
            "id": id, "object": "realtime.response", "status": "in_progress", "output": [],
        }}),
    )
}

/// Words of an answer.
pub fn words(id: &str, delta: &str) -> Do {
    Do::Send(
        json!({"type": "response.output_text.delta", "event_id": "event_2", "response_id": id,
        "item_id": format!("item_{id}"), "output_index": 0, "content_index": 0, "delta": delta}),
    )
}

/// The end of an answer.
pub fn done(id: &str, status: &str, details: Value) -> Do {
    Do::Send(
        json!({"type": "response.done", "event_id": "event_3", "response": {
            "id": id, "object": "realtime.response", "status": status, "status_details": details, "output": [],
        }}),
    )
}

/// Something that went wrong.
pub fn error(kind: &str, code: &str, message: &str) -> Do {
    Do::Send(json!({"type": "error", "event_id": "event_4", "error": {
        "type": kind, "code": code, "message": message, "param": null, "event_id": null,
    }}))
}
