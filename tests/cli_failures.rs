//! Servers that refuse, fail or fall silent: what is said, and the exit status.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;
#[path = "support/sink.rs"]
mod sink;

use cli::{Agent, Outcome, masked};
use fake_server::{Do, FakeServer, created, done, error, words};
use serde_json::{Value, json};
use sink::{Answer, Sink};

fn run_at(url: &str, arguments: &[&str]) -> Outcome {
    Agent::weather().run(["--url", url].iter().chain(arguments).copied())
}

#[test]
fn a_server_that_is_not_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = run_at(&format!("ws://{free}"), &["-m", "hi"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""));
    let expected = format!("error: cannot reach {free}: ");
    assert!(outcome.stderr.contains(&expected), "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("help: check the network and the address (--url, OPENAI_BASE_URL)")
    );
    assert!(
        outcome.stderr.contains("└─ agent Assistant"),
        "the span is there: {}",
        outcome.stderr
    );
}

#[test]
fn a_handshake_refused_with_a_status() {
    let body = json!({"error": {"code": "invalid_api_key", "message": "Incorrect API key provided."}});
    let sink = Sink::start(move |_, _| {
        let answer = Answer::status(401).header("content-type", "application/json");
        answer.body(body.to_string())
    });
    let outcome = run_at(&sink.url("/v1"), &["-q", "-m", "hi"]);
    assert_eq!(outcome.code, Some(3));
    let host = sink.host();
    assert_eq!(
        outcome.stderr,
        format!(
            "error: {host} refused the connection with HTTP 401: Incorrect API key provided.\n\
             help: check the key: OPENAI_API_KEY, or the variable that --api-key-env names\n"
        )
    );
}

#[test]
fn a_session_refused_after_the_handshake() {
    let server = FakeServer::start_silent(|_| {
        vec![
            error(
                "invalid_request_error",
                "invalid_model",
                "Model \"x\" is not supported.",
            ),
            Do::Close(4000, "invalid_request_error.invalid_model"),
        ]
    });
    let outcome = run_at(&server.url(), &["-q", "-m", "hi"]);
    assert_eq!(outcome.code, Some(3));
    insta::assert_snapshot!(outcome.stderr, @r#"
    error: the server refused the session: Model "x" is not supported. (invalid_model)
    help: name a realtime model that this account may use: --model, or `model` under [session]
    "#);
}

/// A server that answers each turn with the same steps.
fn answering(steps: impl Fn() -> Vec<Do> + Send + Sync + 'static) -> FakeServer {
    FakeServer::start(move |event| match event["type"].as_str().unwrap() {
        "response.create" => steps(),
        _ => Vec::new(),
    })
}

#[test]
fn a_failed_turn_says_why_and_ends_the_run() {
    let server = answering(|| {
        let why = json!({"type": "failed", "error": {"type": "server_error", "code": "oops", "message": "It broke."}});
        vec![created("r1"), words("r1", "Well"), done("r1", "failed", why)]
    });
    let outcome = run_at(&server.url(), &["-m", "one", "-m", "two"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), "Well\n"));
    let stderr = masked(&outcome.stderr).replace(&server.url()[5..20], "HOST");
    assert!(
        stderr.contains("error: the turn failed: It broke. (oops)\n"),
        "{stderr}"
    );
    assert!(!stderr.contains("> two"), "the second turn never came: {stderr}");
}

#[test]
fn an_incomplete_answer_says_why_and_what_to_do() {
    let server = answering(|| {
        let why = json!({"type": "incomplete", "reason": "max_output_tokens"});
        vec![
            created("r1"),
            words("r1", "Once upon a"),
            done("r1", "incomplete", why),
        ]
    });
    let outcome = run_at(&server.url(), &["-q", "-m", "tell a story"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(3), "Once upon a\n")
    );
    insta::assert_snapshot!(outcome.stderr, @r"
    error: the answer is incomplete: max_output_tokens
    help: raise `max_output_tokens` under [session]
    ");
}

#[test]
fn a_session_that_expires_says_so_once() {
    let server = answering(|| {
        vec![
            created("r1"),
            error(
                "invalid_request_error",
                "session_expired",
                "Your session hit the maximum duration of 60 minutes.",
            ),
            Do::Close(1001, "Your session hit the maximum duration of 60 minutes."),
        ]
    });
    let outcome = run_at(&server.url(), &["-q", "-m", "hi"]);
    assert_eq!(outcome.code, Some(3));
    insta::assert_snapshot!(outcome.stderr, @r"
    warning: the server says: Your session hit the maximum duration of 60 minutes. (session_expired)
    help: start a new session: the server ends each one after its maximum length
    error: the server ended the session because of this
    ");
}

#[test]
fn a_lost_connection_ends_the_run_and_the_line() {
    let server = answering(|| vec![created("r1"), words("r1", "I was about to"), Do::Drop]);
    let outcome = run_at(&server.url(), &["-m", "hi"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(3), "I was about to\n")
    );
    assert!(
        outcome
            .stderr
            .contains("error: the connection was lost (close code 1006"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("agent Assistant  "), "{}", outcome.stderr);
}

#[test]
fn a_server_that_hangs_up_before_all_is_said() {
    let details = Value::Null;
    let server = answering(move || {
        vec![
            created("r1"),
            words("r1", "Bye"),
            done("r1", "completed", details.clone()),
            Do::Close(1000, ""),
        ]
    });
    let one = run_at(&server.url(), &["-q", "-m", "one"]);
    assert_eq!((one.code, one.stdout.as_str()), (Some(0), "Bye\n"));
    let two = run_at(&server.url(), &["-q", "-m", "one", "-m", "two"]);
    assert_eq!(two.code, Some(3), "{}", two.stderr);
    assert!(
        two.stderr.contains("error: the server closed the session"),
        "{}",
        two.stderr
    );
}

#[test]
fn an_error_that_ends_nothing_is_a_warning() {
    let details = Value::Null;
    let server = answering(move || {
        vec![
            error("invalid_request_error", "odd", "That was odd."),
            created("r1"),
            words("r1", "Fine"),
            done("r1", "completed", details.clone()),
        ]
    });
    let outcome = run_at(&server.url(), &["-q", "-m", "hi"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "Fine\n"));
    assert_eq!(outcome.stderr, "warning: the server says: That was odd. (odd)\n");
}

#[test]
fn a_turn_that_takes_too_long() {
    let server = answering(|| vec![created("r1"), words("r1", "Let me think")]);
    let outcome = run_at(&server.url(), &["-q", "-m", "hi", "--turn-timeout", "2s"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(4), "Let me think\n")
    );
    insta::assert_snapshot!(outcome.stderr, @r"
    error: the turn took longer than 2.00 s
    help: --turn-timeout sets the limit
    ");
}

#[test]
fn a_run_that_takes_too_long() {
    let server = answering(|| vec![created("r1")]);
    let outcome = run_at(&server.url(), &["-q", "-m", "hi", "--timeout", "2s"]);
    assert_eq!(outcome.code, Some(4));
    insta::assert_snapshot!(outcome.stderr, @r"
    error: the run took longer than 2.00 s
    help: --timeout sets the limit
    ");
}

#[test]
fn a_server_that_never_greets() {
    let server = FakeServer::start_silent(|_| Vec::new());
    let outcome = run_at(&server.url(), &["-m", "hi", "--timeout", "1s"]);
    assert_eq!(outcome.code, Some(4));
    assert!(
        outcome
            .stderr
            .contains("error: the session did not open within 1.00 s\nhelp: --timeout")
    );
    assert!(
        outcome.stderr.contains("└─ agent Assistant"),
        "the span is finished: {}",
        outcome.stderr
    );
}

#[test]
fn words_of_a_server_can_do_nothing_to_a_terminal() {
    let server = answering(|| {
        vec![
            error("e", "c", "red \u{1b}[31m alert"),
            created("r"),
            done("r", "completed", Value::Null),
        ]
    });
    let outcome = run_at(&server.url(), &["-q", "-m", "hi"]);
    assert!(
        outcome.stderr.contains("red \u{fffd}[31m alert"),
        "{}",
        outcome.stderr
    );
}
