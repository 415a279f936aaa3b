//! MCP over streamable HTTP: what a server is sent, and what is told when it can't be used. Credentials are in none of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod mcp;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mcp::{echo, names};
use realtime_run::tool::{McpHttp, McpServer, McpServers};
use realtime_run::trace::{MemoryProcessor, SpanData, Tracer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A variable of every test's environment, which stands for one that holds a token.
const VARIABLE: &str = "CARGO_PKG_NAME";
const TOKEN: &str = env!("CARGO_PKG_NAME");

/// The answer to a request, from its path and the message in it.
type Answer = fn(&str, &Value) -> Reply;

struct Reply {
    status: &'static str,
    headers: String,
    body: String,
}

impl Reply {
    fn new(status: &'static str, body: impl ToString) -> Self {
        let headers = "content-type: application/json\r\n".to_owned();
        Self {
            status,
            headers,
            body: body.to_string(),
        }
    }

    fn with(mut self, header: &str) -> Self {
        self.headers += &format!("{header}\r\n");
        self
    }
}

/// What a server that has one tool answers.
fn serve(_: &str, message: &Value) -> Reply {
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "fake", "version": "1"},
        }),
        Some("tools/list") => json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        Some("tools/call") => json!({"content": [{"type": "text", "text": "Echo"}]}),
        Some(_) => return Reply::new("202 Accepted", ""),
        None => return Reply::new("405 Method Not Allowed", ""),
    };
    Reply::new(
        "200 OK",
        json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
    )
}

/// A server on this machine, with the heads of all requests that it got; ended when dropped.
struct Fake {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Fake {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, answer, Arc::clone(&kept)));
            }
        });
        Self { address, heads, task }
    }

    fn http(&self) -> McpHttp {
        McpHttp::new(format!("http://{}/mcp", self.address).parse().unwrap())
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request; the connection is closed after it.
async fn converse(stream: TcpStream, answer: Answer, heads: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while stream.read_line(&mut head).await.ok()? > 2 {}
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    heads.lock().unwrap().push(head);
    let Reply {
        status,
        headers,
        body,
    } = answer(&path, &serde_json::from_slice(&body).unwrap_or(Value::Null));
    let length = body.len();
    let reply =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(reply.as_bytes()).await.ok()
}

/// Why the server can't be used.
async fn failure(http: McpHttp) -> String {
    let server = Arc::new(McpServer::new("docs", http));
    McpServers::new().tools(&server).await.unwrap_err().to_string()
}

#[tokio::test]
async fn p4_calls_tell_their_place_in_the_trace_unless_a_header_says_otherwise() {
    let tracer = Tracer::builder().processor(MemoryProcessor::default()).build();
    let trace = tracer.trace("t").start();
    let span = trace.context().span(SpanData::function("echo"));
    let place = span.context().traceparent().unwrap().to_string();
    let own = |http: McpHttp| http.header("traceparent", "mine");
    for (add, told) in [(None, place.as_str()), (Some(own), "mine")] {
        let fake = Fake::start(serve).await;
        let http = add.map_or_else(|| fake.http(), |add| add(fake.http()));
        let (servers, server) = (McpServers::new(), Arc::new(McpServer::new("docs", http)));
        let tools = servers.tools(&server).await.unwrap();
        span.context().scope(echo(&tools, "traced")).await.unwrap();
        echo(&tools, "not traced").await.unwrap();
        servers.close().await;
        let heads = fake.heads();
        let place = format!("traceparent: {told}");
        let tell = heads.iter().filter(|head| head.contains(&place)).count();
        let any = heads.iter().filter(|head| head.contains("traceparent")).count();
        assert_eq!(any, tell, "{heads:?}");
        match told {
            "mine" => assert_eq!(tell, heads.len(), "a header of the user's is on every request"),
            _ => assert_eq!(tell, 1, "{heads:?}"),
        }
    }
}

#[tokio::test]
async fn every_request_bears_the_token_and_the_headers() {
    let fake = Fake::start(serve).await;
    let http = fake
        .http()
        .bearer_token_env_var(VARIABLE)
        .header("X-Team", "blue")
        .env_header("X-Key", VARIABLE);
    let http = http.env_header("X-Unset", "REALTIME_RUN_TEST_UNSET");
    let (servers, server) = (McpServers::new(), Arc::new(McpServer::new("docs", http)));
    let tools = servers.tools(&server).await.unwrap();
    assert_eq!(names(&tools), ["echo"]);
    assert_eq!(echo(&tools, "hello").await.unwrap(), "Echo");
    servers.close().await;
    let heads = fake.heads();
    assert!(heads.len() >= 4, "{heads:?}");
    for head in heads {
        for header in [
            format!("authorization: bearer {TOKEN}"),
            format!("x-key: {TOKEN}"),
            "x-team: blue".into(),
        ] {
            assert!(head.contains(&header), "{head}");
        }
        assert!(!head.contains("x-unset"), "{head}");
    }
}

#[tokio::test]
async fn m2_over_http_each_activation_asks_for_the_list_once() {
    let fake = Fake::start(serve).await;
    let (servers, server) = (McpServers::new(), Arc::new(McpServer::new("docs", fake.http())));
    let posts = || {
        fake.heads()
            .iter()
            .filter(|head| head.starts_with("post"))
            .count()
    };
    servers.tools(&server).await.unwrap();
    let at_first = posts();
    servers.tools(&server).await.unwrap();
    assert_eq!(
        posts(),
        at_first + 1,
        "the notice of a change may have nowhere to come from"
    );
    servers.close().await;
}

#[tokio::test]
async fn a_token_that_is_missing_is_told_before_anything_is_sent() {
    let fake = Fake::start(serve).await;
    let error = failure(fake.http().bearer_token_env_var("REALTIME_RUN_TEST_UNSET")).await;
    let expected = "the MCP server `docs` needs a token, but the environment variable `REALTIME_RUN_TEST_UNSET` is not set \
                    (`bearer_token_env_var`)";
    assert_eq!(error, expected);
    assert_eq!(fake.heads().len(), 0);
}

#[tokio::test]
async fn a_refusal_is_told_without_credentials() {
    for (status, expected) in [
        ("401 Unauthorized", "401"),
        ("404 Not Found", "404"),
        ("500 Internal Server Error", "500"),
    ] {
        let answer: Answer = match status {
            "401 Unauthorized" => |_, _| Reply::new("401 Unauthorized", format!("no {TOKEN}")),
            "404 Not Found" => |_, _| Reply::new("404 Not Found", format!("no {TOKEN}")),
            _ => |_, _| Reply::new("500 Internal Server Error", format!("no {TOKEN}")),
        };
        let fake = Fake::start(answer).await;
        let url = format!("http://{}/mcp?key={TOKEN}", fake.address)
            .parse()
            .unwrap();
        let error = failure(McpHttp::new(url).bearer_token_env_var(VARIABLE)).await;
        assert!(
            error.starts_with("the MCP server `docs` could not be started: "),
            "{error}"
        );
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(TOKEN), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_is_asked_for_is_told() {
    let fake = Fake::start(|_, _| Reply::new("401 Unauthorized", "").with("www-authenticate: Bearer")).await;
    let error = failure(fake.http()).await;
    let expected = "the MCP server `docs` could not be started: it wants a token (`bearer_token_env_var`)";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp?key={TOKEN}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let error = failure(McpHttp::new(url)).await;
    assert!(
        error.starts_with("the MCP server `docs` could not be started: Connection refused"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_has_moved_within_its_origin_is_followed() {
    let moved: Answer = |path, message| match path {
        "/mcp" => Reply::new("307 Temporary Redirect", "").with("location: /mcp/"),
        _ => serve(path, message),
    };
    let fake = Fake::start(moved).await;
    let (servers, server) = (McpServers::new(), Arc::new(McpServer::new("docs", fake.http())));
    assert_eq!(names(&servers.tools(&server).await.unwrap()), ["echo"]);
    servers.close().await;
}

#[tokio::test]
async fn credentials_are_not_carried_to_another_server() {
    let thief = Fake::start(serve).await;
    // An answer has no state, so that the thief's address comes with the request.
    let lure: Answer = |path, _| {
        let port = path.rsplit('/').next().unwrap();
        Reply::new("307 Temporary Redirect", "").with(&format!("location: http://127.0.0.1:{port}/mcp"))
    };
    let fake = Fake::start(lure).await;
    let url = format!("http://{}/{}", fake.address, thief.address.port())
        .parse()
        .unwrap();
    let error = failure(McpHttp::new(url).header("X-Key", "planted-key")).await;
    assert!(error.contains("307"), "{error}");
    assert_eq!(thief.heads().len(), 0);
}

/// All that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_holds_no_credentials() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());

    let fake = Fake::start(serve).await;
    let http = fake
        .http()
        .bearer_token_env_var(VARIABLE)
        .header("X-Key", "planted-header");
    let (servers, server) = (McpServers::new(), Arc::new(McpServer::new("docs", http.clone())));
    let tools = servers.tools(&server).await.unwrap();
    echo(&tools, "hello").await.unwrap();
    drop(fake);
    echo(&tools, "nobody hears").await.unwrap_err();
    servers.close().await;
    failure(http).await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("rmcp"), "{log}");
    for secret in ["planted-header", TOKEN] {
        let leak = log.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None);
    }
}
