//! The judge of scripts: a real HTTP server that answers well, badly or not at all.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/chat_server.rs"]
mod chat_server;

use std::time::Duration;

use chat_server::ChatServer;
use realtime_run::Secret;
use realtime_run::script::{Judge, JudgeError, Ruling};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const KEY: &str = "sk-planted-4711";

fn judge(server: &ChatServer) -> Judge {
    Judge::new(&server.url(), "tiny", Secret::new(KEY), Judge::LIMIT).unwrap()
}

fn ask(judge: &Judge) -> JoinHandle<Result<Ruling, JudgeError>> {
    let judge = judge.clone();
    tokio::spawn(async move { judge.judge("it is sunny", "The sun \"shines\".").await })
}

fn completion(content: impl Into<Value>) -> String {
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": content.into()}}]})
        .to_string()
}

fn sunny() -> Ruling {
    Ruling {
        holds: true,
        reason: "It shines.".into(),
    }
}

const SUNNY: &str = r#"{"holds": true, "reason": "It shines."}"#;

/// What becomes of an answer with this body.
async fn answered(body: &str) -> Result<Ruling, JudgeError> {
    let server = ChatServer::start().await;
    let asked = ask(&judge(&server));
    server.asked().await.answer("200 OK", body).await;
    asked.await.unwrap()
}

#[tokio::test]
async fn a_claim_and_words_go_out_and_a_ruling_comes_back() {
    let server = ChatServer::start().await;
    let asked = ask(&judge(&server));
    let request = server.asked().await;
    assert!(
        request.head.starts_with("post /v1/chat/completions "),
        "{}",
        request.head
    );
    assert!(
        request.head.contains(&format!("authorization: bearer {KEY}")),
        "{}",
        request.head
    );
    assert_eq!(request.body["model"], "tiny");
    assert_eq!(request.body["response_format"]["json_schema"]["strict"], true);
    let question = request.body["messages"][1]["content"].as_str().unwrap();
    let question: Value = serde_json::from_str(question).unwrap();
    assert_eq!(
        question,
        json!({"claim": "it is sunny", "text": "The sun \"shines\"."})
    );
    request.answer("200 OK", &completion(SUNNY)).await;
    assert_eq!(asked.await.unwrap(), Ok(sunny()));
}

#[tokio::test]
async fn a_message_in_parts_is_read_as_well() {
    let parts = json!([{"type": "text", "text": SUNNY}]);
    assert_eq!(answered(&completion(parts)).await, Ok(sunny()));
}

#[tokio::test]
async fn a_server_that_knows_no_schemas_is_asked_without_from_then_on() {
    let server = ChatServer::start().await;
    let judge = judge(&server);
    let mut asked = ask(&judge);
    let refused = server.asked().await;
    refused
        .answer("400 Bad Request", r#"{"error": {"message": "response_format?"}}"#)
        .await;
    for number in 1..=2 {
        let request = server.asked().await;
        assert!(request.body.get("response_format").is_none(), "request {number}");
        request.answer("200 OK", &completion(SUNNY)).await;
        assert_eq!(asked.await.unwrap(), Ok(sunny()));
        asked = ask(&judge);
    }
    asked.abort();
}

#[tokio::test]
async fn what_is_no_ruling_is_told() {
    let declined = json!({"choices": [{"message": {"content": null, "refusal": "I won't."}}]}).to_string();
    for (body, why) in [
        (completion("Yes, it is."), "it holds no ruling, but: Yes, it is."),
        (completion(Value::Null), "it holds no message"),
        ("<html>".to_owned(), "it is no JSON"),
        ("{}".to_owned(), "it holds no message"),
        (declined, "the model declined: I won't."),
        (completion("x".repeat(2 << 20)), "it is longer than 1 MiB"),
    ] {
        let error = answered(&body).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the judge's answer can't be read: {why}")
        );
    }
}

#[tokio::test]
async fn a_refusal_is_told_without_the_key() {
    let server = ChatServer::start().await;
    let judge = judge(&server);
    let asked = ask(&judge);
    let body = json!({"error": {"message": format!("Wrong key: {KEY}")}}).to_string();
    server.asked().await.answer("401 Unauthorized", &body).await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the judge's server answered with HTTP 401: Wrong key: ***"
    );
    let asked = ask(&judge);
    let body = completion(format!("My key is {KEY}."));
    server.asked().await.answer("200 OK", &body).await;
    let error = asked.await.unwrap().unwrap_err();
    assert!(error.to_string().ends_with("but: My key is ***."), "{error}");
    assert!(
        !format!("{error} {error:?} {judge:?}").contains(KEY),
        "{error:?} {judge:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_silent_or_away_is_given_up() {
    let server = ChatServer::start().await;
    let limit = Duration::from_millis(50);
    let hasty = Judge::new(&server.url(), "tiny", None, limit).unwrap();
    let asked = ask(&hasty);
    server.asked().await.until_hung_up().await;
    assert_eq!(asked.await.unwrap(), Err(JudgeError::Late(limit)));

    let judge = judge(&server);
    drop(server);
    let error = ask(&judge).await.unwrap().unwrap_err();
    assert!(
        matches!(&error, JudgeError::Lost(why) if why.contains("refused")),
        "{error:?}"
    );
    assert!(Judge::new("ftp://host", "tiny", None, limit).is_err());
}
