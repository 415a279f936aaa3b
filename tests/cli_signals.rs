//! Signals: whatever the run is doing, it ends orderly, with its spans finished and delivered.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;
#[path = "support/sink.rs"]
mod sink;
#[path = "support/slow_server.rs"]
mod slow_server;

use std::process::Stdio;
use std::time::{Duration, Instant};

use cli::{Agent, Child, Outcome, program};
use fake_server::FakeServer;
use serde_json::Value;
use sink::{Answer, Gate, Sink};
use slow_server::SlowServer;

const SIGNALS: [&str; 2] = ["INT", "TERM"];

/// The finished spans on stdout that have a name, agents and functions: their names and errors.
fn spans(outcome: &Outcome) -> Vec<(String, Value)> {
    let items = outcome.json();
    assert_eq!(items[0]["object"], "trace");
    let spans = items[1..].iter();
    spans
        .filter_map(|span| {
            assert!(span["ended_at"].is_string());
            let name = span["span_data"]["name"].as_str()?;
            Some((name.to_owned(), span["error"].clone()))
        })
        .collect()
}

#[test]
fn in_the_middle_of_an_answer() {
    let server = SlowServer::start(&"word ".repeat(1_000), Duration::from_millis(20));
    for signal in SIGNALS {
        let agent = Agent::weather();
        let child = Child::start(agent.command(["--url", &server.url(), "--trace", "stdout", "-m", "go on"]));
        child.wait_for_stderr("word word");
        child.signal(signal);
        let outcome = child.wait();
        assert_eq!(outcome.code, Some(130), "{signal}: {}", outcome.stderr);
        assert_eq!(spans(&outcome), [("Assistant".to_owned(), Value::Null)]);
        assert!(
            outcome.stderr.contains("\n\ntrace_"),
            "the line of words is ended: {}",
            outcome.stderr
        );
    }
}

#[test]
fn while_waiting_for_a_line() {
    for signal in SIGNALS {
        let agent = Agent::weather();
        let mut command = agent.command(["--simulate", "--trace", "stdout"]);
        command.stdin(Stdio::piped());
        let child = Child::start(command);
        child.wait_for_stderr("simulated");
        child.signal(signal);
        let outcome = child.wait();
        assert_eq!(outcome.code, Some(130), "{signal}: {}", outcome.stderr);
        assert_eq!(spans(&outcome).len(), 1);
    }
}

#[test]
fn while_the_session_opens() {
    let (connected, is_connected) = std::sync::mpsc::channel();
    let server = FakeServer::start_silent(move |_| {
        connected.send(()).unwrap();
        Vec::new()
    });
    for signal in SIGNALS {
        let agent = Agent::weather();
        let child = Child::start(agent.command(["--url", &server.url(), "--trace", "stdout", "-m", "hi"]));
        is_connected.recv_timeout(cli::LIMIT).unwrap();
        child.signal(signal);
        let outcome = child.wait();
        assert_eq!(outcome.code, Some(130), "{signal}: {}", outcome.stderr);
        let spans = spans(&outcome);
        assert_eq!(spans[0].0, "Assistant");
        assert!(
            spans[0].1["message"].is_string(),
            "its span tells that it never opened: {spans:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn while_a_tool_runs() {
    let text = r#"
[agents.Assistant]
instructions = "Be patient."
tools = ["wait_long"]

[tools.wait_long]
description = "Waits for a long time."
command = ["sleep", "600"]
timeout_sec = 600
"#;
    for signal in SIGNALS {
        let agent = Agent::new(text);
        let child = Child::start(agent.command(["--simulate", "--trace", "stdout", "-m", "wait long"]));
        child.wait_for_stderr("tool wait_long {");
        child.signal(signal);
        let outcome = child.wait();
        assert_eq!(outcome.code, Some(130), "{signal}: {}", outcome.stderr);
        let spans = spans(&outcome);
        let tool = spans.iter().find(|(name, _)| name == "wait_long").unwrap();
        assert!(tool.1["message"].is_string(), "{spans:?}");
    }
}

#[test]
fn a_second_signal_ends_the_wait_for_the_traces_endpoint() {
    let never = Gate::default();
    let sink = Sink::start({
        let never = never.clone();
        move |_, _| Answer::status(204).after(&never)
    });
    let agent = Agent::weather();
    let endpoint = sink.url("/ingest");
    let mut command = agent.command(["--simulate", "--trace", "openai", "--trace-endpoint", &endpoint]);
    command
        .env("OPENAI_API_KEY", "sk-trace-key")
        .stdin(Stdio::piped());
    let child = Child::start(command);
    child.wait_for_stderr("simulated");
    child.signal("INT");
    sink.wait_for(1);
    let second = Instant::now();
    child.signal("INT");
    let outcome = child.wait();
    assert!(
        second.elapsed() < Duration::from_secs(3),
        "{:?}",
        second.elapsed()
    );
    assert_eq!(outcome.code, Some(130));
    assert!(
        outcome
            .stderr
            .contains("2 of 2 trace items did not get to openai"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_reader_that_does_not_read_cannot_keep_the_run_from_ending() {
    let server = SlowServer::start(&format!("{} ", "x".repeat(1_000)).repeat(1_000), Duration::ZERO);
    for signal in SIGNALS {
        let agent = Agent::weather();
        let (child, unread) =
            Child::start_unread(agent.command(["--url", &server.url(), "--modality", "text", "-m", "go on"]));
        child.wait_for_stderr("> go on");
        unread.wait_until_full();
        child.signal(signal);
        let outcome = child.wait();
        assert_eq!(outcome.code, Some(130), "{signal}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("agent Assistant"),
            "the tree is shown: {}",
            outcome.stderr
        );
    }
}

#[test]
fn the_served_simulator_ends_well() {
    for signal in SIGNALS {
        let mut command = program();
        command.arg("simulate");
        let child = Child::start(command);
        let url = child.wait_for_stdout("\n").trim().to_owned();
        child.wait_for_stderr("Ctrl-C ends it");
        let outcome = Agent::weather().run(["--url", &url, "-q", "-m", "hello"]);
        assert_eq!(
            (outcome.code, outcome.stdout.contains("hello")),
            (Some(0), true),
            "{}",
            outcome.stderr
        );
        child.signal(signal);
        let served = child.wait();
        assert_eq!((served.code, served.stdout), (Some(0), format!("{url}\n")));
    }
}

#[test]
fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = program();
    command.args(["simulate", "--port", &port]);
    let outcome = cli::run(command);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""));
    assert!(
        outcome
            .stderr
            .contains(&format!("cannot listen on 127.0.0.1 port {port}")),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("--port"), "{}", outcome.stderr);
}
