//! The chunks of a streamed chat completion, as outputs.

use serde_json::Value;

use super::super::{CutOff, Output};
use super::AskError;
use crate::chat::message_of;

/// Reads the chunks of one completion.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// The calls up to now. The first that is not whole is sent as it comes, the others wait for it.
    calls: Vec<Call>,
    /// How many of them were begun.
    begun: usize,
    /// Why the model has stopped, once it has.
    stopped: Option<String>,
    is_done: bool,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    name: String,
    /// Arguments that were not sent yet.
    arguments: String,
}

impl Chunks {
    /// What one event holds.
    ///
    /// # Errors
    /// When it is an error of the server, or nothing known.
    pub fn read(&mut self, event: &str) -> Result<Vec<Output>, AskError> {
        if event.trim() == "[DONE]" {
            self.is_done = true;
            return Ok(Vec::new());
        }
        let chunk: Value =
            serde_json::from_str(event).map_err(|error| AskError::Unreadable(error.to_string()))?;
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(AskError::Refused(None, message_of(&chunk)));
        }
        let choice = &chunk["choices"][0];
        let mut outputs = Vec::new();
        if let Some(words) = choice["delta"]["content"]
            .as_str()
            .filter(|words| !words.is_empty())
        {
            outputs.push(Output::Say(words.to_owned()));
        }
        for delta in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            self.take_call(delta);
        }
        outputs.extend(self.send_first());
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.stopped = Some(reason.to_owned());
        }
        Ok(outputs)
    }

    /// What is left when the answer is over.
    ///
    /// # Errors
    /// When it broke off.
    pub fn finish(mut self) -> Result<Vec<Output>, AskError> {
        if self.stopped.is_none() && !self.is_done {
            return Err(AskError::Lost("the answer broke off".into()));
        }
        let waiting = self.calls.drain(self.begun.min(self.calls.len())..);
        let mut outputs: Vec<_> = waiting
            .filter(|call| !call.name.is_empty())
            .map(|Call { name, arguments, .. }| Output::Call { name, arguments })
            .collect();
        match self.stopped.as_deref() {
            Some("length") => outputs.push(Output::CutOff(CutOff::MaxOutputTokens)),
            Some("content_filter") => outputs.push(Output::CutOff(CutOff::ContentFilter)),
            _ => {}
        }
        Ok(outputs)
    }

    fn take_call(&mut self, delta: &Value) {
        let (index, function) = (delta["index"].as_u64(), &delta["function"]);
        let name = function["name"].as_str().unwrap_or_default();
        // A server without indexes begins a call with its name.
        let known = match index {
            Some(_) => self.calls.iter().position(|call| call.index == index),
            None if name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        };
        let at = known.unwrap_or_else(|| {
            self.calls.push(Call {
                index,
                ..Call::default()
            });
            self.calls.len() - 1
        });
        let call = &mut self.calls[at];
        call.name.push_str(name);
        let arguments = match &function["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // Some servers send an object.
            other => other.to_string(),
        };
        call.arguments.push_str(&arguments);
    }

    /// What has come of the first call. Its name comes whole, in its first chunk.
    fn send_first(&mut self) -> Option<Output> {
        let call = self.calls.first_mut().filter(|call| !call.name.is_empty())?;
        let arguments = std::mem::take(&mut call.arguments);
        if self.begun == 0 {
            self.begun = 1;
            let name = call.name.clone();
            return Some(Output::Call { name, arguments });
        }
        (!arguments.is_empty()).then_some(Output::Arguments(arguments))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chunk(delta: Value) -> String {
        json!({"choices": [{"index": 0, "delta": delta}]}).to_string()
    }

    fn call(index: u64, name: &str, arguments: &str) -> String {
        let function = if name.is_empty() {
            json!({"arguments": arguments})
        } else {
            json!({"name": name, "arguments": arguments})
        };
        chunk(json!({"tool_calls": [{"index": index, "function": function}]}))
    }

    fn outputs(events: &[String]) -> Vec<Output> {
        let mut chunks = Chunks::default();
        let mut outputs: Vec<_> = events
            .iter()
            .flat_map(|event| chunks.read(event).unwrap())
            .collect();
        chunks.read("[DONE]").unwrap();
        outputs.extend(chunks.finish().unwrap());
        outputs
    }

    fn called(name: &str, arguments: &str) -> Output {
        Output::Call {
            name: name.into(),
            arguments: arguments.into(),
        }
    }

    #[test]
    fn calls_that_interleave_are_told_apart() {
        let events = [
            call(0, "a", ""),
            call(0, "", "{\"x\""),
            call(1, "b", "{"),
            call(0, "", ":1}"),
            call(1, "", "}"),
        ];
        let more = |text: &str| Output::Arguments(text.into());
        assert_eq!(
            outputs(&events),
            [called("a", ""), more("{\"x\""), more(":1}"), called("b", "{}")]
        );
    }

    #[test]
    fn servers_without_indexes_begin_a_call_with_its_name() {
        let bare = |function: Value| chunk(json!({"tool_calls": [{"function": function}]}));
        let events = [
            bare(json!({"name": "a", "arguments": "{}"})),
            bare(json!({"name": "b", "arguments": {"y": 2}})),
        ];
        assert_eq!(outputs(&events), [called("a", "{}"), called("b", "{\"y\":2}")]);
    }

    #[test]
    fn an_answer_that_is_cut_off_says_why() {
        let cut = json!({"choices": [{"delta": {"content": "Hm"}, "finish_reason": "length"}]}).to_string();
        assert_eq!(
            outputs(&[cut]),
            [Output::Say("Hm".into()), Output::CutOff(CutOff::MaxOutputTokens)]
        );
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let read = |event: &str| Chunks::default().read(event).unwrap_err();
        assert_eq!(
            read(r#"{"error": {"message": "overloaded"}}"#),
            AskError::Refused(None, "overloaded".into())
        );
        assert!(matches!(read("<html>"), AskError::Unreadable(_)));
        assert!(matches!(Chunks::default().finish(), Err(AskError::Lost(_))));
    }
}
