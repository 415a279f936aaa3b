//! An MCP server under the control of a test, and what it has seen.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use realtime_run::tool::{McpCommand, McpServer, McpServers, McpTool, Tool, ToolCall, ToolError};
use serde_json::{Value, json};

/// How long anything may take that a test waits for; only a broken program takes that long.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A server of `server.py`, which writes down what happens to it.
pub struct Watched {
    directory: tempfile::TempDir,
    name: &'static str,
    ways: Vec<&'static str>,
}

impl Watched {
    /// The server `name`, which behaves in these ways; none, loudly, where there is no Python.
    pub fn new(name: &'static str, ways: &[&'static str]) -> Option<Self> {
        let python = std::process::Command::new("python3").arg("--version").output();
        if !python.is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "there is no python3");
            eprintln!("skipped: there is no python3");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let ways = ways.to_vec();
        Some(Self {
            directory,
            name,
            ways,
        })
    }

    pub fn command(&self) -> McpCommand {
        McpCommand::new("python3", self.arguments())
    }

    /// What Python is started with.
    pub fn arguments(&self) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/server.py");
        let start = [
            script.display().to_string(),
            self.log_path().display().to_string(),
        ];
        let ways = self.ways.iter().map(|way| (*way).to_owned());
        start.into_iter().chain(ways).collect()
    }

    pub fn server(&self) -> McpServer {
        let mut server = McpServer::new(self.name, self.command());
        server.startup_timeout = LIMIT;
        server
    }

    /// What has happened to it, in order.
    pub fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// How often something has happened to it.
    pub fn count(&self, event: &str) -> usize {
        self.log().iter().filter(|line| *line == event).count()
    }

    /// Waits until something has happened to it.
    pub async fn saw(&self, event: &str) {
        wait_until(&format!("the server to see {event}"), || self.count(event) > 0).await;
    }

    /// Its process, and those that it has started.
    pub fn processes(&self) -> Vec<u32> {
        let log = self.log();
        log.iter()
            .filter_map(|line| line.strip_prefix("pid ")?.parse().ok())
            .collect()
    }

    /// Waits until none of its processes runs any more.
    pub async fn ended(&self) {
        assert!(!self.processes().is_empty(), "it never ran");
        wait_until("all processes of the server to end", || {
            !self.processes().into_iter().any(runs)
        })
        .await;
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

/// Whether a process runs; one that has ended and is not yet waited for does not.
pub fn runs(pid: u32) -> bool {
    let state = std::process::Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// Waits for a condition, no longer than the limit.
pub async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The tools of one server, started among others of its own.
pub async fn tools(servers: &McpServers, server: &Arc<McpServer>) -> Vec<McpTool> {
    servers.tools(server).await.unwrap()
}

/// The names of tools.
pub fn names(tools: &[McpTool]) -> Vec<&str> {
    tools.iter().map(|tool| tool.spec().name.as_str()).collect()
}

/// Calls the tool of that name.
pub async fn call(tools: &[McpTool], name: &str, arguments: Value) -> Result<String, ToolError> {
    let tool = tools.iter().find(|tool| tool.spec().name == name);
    let tool = tool.unwrap_or_else(|| panic!("there is no tool {name} among {:?}", names(tools)));
    let call = ToolCall::new("call_1", "Assistant", arguments);
    tool.call(call).await.map(|output| output.into_text())
}

/// Calls the tool `echo`.
pub async fn echo(tools: &[McpTool], message: &str) -> Result<String, ToolError> {
    call(tools, "echo", json!({"message": message})).await
}
