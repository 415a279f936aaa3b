//! A planted key appears nowhere: not on stdout, not on stderr, not in logs, not in the trace.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;
#[path = "support/sink.rs"]
mod sink;

use cli::{Agent, Outcome, run};
use fake_server::{Do, FakeServer, created, done, error, words};
use serde_json::json;
use sink::{Answer, Sink};

const KEY: &str = "sk-planted-0123456789";
const HEADER_KEY: &str = "planted-in-a-header";

/// Runs at a server with keys in every place where keys can be, and as many words as can be had.
fn run_with_keys(url: &str, more: &[&str]) -> Outcome {
    let agent = Agent::weather();
    let header = format!("Authorization: Bearer {HEADER_KEY}");
    let arguments = [
        "--url",
        url,
        "--api-key-env",
        "PLANTED",
        "--header",
        &header,
        "-vvv",
        "-m",
        "hi",
    ];
    // Not to OpenAI, as would be the rule with a key.
    let trace = if more.contains(&"--trace") {
        &[][..]
    } else {
        &["--trace", "none"]
    };
    let arguments = arguments.iter().chain(trace).chain(more).copied();
    let mut command = agent.command(arguments);
    command.envs([
        ("PLANTED", KEY),
        ("OPENAI_API_KEY", KEY),
        ("AZURE_OPENAI_API_KEY", KEY),
        ("RUST_LOG", "trace"),
    ]);
    run(command)
}

fn assert_clean(outcome: &Outcome) {
    for key in [KEY, HEADER_KEY] {
        assert!(!outcome.stdout.contains(key), "{}", outcome.stdout);
        assert!(!outcome.stderr.contains(key), "{}", outcome.stderr);
    }
}

/// Quotes both keys in whatever it says.
fn talkative() -> FakeServer {
    FakeServer::start(|event| match event["type"].as_str().unwrap() {
        "response.create" => {
            let message = format!("Your key {KEY} and {HEADER_KEY} are odd.");
            let why = json!({"type": "failed", "error": {"code": "odd", "message": message}});
            vec![
                error("invalid_request_error", "odd", &message),
                created("r1"),
                words("r1", "So they are."),
                done("r1", "failed", why),
            ]
        }
        _ => Vec::new(),
    })
}

#[test]
fn in_text_with_the_fullest_log() {
    let outcome = run_with_keys(&talkative().url(), &[]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("are odd"),
        "what was said is told: {}",
        outcome.stderr
    );
    assert_clean(&outcome);
}

#[test]
fn in_events_and_on_the_wire() {
    let outcome = run_with_keys(&talkative().url(), &["--json", "--raw"]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stdout.contains("are odd"));
    assert_clean(&outcome);
}

#[test]
fn in_the_trace() {
    let sink =
        Sink::start(|_, _| Answer::status(401).body(format!(r#"{{"error": {{"code": "bad {KEY}"}}}}"#)));
    let endpoint = sink.url("/ingest");
    let more = [
        "--trace",
        "stdout",
        "--trace",
        "openai",
        "--trace-endpoint",
        &endpoint,
    ];
    let outcome = run_with_keys(&talkative().url(), &more);
    assert_eq!(outcome.code, Some(3));
    assert!(
        outcome.stderr.contains("did not get to openai"),
        "{}",
        outcome.stderr
    );
    assert_clean(&outcome);
    for request in sink.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains(KEY));
    }
}

#[test]
fn in_refusals() {
    let after_the_handshake = FakeServer::start_silent(|_| {
        let message = format!("Incorrect API key provided: {KEY} {HEADER_KEY}.");
        vec![
            error("invalid_request_error", "invalid_api_key", &message),
            Do::Close(3000, "invalid_api_key"),
        ]
    });
    let outcome = run_with_keys(&after_the_handshake.url(), &[]);
    assert_eq!(outcome.code, Some(3));
    assert!(
        outcome.stderr.contains("Incorrect API key provided"),
        "{}",
        outcome.stderr
    );
    assert_clean(&outcome);

    let sink = Sink::start(|_, request| {
        let body = json!({"error": {"message": format!("Not you: {:?}", request.header("authorization"))}});
        Answer::status(403).body(body.to_string())
    });
    let outcome = run_with_keys(&sink.url("/v1"), &[]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stderr.contains("Not you"), "{}", outcome.stderr);
    assert_clean(&outcome);
}

#[test]
fn in_addresses() {
    for url in [
        format!("wss://me:{KEY}@127.0.0.1:1/"),
        format!("ftp://h/?api-key={KEY}"),
        format!("ws://127.0.0.1:1/?api-key={KEY}"),
        format!("nonsense?{KEY}"),
    ] {
        let outcome = run_with_keys(&url, &[]);
        assert_ne!(outcome.code, Some(0));
        assert_clean(&outcome);
    }
}

#[test]
fn the_servers_get_the_keys_that_are_hidden() {
    // Else the other tests would show nothing.
    let sink = Sink::always(403);
    run_with_keys(&sink.url("/v1"), &[]);
    let authorization = sink.requests()[0].header("authorization").map(str::to_owned);
    assert_eq!(authorization, Some(format!("Bearer {HEADER_KEY}")));
}
