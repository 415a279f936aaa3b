//! What is asked of a server when a session is opened, and how its refusals are told (protocol.md section 1).

#[path = "support/server.rs"]
mod server;

use std::time::Duration;

use realtime_run::Secret;
use realtime_run::agent::{Agent, Agents, SessionSettings};
use realtime_run::session::{Session, SessionBuilder, SessionError};
use realtime_run::transport::{ConnectError, Endpoint};
use serde_json::json;
use server::{Server, error, within};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

fn builder() -> SessionBuilder {
    Session::builder(Agents::new(Agent::new("Assistant")))
}

#[tokio::test]
async fn the_handshake_names_model_key_and_client_and_never_the_beta() {
    let server = Server::start().await;
    let settings = SessionSettings {
        model: "gpt realtime/2".into(),
        ..SessionSettings::default()
    };
    let agents = Agents::new(Agent::new("Assistant")).settings(settings);
    let endpoint = Endpoint::new(&format!("{}?tag=1", server.url))
        .unwrap()
        .with_key(Secret::new("sk-planted").unwrap())
        .with_header("OpenAI-Project", "proj_1");
    let connect = Session::builder(agents).endpoint(endpoint).connect();
    let (session, peer) = tokio::join!(connect, async {
        let mut peer = server.accept().await;
        peer.greet().await;
        peer
    });
    let request = &peer.request;
    assert_eq!(
        request.uri().to_string(),
        "/v1/realtime?tag=1&model=gpt+realtime%2F2"
    );
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("authorization"), Some("Bearer sk-planted"));
    assert_eq!(header("openai-project"), Some("proj_1"));
    assert!(header("user-agent").unwrap().starts_with("realtime-run/"));
    assert_eq!(header("openai-beta"), None);
    drop(session.unwrap());
}

#[tokio::test]
async fn a_url_that_names_a_call_or_a_deployment_is_left_as_it_is() {
    for query in ["call_id=rtc_1", "api-version=1&deployment=mine"] {
        let server = Server::start().await;
        let endpoint = Endpoint::new(&format!("{}?{query}", server.url)).unwrap();
        let (session, uri) = tokio::join!(builder().endpoint(endpoint).connect(), async {
            let mut peer = server.accept().await;
            peer.greet().await;
            peer.request.uri().to_string()
        });
        assert_eq!(uri, format!("/v1/realtime?{query}"));
        drop(session.unwrap());
    }
}

/// What an answer to the handshake becomes.
async fn refused(response: &str) -> ConnectError {
    let server = Server::start().await;
    let failure = server
        .refuse(builder(), async {
            server.answer(response).await;
        })
        .await;
    match failure {
        SessionError::Connect(error) => error,
        other => panic!("{other:?}"),
    }
}

/// An answer with a body.
fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn an_http_refusal_tells_status_words_and_what_to_do() {
    let body =
        json!({"error": {"message": "No key.", "type": "invalid_request_error", "param": null, "code": "x"}});
    let error = refused(&answer("401 Unauthorized", "", &body.to_string())).await;
    assert!(
        error
            .to_string()
            .ends_with("refused the connection with HTTP 401: No key."),
        "{error}"
    );
    assert!(error.advice().unwrap().contains("OPENAI_API_KEY"));
    assert!(matches!(error, ConnectError::Refused { status: 401, ref code, .. } if code == "x"));
}

#[tokio::test]
async fn an_http_refusal_needs_no_body() {
    for (status, advice) in [("403 Forbidden", "permissions"), ("404 Not Found", "--url")] {
        let error = refused(&answer(status, "", "")).await;
        let number = status.split(' ').next().unwrap();
        assert!(error.to_string().ends_with(&format!("HTTP {number}")), "{error}");
        assert!(error.advice().unwrap().contains(advice), "{error}");
    }
}

#[tokio::test]
async fn a_rate_limit_tells_how_long_to_wait() {
    let error = refused(&answer("429 Too Many Requests", "Retry-After: 7\r\n", "")).await;
    assert!(
        error.to_string().ends_with("HTTP 429 (it asks to wait 7 s)"),
        "{error}"
    );
    assert!(
        matches!(error, ConnectError::Refused { retry_after: Some(wait), .. } if wait == Duration::from_secs(7))
    );
    let error = refused(&answer("429 Too Many Requests", "Retry-After: soon\r\n", "")).await;
    assert!(matches!(
        error,
        ConnectError::Refused {
            retry_after: None,
            ..
        }
    ));
}

#[tokio::test]
async fn a_proxys_page_is_not_repeated() {
    let error = refused(&answer(
        "500 Oops",
        "content-type: text/html\r\n",
        "<html><b>{sorry}</b></html>",
    ))
    .await;
    assert!(error.to_string().ends_with("HTTP 500"), "{error}");
}

#[tokio::test]
async fn azures_and_other_servers_words_are_found() {
    for (body, words) in [
        (
            r#"{"error":{"code":"DeploymentNotFound","message":"No such deployment."}}"#,
            "No such deployment.",
        ),
        (r#"{"error":"no such model"}"#, "no such model"),
        (r#"{"message":"go away"}"#, "go away"),
        (r#"{"detail":"Not authenticated"}"#, "Not authenticated"),
    ] {
        let error = refused(&answer("404 Not Found", "", body)).await;
        assert!(
            error.to_string().ends_with(&format!("HTTP 404: {words}")),
            "{error}"
        );
    }
    let body = r#"{"error":{"code":"DeploymentNotFound","message":"No."}}"#;
    let chunked = format!(
        "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let error = refused(&chunked).await;
    assert!(error.advice().unwrap().contains("Azure"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_no_server() {
    let error = refused("SSH-2.0-OpenSSH_9.6\r\n").await;
    assert!(
        error.to_string().starts_with("cannot reach 127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_refused_connection_names_the_host() {
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let host = endpoint.host();
    drop(server);
    let error = builder().endpoint(endpoint).connect().await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("cannot reach {host}: ")),
        "{error}"
    );
    assert!(matches!(
        error,
        SessionError::Connect(ConnectError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_is_given_up() {
    let server = Server::start().await;
    let limit = Duration::from_millis(50);
    let connect = builder()
        .endpoint(server.endpoint())
        .open_timeout(limit)
        .connect();
    let (session, _held) = tokio::join!(within("the limit", connect), server.ignore());
    let error = session.unwrap_err();
    assert!(
        matches!(error, SessionError::Connect(ConnectError::Timeout { .. })),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .ends_with("did not complete the handshake within 1 s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_never_greets_is_given_up() {
    let server = Server::start().await;
    let limit = Duration::from_millis(50);
    let connect = builder()
        .endpoint(server.endpoint())
        .open_timeout(limit)
        .connect();
    let (session, _peer) = tokio::join!(within("the limit", connect), server.accept());
    assert!(matches!(session.unwrap_err(), SessionError::Timeout(given) if given == limit));
}

#[tokio::test]
async fn refusals_after_the_handshake_keep_the_servers_words() {
    for (code, close, advice) in [
        ("invalid_api_key", 3000, "check the key"),
        ("missing_model", 4000, "--model"),
        ("insufficient_quota", 1013, "credit"),
    ] {
        let server = Server::start().await;
        let failure = server
            .refuse(builder(), async {
                let mut peer = server.accept().await;
                peer.send(error(code, "It said no.")).await;
                peer.close(close, &format!("invalid_request_error.{code}")).await;
            })
            .await;
        assert_eq!(
            failure.to_string(),
            format!("the server refused the session: It said no. ({code})")
        );
        assert!(failure.advice().unwrap().contains(advice), "{failure}");
    }
}

#[tokio::test]
async fn a_server_that_only_closes_is_told_with_code_and_reason() {
    let server = Server::start().await;
    let failure = server
        .refuse(builder(), async {
            let peer = server.accept().await;
            peer.close(3000, "invalid_request_error.invalid_api_key").await;
        })
        .await;
    assert!(
        failure
            .to_string()
            .contains("close code 3000: invalid_request_error.invalid_api_key"),
        "{failure}"
    );
    assert!(failure.advice().unwrap().contains("check the key"));
}

#[tokio::test]
async fn a_server_that_drops_the_connection_is_told() {
    let server = Server::start().await;
    let failure = server
        .refuse(builder(), async { drop(server.accept().await) })
        .await;
    assert!(
        matches!(&failure, SessionError::Closed(close) if close.code == 1006),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_header_that_http_does_not_allow_is_named_and_its_value_is_not() {
    for (name, value) in [("X-Bad", "planted\nvalue"), ("bad name", "planted")] {
        let endpoint = Endpoint::new("ws://127.0.0.1:1")
            .unwrap()
            .with_header(name, value);
        let error = builder().endpoint(endpoint).connect().await.unwrap_err();
        assert!(
            error.to_string().contains(name) && !error.to_string().contains("planted"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_servers_close_frame_is_answered_and_ours_says_normal() {
    let server = Server::start().await;
    let (session, mut peer) = server.open(Agents::new(Agent::new("Assistant"))).await;
    let (_, code) = tokio::join!(session.close(), async {
        use futures_util::StreamExt;
        use tokio_tungstenite::tungstenite::Message;
        match within("a close", peer.socket.next()).await {
            Some(Ok(Message::Close(Some(CloseFrame { code, .. })))) => u16::from(code),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(code, 1000);
    let (session, peer) = server.open(Agents::new(Agent::new("Assistant"))).await;
    within("the close to be answered", peer.close(1001, "over")).await;
    within("the end", session.closed()).await;
}
