use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use url::Url;

use crate::context::{Condition, TemplateError, Variables};
use crate::scrub::Scrub;
use crate::tool::program::Program;
use crate::tool::{Approval, ToolGuardrails};

/// An MCP server: how to reach it, and what is wanted of it. The fields are those of `[mcp_servers.NAME]` in an agent
/// file.
///
/// ```
/// use std::time::Duration;
/// use realtime_run::tool::{McpCommand, McpServer};
///
/// let command = McpCommand::new("npx", ["-y", "@modelcontextprotocol/server-everything"]);
/// let mut docs = McpServer::new("docs", command);
/// docs.startup_timeout = Duration::from_secs(60);
/// docs.disabled_tools = vec!["get-env".into()];
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct McpServer {
    /// What people and traces call it; letters, digits, `_` or `-`.
    pub name: String,
    /// How to reach it.
    pub transport: McpTransport,
    /// Whether it is used at all.
    pub enabled: bool,
    /// When an agent that is taking charge has its tools; always if none.
    pub when: Option<Condition>,
    /// Whether an agent that uses it can do without: if not, it can't take charge when the server fails.
    pub required: bool,
    /// How long the server may take to start, and each time to list its tools.
    pub startup_timeout: Duration,
    /// How long one call of a tool may take.
    pub tool_timeout: Duration,
    /// Which calls of its tools have to be approved before they run.
    pub needs_approval: Approval,
    /// What watches over each of its tools.
    pub guardrails: ToolGuardrails,
    /// The only tools that agents get, by the server's names; all if none.
    pub enabled_tools: Option<Vec<String>>,
    /// Tools that agents don't get.
    pub disabled_tools: Vec<String>,
    /// Whether a tool whose name is taken becomes `<server>__<tool>`. If not, the clash is an error.
    pub prefix_on_clash: bool,
}

impl McpServer {
    /// How long a server may take to start unless said otherwise; that of Codex.
    pub const DEFAULT_STARTUP_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long a call may take unless said otherwise; that of Codex.
    pub const DEFAULT_TOOL_TIMEOUT: Duration = Duration::from_secs(60);

    /// A server that is required, with all its tools.
    pub fn new(name: impl Into<String>, transport: impl Into<McpTransport>) -> Self {
        Self {
            name: name.into(),
            transport: transport.into(),
            enabled: true,
            when: None,
            required: true,
            startup_timeout: Self::DEFAULT_STARTUP_TIMEOUT,
            tool_timeout: Self::DEFAULT_TOOL_TIMEOUT,
            needs_approval: Approval::Never,
            guardrails: ToolGuardrails::default(),
            enabled_tools: None,
            disabled_tools: Vec::new(),
            prefix_on_clash: false,
        }
    }

    /// Whether an agent that is taking charge uses it, by what the run knows.
    ///
    /// # Errors
    /// When its condition can't be told.
    pub fn is_enabled(&self, context: &Variables) -> Result<bool, TemplateError> {
        let holds = || self.when.as_ref().map_or(Ok(true), |when| when.holds(context));
        Ok(self.enabled && holds()?)
    }

    /// Whether agents may get a tool `name` of the server, as far as can be told without asking it.
    pub(crate) fn could_bring(&self, name: &str) -> bool {
        let prefixed = name
            .strip_prefix(&self.name)
            .and_then(|rest| rest.strip_prefix("__"));
        let prefixed = prefixed.filter(|_| self.prefix_on_clash);
        self.enabled && (self.offers(name) || prefixed.is_some_and(|name| self.offers(name)))
    }

    /// Whether agents get the server's tool `name`.
    pub(super) fn offers(&self, name: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|listed| listed == name);
        self.enabled_tools.as_deref().is_none_or(named) && !named(&self.disabled_tools)
    }
}

/// How to reach an MCP server.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum McpTransport {
    /// A program that speaks over stdin and stdout.
    Command(McpCommand),
    /// Streamable HTTP.
    Http(McpHttp),
}

impl From<McpCommand> for McpTransport {
    fn from(command: McpCommand) -> Self {
        Self::Command(command)
    }
}

impl From<McpHttp> for McpTransport {
    fn from(http: McpHttp) -> Self {
        Self::Http(http)
    }
}

/// A program that speaks MCP over stdin and stdout, started without a shell.
#[derive(Clone, PartialEq)]
pub struct McpCommand {
    pub(super) program: Program,
    /// In addition to the few variables that every server gets.
    pub(super) environment: IndexMap<String, String>,
}

impl McpCommand {
    /// Runs `program` with `arguments`, in the current directory.
    pub fn new<A: Into<String>>(program: impl Into<String>, arguments: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: Program {
                name: program.into(),
                arguments: arguments.into_iter().map(Into::into).collect(),
                directory: None,
            },
            environment: IndexMap::new(),
        }
    }

    /// Sets the directory it runs in. The path of a program counts from it too; a mere name is looked up in `PATH`.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.program.directory = Some(directory.into());
        self
    }

    /// Adds a variable to its environment, which else holds only what any program needs: `PATH`, `HOME`, the locale and
    /// the like.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Hides the values of its environment that were given to it.
    pub(super) fn scrub(&self) -> Scrub {
        let mut scrub = Scrub::default();
        self.environment.values().for_each(|value| scrub.hide(value));
        scrub
    }
}

/// Arguments and values of the environment may be credentials, so neither is shown.
impl fmt::Debug for McpCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpCommand")
            .field("program", &self.program.name)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}

/// A server on the network that speaks MCP over streamable HTTP.
#[derive(Clone, PartialEq)]
pub struct McpHttp {
    pub(super) url: Url,
    pub(super) bearer_token_env_var: Option<String>,
    pub(super) headers: IndexMap<String, String>,
    pub(super) env_headers: IndexMap<String, String>,
}

impl McpHttp {
    /// The server at `url`, which is `http:` or `https:`.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            bearer_token_env_var: None,
            headers: IndexMap::new(),
            env_headers: IndexMap::new(),
        }
    }

    /// Names the environment variable that holds the bearer token; it is read when the server is first needed.
    #[must_use]
    pub fn bearer_token_env_var(mut self, name: impl Into<String>) -> Self {
        self.bearer_token_env_var = Some(name.into());
        self
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Adds a header whose value is in the environment variable `variable`; where that is not set, the header is left
    /// out.
    #[must_use]
    pub fn env_header(mut self, name: impl Into<String>, variable: impl Into<String>) -> Self {
        self.env_headers.insert(name.into(), variable.into());
        self
    }

    /// Hides what its URL may hold, and its headers.
    pub(super) fn scrub(&self) -> Scrub {
        let mut scrub = Scrub::default();
        let url = &self.url;
        url.password().into_iter().for_each(|value| scrub.hide(value));
        url.query().into_iter().for_each(|query| scrub.hide(query));
        url.query_pairs().for_each(|(_, value)| scrub.hide(&value));
        self.headers.values().for_each(|value| scrub.hide(value));
        scrub
    }
}

/// A query and the values of headers may be credentials, so neither is shown.
impl fmt::Debug for McpHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpHttp")
            .field("host", &self.url.host_str())
            .field("bearer_token_env_var", &self.bearer_token_env_var)
            .field("headers", &self.headers.keys())
            .field("env_headers", &self.env_headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_holds_no_credentials() {
        let command = McpCommand::new("npx", ["--key", "planted"]).env("KEY", "planted");
        let url = Url::parse("https://user:planted@h/mcp/planted?key=planted").unwrap();
        let http = McpHttp::new(url).header("X-Key", "planted");
        let shown = format!(
            "{:?} {:?}",
            McpServer::new("a", command),
            McpServer::new("b", http)
        );
        assert!(!shown.contains("planted"), "{shown}");
    }

    #[test]
    fn credentials_of_a_server_are_taken_out() {
        let url = Url::parse("https://me:planted-0@h/?key=planted-1").unwrap();
        let http = McpHttp::new(url)
            .header("X-Auth", "Basic planted-2")
            .header("X-Level", "debug");
        let quoted = "planted-0 key=planted-1 planted-1 Basic planted-2 (planted-2) debug";
        assert_eq!(http.scrub().clean(quoted), "*** *** *** *** (***) debug");
        let command = McpCommand::new("npx", [""; 0]).env("KEY", "planted-3");
        assert_eq!(command.scrub().clean("KEY=planted-3"), "KEY=***");
    }

    #[test]
    fn tools_are_chosen_by_the_server_s_names() {
        let mut server = McpServer::new("a", McpCommand::new("npx", [""; 0]));
        assert!(server.offers("echo"));
        server.disabled_tools = vec!["echo".into()];
        assert!(!server.offers("echo") && server.offers("add"));
        server.enabled_tools = Some(vec!["echo".into(), "add".into()]);
        assert!(!server.offers("echo") && server.offers("add") && !server.offers("sub"));
    }
}
