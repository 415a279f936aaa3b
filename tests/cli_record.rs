//! `--record`: what is in the file, what never is, and what happens when it can't be written.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use cli::{Agent, Child, Outcome, program, run};
use fake_server::{Do, FakeServer, created, done, error, words};
use realtime_run::recording::{Entry, Frame, Recording, Side};
use serde_json::{Value, json};
use tempfile::TempDir;

const WEATHER_QUESTION: [&str; 3] = ["--simulate", "-m", "What is the weather in Oslo?"];

/// A folder for recordings.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// The rows of a file, read by somebody who knows only JSON lines.
fn rows(path: impl AsRef<Path>) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn types(rows: &[Value], from: &str) -> Vec<String> {
    let own = rows.iter().filter(|row| row["from"] == from);
    own.map(|row| row["event"]["type"].as_str().unwrap().to_owned())
        .collect()
}

fn record(arguments: &[&str], more: &[&str]) -> Outcome {
    Agent::weather().run(arguments.iter().chain(more).copied())
}

#[test]
fn both_sides_are_recorded_with_times_and_the_end() {
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    let outcome = record(&WEATHER_QUESTION, &["--record", &path]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);

    let rows = rows(&path);
    assert_eq!(
        types(&rows, "recorder"),
        ["recording.started", "connection.opened", "connection.closed"]
    );
    assert_eq!(rows[0]["event"]["type"], "recording.started");
    let end = &rows.last().unwrap()["event"];
    assert_eq!((&end["by"], &end["code"]), (&json!("client"), &json!(1000)));
    assert_eq!(
        types(&rows, "client"),
        [
            "session.update",
            "conversation.item.create",
            "response.create",
            "conversation.item.create",
            "response.create"
        ]
    );
    let server = types(&rows, "server");
    assert_eq!(server[..2], ["session.created", "session.updated"]);
    assert!(server.iter().any(|kind| kind == "response.output_audio.delta"));

    let times: Vec<_> = rows[1..]
        .iter()
        .map(|row| row["at_ms"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let note = format!("{} frames recorded in {path}\n", rows.len() - 3);
    assert!(outcome.stderr.contains(&note), "{}", outcome.stderr);
}

#[test]
fn what_is_recorded_is_what_went_over_the_wire() {
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    let outcome = record(&WEATHER_QUESTION, &["--record", &path, "--json", "--raw"]);
    let raw = |kind: &str| -> Vec<Value> {
        let told = outcome.json().into_iter().filter(|event| event["type"] == kind);
        told.map(|event| event["event"].clone()).collect()
    };
    for (from, kind) in [("server", "raw_server_event"), ("client", "raw_client_event")] {
        let recorded = rows(&path).into_iter().filter(|row| row["from"] == from);
        let recorded: Vec<_> = recorded.map(|row| row["event"].clone()).collect();
        let told = raw(kind);
        // What the server says while the session closes is recorded, and told to nobody.
        assert_eq!(recorded[..told.len()], told, "{from}");
    }
}

#[test]
fn without_audio_its_length_is_kept() {
    let folder = Folder::new();
    let (with, without) = (folder.path("with.jsonl"), folder.path("without.jsonl"));
    record(&WEATHER_QUESTION, &["--record", &with]);
    let outcome = record(&WEATHER_QUESTION, &["--record", &without, "--record-no-audio"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let deltas = |path: &str| -> Vec<String> {
        let rows = rows(path).into_iter();
        let sound = rows.filter(|row| row["event"]["type"] == "response.output_audio.delta");
        sound
            .map(|row| row["event"]["delta"].as_str().unwrap().to_owned())
            .collect()
    };
    let noted: Vec<_> = deltas(&with)
        .iter()
        .map(|delta| format!("[{} bytes of audio]", delta.trim_end_matches('=').len() * 3 / 4))
        .collect();
    assert!(!noted.is_empty());
    assert_eq!(deltas(&without), noted);
}

const KEY: &str = "sk-planted-0123456789";
const HEADER_KEY: &str = "planted+in/a-header";
const URL_KEY: &str = "planted-in-a-url";
const MCP_KEY: &str = "planted-in-an-echo";

#[test]
fn no_credential_gets_into_the_file() {
    let server = FakeServer::start(|event| match event["type"].as_str().unwrap() {
        "response.create" => {
            let message = format!("Your keys {KEY}, {HEADER_KEY}, {URL_KEY} and sk-pl*****6789 are odd.");
            let why = json!({"type": "failed", "error": {"code": "odd", "message": message}});
            let mcp = json!({"type": "mcp", "server_label": "docs", "authorization": MCP_KEY,
                "server_url": format!("https://me:{MCP_KEY}@docs.example/mcp?token={MCP_KEY}"),
                "headers": {"Authorization": format!("Bearer {MCP_KEY}")}});
            vec![
                Do::Send(
                    json!({"type": "session.updated", "session": {"id": "s", "tools": [mcp],
                    "client_secret": {"value": format!("ek_{MCP_KEY}")}}}),
                ),
                error("invalid_request_error", "odd", &message),
                created("r1"),
                words("r1", &format!("So they are: {KEY}")),
                done("r1", "failed", why),
            ]
        }
        _ => Vec::new(),
    });
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    let agent = Agent::weather();
    let url = format!("{}?model=m&api-key={URL_KEY}", server.url());
    let header = format!("X-Api-Key: {HEADER_KEY}");
    let mut command = agent.command([
        "--url",
        &url,
        "--header",
        &header,
        "--api-key-env",
        "PLANTED",
        "--trace",
        "none",
        "--record",
        &path,
        "-m",
        KEY,
    ]);
    command.env("PLANTED", KEY);
    let outcome = run(command);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);

    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("So they are: ***"), "{text}");
    assert!(text.contains("are odd"), "{text}");
    assert!(text.contains("docs.example/mcp?***"), "{text}");
    for planted in ["planted", "sk-pl", "6789"] {
        assert!(!text.contains(planted), "{planted} is in {text}");
    }
}

#[test]
fn a_key_in_the_reason_of_a_close_is_taken_out() {
    let server = FakeServer::start_silent(|_| vec![Do::Close(3000, "bad key sk-planted-0123456789")]);
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    let outcome = Agent::weather().run(["--url", &server.url(), "--record", &path, "-m", "hi"]);
    assert_eq!(outcome.code, Some(3));
    let rows = rows(&path);
    let end = &rows.last().unwrap()["event"];
    assert_eq!(
        (&end["by"], &end["code"], &end["reason"]),
        (&json!("server"), &json!(3000), &json!("bad key ***"))
    );
}

#[test]
fn a_lost_connection_and_one_that_never_was_are_told() {
    let server = FakeServer::start(|event| match event["type"].as_str().unwrap() {
        "response.create" => vec![created("r1"), Do::Drop],
        _ => Vec::new(),
    });
    let folder = Folder::new();
    let path = folder.path("lost.jsonl");
    Agent::weather().run(["--url", &server.url(), "--record", &path, "-m", "hi"]);
    let end = rows(&path).pop().unwrap();
    assert_eq!(
        (&end["event"]["by"], &end["event"]["code"]),
        (&Value::Null, &json!(1006))
    );

    let path = folder.path("never.jsonl");
    Agent::weather().run(["--url", "ws://127.0.0.1:1", "--record", &path, "-m", "hi"]);
    let rows = rows(&path);
    assert_eq!(
        types(&rows, "recorder"),
        ["recording.started", "connection.failed"]
    );
}

#[test]
fn a_file_that_cannot_be_written_is_told_at_once() {
    let folder = Folder::new();
    for path in [folder.path(""), folder.path("no/such/folder.jsonl")] {
        let outcome = record(&WEATHER_QUESTION, &["--record", &path]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
        assert!(
            outcome
                .stderr
                .contains(&format!("error: cannot record to {path}: ")),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn a_run_that_cannot_start_leaves_a_recording_alone() {
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    fs::write(&path, "kept").unwrap();
    let outcome = Agent::new("nonsense").run(["--simulate", "-m", "hi", "--record", &path]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
}

#[test]
fn a_disk_that_fills_up_is_told_once_and_stops_nothing() {
    let folder = Folder::new();
    let path = folder.path("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || {
            let mut first = String::new();
            BufReader::with_capacity(16, File::open(path).unwrap())
                .read_line(&mut first)
                .unwrap();
            first
        }
    });
    let outcome = record(&WEATHER_QUESTION, &["--record", &path]);
    assert!(reader.join().unwrap().contains("recording.started"));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("get_weather says"));
    let told = format!("warning: the recording {path} is not whole: ");
    assert_eq!(outcome.stderr.matches(&told).count(), 1, "{}", outcome.stderr);
}

#[test]
fn a_killed_run_leaves_a_file_that_can_be_read() {
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    let agent = Agent::weather();
    let mut command = agent.command(["--simulate", "--record", &path]);
    command.stdin(Stdio::piped());
    let mut child = Child::start(command);
    child.say("What is the weather in Oslo?\n");
    child.wait_for_stdout("get_weather says");
    // The words are out, so they came over the wire; what writes them down has its own pace.
    let last = |wanted: &str| fs::read_to_string(&path).unwrap().contains(wanted);
    cli::wait_until("the answer in the file", || {
        last("response.output_audio_transcript.done")
    });
    child.signal("KILL");
    assert_eq!(child.wait().code, None);

    let recording = Recording::load(&path).unwrap();
    let said = recording.rows.iter().any(|(_, row)| {
        matches!(&row.entry, Entry::Frame { from: Side::Server, frame: frame @ Frame::Event(_) }
            if frame.kind() == "response.output_audio_transcript.done")
    });
    assert!(said);
    // And it can be replayed: up to where it broke off.
    let outcome = record(
        &WEATHER_QUESTION,
        &["--replay", &path, "--speed", "max", "--timeout", "10s"],
    );
    assert!(outcome.stdout.contains("get_weather says"), "{}", outcome.stderr);
}

#[test]
fn sound_is_all_that_record_no_audio_is_about() {
    let mut command = program();
    command.args(["--agent", "x.toml", "--record-no-audio"]);
    let outcome = run(command);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("--record <FILE>"), "{}", outcome.stderr);
}
