//! Recorded sessions of real servers, replayed to ours over a real socket: it ends well, and its history is what was
//! said.

#[path = "support/server.rs"]
mod server;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use realtime_run::agent::{Agent, Agents};
use realtime_run::protocol::Usage;
use realtime_run::session::{EndReason, HistoryItem, Session, SessionEvent};
use realtime_run::tool::{FunctionTool, ToolOutput};
use serde_json::{Value, json};
use server::{Peer, Server, within};

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings");

/// One row: an event, and who sent it.
struct Row {
    from_server: bool,
    event: Value,
}

impl Row {
    fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap()
    }
}

fn read(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        Row {
            from_server: row["from"] == "server",
            event: row["event"].clone(),
        }
    };
    text.lines().map(row).collect()
}

/// What was said, as the recording itself tells it: for each item its words, or its call and output.
fn said(rows: &[Row]) -> Vec<String> {
    let mut order = Vec::new();
    let mut words: HashMap<String, String> = HashMap::new();
    let mut outputs = HashMap::new();
    for row in rows {
        let (event, item) = (&row.event, &row.event["item"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match row.kind() {
            "conversation.item.added" | "conversation.item.created" => {
                if item["type"] == "function_call_output" {
                    continue;
                }
                order.push((text(&item["id"]), text(&item["call_id"])));
                if let Some(typed) = item["content"][0]["text"].as_str() {
                    words.insert(text(&item["id"]), typed.to_owned());
                }
            }
            "conversation.item.create" if item["type"] == "function_call_output" => {
                outputs.insert(text(&item["call_id"]), text(&item["output"]));
            }
            "response.output_text.done" | "response.text.done" => {
                words.insert(text(&event["item_id"]), text(&event["text"]));
            }
            "response.output_audio_transcript.done"
            | "response.audio_transcript.done"
            | "conversation.item.input_audio_transcription.completed" => {
                words.insert(text(&event["item_id"]), text(&event["transcript"]));
            }
            "response.output_item.done" if item["type"] == "function_call" => {
                words.insert(
                    text(&item["id"]),
                    format!("{} {}", text(&item["name"]), text(&item["arguments"])),
                );
            }
            _ => {}
        }
    }
    let tell = |(id, call_id): &(String, String)| match outputs.get(call_id) {
        Some(output) => format!("{} -> {output}", words[id]),
        None => words[id].clone(),
    };
    order.iter().map(tell).collect()
}

/// The same of a session's history.
fn told(item: &HistoryItem) -> String {
    match item {
        HistoryItem::ToolCall {
            name,
            arguments,
            output,
            ..
        } => {
            format!("{name} {arguments} -> {}", output.as_deref().unwrap_or_default())
        }
        message => message.text(),
    }
}

/// Tokens of all answers, and bytes of sound, as the recording tells them.
fn amounts(rows: &[Row]) -> (u64, usize) {
    let mut sum = (0, 0);
    for row in rows.iter().filter(|row| row.from_server) {
        let event = &row.event;
        if row.kind() == "response.done" {
            let beside = || event["usage"]["total_tokens"].as_u64();
            sum.0 += event["response"]["usage"]["total_tokens"]
                .as_u64()
                .or_else(beside)
                .unwrap_or_default();
        }
        if row.kind().ends_with("audio.delta") {
            sum.1 += BASE64_STANDARD
                .decode(event["delta"].as_str().unwrap())
                .unwrap()
                .len();
        }
    }
    sum
}

/// An agent with the recorded tool, which gives the recorded output.
fn agents(rows: &[Row]) -> Agents {
    let output = rows
        .iter()
        .find(|row| row.event["item"]["type"] == "function_call_output");
    let output = output.map(|row| row.event["item"]["output"].as_str().unwrap().to_owned());
    let mut agent = Agent::new("Assistant");
    if let Some(output) = output {
        let run = move |_| {
            let output = output.clone();
            async move { Ok(ToolOutput::from(output)) }
        };
        agent = agent.tool(FunctionTool::new(
            "get_weather",
            "",
            json!({"type": "object"}),
            run,
        ));
    }
    Agents::new(agent)
}

/// The server's side of a replay, with the application doing what the recorded one did.
struct Replay {
    peer: Peer,
    session: Option<Session>,
    /// Opens the session; taken when it is open.
    opening: Option<tokio::task::JoinHandle<Session>>,
    is_answering: bool,
    /// Outputs of tools that may come until the end of the running answer: when a client acts on a call is its choice.
    outputs_owed: usize,
}

impl Replay {
    async fn step(&mut self, row: &Row) {
        if row.from_server {
            self.say(row).await;
            return;
        }
        let session = self.session.as_ref();
        match row.kind() {
            "conversation.item.create" if row.event["item"]["type"] == "message" => {
                let text = row.event["item"]["content"][0]["text"].as_str().unwrap();
                session.unwrap().send_message(text).await.unwrap();
                self.peer.expect(row.kind()).await;
            }
            "conversation.item.create" if self.is_answering => self.outputs_owed += 1,
            "input_audio_buffer.append" => {
                let audio = BASE64_STANDARD
                    .decode(row.event["audio"].as_str().unwrap())
                    .unwrap();
                session.unwrap().send_audio(audio, false).await.unwrap();
                let sent = self.peer.expect(row.kind()).await;
                assert_eq!(sent["audio"], row.event["audio"]);
            }
            kind => {
                self.peer.expect(kind).await;
            }
        }
    }

    async fn say(&mut self, row: &Row) {
        self.peer.send(row.event.clone()).await;
        match row.kind() {
            "session.updated" => {
                if let Some(opening) = self.opening.take() {
                    self.session = Some(within("the session to open", opening).await.unwrap());
                }
            }
            "response.created" => self.is_answering = true,
            "response.done" => {
                self.is_answering = false;
                for _ in 0..std::mem::take(&mut self.outputs_owed) {
                    let output = self.peer.expect("conversation.item.create").await;
                    assert_eq!(output["item"]["type"], "function_call_output");
                }
            }
            _ => {}
        }
    }
}

async fn replay(path: &Path) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let rows = read(path);
    let server = Server::start().await;
    let connect = Session::builder(agents(&rows))
        .endpoint(server.endpoint())
        .connect();
    let mut replay = Replay {
        opening: Some(tokio::spawn(async move { connect.await.unwrap() })),
        peer: server.accept().await,
        session: None,
        is_answering: false,
        outputs_owed: 0,
    };
    for row in &rows {
        replay.step(row).await;
    }
    let mut session = replay.session.unwrap();
    replay.peer.close(1000, "").await;
    let mut events = Vec::new();
    while let Some(event) = within("the end", session.next()).await {
        events.push(event);
    }
    check(&name, &rows, &events);
}

fn check(name: &str, rows: &[Row], events: &[SessionEvent]) {
    let is_error = |event: &&SessionEvent| matches!(event, SessionEvent::Error { .. });
    assert_eq!(events.iter().find(is_error), None, "{name}");
    let mut history: Vec<&HistoryItem> = Vec::new();
    let (mut used, mut sound, mut turns) = (Usage::default(), 0, 0);
    for event in events {
        match event {
            SessionEvent::HistoryAdded { item } => history.push(item),
            SessionEvent::HistoryUpdated { item } => {
                let place = history.iter().position(|known| known.id() == item.id());
                history[place.expect("added before it was updated")] = item;
            }
            SessionEvent::Usage { usage, .. } => used.add(usage),
            SessionEvent::Audio { audio, .. } => sound += audio.len(),
            SessionEvent::TurnEnd { .. } => turns += 1,
            _ => {}
        }
    }
    let (tokens, bytes) = amounts(rows);
    let history: Vec<_> = history.into_iter().map(told).collect();
    assert_eq!(history, said(rows), "{name}");
    assert_eq!((used.total_tokens, turns), (tokens, 1), "{name}");
    // A last odd byte of an item is half a sample.
    assert!(
        sound <= bytes && bytes - sound < 4,
        "{name}: {sound} of {bytes} bytes of sound"
    );
    let Some(SessionEvent::SessionEnd { reason, usage, .. }) = events.last() else {
        panic!("{name} has no end")
    };
    assert!(
        matches!(reason, EndReason::ServerClosed { .. }),
        "{name}: {reason}"
    );
    assert_eq!(**usage, used, "{name}");
}

#[tokio::test]
async fn recordings_are_understood() {
    let Ok(folder) = std::fs::read_dir(RECORDINGS) else {
        return eprintln!("skipped: there are no recordings at {RECORDINGS}");
    };
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    assert!(!paths.is_empty(), "no recording in {RECORDINGS}");
    for path in paths {
        replay(&path).await;
    }
}
