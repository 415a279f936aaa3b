//! `realtime-run simulate` as a server of its own: what it writes down, tells at the end, and refuses.

#[path = "support/cli.rs"]
mod cli;

use std::fs;

use cli::{Agent, Child, Outcome, program};
use serde_json::Value;

/// A server with these arguments, and where it listens.
fn serve(arguments: &[&str]) -> (Child, String) {
    let mut command = program();
    command.arg("simulate").args(arguments);
    let child = Child::start(command);
    let url = child.wait_for_stdout("\n").trim().to_owned();
    (child, url)
}

fn end(child: Child) -> Outcome {
    child.wait_for_stderr("Ctrl-C ends it");
    child.signal("INT");
    child.wait()
}

#[test]
fn all_events_are_written_down_without_keys_and_counted_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("events.jsonl");
    let (server, url) = serve(&["--log-events", log.to_str().unwrap()]);
    let agent = Agent::weather();
    let mut command = agent.command([
        "--url",
        &url,
        "--header",
        "X-Api: planted-header",
        "-m",
        "What is the weather in Oslo?",
    ]);
    command
        .env("OPENAI_API_KEY", "sk-planted-key")
        .arg("--no-tracing");
    let outcome = cli::run(command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let served = end(server);
    assert_eq!(served.code, Some(0));
    assert!(
        served
            .stderr
            .contains("It served 1 session, 1 turn and 2 responses."),
        "{}",
        served.stderr
    );

    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("planted"), "{text}");
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first = &rows[0];
    assert_eq!(first["event"]["type"], "session.created");
    for row in &rows {
        assert_eq!(row["session"], first["event"]["session"]["id"]);
        assert!(
            row["time"].is_string() && row["event"]["type"].is_string(),
            "{row}"
        );
    }
    let of = |from: &str, kind: &str| {
        let meant = |row: &&Value| row["from"] == from && row["event"]["type"] == kind;
        rows.iter().filter(meant).count()
    };
    assert_eq!(
        (of("client", "response.create"), of("server", "response.done")),
        (2, 2)
    );
}

#[test]
fn a_refusal_is_told_by_both_sides() {
    let (server, url) = serve(&["--refuse", "insufficient_quota"]);
    let outcome = Agent::weather().run(["--url", &url, "-m", "hello"]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stderr.contains("quota"), "{}", outcome.stderr);
    let served = end(server);
    assert!(
        served.stderr.contains("It served 0 sessions")
            && served.stderr.contains("1 error: insufficient_quota"),
        "{}",
        served.stderr
    );

    let (server, url) = serve(&["--refuse", "http-429"]);
    let outcome = Agent::weather().run(["--url", &url, "-m", "hello"]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stderr.contains("429"), "{}", outcome.stderr);
    end(server);
}

#[test]
fn a_session_that_expires_ends_the_run() {
    let (server, url) = serve(&["--max-session", "1s", "--pace", "realtime"]);
    let outcome = Agent::weather().run(["--url", &url, "-m", &"and on ".repeat(100)]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("Your session hit the maximum duration of 1 seconds."),
        "{}",
        outcome.stderr
    );
    assert!(end(server).stderr.contains("1 error: session_expired"));
}

#[test]
fn a_log_that_cannot_be_written_is_told_before_anyone_connects() {
    let mut command = program();
    command.args(["simulate", "--log-events", "/nowhere/events.jsonl"]);
    let outcome = cli::run(command);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""));
    assert!(outcome.stderr.contains("--log-events"), "{}", outcome.stderr);
}
