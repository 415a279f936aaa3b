//! The simulator with a language model for a brain: a real HTTP server that streams as awkwardly as it can.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/chat_server.rs"]
mod chat_server;
#[path = "support/cli.rs"]
mod cli;
mod simulator_client;

use std::time::Duration;

use chat_server::{ChatServer, call, stop, words};
use cli::Agent;
use realtime_run::Secret;
use realtime_run::simulator::{Llm, Options, Simulator};
use serde_json::{Value, json};
use simulator_client::{Client, find, outputs, simulator_with, weather_tool};

const KEY: &str = "sk-planted-4711";

async fn simulator(server: &ChatServer, silence: Duration) -> Simulator {
    let llm = Llm::new(&server.url(), "tiny", Secret::new(KEY), silence).unwrap();
    simulator_with(Options::default().with_llm(llm)).await
}

async fn open(server: &ChatServer) -> (Simulator, Client) {
    let simulator = simulator(server, Llm::SILENCE).await;
    let client = Client::open(&simulator).await;
    (simulator, client)
}

async fn done(client: &mut Client) -> Vec<Value> {
    client.until("response.done").await
}

#[tokio::test]
async fn words_stream_in_however_they_are_cut() {
    let server = ChatServer::start().await;
    let (_simulator, mut client) = open(&server).await;
    for size in [1, 3, 7, 100_000] {
        client.say("Grüße?").await;
        client.respond().await;
        let asked = server.asked().await;
        assert!(
            asked.head.starts_with("post /v1/chat/completions "),
            "{}",
            asked.head
        );
        assert!(
            asked.head.contains(&format!("authorization: bearer {KEY}")),
            "{}",
            asked.head
        );
        assert_eq!(
            (&asked.body["model"], &asked.body["stream"]),
            (&json!("tiny"), &json!(true))
        );
        let messages = asked.body["messages"].as_array().unwrap();
        assert_eq!(
            messages.last().unwrap(),
            &json!({"role": "user", "content": "Grüße?"})
        );
        asked
            .stream(
                &[words("Schöne "), words("Grüße 😀"), words("!"), stop("stop")],
                size,
            )
            .await;
        let events = done(&mut client).await;
        assert_eq!(
            simulator_client::words(&events),
            "Schöne Grüße 😀!",
            "pieces of {size} bytes"
        );
        assert_eq!(find(&events, "response.done")["response"]["status"], "completed");
    }
}

#[tokio::test]
async fn the_first_words_are_heard_before_the_last_are_known() {
    let server = ChatServer::start().await;
    let (_simulator, mut client) = open(&server).await;
    client.say("Tell me a story").await;
    client.respond().await;
    let mut asked = server.asked().await;
    asked.begin().await;
    asked
        .piece(format!("data: {}\n\n", words("Once upon a time")).as_bytes())
        .await;
    let delta = client.next("response.output_audio_transcript.delta").await;
    assert_eq!(delta["delta"], "Once");
    client.send(json!({"type": "response.cancel"})).await;
    let events = done(&mut client).await;
    assert_eq!(find(&events, "response.done")["response"]["status"], "cancelled");
    asked.until_hung_up().await;
}

#[tokio::test]
async fn calls_and_their_outputs_go_there_and_back() {
    let server = ChatServer::start().await;
    let (_simulator, mut client) = open(&server).await;
    client
        .update(json!({"instructions": "Be brief.", "tools": [weather_tool()]}))
        .await;
    client.say("The weather in Rome and Oslo?").await;
    client.respond().await;
    let asked = server.asked().await;
    assert_eq!(asked.body["tools"][0]["function"]["name"], "get_weather");
    assert_eq!(
        asked.body["messages"][0],
        json!({"role": "system", "content": "Be brief."})
    );
    let chunks = [
        words("One moment."),
        call(0, Some("x1"), Some("get_weather"), ""),
        call(0, None, None, "{\"city\":"),
        call(0, None, None, "\"Rome\"}"),
        call(1, Some("x2"), Some("get_weather"), "{\"city\":\"Oslo\"}"),
        stop("tool_calls"),
    ];
    asked.stream(&chunks, 11).await;
    let events = done(&mut client).await;
    let outputs = outputs(&events);
    assert_eq!(outputs.len(), 3, "{outputs:#?}");
    assert_eq!(outputs[1]["arguments"], "{\"city\":\"Rome\"}");
    assert_eq!(outputs[2]["arguments"], "{\"city\":\"Oslo\"}");

    for (item, output) in [(&outputs[1], "sunny"), (&outputs[2], "rainy")] {
        client
            .send(json!({"type": "conversation.item.create", "item": {
                "type": "function_call_output", "call_id": item["call_id"], "output": output,
            }}))
            .await;
    }
    client.respond().await;
    let asked = server.asked().await;
    let roles: Vec<_> = asked.body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].clone())
        .collect();
    assert_eq!(
        roles,
        ["system", "user", "assistant", "assistant", "tool", "tool"]
    );
    assert_eq!(asked.body["messages"][5]["content"], "rainy");
    asked.stream(&[words("Sunny and rainy."), stop("stop")], 64).await;
    assert_eq!(
        simulator_client::words(&done(&mut client).await),
        "Sunny and rainy."
    );
}

/// The status, the code and the message of the response that fails.
async fn failure(client: &mut Client) -> (Value, Value, String) {
    let events = done(client).await;
    let mut response = find(&events, "response.done")["response"].clone();
    let error = response["status_details"]["error"].take();
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    assert!(!message.contains(KEY), "{message}");
    (response["status"].take(), error["code"].clone(), message)
}

#[tokio::test]
async fn what_goes_wrong_fails_the_response_with_the_reason() {
    let server = ChatServer::start().await;
    let (_simulator, mut client) = open(&server).await;
    let body = format!(r#"{{"error": {{"message": "Incorrect API key provided: {KEY}."}}}}"#);
    let cases = [
        (
            "401 Unauthorized",
            body.as_str(),
            "llm_error",
            "HTTP 401: Incorrect API key provided: ***.",
        ),
        (
            "429 Too Many Requests",
            "slow down",
            "rate_limit_exceeded",
            "HTTP 429: slow down",
        ),
        ("500 Internal Server Error", "", "llm_error", "HTTP 500"),
    ];
    for (status, body, code, said) in cases {
        client.respond().await;
        server.asked().await.answer(status, body).await;
        let (status, told, message) = failure(&mut client).await;
        assert_eq!((status, told), ("failed".into(), code.into()));
        assert!(message.ends_with(said), "{message}");
    }
    for (pieces, code) in [
        (
            vec!["data: {\"error\": {\"message\": \"overloaded\"}}\n\n"],
            "llm_error",
        ),
        (vec!["data: {\"choices\"\n\n"], "llm_unreadable"),
        (
            vec!["data: {\"choices\": [{\"delta\": {\"content\": \"Well\"}}]}\n\n"],
            "llm_unreachable",
        ),
    ] {
        client.respond().await;
        let mut asked = server.asked().await;
        asked.begin().await;
        for piece in pieces {
            asked.piece(piece.as_bytes()).await;
        }
        drop(asked);
        assert_eq!(failure(&mut client).await.1, code);
    }
    // The session goes on.
    client.respond().await;
    server
        .asked()
        .await
        .stream(&[words("Fine."), stop("stop")], 9)
        .await;
    assert_eq!(simulator_client::words(&done(&mut client).await), "Fine.");
}

#[tokio::test]
async fn a_model_that_is_silent_for_too_long_is_given_up() {
    let server = ChatServer::start().await;
    let simulator = simulator(&server, Duration::from_millis(200)).await;
    let mut client = Client::open(&simulator).await;
    client.respond().await;
    let asked = server.asked().await;
    assert_eq!(failure(&mut client).await.1, "llm_timeout");
    asked.until_hung_up().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_the_response() {
    let server = ChatServer::start().await;
    let (_simulator, mut client) = open(&server).await;
    drop(server);
    client.respond().await;
    assert_eq!(failure(&mut client).await.1, "llm_unreachable");
}

#[tokio::test]
async fn the_program_runs_an_agent_on_a_language_model() {
    let server = ChatServer::start().await;
    let url = server.url();
    let run = tokio::task::spawn_blocking(move || {
        let arguments = [
            "--simulate",
            "--llm",
            &url,
            "--llm-model",
            "tiny",
            "--llm-key-env",
            "LLM_KEY",
            "-m",
            "weather?",
        ];
        let agent = Agent::weather();
        let mut command = agent.command(arguments);
        command.env("LLM_KEY", KEY).args(["-m", "and now?", "-vvv"]);
        cli::run(command)
    });
    server
        .asked()
        .await
        .stream(
            &[
                call(0, Some("x"), Some("get_weather"), "{\"city\":\"Rome\"}"),
                stop("tool_calls"),
            ],
            5,
        )
        .await;
    server
        .asked()
        .await
        .stream(&[words("Clear, 21 degrees."), stop("stop")], 5)
        .await;
    let refusal = format!("no such key: {KEY}");
    server.asked().await.answer("403 Forbidden", &refusal).await;
    let outcome = run.await.unwrap();
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(3), "Clear, 21 degrees.\n")
    );
    assert!(
        outcome.stderr.contains("HTTP 403: no such key: ***"),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains(KEY), "{}", outcome.stderr);
}

#[test]
fn the_command_line_is_checked_first() {
    let cases: [(&[&str], &str); 4] = [
        (&["--llm", "http://x/v1"], "--llm-model"),
        (
            &["--llm", "ftp://x", "--llm-model", "m", "--simulate"],
            "no address of a chat-completions server",
        ),
        (&["--llm", "http://x", "--llm-model", "m"], "add `--simulate`"),
        (
            &[
                "--simulate",
                "--llm",
                "http://x",
                "--llm-model",
                "m",
                "--llm-key-env",
                "NO_SUCH_KEY",
            ],
            "`NO_SUCH_KEY`, which --llm-key-env names, is not set",
        ),
    ];
    for (arguments, said) in cases {
        let outcome = Agent::weather().run(arguments.iter().copied().chain(["-m", "hi"]));
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
}
