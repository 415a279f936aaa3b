//! Tools of MCP servers.
//!
//! In: an [`McpServer`], how to reach one. Out: its tools, as [`McpTool`]s. What lives (connections, child processes)
//! belongs to one [`McpServers`], which a session owns and ends: a server is started when an agent first needs it,
//! shared by all agents that need it, and gone when the session is over.

mod answer;
mod cause;
mod client;
mod connection;
mod http;
mod process;
mod server;
mod servers;
mod tool;

pub use server::{McpCommand, McpHttp, McpServer, McpTransport};
pub use servers::McpServers;
pub use tool::McpTool;

/// Why a server's tools can't be had. Names the server; holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the MCP server `{server}` {what}")]
pub struct McpError {
    server: String,
    what: String,
}

impl McpError {
    fn new(server: &McpServer, what: impl Into<String>) -> Self {
        Self {
            server: server.name.clone(),
            what: what.into(),
        }
    }

    /// The name of the server.
    pub fn server(&self) -> &str {
        &self.server
    }
}
