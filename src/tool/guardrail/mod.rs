//! What watches over what models say and what their tools do.
//!
//! In: a [`GuardrailCheck`], what is looked at and in which run. Out: a [`Verdict`], or a [`GuardrailError`] where it
//! could not be told. A guardrail is anything that implements [`Guardrail`]: a Rust closure ([`FunctionGuardrail`]), a
//! regular expression ([`PatternGuardrail`]), or a tool that is asked ([`AskingGuardrail`]): a program or a request over
//! HTTP. What a file says of any of them beside that is put around it by [`ManagedGuardrail`].
//!
//! A guardrail only judges. What follows from that is up to the session.

mod asking;
mod function;
mod managed;
mod of_tool;
mod pattern;

use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::context::RunContext;

pub use asking::AskingGuardrail;
pub use function::FunctionGuardrail;
pub use managed::{ManagedGuardrail, OnTrip};
pub use of_tool::ToolGuardrails;
pub use pattern::PatternGuardrail;

/// Something that looks at what a model says, or at a call of a tool, and may object.
pub trait Guardrail: Send + Sync + 'static {
    /// What people and spans know it by.
    fn name(&self) -> &str;

    /// Looks at something. Dropping the future must stop the work.
    ///
    /// # Errors
    /// When it can't tell.
    fn check(&self, check: GuardrailCheck) -> GuardrailFuture;

    /// How long one check may take; what takes longer counts as an error. 10 seconds, unless said otherwise.
    fn timeout(&self) -> Duration {
        DEFAULT_TIMEOUT
    }

    /// Whether it looks at a call before a person is asked to approve it, rather than after that.
    fn looks_before_approval(&self) -> bool {
        false
    }
}

/// How long one check may take unless said otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A check under way.
pub type GuardrailFuture = Pin<Box<dyn Future<Output = Result<Verdict, GuardrailError>> + Send>>;

/// One look at something.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GuardrailCheck {
    /// What is looked at.
    pub subject: Subject,
    /// The agent that said it, or that called the tool.
    pub agent: String,
    /// What the run knows.
    pub context: RunContext,
}

impl GuardrailCheck {
    /// A check in a run that knows nothing yet.
    pub fn new(subject: Subject, agent: impl Into<String>) -> Self {
        Self {
            subject,
            agent: agent.into(),
            context: RunContext::default(),
        }
    }

    /// Sets what the run knows.
    #[must_use]
    pub fn context(mut self, context: RunContext) -> Self {
        self.context = context;
        self
    }

    /// The check as programs and servers are told of it.
    fn to_json(&self) -> Value {
        let mut told = json!({"where": self.subject.place(), "agent": self.agent});
        match &self.subject {
            Subject::Output { text } => told["text"] = text.as_str().into(),
            Subject::ToolInput { tool, arguments } => {
                told["tool"] = tool.as_str().into();
                told["arguments"] = arguments.clone();
            }
            Subject::ToolOutput {
                tool,
                arguments,
                output,
            } => {
                told["tool"] = tool.as_str().into();
                told["arguments"] = arguments.clone();
                told["output"] = output.as_str().into();
            }
        }
        told["context"] = Value::clone(&self.context.values());
        told
    }
}

/// What a guardrail looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// What an agent says.
    Output {
        /// All that has come of the answer so far.
        text: String,
    },
    /// A call that is about to be made.
    ToolInput {
        /// The tool.
        tool: String,
        /// The arguments that the model chose.
        arguments: Value,
    },
    /// What a tool has answered, before the model sees it.
    ToolOutput {
        /// The tool.
        tool: String,
        /// The arguments that the model chose.
        arguments: Value,
        /// The answer.
        output: String,
    },
}

impl Subject {
    /// At which place in a session this is.
    pub fn place(&self) -> GuardrailPlace {
        match self {
            Self::Output { .. } => GuardrailPlace::Output,
            Self::ToolInput { .. } => GuardrailPlace::ToolInput,
            Self::ToolOutput { .. } => GuardrailPlace::ToolOutput,
        }
    }
}

/// The places in a session that guardrails stand at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailPlace {
    /// What agents say.
    Output,
    /// Calls of tools.
    ToolInput,
    /// Answers of tools.
    ToolOutput,
}

/// What a guardrail says of what it looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is nothing to object to.
    Pass,
    /// It must not go on like this: an answer is interrupted, a call is not made, a tool's answer is withheld. The words
    /// are for the model; without any it is told the guardrail's name.
    Reject(Option<String>),
    /// The whole session must end. The words say why.
    Stop(Option<String>),
}

/// Why a guardrail could not judge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GuardrailError {
    message: String,
}

impl GuardrailError {
    /// An error that says `message`; fits `map_err(GuardrailError::new)` for any error type.
    pub fn new(message: impl ToString) -> Self {
        Self {
            message: message.to_string(),
        }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// When, while an answer goes on, guardrails look at what has come of it (protocol.md section 6.6). In any case they
/// look at the whole of it at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debounce {
    /// Each time that so many characters have come; every time if 0.
    Characters(u32),
    /// Only at its end.
    End,
}

/// Every 100 characters.
impl Default for Debounce {
    fn default() -> Self {
        Self::Characters(100)
    }
}

/// Has a guardrail look at something, for as long as it may take.
pub(crate) async fn look(
    guardrail: &dyn Guardrail,
    check: GuardrailCheck,
) -> Result<Verdict, GuardrailError> {
    let limit = guardrail.timeout();
    match tokio::time::timeout(limit, guardrail.check(check)).await {
        Ok(verdict) => verdict,
        Err(_) => Err(GuardrailError::new(format!("it took longer than {limit:?}"))),
    }
}
