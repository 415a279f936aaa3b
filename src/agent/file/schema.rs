//! What an agent file may hold: the types that it is read into, and the JSON schema made from them that it is
//! checked against. The comments on the fields are the schema's descriptions.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::mcp::McpServerSection;
use super::session::SessionSection;
use crate::protocol::Voice;

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
    /// What tools are told about the run.
    #[serde(default)]
    pub context: Map<String, Value>,
    /// The agents, each under its name.
    #[schemars(with = "BTreeMap<String, AgentSection>", extend("minProperties" = 1))]
    pub agents: IndexMap<String, AgentSection>,
    /// What agents can call, each under the name that the model calls it by.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ToolSection>")]
    pub tools: IndexMap<String, ToolSection>,
    /// MCP servers, each under its name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, McpServerSection>")]
    pub mcp_servers: IndexMap<String, McpServerSection>,
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
}

/// One agent.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AgentSection {
    /// What the model is told to be and do.
    pub instructions: Option<String>,
    /// A file that holds the instructions, relative to the agent file.
    pub instructions_file: Option<String>,
    /// When to hand over to this agent, in words for the models of other agents.
    pub handoff_description: Option<String>,
    /// The agents it can hand over to.
    #[serde(default)]
    pub handoffs: Vec<HandoffEntry>,
    /// The tools it can call, each defined under `[tools.NAME]`.
    #[serde(default)]
    pub tools: Vec<String>,
    /// The MCP servers whose tools it can call, each defined under `[mcp_servers.NAME]`.
    #[serde(default)]
    pub mcp_servers: Vec<String>,
    /// Its voice. The voice can't change within a session, so every agent needs the same.
    pub voice: Option<Voice>,
}

/// An agent that can take over.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum HandoffEntry {
    /// Its name.
    Name(String),
    /// Its name with more about the handoff.
    Table {
        /// The name of the agent that takes over.
        agent: String,
    },
}

impl HandoffEntry {
    /// The name of the agent that takes over.
    pub fn into_agent(self) -> String {
        match self {
            Self::Name(agent) | Self::Table { agent } => agent,
        }
    }
}

/// One tool: a program (`command`) or a fixed answer (`output`).
#[derive(Debug, Deserialize, JsonSchema)]
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
    /// The seconds the program may take; 30 if absent.
    #[schemars(range(min = 0.1, max = 3600.0))]
    pub timeout_sec: Option<f64>,
    /// The answer to every call: a string is passed on as it is, anything else as JSON.
    pub output: Option<Value>,
}

/// The JSON schema of agent files.
pub(super) fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(close))
        .with_transform(RecursiveTransform(without_null))
        .with_transform(RecursiveTransform(bound));
    settings
        .into_generator()
        .into_root_schema_for::<FileContent>()
        .to_value()
}

/// Refuses keys that are not named: an unknown key is a mistake, wherever it stands. Tables of free content
/// name no keys and stay open.
fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// Takes out null, which TOML doesn't have: an optional key is left out instead.
fn without_null(schema: &mut Schema) {
    schema.remove("default");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.retain(|branch| branch != &json!({"type": "null"}));
        if let [Value::Object(only)] = branches.as_mut_slice() {
            let only = std::mem::take(only);
            schema.remove("anyOf");
            only.into_iter().for_each(|(key, value)| {
                schema.insert(key, value);
            });
        }
    }
}

/// States the largest number of a `u32`, which the schema else only hints at.
fn bound(schema: &mut Schema) {
    if schema.get("format") == Some(&json!("uint32")) && schema.get("maximum").is_none() {
        schema.insert("maximum".to_owned(), json!(u32::MAX));
    }
}
