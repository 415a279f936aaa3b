//! What the benches share: a server that blasts prepared frames, CPU time of one thread, and medians.
#![allow(dead_code, reason = "each bench uses its own part")]

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use cpu_time::ThreadTime;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

/// A server on a free loopback port: serves each connection with `serve`, in threads of its own, so that their CPU time is
/// not the client's.
pub fn server(serve: impl Fn(&mut WebSocket<TcpStream>) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/v1/realtime", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            std::thread::spawn(move || {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut socket = accept(stream).unwrap();
                serve(&mut socket);
                let _ = socket.close(None);
                while socket.read().is_ok() {}
            });
        }
    });
    url
}

/// Sends an event; a client that has gone is noticed at the next read.
pub fn send(socket: &mut WebSocket<TcpStream>, event: &Value) {
    let _ = socket.send(Message::text(event.to_string()));
}

/// Reads until an event of that type comes; false when the client has gone.
pub fn wait_for(socket: &mut WebSocket<TcpStream>, kind: &str) -> bool {
    let kind = format!("\"type\":\"{kind}\"");
    while let Ok(message) = socket.read() {
        if message.is_text() && message.to_text().unwrap().contains(&kind) {
            return true;
        }
    }
    false
}

/// What opens a session: created, and the answer to the client's settings.
pub fn open(socket: &mut WebSocket<TcpStream>) -> bool {
    let session = json!({"type": "realtime", "id": "sess_1", "model": "bench",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}}}});
    send(
        socket,
        &json!({"type": "session.created", "event_id": "event_1", "session": session}),
    );
    if !wait_for(socket, "session.update") {
        return false;
    }
    send(
        socket,
        &json!({"type": "session.updated", "event_id": "event_2", "session": session}),
    );
    true
}

/// The events of one spoken answer, with these deltas.
pub fn answer(turn: usize, deltas: Vec<Value>) -> Vec<Value> {
    let (response_id, item_id) = (format!("resp_{turn:021}"), format!("item_{turn:021}"));
    let response = |status: &str, usage: Value| {
        json!({"object": "realtime.response", "id": response_id, "status": status, "status_details": null, "output": [],
            "conversation_id": "conv_1", "output_modalities": ["audio"], "usage": usage, "metadata": null})
    };
    let item = |status: &str| json!({"id": item_id, "type": "message", "status": status, "role": "assistant", "content": []});
    let usage = json!({"total_tokens": 30, "input_tokens": 10, "output_tokens": 20});
    let mut events = vec![
        json!({"type": "response.created", "response": response("in_progress", Value::Null)}),
        json!({"type": "response.output_item.added", "response_id": response_id, "output_index": 0, "item": item("in_progress")}),
        json!({"type": "conversation.item.added", "previous_item_id": null, "item": item("in_progress")}),
    ];
    events.extend(deltas);
    events.extend([
        json!({"type": "conversation.item.done", "previous_item_id": null, "item": item("completed")}),
        json!({"type": "response.output_item.done", "response_id": response_id, "output_index": 0, "item": item("completed")}),
        json!({"type": "response.done", "response": response("completed", usage)}),
    ]);
    for (number, event) in events.iter_mut().enumerate() {
        event["event_id"] = json!(format!("event_{turn:010}{number:011}"));
    }
    events
}

/// A piece of sound, as long as servers send them.
pub fn audio_delta(turn: usize, ms: usize) -> Value {
    let sound: Vec<u8> = (0..ms * 48).map(|byte| (byte * 31 % 251) as u8).collect();
    json!({"type": "response.output_audio.delta", "event_id": "event_000000000000000000000",
        "response_id": format!("resp_{turn:021}"), "item_id": format!("item_{turn:021}"), "output_index": 0,
        "content_index": 0, "delta": base64_simd::STANDARD.encode_to_string(sound)})
}

/// A piece of the words, with the padding that servers add.
pub fn transcript_delta(turn: usize) -> Value {
    json!({"type": "response.output_audio_transcript.delta", "event_id": "event_000000000000000000000",
        "response_id": format!("resp_{turn:021}"), "item_id": format!("item_{turn:021}"), "output_index": 0,
        "content_index": 0, "delta": " words", "obfuscation": "aB3dE6gH9j"})
}

/// A runtime in this thread alone, so that its CPU time is the client's.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The CPU time of this thread that `work` takes.
pub async fn cpu<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let start = ThreadTime::now();
    let result = work.await;
    (start.elapsed(), result)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The values and their spread, as `1.10 (1.05 to 1.20)`.
pub fn spread(values: Vec<f64>, digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!(
        "{:.digits$} ({least:.digits$} to {most:.digits$})",
        median(values)
    )
}
