//! What a response answers to.

use crate::protocol::{Item, Message, Part, Role};

use super::Prompt;

/// What happened since the user last spoke.
pub(in crate::simulator) struct Turn {
    /// The user's last words; empty when there were none, as with audio that nobody transcribed.
    pub(in crate::simulator) words: String,
    /// The functions that were called since.
    pub(in crate::simulator) called: Vec<String>,
    pub(in crate::simulator) last: Last,
}

/// What the conversation ends with.
pub(in crate::simulator) enum Last {
    Nothing,
    User,
    Assistant,
    /// A call that has no output yet.
    Call(String),
    /// The outputs of one or more calls: the function's name and what it answered.
    Outputs(Vec<(String, String)>),
}

impl Turn {
    pub(in crate::simulator) fn of(prompt: &Prompt<'_>) -> Self {
        let mut turn = Self {
            words: String::new(),
            called: Vec::new(),
            last: Last::Nothing,
        };
        // What lies between the end and the user's words, latest first.
        let mut outputs = Vec::new();
        let mut is_end = true;
        for item in prompt.items().rev() {
            match item {
                Item::Message(message) if message.role == Role::User => {
                    turn.words = words_of(message);
                    if is_end && outputs.is_empty() {
                        turn.last = Last::User;
                    }
                    break;
                }
                Item::Message(message) if message.role == Role::Assistant && is_end => {
                    is_end = false;
                    if outputs.is_empty() {
                        turn.last = Last::Assistant;
                    }
                }
                Item::FunctionCallOutput(output) if is_end => outputs.push(output),
                Item::FunctionCall(call) => {
                    if is_end && outputs.is_empty() {
                        turn.last = Last::Call(call.name.clone());
                    }
                    is_end = false;
                    turn.called.push(call.name.clone());
                }
                _ => {}
            }
        }
        if !outputs.is_empty() {
            let named = outputs
                .iter()
                .rev()
                .map(|output| (name_of(&output.call_id, prompt), output.output.clone()));
            turn.last = Last::Outputs(named.collect());
        }
        turn
    }
}

fn words_of(message: &Message) -> String {
    let words: Vec<_> = message.content.iter().filter_map(Part::words).collect();
    words.join(" ")
}

fn name_of(call_id: &str, prompt: &Prompt<'_>) -> String {
    let name = prompt.items().rev().find_map(|item| match item {
        Item::FunctionCall(call) if call.call_id == call_id => Some(call.name.clone()),
        _ => None,
    });
    name.unwrap_or_else(|| "The function".to_owned())
}
