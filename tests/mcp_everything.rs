//! The reference server of the Model Context Protocol as our peer, over stdio and streamable HTTP.
//!
//! Needs `.peers/node_modules`, which `make peers` makes, and Node. Without it the tests are skipped, except where `CI` is
//! set.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on fails"
)]

mod mcp;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use mcp::{LIMIT, call, echo, names};
use realtime_run::agent::AgentFile;
use realtime_run::session::{Session, SessionEvent};
use realtime_run::simulator::Simulator;
use realtime_run::tool::{McpCommand, McpHttp, McpServer, McpServers, McpTool, Tool};
use realtime_run::transport::Endpoint;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

/// The server's script; none, loudly, where it is not installed.
fn script() -> Option<PathBuf> {
    let package = ".peers/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
    let node = std::process::Command::new("node").arg("--version").output();
    if script.exists() && node.is_ok_and(|output| output.status.success()) {
        return Some(script);
    }
    let missing = format!("there is no Node with {package}; `make peers` installs it");
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// The server over HTTP, at an address of its own; ended when dropped.
struct OverHttp {
    url: Url,
    _child: Child,
}

impl OverHttp {
    /// Any free port may be taken again before the server listens on it, so that is tried more than once.
    async fn start(script: &Path) -> Self {
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let mut command = Command::new("node");
            command
                .arg(script)
                .arg("streamableHttp")
                .env("PORT", port.to_string());
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let listening = async {
                while let Some(line) = lines.next_line().await.unwrap() {
                    if line.contains("listening on port") {
                        return true;
                    }
                }
                false
            };
            if tokio::time::timeout(LIMIT, listening).await.unwrap() {
                // The pipe stays open, lest the server breaks off where it writes to it.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                let url = format!("http://127.0.0.1:{port}/mcp").parse().unwrap();
                return Self { url, _child: child };
            }
        }
        panic!("the server can't listen")
    }
}

fn over_stdio(script: &Path) -> McpServer {
    let mut server = McpServer::new(
        "everything",
        McpCommand::new("node", [script.display().to_string()]),
    );
    server.startup_timeout = LIMIT;
    server
}

/// What every transport must be able to do.
async fn exercise(tools: &[McpTool]) {
    assert!(names(tools).starts_with(&["echo"]), "{:?}", names(tools));
    let spec = tools[0].spec();
    assert_eq!(spec.parameters["required"], json!(["message"]));
    assert_eq!(echo(tools, "héllo").await.unwrap(), "Echo: héllo");
    let sum = call(tools, "get-sum", json!({"a": 2, "b": 3})).await.unwrap();
    assert_eq!(sum, "The sum of 2 and 3 is 5.");
    let refused = call(tools, "get-sum", json!({"a": "two"})).await.unwrap_err();
    assert!(refused.message().contains("nvalid"), "{refused}");
    let image = call(tools, "get-tiny-image", json!({})).await.unwrap();
    assert!(image.contains("[image, image/png, "), "{image}");
    let links = call(tools, "get-resource-links", json!({"count": 2}))
        .await
        .unwrap();
    assert_eq!(links.matches("[a resource: ").count(), 2, "{links}");
    let structured = call(tools, "get-structured-content", json!({"location": "Chicago"}))
        .await
        .unwrap();
    let structured: Value = serde_json::from_str(&structured).unwrap();
    assert!(structured["temperature"].is_number(), "{structured}");
}

#[tokio::test]
async fn over_stdio_the_reference_server_serves() {
    let Some(script) = script() else { return };
    let (servers, server) = (McpServers::new(), Arc::new(over_stdio(&script)));
    exercise(&servers.tools(&server).await.unwrap()).await;
    servers.close().await;
}

#[tokio::test]
async fn over_http_the_reference_server_serves() {
    let Some(script) = script() else { return };
    let running = OverHttp::start(&script).await;
    let mut server = McpServer::new("everything", McpHttp::new(running.url.clone()));
    server.startup_timeout = LIMIT;
    let (servers, server) = (McpServers::new(), Arc::new(server));
    exercise(&servers.tools(&server).await.unwrap()).await;
    servers.close().await;
}

#[tokio::test]
async fn over_http_several_calls_run_at_once() {
    let Some(script) = script() else { return };
    let running = OverHttp::start(&script).await;
    let (servers, server) = (
        McpServers::new(),
        Arc::new(McpServer::new("everything", McpHttp::new(running.url.clone()))),
    );
    let tools = servers.tools(&server).await.unwrap();
    let calls = ["one", "two", "three"].map(|word| echo(&tools, word));
    let [one, two, three] = futures_util::future::join_all(calls).await.try_into().unwrap();
    assert_eq!(
        [one.unwrap(), two.unwrap(), three.unwrap()],
        ["Echo: one", "Echo: two", "Echo: three"]
    );
    servers.close().await;
}

/// The text of the example agent's file, with the server from where it lies already.
fn example(script: &Path) -> String {
    let written = std::fs::read_to_string(agents().join("mcp.toml")).unwrap();
    written
        .replace(r#"command = "npx""#, r#"command = "node""#)
        .replace(
            r#""-y", "@modelcontextprotocol/server-everything""#,
            &format!("{:?}", script.display().to_string()),
        )
}

fn agents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("agents")
}

#[tokio::test]
async fn the_example_s_smoke_test_passes() {
    let Some(script) = script() else { return };
    let directory = tempfile::tempdir().unwrap();
    let agent = directory.path().join("mcp.toml");
    std::fs::write(&agent, example(&script)).unwrap();
    let played = Command::new(env!("CARGO_BIN_EXE_realtime-run"))
        .args(["--simulate", "--no-store", "--agent"])
        .arg(&agent)
        .arg("--script")
        .arg(agents().join("mcp.script.toml"))
        .output();
    let played = played.await.unwrap();
    let told = String::from_utf8_lossy(&played.stdout);
    assert!(played.status.success(), "{told}");
}

#[tokio::test]
async fn the_example_agent_calls_a_tool_of_its_server() {
    let Some(script) = script() else { return };
    let file = AgentFile::parse("mcp.toml", &example(&script), &agents()).unwrap();
    let simulator = Simulator::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let mut session = Session::builder(file.agents)
        .endpoint(endpoint)
        .connect()
        .await
        .unwrap();
    session.send_message("Please echo hello.").await.unwrap();
    let mut called = None;
    loop {
        match tokio::time::timeout(LIMIT, session.next()).await.unwrap() {
            Some(SessionEvent::ToolEnd {
                tool, output, error, ..
            }) => called = Some((tool, output, error)),
            Some(SessionEvent::TurnEnd { .. }) | None => break,
            Some(_) => {}
        }
    }
    session.close().await;
    let (tool, output, error) = called.expect("a call");
    assert_eq!((tool.as_str(), error), ("echo", None));
    assert!(output.starts_with("Echo: "), "{output}");
}
