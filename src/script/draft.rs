//! A first script for agents, which people go on from.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::agent::{Agent, Agents};
use crate::tool::{Tool, ToolCall, ToolSpec};

/// Of tools, handoffs and agents, how many are shown as examples.
const SHOWN: usize = 3;

/// A first script for agents, as TOML: one turn and expectations that hold on the simulator, and examples with their own
/// tools and handoffs, which are commented out: a `#` right before the text. `agent_file` is their file as the script has
/// it.
pub fn draft(agents: &Agents, agent_file: &str) -> String {
    let mut draft = Draft(String::new());
    draft.head(agents, agent_file);
    let all = || agents.names().filter_map(|name| agents.get(name));
    let mut tools: Vec<(&Agent, &dyn Tool)> = Vec::new();
    for agent in all() {
        for tool in &agent.tools {
            if tools
                .iter()
                .all(|(_, known)| known.spec().name != tool.spec().name)
            {
                tools.push((agent, &**tool));
            }
        }
    }
    tools.truncate(SHOWN);
    for (agent, tool) in &tools {
        draft.tool(agent, *tool);
    }
    let handoffs = all().flat_map(|agent| agent.handoffs.iter().map(move |handoff| (agent, handoff)));
    for (agent, handoff) in handoffs.take(SHOWN) {
        draft.handoff(&agent.name, &handoff.agent);
    }
    if let Some((_, tool)) = tools.first() {
        draft.mock(tool.spec());
    }
    draft.spans(agents.start(), tools.first().map(|(_, tool)| tool.spec()));
    draft.0
}

/// Text as a string of TOML.
fn quoted(text: &str) -> String {
    // JSON lets one character stand as it is that TOML does not.
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Text as a key of TOML.
fn key(text: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !text.is_empty() && text.chars().all(is_bare) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

struct Draft(String);

impl Draft {
    fn line(&mut self, line: &str) {
        // A string takes what is written.
        let _ = writeln!(self.0, "{line}");
    }

    /// Lines that are commented out.
    fn example(&mut self, lines: &[String]) {
        lines.iter().for_each(|line| self.line(&format!("#{line}")));
        self.line("");
    }

    fn head(&mut self, agents: &Agents, agent_file: &str) {
        let names: Vec<String> = agents.names().map(one_line).collect();
        let names = match names.as_slice() {
            [only] => format!("The agent is {only}."),
            names => format!(
                "The agents are {}; {} starts.",
                names.join(", "),
                one_line(agents.start())
            ),
        };
        self.line("# A smoke test. It is played without a key or a network by");
        self.line("#");
        self.line("#   realtime-run --simulate --script FILE");
        self.line("#");
        self.line("# and on a real server without `--simulate`. `realtime-run schema script` tells all that can stand here.");
        self.line("");
        self.line(&format!("agent = {}", quoted(agent_file)));
        self.line("");
        self.line(&format!("# {names}"));
        self.line("[[turns]]");
        self.line("user = \"Hello!\"");
        self.line("expect = [");
        self.line(
            "  { event = \"response\" },                 # with `text_contains`, `within_ms`, `judge` …",
        );
        self.line("  { event = \"error\", absent = true },");
        self.line("]");
        self.line("");
    }

    fn tool(&mut self, agent: &Agent, tool: &dyn Tool) {
        let spec = tool.spec();
        let (name, owner) = (quoted(&spec.name), quoted(&agent.name));
        let arguments = arguments(&spec.parameters);
        let call = ToolCall::new("", agent.name.clone(), Value::Object(arguments.clone()));
        // Where that can't be told, it may be.
        let is_approved = tool.needs_approval(&call) != Ok(false);
        self.line(&format!(
            "# {} can call {}: {}",
            one_line(&agent.name),
            spec.name,
            one_line(&spec.description)
        ));
        let call = format!(
            "{{ event = \"tool_call\", name = {name}, agent = {owner}{} }}",
            match arguments.is_empty() {
                true => String::new(),
                false => format!(", args = {}", table(&arguments)),
            }
        );
        let result = format!("{{ event = \"tool_result\", name = {name} }}");
        let mut lines = vec!["[[turns]]".to_owned()];
        match is_approved {
            true => {
                lines.push(
                    "user = \"…\"                             # so that it is called, and waits for approval"
                        .to_owned(),
                );
                lines.push("[[turns]]".to_owned());
                lines.push(format!("approve = {name}"));
            }
            false => lines.push("user = \"…\"                             # so that it is called".to_owned()),
        }
        lines.push(format!("expect = [{call}, {result}]"));
        self.example(&lines);
    }

    fn handoff(&mut self, from: &str, to: &str) {
        self.line(&format!(
            "# {} can hand over to {}.",
            one_line(from),
            one_line(to)
        ));
        self.example(&[
            "[[turns]]".to_owned(),
            "user = \"…\"                             # so that it does".to_owned(),
            format!("expect = [{{ event = \"handoff\", agent = {} }}]", quoted(to)),
        ]);
    }

    fn mock(&mut self, tool: &ToolSpec) {
        self.line("# A fixed answer in place of a tool's own; or `error = \"…\"`, or `delay_ms`.");
        self.example(&[
            format!("[tools.{}]", key(&tool.name)),
            "output = \"…\"".to_owned(),
        ]);
    }

    fn spans(&mut self, start: &str, tool: Option<&ToolSpec>) {
        self.line("# The trace is tested as well.");
        self.line("[[spans]]");
        self.line("type = \"agent\"");
        self.line(&format!("name = {}", quoted(start)));
        self.line("error = false");
        if let Some(tool) = tool {
            self.line("");
            self.example(&[
                "[[spans]]".to_owned(),
                "type = \"function\"".to_owned(),
                format!("name = {}", quoted(&tool.name)),
                "count = { min = 1, max = 3 }".to_owned(),
            ]);
        }
    }
}

/// An example of arguments that a schema asks for.
fn arguments(schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let required = required.iter().filter_map(Value::as_str);
    let example = |name: &str| match schema["properties"][name]["type"].as_str() {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("…"),
    };
    required.map(|name| (name.to_owned(), example(name))).collect()
}

/// A table of TOML in one line.
fn table(entries: &Map<String, Value>) -> String {
    let entry = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => quoted(text),
            other => other.to_string(),
        };
        format!("{} = {value}", key(name))
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!("{{ {} }}", entries.join(", "))
}

/// What fits into a comment.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::agent::AgentFile;
    use crate::script::{Act, EventKind, Script};

    fn script(text: &str, agents: &Agents) -> Script {
        let script = Script::parse("first.toml", text, Path::new("agents"), &[]);
        let script = script.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        script
            .check_with(agents)
            .unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        script
    }

    /// The draft with its examples no longer commented out.
    fn with_examples(draft: &str) -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(example) if !example.starts_with(' ') => example.to_owned(),
            _ => line.to_owned(),
        };
        draft.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_draft_fits_its_agents_and_so_do_its_examples() {
        for name in [
            "assistant",
            "approval",
            "concierge",
            "escalation",
            "mcp",
            "goodbye",
        ] {
            let agents = AgentFile::load(format!("agents/{name}.toml")).unwrap().agents;
            let draft = draft(&agents, &format!("{name}.toml"));
            assert_eq!(script(&draft, &agents).turns.len(), 1);
            script(&with_examples(&draft), &agents);
        }
    }

    #[test]
    fn the_examples_are_about_the_agents_own_tools_and_handoffs() {
        let agents = AgentFile::load("agents/approval.toml").unwrap().agents;
        let examples = script(&with_examples(&draft(&agents, "approval.toml")), &agents);
        let approved = |turn: &&crate::script::Turn| matches!(&turn.act, Act::Approve { tool: Some(tool), .. } if tool == "refund");
        let turn = examples.turns.iter().find(approved).unwrap();
        assert_eq!(turn.expect[0].conditions.args, Some(json!({"euros": 1})));
        let agents = AgentFile::load("agents/concierge.toml").unwrap().agents;
        let examples = script(&with_examples(&draft(&agents, "concierge.toml")), &agents);
        let handoffs = examples.turns.iter().flat_map(|turn| &turn.expect);
        let handoffs = handoffs.filter(|expected| expected.event == EventKind::Handoff);
        let handoffs: Vec<_> = handoffs
            .filter_map(|expected| expected.conditions.agent.as_deref())
            .collect();
        assert_eq!(handoffs, ["Billing", "Refunds", "Refunds"]);
    }

    #[test]
    fn names_of_any_kind_are_written_as_toml() {
        let odd = "A \"quoted\"\n\\name\u{7f}é";
        let agents = Agents::new(Agent::new(odd).handoff(odd));
        let text = draft(&agents, "assistant.toml");
        assert_eq!(script(&text, &agents).spans[0].name.as_deref(), Some(odd));
        script(&with_examples(&text), &agents);
    }
}
