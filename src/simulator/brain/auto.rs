use serde_json::Value;

use crate::protocol::FunctionDefinition;

use super::turn::{Last, Turn};
use super::{Brain, Output, Prompt, Reply, ToolChoice, arguments, fit};

/// The most characters of a tool's output that are said aloud.
const LONGEST_RESULT: usize = 300;
/// The most characters of instructions that a greeting repeats.
const LONGEST_QUOTE: usize = 160;

/// A brain that works with any agent, without a model: it matches the user's words with the names and descriptions
/// of the functions, says what functions answer, and otherwise repeats what it was told. The same conversation
/// always has the same answer.
///
/// It cannot be led into a loop: after a function's output it speaks, and within one turn of the user it calls
/// at most one handoff and, if it must call something, does so once.
#[derive(Debug, Clone, Copy, Default)]
pub struct AutoBrain;

impl Brain for AutoBrain {
    fn answer(&mut self, prompt: &Prompt<'_>) -> Reply {
        outputs(prompt).into()
    }
}

fn outputs(prompt: &Prompt<'_>) -> Vec<Output> {
    let turn = Turn::of(prompt);
    match &turn.last {
        Last::User => vec![
            turn.forced_call(prompt)
                .or_else(|| turn.call(prompt))
                .unwrap_or_else(|| turn.echo()),
        ],
        Last::Outputs(outputs) => turn.go_on(outputs, prompt),
        Last::Call(name) => vec![say(format!("I am still waiting for {name}."))],
        Last::Assistant => vec![
            turn.forced_call(prompt)
                .unwrap_or_else(|| say("That is all I can say.")),
        ],
        Last::Nothing => vec![
            turn.forced_call(prompt)
                .unwrap_or_else(|| say("Hello! How can I help you?")),
        ],
    }
}

fn say(words: impl Into<String>) -> Output {
    Output::Say(words.into())
}

impl Turn {
    /// The call that the session or the response insists on, once in a turn: a session-wide `required` would
    /// otherwise call for ever.
    fn forced_call(&self, prompt: &Prompt<'_>) -> Option<Output> {
        let tool = match prompt.tool_choice {
            ToolChoice::Named(name) if !self.called.contains(name) => {
                prompt.tools.iter().find(|tool| tool.name == *name)
            }
            ToolChoice::Required if self.called.iter().all(|name| fit::is_handoff(name)) => {
                let tools = self.open_tools(prompt);
                fit::best(&tools, &self.words).or_else(|| tools.first().copied())
            }
            _ => None,
        }?;
        Some(self.call_to(tool))
    }

    /// The call that fits the user's words, if one does and calls are allowed.
    fn call(&self, prompt: &Prompt<'_>) -> Option<Output> {
        if *prompt.tool_choice == ToolChoice::None {
            return None;
        }
        fit::best(&self.open_tools(prompt), &self.words).map(|tool| self.call_to(tool))
    }

    /// The functions that may still be called in this turn.
    fn open_tools<'a>(&self, prompt: &Prompt<'a>) -> Vec<&'a FunctionDefinition> {
        let handed_off = self.called.iter().any(|name| fit::is_handoff(name));
        prompt
            .tools
            .iter()
            .filter(|tool| !(handed_off && fit::is_handoff(&tool.name)))
            .collect()
    }

    fn call_to(&self, tool: &FunctionDefinition) -> Output {
        Output::Call {
            name: tool.name.clone(),
            arguments: arguments::fill(&tool.parameters, &self.words).to_string(),
        }
    }

    fn echo(&self) -> Output {
        match self.words.trim() {
            "" => say("I heard you, but no words were made out."),
            words => say(format!("You said: {words}")),
        }
    }

    /// Speaks the outputs. After a handoff the new agent presents itself and takes up the user's words.
    fn go_on(&self, outputs: &[(String, String)], prompt: &Prompt<'_>) -> Vec<Output> {
        let handoff = outputs.iter().find_map(|(name, output)| new_agent(name, output));
        let results = outputs
            .iter()
            .filter(|(name, output)| new_agent(name, output).is_none());
        let mut sentences: Vec<_> = results
            .map(|(name, output)| format!("{name} says: {}", short(output)))
            .collect();
        let Some(agent) = handoff else {
            return vec![say(sentences.join(" "))];
        };
        sentences.push(greeting(&agent, prompt));
        let greeting = say(sentences.join(" "));
        let call = self.forced_call(prompt).or_else(|| self.call(prompt));
        [greeting].into_iter().chain(call).collect()
    }
}

/// The agent that a handoff leads to, if this output is one's.
fn new_agent(name: &str, output: &str) -> Option<String> {
    let output: Value = serde_json::from_str(output).ok()?;
    let agent = output.get("assistant")?.as_str()?;
    fit::is_handoff(name).then(|| agent.to_owned())
}

/// Shows that the new agent's instructions and functions are in force.
fn greeting(agent: &str, prompt: &Prompt<'_>) -> String {
    let mut greeting = format!("You are now talking to {agent}.");
    let first = prompt
        .instructions
        .split_inclusive(['.', '!', '?', '\n'])
        .next()
        .unwrap_or_default();
    if !first.trim().is_empty() {
        greeting.push_str(&format!(
            " My instructions begin: {}",
            cut(first.trim(), LONGEST_QUOTE)
        ));
    }
    let names: Vec<_> = prompt.tools.iter().map(|tool| tool.name.as_str()).collect();
    if !names.is_empty() {
        greeting.push_str(&format!(" I can use {}.", names.join(", ")));
    }
    greeting
}

/// An output as it is said: without the quotes of JSON text, in one line, not too long.
fn short(output: &str) -> String {
    let text = serde_json::from_str::<String>(output).unwrap_or_else(|_| output.to_owned());
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        "nothing.".to_owned()
    } else {
        cut(&line, LONGEST_RESULT)
    }
}

fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FunctionCall, FunctionCallOutput, Item, Message, Part, Role};
    use crate::simulator::conversation::Entry;
    use serde_json::json;

    fn tool(name: &str, description: &str, parameters: Value) -> FunctionDefinition {
        FunctionDefinition {
            name: name.into(),
            description: description.into(),
            parameters,
        }
    }

    fn tools() -> Vec<FunctionDefinition> {
        let city =
            json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        vec![
            tool("get_weather", "Look up the weather for a city.", city),
            tool(
                "transfer_to_refunds",
                "Handoff to the Refunds agent to handle the request.",
                json!({}),
            ),
            tool(
                "transfer_to_billing",
                "Handoff to the Billing agent. Answers questions about invoices.",
                json!({}),
            ),
        ]
    }

    fn user(words: &str) -> Item {
        Item::user_text(words)
    }

    fn called(name: &str) -> Item {
        Item::FunctionCall(FunctionCall {
            name: name.into(),
            call_id: name.into(),
            ..FunctionCall::default()
        })
    }

    fn output(name: &str, output: &str) -> Item {
        Item::FunctionCallOutput(FunctionCallOutput {
            call_id: name.into(),
            output: output.into(),
            ..FunctionCallOutput::default()
        })
    }

    fn assistant(words: &str) -> Item {
        let content = vec![Part::OutputText { text: words.into() }];
        Item::Message(Message {
            role: Role::Assistant,
            content,
            ..Message::default()
        })
    }

    fn answer_with(items: Vec<Item>, tool_choice: ToolChoice) -> Vec<Output> {
        let entries: Vec<_> = items
            .into_iter()
            .map(|item| Entry::new("item_1".into(), item))
            .collect();
        outputs(&Prompt {
            instructions: "Give refunds gladly. Be brief.",
            tools: &tools(),
            tool_choice: &tool_choice,
            entries: &entries,
        })
    }

    fn answer(items: Vec<Item>) -> Vec<Output> {
        answer_with(items, ToolChoice::Auto)
    }

    fn call(name: &str, arguments: &str) -> Output {
        Output::Call {
            name: name.into(),
            arguments: arguments.into(),
        }
    }

    #[test]
    fn a_question_calls_the_function_it_is_about() {
        assert_eq!(
            answer(vec![user("What is the weather in Rome?")]),
            [call("get_weather", r#"{"city":"Rome"}"#)]
        );
    }

    #[test]
    fn a_wish_is_handed_off_to_the_agent_for_it() {
        assert_eq!(
            answer(vec![user("I want a refund")]),
            [call("transfer_to_refunds", "{}")]
        );
        assert_eq!(
            answer(vec![user("There is something odd on my invoice.")]),
            [call("transfer_to_billing", "{}")]
        );
    }

    #[test]
    fn other_words_are_repeated() {
        assert_eq!(
            answer(vec![user("Hello, how are you?")]),
            [say("You said: Hello, how are you?")]
        );
        assert_eq!(answer(vec![]), [say("Hello! How can I help you?")]);
        assert_eq!(
            answer(vec![user("Hi"), assistant("Hi")]),
            [say("That is all I can say.")]
        );
        assert_eq!(
            answer(vec![user("")]),
            [say("I heard you, but no words were made out.")]
        );
    }

    #[test]
    fn an_output_is_spoken_and_calls_nothing_more() {
        let items = vec![
            user("The weather in Rome?"),
            called("get_weather"),
            output("get_weather", "Sunny,\n 30 °C"),
        ];
        assert_eq!(answer(items.clone()), [say("get_weather says: Sunny, 30 °C")]);
        assert_eq!(
            answer_with(items, ToolChoice::Required),
            [say("get_weather says: Sunny, 30 °C")]
        );
        let items = vec![
            user("Weather?"),
            called("get_weather"),
            output("get_weather", r#""Fine""#),
            assistant("It is"),
        ];
        assert_eq!(answer(items), [say("That is all I can say.")]);
    }

    #[test]
    fn outputs_of_several_calls_are_spoken_together() {
        let items = vec![
            user("Weather?"),
            called("get_weather"),
            called("other"),
            output("get_weather", "Sunny"),
            output("other", &"x".repeat(999)),
        ];
        let answer = answer(items);
        let [Output::Say(words)] = answer.as_slice() else {
            panic!("{answer:?}")
        };
        assert!(
            words.starts_with("get_weather says: Sunny other says: xxx"),
            "{words}"
        );
        assert!(words.len() < 400, "and cut short: {words}");
    }

    #[test]
    fn a_call_without_output_is_waited_for() {
        assert_eq!(
            answer(vec![user("Weather?"), called("get_weather")]),
            [say("I am still waiting for get_weather.")]
        );
    }

    #[test]
    fn after_a_handoff_the_new_agent_shows_itself_and_takes_over() {
        let handed_off = |words| {
            let done = output("transfer_to_refunds", r#"{"assistant": "Refunds"}"#);
            answer(vec![user(words), called("transfer_to_refunds"), done])
        };
        let greeting = "You are now talking to Refunds. My instructions begin: Give refunds gladly. \
                        I can use get_weather, transfer_to_refunds, transfer_to_billing.";
        assert_eq!(
            handed_off("I want a refund for my invoice"),
            [say(greeting)],
            "no second handoff"
        );
        assert_eq!(
            handed_off("A refund, and the weather in Rome"),
            [say(greeting), call("get_weather", r#"{"city":"Rome"}"#)]
        );
    }

    #[test]
    fn the_tool_choice_is_kept() {
        let weather = || vec![user("The weather in Rome?")];
        let named = ToolChoice::Named("transfer_to_billing".into());
        assert_eq!(
            answer_with(weather(), ToolChoice::None),
            [say("You said: The weather in Rome?")]
        );
        assert_eq!(
            answer_with(weather(), named.clone()),
            [call("transfer_to_billing", "{}")]
        );
        assert_eq!(
            answer_with(vec![user("Hello")], ToolChoice::Required),
            [call("get_weather", r#"{"city":"unknown"}"#)]
        );
        let unknown = ToolChoice::Named("nothing".into());
        assert_eq!(
            answer_with(vec![user("Hello")], unknown),
            [say("You said: Hello")]
        );
    }

    /// A client that obeys every call ends with words, whatever it was told to do.
    #[test]
    fn no_turn_goes_on_for_ever() {
        let choices = [
            ToolChoice::Auto,
            ToolChoice::Required,
            ToolChoice::Named("transfer_to_refunds".into()),
            ToolChoice::Named("get_weather".into()),
        ];
        for choice in choices {
            let mut items = vec![user("A refund, an invoice, and the weather in Rome")];
            let mut rounds = 0;
            loop {
                let mut calls = answer_with(items.clone(), choice.clone());
                calls.retain(|output| matches!(output, Output::Call { .. }));
                let Some(Output::Call { name, .. }) = calls.first() else {
                    break;
                };
                items.extend([called(name), output(name, r#"{"assistant":"X"}"#)]);
                rounds += 1;
                assert!(rounds < 4, "{choice:?} goes on and on");
            }
        }
    }
}
