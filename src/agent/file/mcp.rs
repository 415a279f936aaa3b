//! MCP servers in agent files: the table under `[mcp_servers.NAME]`, whose keys are those of Codex, what makes sense in
//! it, and the server that is made of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::build::Overlooked;
use super::schema::ApprovalEntry;
use crate::agent::names;
use crate::context::Condition;
use crate::file::{Content, Diagnostic, Node, nearest};
use crate::tool::{Approval, McpCommand, McpHttp, McpServer, McpTransport};

/// An MCP server: a program (`command`) or an address (`url`).
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct McpServerSection {
    /// A program that speaks MCP over stdin and stdout, run without a shell.
    pub command: Option<String>,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables for the program's environment, which else holds only a few such as `PATH` and `HOME`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The directory the program runs in, relative to that of the agent file; that one if absent.
    pub cwd: Option<String>,
    /// The address of a server that speaks streamable HTTP.
    pub url: Option<String>,
    /// The environment variable that holds the bearer token for `url`.
    pub bearer_token_env_var: Option<String>,
    /// Headers of every request to `url`.
    #[serde(default)]
    pub http_headers: BTreeMap<String, String>,
    /// Headers of every request to `url`, each with the environment variable that holds its value.
    #[serde(default)]
    pub env_http_headers: BTreeMap<String, String>,
    /// The seconds the server may take to start, and to list its tools; 10 if absent.
    #[schemars(range(min = 0.1, max = 3600.0))]
    pub startup_timeout_sec: Option<f64>,
    /// The seconds a call of one of its tools may take; 60 if absent.
    #[schemars(range(min = 0.1, max = 3600.0))]
    pub tool_timeout_sec: Option<f64>,
    /// Whether the server is used at all; true if absent.
    pub enabled: Option<bool>,
    /// A condition on the context that says when an agent that takes charge has its tools; always if absent.
    pub when: Option<String>,
    /// Which calls of its tools have to be approved before they run; none if absent.
    pub needs_approval: Option<ApprovalEntry>,
    /// What watches over calls of its tools before they are made, each defined under `[guardrails.NAME]`.
    #[serde(default)]
    pub input_guardrails: Vec<String>,
    /// What watches over answers of its tools before the model sees them.
    #[serde(default)]
    pub output_guardrails: Vec<String>,
    /// Whether agents can't do without it: a run fails where it does. True if absent; if false, a warning is given.
    pub required: Option<bool>,
    /// The only tools of the server that agents get; all if absent.
    pub enabled_tools: Option<Vec<String>>,
    /// Tools of the server that agents don't get.
    #[serde(default)]
    pub disabled_tools: Vec<String>,
    /// Whether a tool whose name is taken by another is called `<server>__<tool>`; false if absent, which makes it a
    /// mistake.
    pub prefix_on_clash: Option<bool>,
}

impl McpServerSection {
    /// The server, whose paths count from `directory`.
    ///
    /// # Errors
    /// What was overlooked when the file was checked.
    pub fn into_server(self, name: String, directory: &Path) -> Result<McpServer, Overlooked> {
        let (startup, tool, when) = (self.startup_timeout_sec, self.tool_timeout_sec, self.when.clone());
        let (enabled, required, prefix) = (self.enabled, self.required, self.prefix_on_clash);
        let approval = self.needs_approval.clone().map(Approval::try_from).transpose()?;
        let (enabled_tools, disabled_tools) = (self.enabled_tools.clone(), self.disabled_tools.clone());
        let mut server = McpServer::new(name, self.into_transport(directory)?);
        server.enabled = enabled.unwrap_or(server.enabled);
        server.when = when.map(Condition::new).transpose()?;
        server.required = required.unwrap_or(server.required);
        server.prefix_on_clash = prefix.unwrap_or(server.prefix_on_clash);
        server.needs_approval = approval.unwrap_or_default();
        server.enabled_tools = enabled_tools;
        server.disabled_tools = disabled_tools;
        if let Some(seconds) = startup {
            server.startup_timeout = Duration::try_from_secs_f64(seconds)?;
        }
        if let Some(seconds) = tool {
            server.tool_timeout = Duration::try_from_secs_f64(seconds)?;
        }
        Ok(server)
    }

    fn into_transport(self, directory: &Path) -> Result<McpTransport, Overlooked> {
        if let Some(program) = self.command {
            let directory = self.cwd.map_or(directory.to_owned(), |cwd| directory.join(cwd));
            let command = McpCommand::new(program, self.args).current_dir(directory);
            let with = |command: McpCommand, (name, value)| command.env(name, value);
            return Ok(self.env.into_iter().fold(command, with).into());
        }
        let url = self.url.ok_or("an MCP server has neither `command` nor `url`")?;
        let mut http = McpHttp::new(Url::parse(&url)?);
        for (name, value) in self.http_headers {
            http = http.header(name, value);
        }
        for (name, variable) in self.env_http_headers {
            http = http.env_header(name, variable);
        }
        Ok(match self.bearer_token_env_var {
            Some(variable) => http.bearer_token_env_var(variable).into(),
            None => http.into(),
        })
    }
}

/// Keys that say more about a program.
const OF_COMMAND: &[&str] = &["args", "env", "cwd"];
/// Keys that say more about an address.
const OF_URL: &[&str] = &["bearer_token_env_var", "http_headers", "env_http_headers"];
/// Headers that the protocol itself sets.
const RESERVED_HEADERS: &[&str] = &[
    "accept",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
];

/// What is wrong with the table `server` under `name`.
pub(super) fn check(name: &str, server: &Node) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    if !names::is_function_name(name) {
        let message = format!("`{name}` can't be the name of an MCP server");
        mistakes.push(
            Diagnostic::at(server.key_span.clone(), message)
                .help("names are 1 to 64 letters, digits, `_` or `-`"),
        );
    }
    mistakes.extend(check_transport(name, server));
    mistakes.extend(server.get("command").and_then(check_command));
    mistakes.extend(server.get("url").and_then(check_url));
    let environment = server.get("env").into_iter().flat_map(Node::entries);
    mistakes.extend(environment.filter_map(|(name, value)| check_variable(name, &value.key_span)));
    mistakes.extend(check_headers(server));
    mistakes
}

/// A server is a program or an address, and has only the keys that go with it.
fn check_transport(name: &str, server: &Node) -> Vec<Diagnostic> {
    let misplaced = |keys: &'static [&'static str], of: &'static str| {
        let found = keys.iter().filter_map(|key| Some((*key, server.get(key)?)));
        let tell = move |(key, node): (&str, &Node)| {
            Diagnostic::at(node.key_span.clone(), format!("`{key}` goes with `{of}`")).help("leave it out")
        };
        found.map(tell).collect()
    };
    match (server.get("command"), server.get("url")) {
        (Some(_), Some(url)) => {
            vec![Diagnostic::at(url.key_span.clone(), "both `command` and `url` are given").help("keep one of them")]
        }
        (Some(_), None) => misplaced(OF_URL, "url"),
        (None, Some(_)) => misplaced(OF_COMMAND, "command"),
        (None, None) if is_without_transport(server) => vec![
            Diagnostic::at(server.key_span.clone(), format!("nothing says how to reach the MCP server `{name}`")).help(
                "add `command = \"program\"` and `args = [\"…\"]` to run it, or `url = \"https://…\"` to reach it over HTTP",
            ),
        ],
        (None, None) => Vec::new(),
    }
}

/// Whether neither key is there, not even with a slip, which is told elsewhere.
fn is_without_transport(server: &Node) -> bool {
    let slip = |(key, _): (&str, &Node)| nearest(key, ["command", "url"]).is_some();
    matches!(server.content, Content::Table(_)) && !server.entries().any(slip)
}

fn check_command(command: &Node) -> Option<Diagnostic> {
    let is_empty = command.text()?.value.trim().is_empty();
    is_empty.then(|| {
        Diagnostic::at(command.span.clone(), "the program has no name")
            .help("write the program alone, as `command = \"npx\"`; its arguments go into `args`")
    })
}

/// The value may come from the environment, so that no message quotes it.
fn check_url(node: &Node) -> Option<Diagnostic> {
    let why = match Url::parse(&node.text()?.value) {
        Err(error) => error.to_string(),
        Ok(url) if !["http", "https"].contains(&url.scheme()) => "it must be `http:` or `https:`".to_owned(),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "credentials do not belong in it; use `bearer_token_env_var` or `env_http_headers`".to_owned()
        }
        Ok(_) => return None,
    };
    let mistake = Diagnostic::at(
        node.span.clone(),
        format!("this is no address of an MCP server: {why}"),
    );
    Some(mistake.help("write it as in `url = \"https://example.com/mcp\"`"))
}

fn check_headers(server: &Node) -> Vec<Diagnostic> {
    let entries = |key| server.get(key).into_iter().flat_map(Node::entries);
    let mut mistakes = Vec::new();
    for (name, value) in entries("http_headers") {
        mistakes.extend(check_header_name(name, value));
        let is_bad = |text: &str| HeaderValue::try_from(text).is_err();
        if value.text().is_some_and(|text| is_bad(&text.value)) {
            let message = "this can't be the value of a header";
            mistakes.push(
                Diagnostic::at(value.span.clone(), message)
                    .help("it must be one line of printable characters"),
            );
        }
    }
    for (name, variable) in entries("env_http_headers") {
        mistakes.extend(check_header_name(name, variable));
        mistakes.extend(
            variable
                .text()
                .and_then(|text| check_variable(&text.written, &variable.span)),
        );
    }
    if let Some(variable) = server.get("bearer_token_env_var") {
        mistakes.extend(
            variable
                .text()
                .and_then(|text| check_variable(&text.written, &variable.span)),
        );
        let mut all = entries("http_headers").chain(entries("env_http_headers"));
        if let Some((name, header)) = all.find(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
            let message = format!("both `{name}` and `bearer_token_env_var` are given");
            mistakes.push(Diagnostic::at(header.key_span.clone(), message).help("keep one of them"));
        }
    }
    mistakes
}

fn check_header_name(name: &str, header: &Node) -> Option<Diagnostic> {
    let help = match HeaderName::try_from(name) {
        Err(_) => "names are letters, digits and `-`",
        Ok(name) if RESERVED_HEADERS.contains(&name.as_str()) => "the protocol sets it; leave it out",
        Ok(_) => return None,
    };
    Some(
        Diagnostic::at(
            header.key_span.clone(),
            format!("`{name}` can't be a header here"),
        )
        .help(help),
    )
}

/// The name of a variable of the environment, as the operating system takes it.
fn check_variable(name: &str, span: &std::ops::Range<usize>) -> Option<Diagnostic> {
    let is_name = !name.is_empty() && !name.contains(['=', '\0', ' ', '$']);
    (!is_name).then(|| {
        Diagnostic::at(
            span.clone(),
            format!("`{name}` is no name of an environment variable"),
        )
        .help("write the name alone, as `DOCS_TOKEN`")
    })
}
