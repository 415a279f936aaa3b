//! What an agent file may hold: the types that it is read into, and the JSON schema made from them that it is
//! checked against. The comments on the fields are the schema's descriptions.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::guardrails::{DebounceEntry, GuardrailSection};
use super::mcp::McpServerSection;
use super::session::{Prompt, SessionSection};
use crate::context::{Condition, TemplateError};
use crate::protocol::Voice;
use crate::tool::Approval;

/// Agents for the OpenAI Realtime API, and what they share.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct FileContent {
    /// The agent that starts. Needed only where there are several.
    pub start: Option<String>,
    /// What all agents share.
    #[serde(default)]
    pub session: SessionSection,
    /// How a run is named in its trace.
    #[serde(default)]
    pub tracing: TracingSection,
    /// What templates, conditions and tools know about the run. Every name that they speak of has its first value here.
    #[serde(default)]
    pub context: Map<String, Value>,
    /// The agents, each under its name.
    #[schemars(with = "BTreeMap<String, AgentSection>", extend("minProperties" = 1))]
    pub agents: IndexMap<String, AgentSection>,
    /// What agents can call, each under the name that the model calls it by.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ToolSection>")]
    pub tools: IndexMap<String, ToolSection>,
    /// What models are told of a tool's failure: a template that knows the tool's name as `tool` and what happened as
    /// `error`. A tool's own comes first.
    pub tool_error_message: Option<String>,
    /// What models are told of a call that was not approved: a template that knows the tool's name as `tool`. A tool's own
    /// comes first.
    pub tool_refusal_message: Option<String>,
    /// MCP servers, each under its name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, McpServerSection>")]
    pub mcp_servers: IndexMap<String, McpServerSection>,
    /// What watches over what all agents say, each defined under `[guardrails.NAME]`.
    #[serde(default)]
    pub output_guardrails: Vec<String>,
    /// When guardrails look at an answer that goes on: each time that so many characters have come, 100 if absent, or
    /// `"end"` for only at its end. At its end they look in any case.
    pub guardrail_debounce: Option<DebounceEntry>,
    /// Guardrails, each under its name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, GuardrailSection>")]
    pub guardrails: IndexMap<String, GuardrailSection>,
}

/// How a run is named in its trace.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct TracingSection {
    /// What the run is part of.
    pub workflow_name: Option<String>,
    /// What ties several runs together, such as the id of a chat.
    pub group_id: Option<String>,
    /// Anything else to keep with the trace.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Regular expressions whose matches are replaced by `[redacted]` in all that the trace tells of what was said and
    /// done. What the server traces on its own is not reached by it.
    #[serde(default)]
    pub redact: Vec<String>,
}

/// One agent.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AgentSection {
    /// What the model is told to be and do: a template over the context, filled in each time the agent takes charge.
    pub instructions: Option<String>,
    /// A file that holds the instructions, also a template; relative to the agent file.
    pub instructions_file: Option<String>,
    /// When to hand over to this agent, in words for the models of other agents.
    pub handoff_description: Option<String>,
    /// The agents it can hand over to.
    #[serde(default)]
    pub handoffs: Vec<HandoffEntry>,
    /// The tools it can call, each defined under `[tools.NAME]`; `end_session` needs no definition.
    #[serde(default)]
    pub tools: Vec<String>,
    /// The MCP servers whose tools it can call, each defined under `[mcp_servers.NAME]`.
    #[serde(default)]
    pub mcp_servers: Vec<String>,
    /// What watches over what it says, each defined under `[guardrails.NAME]`.
    #[serde(default)]
    pub output_guardrails: Vec<String>,
    /// Its voice. The voice can't change within a session, so every agent needs the same.
    pub voice: Option<Voice>,
    /// A prompt stored with the provider, in place of the session's. With one, instructions may be left out.
    pub prompt: Option<Prompt>,
}

/// An agent that can take over.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum HandoffEntry {
    /// Its name.
    Name(String),
    /// Its name with more about the handoff.
    Table(HandoffSection),
}

/// An agent that can take over, with more about the handoff.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct HandoffSection {
    /// The name of the agent that takes over.
    pub agent: String,
    /// A condition over the context: the handoff is there only where it holds when the agent takes charge.
    pub when: Option<String>,
    /// The function that the model calls for it; `transfer_to_` and the agent's name if absent.
    pub tool_name: Option<String>,
    /// What the model is told about it; made of the agent's `handoff_description` if absent.
    pub tool_description: Option<String>,
    /// A tool that runs with the input that the model gives, before the other agent takes over. If it fails, so does
    /// the handoff.
    pub on_handoff: Option<String>,
    /// The input, as a JSON schema of type `object`; the parameters of the tool `on_handoff` if absent.
    pub input_schema: Option<Map<String, Value>>,
}

impl From<HandoffEntry> for HandoffSection {
    fn from(entry: HandoffEntry) -> Self {
        match entry {
            HandoffEntry::Table(section) => section,
            HandoffEntry::Name(agent) => Self {
                agent,
                ..Self::default()
            },
        }
    }
}

/// One tool: a program (`command`), a request (`http`) or a ready answer (`output`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(super) struct ToolSection {
    /// What it does and when to use it, in words for the model; at most 1,024 characters.
    #[schemars(length(max = 1024))]
    pub description: String,
    /// The arguments it takes, as a JSON schema of type `object`; none if absent.
    pub parameters: Option<Map<String, Value>>,
    /// A program and its arguments, run without a shell in the directory of the agent file. It gets the model's
    /// arguments as JSON on stdin; what it writes to stdout is the answer.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// A request over HTTP; what comes back is the answer.
    pub http: Option<HttpSection>,
    /// The seconds the program or the request may take; 30 if absent.
    #[schemars(range(min = 0.1, max = 3600.0))]
    pub timeout_sec: Option<f64>,
    /// The answer to every call: a string is passed on as it is, anything else as JSON. Each string in it is a template
    /// that knows the arguments as `args`, and the context.
    pub output: Option<Value>,
    /// A condition over the context: an agent has the tool only where it holds when it takes charge.
    pub when: Option<String>,
    /// Whether the tool may change the context: of an answer that is a JSON object with `context`, that is merged into
    /// it, and only its `output` reaches the model. The next agent to take charge sees it.
    #[serde(default)]
    pub updates_context: bool,
    /// What the model is told when it fails: a template that knows the tool's name as `tool` and what happened as
    /// `error`.
    pub tool_error_message: Option<String>,
    /// Which calls have to be approved before they run; none if absent.
    pub needs_approval: Option<ApprovalEntry>,
    /// What watches over its calls before they are made, each defined under `[guardrails.NAME]`.
    #[serde(default)]
    pub input_guardrails: Vec<String>,
    /// What watches over its answers before the model sees them.
    #[serde(default)]
    pub output_guardrails: Vec<String>,
    /// What the model is told of a call that was not approved: a template that knows the tool's name as `tool`.
    pub tool_refusal_message: Option<String>,
}

/// Which calls have to be approved before they run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ApprovalEntry {
    /// Every one, or none.
    All(bool),
    /// Those for which this condition holds; it knows the arguments as `args`, and the context.
    When(String),
}

impl TryFrom<ApprovalEntry> for Approval {
    type Error = TemplateError;

    fn try_from(entry: ApprovalEntry) -> Result<Self, TemplateError> {
        Ok(match entry {
            ApprovalEntry::All(all) => all.into(),
            ApprovalEntry::When(condition) => Condition::new(condition)?.into(),
        })
    }
}

/// A request over HTTP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(super) struct HttpSection {
    /// The method; GET if absent.
    #[serde(default)]
    pub method: HttpMethod,
    /// The address: a template that knows the arguments as `args`, and the context. What it puts in is
    /// percent-encoded; the host must be spelt out.
    pub url: String,
    /// Headers by name. Credentials come from the environment, as in `"Bearer ${API_KEY}"`, and are shown nowhere.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: IndexMap<String, String>,
    /// Where the arguments go. If absent, into the body with POST, PUT and PATCH, else into the query.
    pub arguments: Option<ArgumentsPlace>,
    /// How much of the answer is kept, in bytes; 262,144 if absent.
    #[schemars(range(min = 1, max = 262_144))]
    pub max_response_bytes: Option<u32>,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum HttpMethod {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl HttpMethod {
    /// As it is sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Where the arguments of a call go in a request.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ArgumentsPlace {
    Query,
    Body,
    None,
}
