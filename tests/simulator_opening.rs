//! How connections to the simulator begin, are refused, and end (protocol.md sections 1.1 to 1.5).

mod simulator_client;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};
use tokio_tungstenite::tungstenite::{self, Message};

use realtime_run::simulator::{Limits, Options, Pace, Simulator};
use simulator_client::{Client, LIMIT, find, order, simulator, simulator_with, words};

const KEY: &str = "sk-the-right-key-of-all";

async fn locked() -> Simulator {
    simulator_with(Options {
        required_key: Some(KEY.into()),
        ..Options::default()
    })
    .await
}

fn with_path(simulator: &Simulator, path: &str) -> String {
    format!("ws://{}{path}", simulator.local_addr())
}

type Attempt = Result<(Client, Response<Option<Vec<u8>>>), tungstenite::Error>;

async fn connect(url: &str, headers: &[(&'static str, &str)]) -> Attempt {
    let mut request = url.into_client_request()?;
    for (name, value) in headers {
        request
            .headers_mut()
            .append(*name, HeaderValue::from_str(value).expect("a header"));
    }
    let (socket, response) = timeout(LIMIT, connect_async(request)).await.expect("in time")?;
    Ok((Client { socket }, response))
}

/// The error event and the close frame of a connection that is refused after it opened.
async fn refusal(client: &mut Client) -> (Value, u16, String) {
    let error = client.event().await;
    assert_eq!(error["type"], "error", "no session comes first");
    let closed = client.frame().await.expect("a close").expect("a close");
    let Message::Close(Some(close)) = closed else {
        panic!("not a close: {closed:?}")
    };
    assert!(
        client.frame().await.is_none_or(|end| end.is_err()),
        "nothing comes after the close"
    );
    (
        error["error"].clone(),
        close.code.into(),
        close.reason.to_string(),
    )
}

fn http_error(outcome: Attempt) -> (u16, Value) {
    match outcome {
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (
                response.status().as_u16(),
                serde_json::from_slice(&body).unwrap_or_default(),
            )
        }
        Err(other) => panic!("not an HTTP refusal: {other}"),
        Ok(_) => panic!("the connection was let in"),
    }
}

#[tokio::test]
async fn a_session_begins_with_session_created_on_every_path() {
    let simulator = simulator().await;
    for path in [
        "/v1/realtime?model=gpt-realtime",
        "/openai/v1/realtime?model=gpt-realtime",
        "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime",
    ] {
        let mut client = Client::connect(&with_path(&simulator, path)).await;
        let created = client.event().await;
        assert_eq!(created["type"], "session.created");
        assert_eq!(created["session"]["model"], "gpt-realtime", "{path}");
        let turns = &created["session"]["audio"]["input"]["turn_detection"];
        assert_eq!(turns["silence_duration_ms"], 200, "as this model has it");
    }
    assert!(
        simulator
            .url()
            .ends_with(&format!(":{}/v1/realtime", simulator.local_addr().port()))
    );
}

#[tokio::test]
async fn other_paths_and_calls_are_not_found() {
    let simulator = simulator().await;
    let (status, _) = http_error(connect(&with_path(&simulator, "/v1/chat?model=m"), &[]).await);
    assert_eq!(status, 404);
    let (status, body) =
        http_error(connect(&with_path(&simulator, "/v1/realtime?call_id=unknown"), &[]).await);
    assert_eq!(
        (status, &body["error"]["code"]),
        (404, &json!("call_id_not_found"))
    );
}

#[tokio::test]
async fn a_call_is_joined_without_a_greeting_and_without_its_sound() {
    let simulator = simulator().await;
    let mut client = Client::connect(&with_path(&simulator, "/v1/realtime?call_id=rtc_1")).await;
    client
        .send(json!({"type": "session.update", "session": {"type": "realtime", "instructions": "Hi"}}))
        .await;
    assert_eq!(client.event().await["type"], "session.updated", "comes first");
    client.say("Good morning").await;
    client.respond().await;
    let events = client.until("output_audio_buffer.stopped").await;
    let kinds = order(&events);
    assert!(
        !kinds.contains(&"response.output_audio.delta".to_owned()),
        "{kinds:?}"
    );
    let started = find(&events, "output_audio_buffer.started");
    assert_eq!(
        started["response_id"],
        find(&events, "response.created")["response"]["id"]
    );
    assert_eq!(words(&events), "You said: Good morning");
    client.send(json!({"type": "output_audio_buffer.clear"})).await;
    client.next("output_audio_buffer.cleared").await;
}

#[tokio::test]
async fn a_transcription_session_makes_words_and_no_answers() {
    let simulator = simulator().await;
    let mut client = Client::connect(&with_path(&simulator, "/v1/realtime?intent=transcription")).await;
    let created = client.event().await;
    let session = &created["session"];
    assert_eq!(session["object"], "realtime.transcription_session");
    assert!(
        session.get("model").is_none() && session.get("tools").is_none(),
        "{session}"
    );
    let turns =
        json!({"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500});
    assert_eq!(session["audio"]["input"]["turn_detection"], turns);

    let update = |session: Value| json!({"type": "session.update", "session": session});
    client
        .send(update(
            json!({"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"},
            "turn_detection": {"type": "server_vad", "threshold": 0.4}}}}),
        ))
        .await;
    let updated = client.next("session.updated").await;
    assert_eq!(
        updated["session"]["audio"]["input"]["turn_detection"]["threshold"],
        0.4
    );
    let refused = client.refused(update(json!({"type": "realtime"}))).await;
    assert_eq!(
        (&refused["code"], &refused["param"]),
        (&json!("invalid_value"), &json!("session.type"))
    );

    let second = "A".repeat(64_000);
    client
        .send(json!({"type": "input_audio_buffer.append", "audio": second}))
        .await;
    client.send(json!({"type": "input_audio_buffer.commit"})).await;
    let completed = client
        .next("conversation.item.input_audio_transcription.completed")
        .await;
    assert_eq!(completed["transcript"], "1.0 seconds of audio");
    client.refused(json!({"type": "response.create"})).await;
}

#[tokio::test]
async fn clients_are_refused_in_every_way_that_is_asked_for() {
    for (name, close_code, close_reason) in [
        ("invalid_api_key", 3000, "invalid_request_error.invalid_api_key"),
        ("missing_model", 4000, "invalid_request_error.missing_model"),
        ("invalid_model", 4000, "invalid_request_error.invalid_model"),
        (
            "beta_api_shape_disabled",
            4000,
            "invalid_request_error.beta_api_shape_disabled",
        ),
        (
            "insufficient_quota",
            1013,
            "insufficient_quota.insufficient_quota",
        ),
    ] {
        let simulator = refusing(name).await;
        let url = with_path(&simulator, "/v1/realtime?model=m&api-key=sk-planted-secret");
        let (error, code, reason) = refusal(&mut Client::connect(&url).await).await;
        assert_eq!((code, reason.as_str()), (close_code, close_reason));
        assert_eq!(error["code"], name);
        assert!(!error.to_string().contains("planted"), "{error}");
    }
    for status in [401, 403, 404, 429, 503] {
        let simulator = refusing(&format!("http-{status}")).await;
        let url = with_path(&simulator, "/v1/realtime?model=m");
        let outcome = connect(&url, &[]).await;
        if let Err(tungstenite::Error::Http(response)) = &outcome {
            assert_eq!(response.headers().contains_key("retry-after"), status == 429);
        }
        let (told, body) = http_error(outcome);
        assert_eq!(told, status);
        assert!(body["error"]["code"].is_string(), "{body}");
    }
}

async fn refusing(name: &str) -> Simulator {
    simulator_with(Options {
        refuse: Some(name.parse().expect("a refusal")),
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let simulator = simulator_with(Options {
        max_session: Duration::from_secs(1),
        pace: Pace::Every(Duration::from_millis(10)),
        ..Options::default()
    })
    .await;
    let mut client = Client::open(&simulator).await;
    client.say(&"and on ".repeat(500)).await;
    client.respond().await;
    client.next("response.created").await;
    let error = client.next("error").await;
    assert_eq!(error["error"]["code"], "session_expired");
    let Some(Ok(Message::Close(Some(close)))) = client.frame().await else {
        panic!("nothing comes between the error and the close")
    };
    assert_eq!(
        (u16::from(close.code), close.reason.as_str()),
        (1001, "Your session hit the maximum duration of 1 seconds.")
    );
}

#[tokio::test]
async fn the_right_key_opens_in_every_place_it_may_be() {
    let simulator = locked().await;
    let url = with_path(&simulator, "/v1/realtime?model=m");
    let bearer = format!("Bearer {KEY}");
    let protocol = format!("realtime, openai-insecure-api-key.{KEY}");
    let with_query = format!("{url}&api-key={KEY}");
    for (url, headers) in [
        (&url, vec![("authorization", bearer.as_str())]),
        (&url, vec![("api-key", KEY)]),
        (&url, vec![("sec-websocket-protocol", protocol.as_str())]),
        (&with_query, vec![]),
    ] {
        let (mut client, _) = connect(url, &headers).await.expect("a connection");
        assert_eq!(client.event().await["type"], "session.created", "{headers:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_opens_and_closes() {
    let simulator = locked().await;
    let url = with_path(&simulator, "/v1/realtime?model=m");
    let (mut client, _) = connect(&url, &[("authorization", "Bearer sk-a-wrong-key-of-many")])
        .await
        .expect("101");
    let (error, code, reason) = refusal(&mut client).await;
    assert_eq!(
        (code, reason.as_str()),
        (3000, "invalid_request_error.invalid_api_key")
    );
    assert_eq!(error["code"], "invalid_api_key");
    assert!(
        !error.to_string().contains("wrong-key"),
        "the key is masked: {error}"
    );

    let (status, body) = http_error(connect(&url, &[]).await);
    assert_eq!((status, &body["error"]["code"]), (401, &json!("missing_api_key")));
}

#[tokio::test]
async fn a_model_must_be_named_and_the_beta_is_over() {
    let simulator = simulator().await;
    for path in ["/v1/realtime", "/v1/realtime?model="] {
        let mut client = Client::connect(&with_path(&simulator, path)).await;
        let (error, code, reason) = refusal(&mut client).await;
        assert_eq!(
            (code, reason.as_str()),
            (4000, "invalid_request_error.missing_model")
        );
        assert_eq!(error["code"], "missing_model");
    }
    let url = with_path(&simulator, "/v1/realtime?model=m");
    let (mut client, _) = connect(&url, &[("openai-beta", "realtime=v1")])
        .await
        .expect("101");
    let (_, code, reason) = refusal(&mut client).await;
    assert_eq!(
        (code, reason.as_str()),
        (4000, "invalid_request_error.beta_api_shape_disabled")
    );
}

#[tokio::test]
async fn the_subprotocol_is_echoed_if_asked_for() {
    let simulator = simulator().await;
    let url = with_path(&simulator, "/v1/realtime?model=m");
    let (_client, response) = connect(&url, &[("sec-websocket-protocol", "realtime")])
        .await
        .expect("101");
    assert_eq!(response.headers()["sec-websocket-protocol"], "realtime");
    let (_client, response) = connect(&url, &[]).await.expect("101");
    assert!(response.headers().get("sec-websocket-protocol").is_none());
}

#[tokio::test]
async fn connections_are_limited_and_freed() {
    let limits = Limits {
        max_connections: 2,
        ..Limits::default()
    };
    let simulator = simulator_with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let first = Client::open(&simulator).await;
    let _second = Client::open(&simulator).await;
    let url = with_path(&simulator, "/v1/realtime?model=m");
    assert!(connect(&url, &[]).await.is_err(), "a third one is refused");
    drop(first);
    let freed = async {
        while connect(&url, &[]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, freed)
        .await
        .expect("the place of the first one is free");
}

#[tokio::test]
async fn a_message_too_big_ends_the_connection() {
    let limits = Limits {
        max_message_bytes: 10_000,
        ..Limits::default()
    };
    let simulator = simulator_with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let mut client = Client::open(&simulator).await;
    client.send_frame(Message::text("x".repeat(20_000))).await;
    loop {
        match client.frame().await {
            None | Some(Err(_)) => break,
            Some(Ok(Message::Close(_))) => {}
            Some(Ok(other)) => panic!("an answer to it: {other:?}"),
        }
    }
    Client::open(&simulator).await;
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let limits = Limits {
        handshake_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let simulator = simulator_with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let mut stream = TcpStream::connect(simulator.local_addr())
        .await
        .expect("a connection");
    let ended = timeout(LIMIT, stream.read(&mut [0; 16]))
        .await
        .expect("the server gives up");
    assert!(matches!(ended, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let write_timeout = Duration::from_millis(200);
    let limits = Limits {
        write_timeout,
        max_connections: 1,
        ..Limits::default()
    };
    let simulator = simulator_with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let mut client = Client::open(&simulator).await;
    client.say(&"word ".repeat(5_000)).await;
    client.respond().await;
    let url = with_path(&simulator, "/v1/realtime?model=m");
    let freed = async {
        while connect(&url, &[]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, freed).await.expect("its place is free");
}

#[tokio::test]
async fn pings_are_answered_while_an_answer_runs() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client.say(&"word ".repeat(3_000)).await;
    client.respond().await;
    client.next("response.output_audio.delta").await;
    client.send_frame(Message::Ping(b"there?".to_vec().into())).await;
    loop {
        match client.frame().await.expect("open").expect("good") {
            Message::Pong(payload) => {
                assert_eq!(&payload[..], b"there?");
                break;
            }
            Message::Text(text) => assert!(!text.contains("\"response.done\""), "the pong came too late"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn shutdown_says_goodbye_and_frees_the_port() {
    let simulator = simulator().await;
    let address = simulator.local_addr();
    let mut client = Client::open(&simulator).await;
    let begun = Instant::now();
    let (_, closed) = tokio::join!(simulator.shutdown(), client.frame());
    let Some(Ok(Message::Close(Some(close)))) = closed else {
        panic!("no goodbye: {closed:?}")
    };
    assert_eq!(u16::from(close.code), 1001);
    assert!(begun.elapsed() < LIMIT);
    Simulator::bind(address).await.expect("the port is free again");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_client_that_does_not_answer() {
    let limits = Limits {
        shutdown_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let simulator = simulator_with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let mut client = Client::open(&simulator).await;
    client.say(&"word ".repeat(5_000)).await;
    client.respond().await;
    // It reads nothing, so that neither the answer nor the goodbye gets through.
    timeout(LIMIT, simulator.shutdown())
        .await
        .expect("an end in time");
}

#[tokio::test]
async fn dropping_the_handle_ends_its_connections() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    drop(simulator);
    assert!(
        client.frame().await.is_none_or(|frame| frame.is_err()),
        "cut off without a goodbye"
    );
}
