//! Readers that go away.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;
#[path = "support/slow_server.rs"]
mod slow_server;

use std::io::{BufRead, BufReader};
use std::time::Duration;

use cli::{Agent, Child};
use fake_server::{FakeServer, created, words};
use slow_server::SlowServer;

/// Runs until the reader of stdout has seen a line and left.
fn leave_after_a_line(arguments: &[&str]) -> (String, cli::Outcome) {
    let server = SlowServer::start(&"word\n".repeat(1_000), Duration::from_millis(5));
    let agent = Agent::weather();
    let url = server.url();
    let arguments = ["--url", &url, "-m", "go on", "-m", "and on"]
        .into_iter()
        .chain(arguments.iter().copied());
    let (child, unread) = Child::start_unread(agent.command(arguments));
    let mut reader = BufReader::new(unread.into_reader());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    drop(reader);
    (line, child.wait())
}

#[test]
fn when_nobody_reads_the_words_any_more_the_run_ends_quietly() {
    let (line, outcome) = leave_after_a_line(&[]);
    assert_eq!(line, "word\n");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        !outcome.stderr.contains("\nerror") && !outcome.stderr.contains("warning"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("agent Assistant"),
        "it ends orderly: {}",
        outcome.stderr
    );
}

#[test]
fn the_same_goes_for_events() {
    let (line, outcome) = leave_after_a_line(&["--json"]);
    assert!(line.starts_with(r#"{"type":"session_start""#));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn when_nobody_reads_time_limits_hold() {
    let server = FakeServer::start(|event| match event["type"].as_str().unwrap() {
        "response.create" => vec![created("r1"), words("r1", &"word ".repeat(100_000))],
        _ => Vec::new(),
    });
    let agent = Agent::weather();
    let url = server.url();
    let (child, unread) =
        Child::start_unread(agent.command(["--url", &url, "-m", "go on", "--turn-timeout", "2s"]));
    let outcome = child.wait();
    unread.wait_until_full();
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    let expected = "error: the turn took longer than 2.00 s";
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let agent = Agent::weather();
    let mut child = agent.command(["--simulate", "-q", "-m", "hi"]);
    child.stdout(std::fs::File::create("/dev/full").unwrap());
    let output = child.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("error: cannot write to stdout"), "{stderr}");
}
