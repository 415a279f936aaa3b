//! Tools that make requests: what is sent, what is taken from the answer, and what stays hidden.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/http.rs"]
mod http;

use std::time::Duration;

use http::{Server, ok};
use realtime_run::context::{RunContext, Template};
use realtime_run::tool::{HttpTool, SendArguments, Tool, ToolCall, ToolError, ToolSpec};
use serde_json::{Value, json};
use tokio::net::TcpListener;

impl Server {
    fn tool(&self, method: &str, path: &str) -> HttpTool {
        let url = Template::new(format!("http://{}{path}", self.address)).unwrap();
        HttpTool::new(ToolSpec::new("test", "Does it."), method, url).unwrap()
    }
}

async fn call(tool: HttpTool, arguments: Value) -> Result<String, ToolError> {
    let context = RunContext::new(json!({"user": {"id": "a/b"}}));
    let call = ToolCall::new("call_1", "Assistant", arguments).context(context);
    tool.call(call).await.map(|output| output.into_text())
}

async fn failure(tool: HttpTool, arguments: Value) -> String {
    call(tool, arguments).await.unwrap_err().to_string()
}

#[tokio::test]
async fn arguments_go_into_the_query_of_a_get() {
    let server = Server::new(ok("sunny\r\n")).await;
    let arguments = json!({"city": "São Paulo & co", "days": [1, 2], "metric": true});
    let output = call(server.tool("GET", "/v1?key=1"), arguments).await.unwrap();
    assert_eq!(output, "sunny");
    let request = server.request();
    assert!(
        request
            .starts_with("GET /v1?key=1&city=S%C3%A3o+Paulo+%26+co&days=1&days=2&metric=true HTTP/1.1\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn arguments_go_into_the_body_of_a_post_as_json() {
    let server = Server::new(ok("{}")).await;
    call(server.tool("POST", "/"), json!({"n": 1})).await.unwrap();
    let request = server.request();
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    assert!(
        request
            .to_lowercase()
            .contains("content-type: application/json\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\n{\"n\":1}"), "{request}");
}

#[tokio::test]
async fn what_is_put_into_the_address_stays_one_part_of_it() {
    let server = Server::new(ok("")).await;
    let tool = server
        .tool("GET", "/{{ user.id }}/{{ args.city }}?q={{ args.q }}")
        .send_arguments(SendArguments::None);
    call(tool.clone(), json!({"city": "../x?y#z", "q": "1&admin=1"}))
        .await
        .unwrap();
    let request = server.request();
    assert!(
        request.starts_with("GET /a%2Fb/..%2Fx%3Fy%23z?q=1%26admin%3D1 HTTP/1.1\r\n"),
        "{request}"
    );
    let climbing = failure(tool.clone(), json!({"city": "..", "q": ""})).await;
    assert_eq!(climbing, "`.` and `..` can't be parts of its address");
    let missing = failure(tool, json!({"city": "x"})).await;
    assert_eq!(missing, "its address can't be worked out: `args.q` is undefined");
}

#[tokio::test]
async fn a_status_of_400_or_more_is_an_error_with_the_end_of_the_answer() {
    let body = format!("{}the reason", "x".repeat(10_000));
    let server = Server::new(format!("404 Not Found\r\nconnection: close\r\n\r\n{body}")).await;
    let message = failure(server.tool("GET", "/"), json!({})).await;
    let start = format!("{} answered 404 Not Found: …xxx", server.address);
    assert!(
        message.starts_with(&start) && message.ends_with("the reason"),
        "{message}"
    );
    assert!(message.len() < 2_200, "{} bytes", message.len());
}

#[tokio::test]
async fn a_long_answer_is_cut_while_it_comes() {
    let server = Server::new(ok(&"y".repeat(2_000_000))).await;
    let output = call(server.tool("GET", "/").max_response_bytes(100), json!({}))
        .await
        .unwrap();
    assert_eq!(
        output,
        format!(
            "{}\n[the output was too long; the rest was left out]",
            "y".repeat(100)
        )
    );
}

#[tokio::test]
async fn credentials_are_shown_nowhere() {
    let echo = "401 Unauthorized\r\nconnection: close\r\n\r\nno such key: s3cret-key";
    let server = Server::new(echo).await;
    let tool = server
        .tool("GET", "/?key=s3cret-query")
        .header("Authorization", "Bearer s3cret-key")
        .unwrap();
    assert!(!format!("{tool:?}").contains("s3cret"));
    let message = failure(tool, json!({})).await;
    assert!(
        message.ends_with("401 Unauthorized: no such key: ***"),
        "{message}"
    );
    assert!(
        server
            .request()
            .to_lowercase()
            .contains("authorization: bearer s3cret-key\r\n")
    );

    let nobody = Template::new("http://127.0.0.1:1/?key=s3cret-query").unwrap();
    let tool = HttpTool::new(ToolSpec::new("test", "Does it."), "GET", nobody).unwrap();
    let message = failure(tool, json!({})).await;
    assert!(message.starts_with("127.0.0.1:1 can't be reached: "), "{message}");
    assert!(!message.contains("s3cret"), "{message}");
}

#[tokio::test]
async fn no_redirect_takes_headers_to_another_host() {
    let other = Server::new(ok("there")).await;
    let moved = format!(
        "302 Found\r\nlocation: http://{}/x\r\nconnection: close\r\n\r\n",
        other.address
    );
    let server = Server::new(moved).await;
    let with_key = server.tool("GET", "/").header("X-Key", "s3cret").unwrap();
    let message = failure(with_key, json!({})).await;
    assert!(
        message.contains(&format!("redirects to {}", other.address)),
        "{message}"
    );
    assert!(other.requests.lock().unwrap().is_empty());

    assert_eq!(call(server.tool("GET", "/"), json!({})).await.unwrap(), "there");
}

#[tokio::test]
async fn redirects_without_an_end_are_not_followed_for_ever() {
    let server = Server::new("302 Found\r\nlocation: /again\r\nconnection: close\r\n\r\n").await;
    let message = failure(server.tool("GET", "/"), json!({})).await;
    assert!(
        message.ends_with("answered 302 Found and redirects without an end"),
        "{message}"
    );
    assert!(server.requests.lock().unwrap().len() < 10);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = Template::new(format!("http://{address}/")).unwrap();
    let tool = HttpTool::new(ToolSpec::new("test", "Does it."), "GET", url).unwrap();
    let message = failure(tool.timeout(Duration::from_millis(50)), json!({})).await;
    assert_eq!(message, format!("{address} did not answer within 50ms"));
}

#[test]
fn an_address_whose_host_the_model_could_choose_is_refused() {
    for url in [
        "https://{{ args.host }}/",
        "https://a{{ x }}.com/",
        "ftp://a/",
        "https://u:p@a/",
        "https:///",
    ] {
        let made = HttpTool::new(ToolSpec::new("t", ""), "GET", Template::new(url).unwrap());
        assert!(made.is_err(), "{url}");
    }
}
