//! What a script says and expects.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Mentions;

/// A smoke test: a conversation to hold with agents, and what is expected of it.
#[derive(Debug, Clone)]
pub struct Script {
    /// What people know it by: its own `name`, else its file's name without `.toml` or `.smoke.toml`.
    pub name: String,
    /// The agent file that it names itself.
    pub agent: Option<PathBuf>,
    /// What a simulated server does; on other servers it counts for nothing.
    pub simulator: SimulatedServer,
    /// What goes over the agent file's context; an object.
    pub context: Map<String, Value>,
    /// What stands in for tools, by their names.
    pub mocks: IndexMap<String, Mock>,
    /// What the user says and does, in this order; those of included files are among them.
    pub turns: Vec<Turn>,
    /// What is expected of the trace.
    pub spans: Vec<SpanExpectation>,
    /// The agents, tools and guardrails that it speaks of, and where: what [`Script::check_with`] looks for.
    pub mentions: Mentions,
}

/// What a simulated server does while a script is played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimulatedServer {
    /// The scenario file that it follows.
    pub scenario: Option<PathBuf>,
    /// The recording that it plays.
    pub replay: Option<PathBuf>,
}

/// Where something stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, as people know it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// One thing that the user says or does, and what is expected to come of it.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Where it stands.
    pub place: Place,
    /// What the user says or does.
    pub act: Act,
    /// What is expected to happen until the next turn: in this order, other things may happen between.
    pub expect: Vec<Expectation>,
    /// Whether what is expected may happen in any order.
    pub any_order: bool,
}

/// What the user says or does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Says something in writing.
    Say(String),
    /// Says aloud what is in an audio file.
    Speak(PathBuf),
    /// Says nothing for so long, with the microphone open.
    Silence(Duration),
    /// Puts another agent in charge.
    SwitchAgent(String),
    /// Interrupts the answer so long after its first word or sound.
    InterruptAfter(Duration),
    /// Approves a call that waits for it: of this tool, or the first.
    Approve {
        /// The tool.
        tool: Option<String>,
        /// Whether all calls of the tool are approved from now on.
        always: bool,
    },
    /// Rejects a call that waits for approval: of this tool, or the first.
    Reject {
        /// The tool.
        tool: Option<String>,
        /// What the model is told.
        message: Option<String>,
    },
    /// Does nothing for so long.
    Wait(Duration),
    /// Sends an event of the protocol as it is.
    Raw(Map<String, Value>),
}

/// Something that is expected to happen, or not to.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Where it stands.
    pub place: Place,
    /// What is to happen.
    pub event: EventKind,
    /// What must be true of it, all of it.
    pub conditions: Conditions,
    /// Whether no such thing may happen.
    pub absent: bool,
}

/// Something that can be expected of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// An answer with words is complete, or was cut off or failed.
    Response,
    /// The model calls a tool.
    ToolCall,
    /// A tool has answered or failed.
    ToolResult,
    /// Another agent takes charge.
    Handoff,
    /// A guardrail objects.
    Guardrail,
    /// The server tells of an error.
    Error,
    /// What an answer says aloud is cut off, or the answer itself.
    Interrupted,
    /// An answer's tokens are told.
    Usage,
}

impl EventKind {
    /// Its name in script files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Handoff => "handoff",
            Self::Guardrail => "guardrail",
            Self::Error => "error",
            Self::Interrupted => "interrupted",
            Self::Usage => "usage",
        }
    }

    /// The conditions that can be asked of it, by their names in script files. Each of them can be asked of some event.
    pub fn conditions(self) -> &'static [&'static str] {
        match self {
            Self::Response => &[
                "text_contains",
                "text_matches",
                "agent",
                "within_ms",
                "max_tokens",
                "judge",
            ],
            Self::ToolCall => &["agent", "name", "args", "within_ms"],
            Self::ToolResult => &[
                "text_contains",
                "text_matches",
                "agent",
                "name",
                "within_ms",
                "judge",
            ],
            Self::Handoff => &["agent", "within_ms"],
            Self::Guardrail => &["text_contains", "text_matches", "agent", "name", "within_ms"],
            Self::Error => &["text_contains", "text_matches", "within_ms"],
            Self::Interrupted => &["agent", "within_ms"],
            Self::Usage => &["agent", "within_ms", "max_tokens"],
        }
    }

    /// All that can be expected.
    pub const ALL: [Self; 8] = [
        Self::Response,
        Self::ToolCall,
        Self::ToolResult,
        Self::Handoff,
        Self::Guardrail,
        Self::Error,
        Self::Interrupted,
        Self::Usage,
    ];
}

/// What must be true of an event; what is `None` is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// Its words contain this; upper and lower case are the same.
    pub text_contains: Option<String>,
    /// Its words match this.
    pub text_matches: Option<Regex>,
    /// The agent: that answers, calls or is objected to; of a handoff, the one that takes charge.
    pub agent: Option<String>,
    /// The tool or the guardrail.
    pub name: Option<String>,
    /// The arguments of a call have at least this: objects may have more keys, all else is equal.
    pub args: Option<Value>,
    /// It happens no later than this after the end of the user's turn.
    pub within: Option<Duration>,
    /// The answer used no more tokens than this.
    pub max_tokens: Option<u64>,
    /// A language model finds that this is true of its words.
    pub judge: Option<String>,
}

/// What stands in for a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Mock {
    /// How it answers.
    pub answer: MockAnswer,
    /// How long it takes to.
    pub delay: Duration,
}

/// How what stands in for a tool answers.
#[derive(Debug, Clone, PartialEq)]
pub enum MockAnswer {
    /// As the tool itself does.
    Real,
    /// With this: text as it is, all else as JSON.
    Output(Value),
    /// By failing with this error.
    Error(String),
}

/// What is expected of the trace: that it has such spans.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanExpectation {
    /// Where it stands.
    pub place: Place,
    /// The kind of span, such as `function`.
    pub kind: String,
    /// Its name: of the agent, the tool, the guardrail; the model of a generation.
    pub name: Option<String>,
    /// The name of the span it hangs under; the empty name is the trace itself.
    pub parent: Option<String>,
    /// How many there are, at least and at most; at least one, unless said.
    pub count: (usize, Option<usize>),
    /// Whether it has an error.
    pub error: Option<bool>,
    /// It took at least this long.
    pub min_duration: Option<Duration>,
    /// It took at most this long.
    pub max_duration: Option<Duration>,
}
