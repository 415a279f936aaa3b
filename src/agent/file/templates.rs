//! Templates and conditions: whether they can be read, and whether they speak only of what is defined. Those that
//! depend on nothing but the context are tried out with the values of the file.

use std::collections::{BTreeSet, HashMap};

use crate::context::{Condition, Template, TemplateError, Variables};
use crate::file::{Content, Diagnostic, Node, Passage, Text, nearest, quoted};

/// Names that templates give a meaning of their own.
const TAKEN: [(&str, &str); 2] = [
    ("args", "the arguments of a call"),
    ("context", "the context as a whole"),
];

/// All that is wrong with the templates of the file `root`, which was written as `source`; `texts` holds what was read
/// from other files.
pub(super) fn check(root: &Node, source: &str, texts: &HashMap<String, String>) -> Vec<Diagnostic> {
    let context = root.get("context");
    let usable = context.is_none_or(is_usable);
    let mut checks = Checks {
        source,
        keys: context
            .into_iter()
            .flat_map(Node::entries)
            .map(|(key, _)| key)
            .collect(),
        variables: usable
            .then(|| Variables::of(&context.map_or_else(|| serde_json::json!({}), Node::to_json))),
        mistakes: Vec::new(),
    };
    checks.context(context);
    checks.messages(root);
    for (_, agent) in root.get("agents").into_iter().flat_map(Node::entries) {
        checks.agent(agent, texts);
    }
    for (_, tool) in root.get("tools").into_iter().flat_map(Node::entries) {
        checks.tool(tool);
    }
    for (_, server) in root.get("mcp_servers").into_iter().flat_map(Node::entries) {
        checks.conditions(server);
    }
    for (_, guardrail) in root.get("guardrails").into_iter().flat_map(Node::entries) {
        checks.url(guardrail, &[]);
    }
    checks.mistakes
}

/// Whether nothing in it was reported while it was read.
fn is_usable(node: &Node) -> bool {
    !node.is_unusable()
        && node.items().iter().all(is_usable)
        && node.entries().all(|(_, node)| is_usable(node))
}

struct Checks<'a> {
    source: &'a str,
    /// The names that the context defines.
    keys: Vec<&'a str>,
    /// The values of the file; none if they can't be told.
    variables: Option<Variables>,
    mistakes: Vec<Diagnostic>,
}

impl<'a> Checks<'a> {
    fn context(&mut self, context: Option<&Node>) {
        for (name, meaning) in TAKEN {
            if let Some(node) = context.and_then(|context| context.get(name)) {
                let message = format!("`{name}` means {meaning} to templates");
                self.mistakes.push(
                    Diagnostic::at(node.key_span.clone(), message).help("give this value another name"),
                );
            }
        }
    }

    fn agent(&mut self, agent: &Node, texts: &HashMap<String, String>) {
        if let Some((node, text)) = string(agent, "instructions") {
            self.template(&Passage::of(self.source, node, text), &[]);
        } else if let Some((_, path)) = string(agent, "instructions_file")
            && let Some(text) = texts.get(&path.value)
        {
            self.template(&Passage::of_file(&path.written, text), &[]);
        }
        for handoff in agent.get("handoffs").into_iter().flat_map(Node::items) {
            self.condition(handoff, "when", &[]);
        }
    }

    fn tool(&mut self, tool: &Node) {
        self.conditions(tool);
        self.messages(tool);
        if let Some(output) = tool.get("output") {
            self.output(output);
        }
        self.url(tool, &["args"]);
    }

    fn url(&mut self, table: &Node, added: &[&str]) {
        if let Some((node, text)) = table.get("http").and_then(|http| string(http, "url")) {
            self.template(&Passage::of(self.source, node, text), added);
        }
    }

    fn output(&mut self, output: &Node) {
        if let Content::Text(text) = &output.content {
            self.template(&Passage::of(self.source, output, text), &["args"]);
        }
        for part in output
            .items()
            .iter()
            .chain(output.entries().map(|(_, part)| part))
        {
            self.output(part);
        }
    }

    /// What the model is told of failures and refusals, which know nothing but those.
    fn messages(&mut self, table: &Node) {
        self.message(table, "tool_error_message", &["tool", "error"]);
        self.message(table, "tool_refusal_message", &["tool"]);
    }

    fn message(&mut self, table: &Node, key: &str, known: &[&str]) {
        if let Some((node, text)) = string(table, key) {
            let place = Passage::of(self.source, node, text);
            match Template::new(place.text) {
                Ok(template) => drop(self.names(&place, template.names(), known)),
                Err(error) => self.unreadable(&place, "template", &error),
            }
        }
    }

    /// A template that speaks of the context, and of what is `added`. With nothing added it can be tried out.
    fn template(&mut self, place: &Passage<'_>, added: &[&str]) {
        match Template::new(place.text) {
            Err(error) => self.unreadable(place, "template", &error),
            Ok(template) => {
                let known = [self.keys.as_slice(), added, &["context"]].concat();
                let is_known = self.names(place, template.names(), &known);
                if let (true, [], Some(variables)) = (is_known, added, &self.variables) {
                    let tried = template.render(variables).map(drop);
                    self.failed(place, tried);
                }
            }
        }
    }

    /// Those of what can be called: when it is there, and when a call of it has to be approved.
    fn conditions(&mut self, table: &Node) {
        self.condition(table, "when", &[]);
        self.condition(table, "needs_approval", &["args"]);
    }

    /// A condition on the context, and on what is `added`. With nothing added it can be tried out.
    fn condition(&mut self, table: &Node, key: &str, added: &[&str]) {
        let Some((node, text)) = string(table, key) else {
            return;
        };
        let place = Passage::of(self.source, node, text);
        match Condition::new(place.text) {
            Err(error) => self.unreadable(&place, "condition", &error),
            Ok(condition) => {
                let known = [self.keys.as_slice(), added, &["context"]].concat();
                let is_known = self.names(&place, condition.names(), &known);
                if let (true, [], Some(variables)) = (is_known, added, &self.variables) {
                    let tried = condition.holds(variables).map(drop);
                    self.failed(&place, tried);
                }
            }
        }
    }

    fn unreadable(&mut self, place: &Passage<'_>, what: &str, error: &TemplateError) {
        let message = match place.is_shown {
            true => format!("this {what} can't be read: {error}"),
            false => format!("this {what} can't be read"),
        };
        let mistake = place.mistake(error.range.clone(), message);
        self.mistakes.push(match what {
            "condition" => mistake.help("write an expression without braces, such as `user.tier == 'gold'`"),
            _ => mistake,
        });
    }

    /// Whether all `names` are known.
    fn names(&mut self, place: &Passage<'_>, names: BTreeSet<String>, known: &[&str]) -> bool {
        let unknown: Vec<String> = names
            .into_iter()
            .filter(|name| !known.contains(&name.as_str()))
            .collect();
        for name in &unknown {
            let message = match place.is_shown {
                true => format!("`{name}` is not defined"),
                false => "it speaks of what is not defined".to_owned(),
            };
            let near = nearest(name, known.iter().copied()).filter(|_| place.is_shown);
            let help = match (near, known) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, _) if name == "args" => {
                    "only what a tool answers or requests, and its approval, depends on arguments".to_owned()
                }
                (None, known) if known.contains(&"context") => {
                    "give it a value under `[context]`, at least a default".to_owned()
                }
                (None, known) => format!("what is known here: {}", quoted(known)),
            };
            self.mistakes
                .push(place.mistake(place.find(name), message).help(help));
        }
        unknown.is_empty()
    }

    /// What came of trying it out.
    fn failed(&mut self, place: &Passage<'_>, tried: Result<(), TemplateError>) {
        let Err(error) = tried else { return };
        let message = match place.is_shown {
            true => format!("with the values under `[context]` this can't be worked out: {error}"),
            false => "with the values under `[context]` this can't be worked out".to_owned(),
        };
        self.mistakes.push(place.mistake(error.range, message));
    }
}

fn string<'a>(table: &'a Node, key: &str) -> Option<(&'a Node, &'a Text)> {
    let node = table.get(key)?;
    Some((node, node.text()?))
}
