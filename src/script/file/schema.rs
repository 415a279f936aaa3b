//! What a script file may hold: the types that it is read into, and from which its JSON schema is made. The comments on the
//! fields are the schema's descriptions.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::script::EventKind;

/// A smoke test of agents: a conversation to hold with them, and what is expected of it. `{{ name }}` in any string of
/// turns, tools and spans stands for a variable. Paths count from the file's directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ScriptContent {
    /// What reports call it; the file's name without ending, if absent.
    pub name: Option<String>,
    /// The agent file; `--agent` goes over it.
    pub agent: Option<String>,
    /// What a simulated server does; with others it counts for nothing.
    #[serde(default)]
    pub simulator: SimulatorSection,
    /// What goes over the agent file's context: tables are merged, anything else is replaced.
    #[serde(default)]
    pub context: Map<String, Value>,
    /// The variables, each with its default; `--set` goes over it.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, VariableEntry>")]
    #[expect(dead_code, reason = "variables are filled in before the rest is read")]
    pub variables: IndexMap<String, VariableEntry>,
    /// What stands in for tools, by their names.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, MockSection>")]
    pub tools: IndexMap<String, MockSection>,
    /// What the user says and does, one after the other.
    #[schemars(length(min = 1))]
    pub turns: Vec<TurnSection>,
    /// What is expected of the trace, once the conversation is over.
    #[serde(default)]
    pub spans: Vec<SpanSection>,
}

/// What a simulated server does; with others it counts for nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct SimulatorSection {
    /// The scenario file that it follows.
    pub scenario: Option<String>,
    /// The recording that it plays.
    pub replay: Option<String>,
}

/// The value of a variable, which is put in as text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "variables are filled in before the rest is read")]
pub(super) enum VariableEntry {
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

/// What stands in for a tool: an answer (`output`), a failure (`error`), or the tool itself, but later (`delay_ms`).
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct MockSection {
    /// The answer to every call: a string is passed on as it is, anything else as JSON.
    pub output: Option<Value>,
    /// What every call fails with.
    pub error: Option<String>,
    /// So many milliseconds pass before the answer; alone, before the tool itself is called.
    #[schemars(range(max = 3_600_000))]
    pub delay_ms: Option<u32>,
}

/// One thing that the user says or does, and what is expected to come of it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct TurnSection {
    /// The user says this in writing.
    pub user: Option<String>,
    /// The user says aloud what is in this audio file.
    pub audio: Option<String>,
    /// The user says nothing for so many milliseconds, with the microphone open.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub silence_ms: Option<u32>,
    /// This agent is put in charge.
    pub switch_agent: Option<String>,
    /// The answer is interrupted so many milliseconds after its first word or sound.
    #[schemars(range(max = 3_600_000))]
    pub interrupt_after_ms: Option<u32>,
    /// A call that waits for approval is approved: `true` for the first, or the name of its tool.
    pub approve: Option<ApproveEntry>,
    /// A call that waits for approval is rejected: `true` for the first, or the name of its tool.
    pub reject: Option<RejectEntry>,
    /// Nothing is done for so many milliseconds.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub wait_ms: Option<u32>,
    /// An event of the protocol is sent as it is.
    pub raw: Option<Map<String, Value>>,
    /// The turns of this file stand here instead.
    pub include: Option<String>,
    /// What is expected to happen before the next turn, in this order; other things may happen between.
    #[serde(default)]
    pub expect: Vec<ExpectationSection>,
    /// Whether what is expected may happen in any order.
    #[serde(default)]
    pub any_order: bool,
}

/// Which call is approved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ApproveEntry {
    /// The first that waits.
    #[expect(dead_code, reason = "the checks let only `true` pass")]
    First(bool),
    /// That of this tool.
    Tool(String),
    /// One with more about it.
    Table(ApproveSection),
}

/// Which call is approved, and what else.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct ApproveSection {
    /// The tool; that of the first call that waits, if absent.
    pub tool: Option<String>,
    /// Whether all calls of the tool are approved from now on.
    #[serde(default)]
    pub always: bool,
}

/// Which call is rejected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RejectEntry {
    /// The first that waits.
    #[expect(dead_code, reason = "the checks let only `true` pass")]
    First(bool),
    /// That of this tool.
    Tool(String),
    /// One with more about it.
    Table(RejectSection),
}

/// Which call is rejected, and what else.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct RejectSection {
    /// The tool; that of the first call that waits, if absent.
    pub tool: Option<String>,
    /// What the model is told.
    pub message: Option<String>,
}

impl From<ApproveEntry> for ApproveSection {
    fn from(entry: ApproveEntry) -> Self {
        match entry {
            ApproveEntry::First(_) => Self::default(),
            ApproveEntry::Tool(tool) => Self {
                tool: Some(tool),
                always: false,
            },
            ApproveEntry::Table(section) => section,
        }
    }
}

impl From<RejectEntry> for RejectSection {
    fn from(entry: RejectEntry) -> Self {
        match entry {
            RejectEntry::First(_) => Self::default(),
            RejectEntry::Tool(tool) => Self {
                tool: Some(tool),
                message: None,
            },
            RejectEntry::Table(section) => section,
        }
    }
}

/// Something that is expected to happen, and what must be true of it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ExpectationSection {
    /// What is to happen.
    pub event: EventKind,
    /// Its words contain this; upper and lower case are the same. For `response`, `tool_result`, `guardrail`, `error`.
    pub text_contains: Option<String>,
    /// Its words match this regular expression. For `response`, `tool_result`, `guardrail`, `error`.
    pub text_matches: Option<String>,
    /// The agent that answers, calls or is objected to; of a handoff, the one that takes charge.
    pub agent: Option<String>,
    /// The name of the tool, for `tool_call` and `tool_result`, or of the `guardrail`.
    pub name: Option<String>,
    /// The arguments of a `tool_call` have at least this: tables may have more keys, all else is equal.
    pub args: Option<Map<String, Value>>,
    /// Whether no such thing may happen.
    #[serde(default)]
    pub absent: bool,
    /// It happens no later than so many milliseconds after the end of what the user said.
    pub within_ms: Option<u32>,
    /// The answer used no more tokens than this. For `response` and `usage`.
    pub max_tokens: Option<u32>,
    /// A language model finds this claim true of its words. For `response` and `tool_result`.
    pub judge: Option<String>,
}

/// Spans that the trace is expected to have.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct SpanSection {
    /// The kind of span.
    #[serde(rename = "type")]
    pub kind: SpanKind,
    /// The name of the agent, the tool, the guardrail or the MCP server; the model of a generation; of a handoff,
    /// `Triage → Billing`.
    pub name: Option<String>,
    /// The name of the span that it hangs under; empty for those that hang under the trace itself.
    pub parent: Option<String>,
    /// How many there are: a number, or `{ min = 1, max = 3 }`. At least one, if absent.
    pub count: Option<CountEntry>,
    /// Whether it has an error.
    pub error: Option<bool>,
    /// It takes at least so many milliseconds.
    pub min_ms: Option<u32>,
    /// It takes at most so many milliseconds.
    pub max_ms: Option<u32>,
}

/// The kinds of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SpanKind {
    Agent,
    Function,
    Handoff,
    Guardrail,
    McpTools,
    Generation,
    Response,
    Transcription,
    Speech,
    SpeechGroup,
    Custom,
}

impl SpanKind {
    /// As traces have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Function => "function",
            Self::Handoff => "handoff",
            Self::Guardrail => "guardrail",
            Self::McpTools => "mcp_tools",
            Self::Generation => "generation",
            Self::Response => "response",
            Self::Transcription => "transcription",
            Self::Speech => "speech",
            Self::SpeechGroup => "speech_group",
            Self::Custom => "custom",
        }
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum CountEntry {
    /// Just so many.
    Exactly(u32),
    /// Between two numbers.
    Between(CountSection),
}

/// The least and the greatest number.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) struct CountSection {
    /// At least so many; none needed, if absent.
    #[serde(default)]
    pub min: u32,
    /// At most so many; any number, if absent.
    pub max: Option<u32>,
}
