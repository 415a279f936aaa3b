//! A prompt as the request of a chat completion.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::{Prompt, ToolChoice};
use crate::protocol::{FunctionCall, Item, Message, Part, Role};

/// What the user said where nobody made it out.
const UNINTELLIGIBLE: &str = "(speech that was not made out)";

/// The body of the request.
pub(super) fn request(model: &str, prompt: &Prompt<'_>) -> Value {
    let mut body = json!({"model": model, "messages": messages(prompt), "stream": true});
    if !prompt.tools.is_empty() {
        let tool = |tool: &_| json!({"type": "function", "function": function(tool)});
        body["tools"] = prompt.tools.iter().map(tool).collect();
        body["tool_choice"] = match prompt.tool_choice {
            ToolChoice::Auto => "auto".into(),
            ToolChoice::None => "none".into(),
            ToolChoice::Required => "required".into(),
            ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
        };
    }
    body
}

fn function(tool: &crate::protocol::FunctionDefinition) -> Value {
    let parameters = match &tool.parameters {
        Value::Null => json!({"type": "object", "properties": {}}),
        parameters => parameters.clone(),
    };
    json!({"name": tool.name, "description": tool.description, "parameters": parameters})
}

/// The conversation. Chat completions want the outputs of calls right behind them, and none left out: a call without
/// output is not shown.
fn messages(prompt: &Prompt<'_>) -> Vec<Value> {
    let outputs: HashMap<&str, &str> = prompt
        .items()
        .filter_map(|item| match item {
            Item::FunctionCallOutput(output) => Some((output.call_id.as_str(), output.output.as_str())),
            _ => None,
        })
        .collect();
    let mut messages = Vec::new();
    if !prompt.instructions.is_empty() {
        messages.push(json!({"role": "system", "content": prompt.instructions}));
    }
    let mut calls = Vec::new();
    for item in prompt.items() {
        match item {
            Item::FunctionCall(call) => {
                calls.extend(outputs.get(call.call_id.as_str()).map(|out| (call, *out)))
            }
            Item::FunctionCallOutput(_) | Item::Other(_) => {}
            Item::Message(message) => {
                close_calls(&mut calls, &mut messages);
                messages.extend(self::message(message));
            }
        }
    }
    close_calls(&mut calls, &mut messages);
    messages
}

/// Puts calls that were made together into one message, with their outputs behind it.
fn close_calls(calls: &mut Vec<(&FunctionCall, &str)>, messages: &mut Vec<Value>) {
    if calls.is_empty() {
        return;
    }
    let shown = calls.iter().map(|(call, _)| {
        let function = json!({"name": call.name, "arguments": call.arguments});
        json!({"id": call.call_id, "type": "function", "function": function})
    });
    let shown: Vec<Value> = shown.collect();
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": shown}));
    for (call, output) in calls.drain(..) {
        messages.push(json!({"role": "tool", "tool_call_id": call.call_id, "content": output}));
    }
}

fn message(message: &Message) -> Option<Value> {
    let role = match message.role {
        Role::User => "user",
        Role::System => "system",
        Role::Assistant => "assistant",
        _ => return None,
    };
    let parts: Vec<Value> = message.content.iter().filter_map(part).collect();
    let is_text = parts.iter().all(|part| part["type"] == "text");
    let content = if is_text {
        let words: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
        Value::from(words.join("\n"))
    } else {
        Value::from(parts)
    };
    let is_empty = content.as_str() == Some("");
    (!is_empty).then(|| json!({"role": role, "content": content}))
}

fn part(part: &Part) -> Option<Value> {
    match part {
        Part::InputImage { image_url, detail } => {
            let detail = detail.as_deref().unwrap_or("auto");
            Some(json!({"type": "image_url", "image_url": {"url": image_url, "detail": detail}}))
        }
        Part::InputAudio { transcript, .. } => {
            Some(json!({"type": "text", "text": transcript.as_deref().unwrap_or(UNINTELLIGIBLE)}))
        }
        part => Some(json!({"type": "text", "text": part.words()?})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FunctionCallOutput, FunctionDefinition};
    use crate::simulator::conversation::Entry;

    fn call(id: &str) -> Item {
        Item::FunctionCall(FunctionCall {
            name: "f".into(),
            call_id: id.into(),
            arguments: "{}".into(),
            ..FunctionCall::default()
        })
    }

    fn output(id: &str) -> Item {
        Item::FunctionCallOutput(FunctionCallOutput {
            call_id: id.into(),
            output: format!("out {id}"),
            ..FunctionCallOutput::default()
        })
    }

    fn of(items: Vec<Item>, tools: &[FunctionDefinition]) -> Value {
        let entries: Vec<_> = items
            .into_iter()
            .map(|item| Entry::new("i".into(), item))
            .collect();
        request(
            "m",
            &Prompt {
                instructions: "Be brief.",
                tools,
                tool_choice: &ToolChoice::Required,
                entries: &entries,
            },
        )
    }

    #[test]
    fn calls_are_followed_by_their_outputs_whatever_came_between() {
        let items = vec![
            Item::user_text("Hi"),
            call("a"),
            call("b"),
            call("without output"),
            Item::user_text("Still there?"),
            output("b"),
            output("a"),
        ];
        let body = of(items, &[]);
        let call =
            |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        assert_eq!(
            body["messages"],
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]},
                {"role": "tool", "tool_call_id": "a", "content": "out a"},
                {"role": "tool", "tool_call_id": "b", "content": "out b"},
                {"role": "user", "content": "Still there?"},
            ])
        );
        assert_eq!((&body["stream"], body.get("tools")), (&json!(true), None));
    }

    #[test]
    fn speech_is_its_transcript_and_pictures_are_shown() {
        let content = vec![
            Part::InputAudio {
                audio: None,
                transcript: None,
            },
            Part::InputImage {
                image_url: "data:x".into(),
                detail: None,
            },
        ];
        let message = Item::Message(Message {
            role: Role::User,
            content,
            ..Message::default()
        });
        let tool = FunctionDefinition {
            name: "f".into(),
            description: "d".into(),
            parameters: Value::Null,
        };
        let body = of(vec![message], &[tool]);
        let parts = &body["messages"][1]["content"];
        assert_eq!(parts[0]["text"], UNINTELLIGIBLE);
        assert_eq!(parts[1]["image_url"], json!({"url": "data:x", "detail": "auto"}));
        assert_eq!(body["tools"][0]["function"]["parameters"]["type"], "object");
        assert_eq!(body["tool_choice"], "required");
    }
}
