//! What the simulator says: a [`Brain`] makes the outputs of a response from all that a model would see.

mod arguments;
mod auto;
mod fit;
mod llm;
mod reply;
mod turn;

pub use auto::AutoBrain;
pub use llm::Llm;
pub use reply::{Pen, Reply};
pub(super) use turn::{Last, Turn};

use bytes::Bytes;

use crate::protocol::{ApiError, FunctionDefinition, Item};

use super::Speech;
use super::conversation::Entry;
use super::fault::Fault;

/// Decides what a response holds. Each session has a brain of its own, which may keep a state.
pub trait Brain: Send {
    /// What one response holds; nothing makes a response without output. Called within the task of the connection, so
    /// it must not block: what takes its time is [written](Reply::written).
    fn answer(&mut self, prompt: &Prompt<'_>) -> Reply;

    /// What happens after a change of the session that was accepted, for a brain that does not wait to be asked.
    /// Outputs open a response of their own; faults alone do not.
    fn session_updated(&mut self, _prompt: &Prompt<'_>) -> Option<Reply> {
        None
    }

    /// What the user says in this speech, or why it can't be made out, for a brain that knows it beforehand; none leaves it to the
    /// [`Transcriber`](super::Transcriber).
    fn hear(&mut self, _speech: &Speech) -> Option<Result<String, ApiError>> {
        None
    }
}

/// What comes next in a response.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Words, spoken or written as the session has it: the begin of a message, or more of the one that is being said.
    Say(String),
    /// The same, with how the words sound, in the format of the session's output.
    Spoken {
        /// The words.
        words: String,
        /// Their sound; left out where the session writes.
        sound: Bytes,
    },
    /// A function call.
    Call {
        /// The function's name.
        name: String,
        /// The arguments, normally a JSON object as text, or their begin.
        arguments: String,
    },
    /// More of the arguments of the call before it.
    Arguments(String),
    /// The response is complete; only faults follow. So it is when a reply ends, too.
    Done,
    /// The response is cut off, and so incomplete; only faults follow.
    CutOff(CutOff),
    /// The response fails; only faults follow.
    Fail(ApiError),
    /// What no good server does.
    Fault(Fault),
}

/// Why a response is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// It reached the most tokens it may have.
    MaxOutputTokens,
    /// A filter stopped it.
    ContentFilter,
}

impl CutOff {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxOutputTokens => "max_output_tokens",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Whether the response may or must call a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// No function.
    None,
    /// Some function.
    Required,
    /// This function.
    Named(String),
}

/// All that a model sees when it makes a response.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// What it is told to be and do.
    pub instructions: &'a str,
    /// The functions it may call.
    pub tools: &'a [FunctionDefinition],
    /// Whether it may or must call one.
    pub tool_choice: &'a ToolChoice,
    pub(super) entries: &'a [Entry],
}

impl<'a> Prompt<'a> {
    /// The items of the conversation, oldest first.
    pub fn items(&self) -> impl DoubleEndedIterator<Item = &'a Item> + use<'a> {
        self.entries.iter().map(|entry| &entry.item)
    }
}
