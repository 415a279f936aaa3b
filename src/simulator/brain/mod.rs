//! What the simulator says: a [`Brain`] makes the outputs of a response from all that a model would see.

mod arguments;
mod auto;
mod fit;

pub use auto::AutoBrain;

use crate::protocol::{FunctionDefinition, Item};

use super::Speech;
use super::conversation::Entry;

/// Decides what a response holds. Each session has a brain of its own, which may keep a state.
pub trait Brain: Send {
    /// The outputs of one response, in their order; none makes a response without output. Called within the task
    /// of the connection, so it must not block.
    fn answer(&mut self, prompt: &Prompt<'_>) -> Vec<Output>;

    /// What the user says in this speech, for a brain that knows it beforehand; none leaves it to the
    /// [`Transcriber`](super::Transcriber).
    fn hear(&mut self, _speech: &Speech) -> Option<String> {
        None
    }
}

/// One output of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Words, spoken or written as the session has it.
    Say(String),
    /// A function call.
    Call {
        /// The function's name.
        name: String,
        /// The arguments, normally a JSON object as text.
        arguments: String,
    },
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
