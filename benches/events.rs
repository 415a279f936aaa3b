//! What the session adds to the wire: events through a whole session from a loopback socket, beside a bare loop that reads
//! the frames, parses them into a borrowed struct and decodes the audio. CPU time of the client's thread, in turn.

mod support;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use realtime_run::agent::{Agent, Agents};
use realtime_run::session::{Session, SessionEvent};
use realtime_run::tool::{FunctionTool, ToolOutput};
use realtime_run::transport::Endpoint;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{answer, audio_delta, cpu, median, runtime, server, spread, transcript_delta};
use tokio_tungstenite::tungstenite::Message;

const ROUNDS: usize = 15;

fn main() {
    println!("events through a session, CPU time per event, beside a bare loop (the floor)");
    mix("audio (100 ms each)", 4_000, |turn, _| audio_delta(turn, 100));
    mix("audio (400 ms each)", 2_000, |turn, _| audio_delta(turn, 400));
    mix("transcript", 40_000, |turn, _| transcript_delta(turn));
    mix(
        "a spoken answer: 1 audio (100 ms) to 2 transcript",
        9_000,
        |turn, number| match number % 3 {
            0 => audio_delta(turn, 100),
            _ => transcript_delta(turn),
        },
    );
    tool_rounds();
}

fn mix(name: &str, events: usize, delta: impl Fn(usize, usize) -> Value) {
    let frames: Vec<String> = answer(1, (0..events).map(|number| delta(1, number)).collect())
        .iter()
        .map(Value::to_string)
        .collect();
    let frames = std::sync::Arc::new(frames);
    let count = frames.len();
    let url = server(move |socket| {
        if !support::open(socket) || !support::wait_for(socket, "response.create") {
            return;
        }
        for frame in frames.iter() {
            socket.write(Message::text(frame.as_str())).unwrap();
        }
        socket.flush().unwrap();
    });
    let runtime = runtime();
    let (mut ratios, mut per_event) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let session = runtime.block_on(through_session(&url));
        let floor = runtime.block_on(through_floor(&url, count));
        if round > 0 {
            ratios.push(session.as_secs_f64() / floor.as_secs_f64());
            per_event.push(session.as_secs_f64() * 1e9 / count as f64);
        }
    }
    println!(
        "  {name}: {} of the floor; {:.0} ns an event",
        spread(ratios, 2),
        median(per_event)
    );
}

/// Until the answer's end has come to the application.
async fn through_session(url: &str) -> Duration {
    let agents = Agents::new(Agent::new("Assistant"));
    let mut session = Session::builder(agents)
        .endpoint(Endpoint::new(url).unwrap())
        .connect()
        .await
        .unwrap();
    session.send_message("go").await.unwrap();
    let (time, bytes) = cpu(async {
        let mut bytes = 0;
        while let Some(event) = session.next().await {
            match event {
                SessionEvent::Audio { audio, .. } => bytes += audio.len(),
                SessionEvent::TranscriptDelta { delta, .. } => bytes += delta.len(),
                SessionEvent::TurnEnd { .. } => break,
                _ => {}
            }
        }
        bytes
    })
    .await;
    assert!(bytes > 0);
    session.close().await;
    time
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    delta: Option<&'a str>,
}

/// The least that any client has to do.
async fn through_floor(url: &str, count: usize) -> Duration {
    let (mut socket, _) =
        tokio_tungstenite::connect_async_with_config(format!("{url}?model=bench"), None, true)
            .await
            .unwrap();
    for event in [
        json!({"type": "session.update"}),
        json!({"type": "response.create"}),
    ] {
        socket.send(Message::text(event.to_string())).await.unwrap();
    }
    for _ in 0..2 {
        socket.next().await.unwrap().unwrap();
    }
    let (time, bytes) = cpu(async {
        let mut bytes = 0;
        for _ in 0..count {
            let message = socket.next().await.unwrap().unwrap();
            let frame: Frame<'_> = serde_json::from_str(message.to_text().unwrap()).unwrap();
            bytes += match &*frame.kind {
                "response.output_audio.delta" => base64_simd::STANDARD
                    .decode_to_vec(frame.delta.unwrap())
                    .unwrap()
                    .len(),
                _ => frame.delta.map_or(0, str::len),
            };
        }
        bytes
    })
    .await;
    assert!(bytes > 0);
    let _ = socket.close(None).await;
    time
}

fn tool_rounds() {
    const CALLS: usize = 2_000;
    let url = server(|socket| {
        if !support::open(socket) {
            return;
        }
        for turn in 0.. {
            if !support::wait_for(socket, "response.create") {
                return;
            }
            for event in call(turn) {
                support::send(socket, &event);
            }
        }
    });
    let runtime = runtime();
    let (mut session_rates, mut floor_rates) = (Vec::new(), Vec::new());
    for round in 0..=5 {
        let session = CALLS as f64 / runtime.block_on(session_calls(&url, CALLS)).as_secs_f64();
        let floor = CALLS as f64 / runtime.block_on(floor_calls(&url, CALLS)).as_secs_f64();
        if round > 0 {
            session_rates.push(session);
            floor_rates.push(floor);
        }
    }
    let ratio = median(session_rates.clone()) / median(floor_rates.clone());
    println!("tool round trips a second, wall time, one at a time");
    println!("  session: {}", spread(session_rates, 0));
    println!("  floor:   {}", spread(floor_rates, 0));
    println!("  {ratio:.2} of the floor");
}

fn call(turn: usize) -> Vec<Value> {
    let (response_id, item_id, call_id) = (
        format!("resp_{turn}"),
        format!("item_{turn}"),
        format!("call_{turn}"),
    );
    let item = json!({"id": item_id, "type": "function_call", "status": "completed", "name": "f", "call_id": call_id,
        "arguments": "{\"a\":1}"});
    vec![
        json!({"type": "response.created", "response": {"id": response_id, "status": "in_progress", "conversation_id": "c"}}),
        json!({"type": "conversation.item.added", "item": item}),
        json!({"type": "response.output_item.done", "response_id": response_id, "item": item}),
        json!({"type": "response.done", "response": {"id": response_id, "status": "completed", "output": [item]}}),
    ]
}

async fn session_calls(url: &str, calls: usize) -> Duration {
    let tool = FunctionTool::new("f", "", json!({"type": "object"}), |_| async {
        Ok(ToolOutput::from("done"))
    });
    let agents = Agents::new(Agent::new("Assistant").tool(tool));
    let mut session = Session::builder(agents)
        .endpoint(Endpoint::new(url).unwrap())
        .connect()
        .await
        .unwrap();
    let start = Instant::now();
    session.send_message("go").await.unwrap();
    let mut ended = 0;
    while ended < calls {
        if let SessionEvent::ToolEnd { .. } = session.next().await.unwrap() {
            ended += 1;
        }
    }
    let time = start.elapsed();
    session.close().await;
    time
}

async fn floor_calls(url: &str, calls: usize) -> Duration {
    let (mut socket, _) =
        tokio_tungstenite::connect_async_with_config(format!("{url}?model=bench"), None, true)
            .await
            .unwrap();
    let create = || Message::text(json!({"type": "response.create"}).to_string());
    socket
        .send(Message::text(json!({"type": "session.update"}).to_string()))
        .await
        .unwrap();
    let start = Instant::now();
    socket.send(create()).await.unwrap();
    let mut ended = 0;
    while ended < calls {
        let message = socket.next().await.unwrap().unwrap();
        let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        match event["type"].as_str() {
            Some("response.output_item.done") => {
                let output = json!({"type": "conversation.item.create", "item": {"type": "function_call_output",
                    "call_id": event["item"]["call_id"], "output": "done"}});
                socket.send(Message::text(output.to_string())).await.unwrap();
                ended += 1;
            }
            Some("response.done") => socket.send(create()).await.unwrap(),
            _ => {}
        }
    }
    let time = start.elapsed();
    let _ = socket.close(None).await;
    time
}
