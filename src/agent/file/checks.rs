//! The sense of an agent file: whether what it names exists and what it says can be done. All checks pass over
//! what is of the wrong shape; that is told elsewhere.

use std::collections::HashMap;
use std::path::Path;

use super::document::{Content, Node};
use super::{structure, text};
use crate::agent::diagnostics::Diagnostic;
use crate::agent::names::{self, nearest};

/// What the checks found.
#[derive(Default)]
pub(super) struct Findings {
    pub mistakes: Vec<Diagnostic>,
    /// The contents of the files that it refers to, by their paths as the file has them.
    pub texts: HashMap<String, String>,
}

/// Checks the file `root`, whose paths count from `directory`.
pub(super) fn check(root: &Node, directory: &Path) -> Findings {
    let mut checks = Checks {
        root,
        directory,
        findings: Findings::default(),
    };
    checks.start();
    for (name, agent) in section(root, "agents") {
        checks.agent(name, agent);
    }
    checks.voices();
    for (name, tool) in section(root, "tools") {
        checks.tool(name, tool);
    }
    checks.findings
}

/// The entries of a section, by name.
fn section<'a>(root: &'a Node, name: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
    root.get(name).into_iter().flat_map(Node::entries)
}

/// A name in the file that refers to another part of it.
struct Reference<'a> {
    /// As it was written, for messages.
    written: &'a str,
    /// As it counts.
    name: &'a str,
    node: &'a Node,
}

impl<'a> Reference<'a> {
    fn new(node: &'a Node) -> Option<Self> {
        let text = node.text()?;
        Some(Self {
            written: &text.written,
            name: &text.value,
            node,
        })
    }
}

struct Checks<'a> {
    root: &'a Node,
    directory: &'a Path,
    findings: Findings,
}

impl<'a> Checks<'a> {
    fn report(&mut self, mistake: Diagnostic) {
        self.findings.mistakes.push(mistake);
    }

    fn names(&self, section_name: &str) -> Vec<&'a str> {
        section(self.root, section_name).map(|(name, _)| name).collect()
    }

    fn start(&mut self) {
        let agents = self.names("agents");
        match self.root.get("start") {
            Some(node) => {
                if let Some(start) = Reference::new(node).filter(|start| !agents.contains(&start.name)) {
                    self.unknown(&start, "agent", &agents);
                }
            }
            None if agents.len() > 1 => {
                let first = section(self.root, "agents").next();
                let place = first.map_or(0..0, |(_, agent)| agent.key_span.clone());
                let help = format!("put `start = {:?}` at the top of the file", agents[0]);
                self.report(
                    Diagnostic::at(place, "nothing says which of the agents starts")
                        .label("the first of several agents")
                        .help(help),
                );
            }
            None => {}
        }
    }

    /// A reference to something that is not in the file.
    fn unknown(&mut self, reference: &Reference<'_>, what: &str, known: &[&str]) {
        let help = match nearest(reference.written, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("define it under `[{what}s.{}]`", reference.written),
            None => format!("the {what}s of this file are {}", quoted(known)),
        };
        let message = format!("there is no {what} `{}`", reference.written);
        self.report(Diagnostic::at(reference.node.span.clone(), message).help(help));
    }

    fn agent(&mut self, name: &str, agent: &'a Node) {
        if name.trim().is_empty() {
            self.report(Diagnostic::at(
                agent.key_span.clone(),
                "an agent's name can't be empty",
            ));
        }
        self.instructions(name, agent);
        let mut visible = Visible::default();
        let known = self.names("tools");
        for tool in agent
            .get("tools")
            .into_iter()
            .flat_map(Node::items)
            .filter_map(Reference::new)
        {
            if !known.contains(&tool.name) {
                self.unknown(&tool, "tool", &known);
            } else if let Some(mistake) = visible.add(tool.name, &tool, "tool") {
                self.report(mistake);
            }
        }
        for handoff in agent.get("handoffs").into_iter().flat_map(Node::items) {
            let target = handoff.get("agent").unwrap_or(handoff);
            if let Some(target) = Reference::new(target) {
                self.handoff(&target, &mut visible);
            }
        }
    }

    fn handoff(&mut self, target: &Reference<'a>, visible: &mut Visible<'a>) {
        let agents = self.names("agents");
        if !agents.contains(&target.name) {
            return self.unknown(target, "agent", &agents);
        }
        let tool = names::transfer_tool(target.name);
        if !names::is_function_name(&tool) {
            let message = format!(
                "the handoff to this agent would be a function with a name of {} characters",
                tool.len()
            );
            let mistake = Diagnostic::at(target.node.span.clone(), message)
                .help("a function's name has at most 64 characters; give the agent a shorter name");
            return self.report(mistake);
        }
        if let Some(mistake) = visible.add(&tool, target, "handoff") {
            self.report(mistake);
        }
    }

    fn instructions(&mut self, name: &str, agent: &Node) {
        match (agent.get("instructions"), agent.get("instructions_file")) {
            (Some(_), Some(file)) => self.report(
                Diagnostic::at(
                    file.key_span.clone(),
                    "both `instructions` and `instructions_file` are given",
                )
                .help("keep one of them"),
            ),
            (None, None) if matches!(agent.content, Content::Table(_)) => self.report(
                Diagnostic::at(
                    agent.key_span.clone(),
                    format!("agent `{name}` has no instructions"),
                )
                .help("add `instructions = \"…\"`, or `instructions_file` with the path of a text file"),
            ),
            (None, Some(file)) => self.instructions_file(file),
            _ => {}
        }
    }

    fn instructions_file(&mut self, file: &Node) {
        let Some(path) = file.text() else { return };
        match text::read(&self.directory.join(&path.value)) {
            Ok(instructions) => {
                self.findings.texts.insert(path.value.clone(), instructions);
            }
            Err(reason) => self.report(
                Diagnostic::at(
                    file.span.clone(),
                    format!("`{}` can't be read: {reason}", path.written),
                )
                .help("paths count from the directory that the agent file is in"),
            ),
        }
    }

    /// A voice can't change once the model has spoken, so all agents need the same (protocol.md section 4).
    fn voices(&mut self) {
        let shared = ["/session/audio/output/voice", "/session/voice"]
            .into_iter()
            .find_map(|at| self.root.at(at));
        let agents: Vec<_> = section(self.root, "agents").collect();
        let own = |agent: &'a Node| agent.get("voice");
        // The agent that the others are measured by: one that follows the session, or else the first.
        let base = agents
            .iter()
            .find(|(_, agent)| own(agent).is_none())
            .or(agents.first());
        let Some((base_name, base)) = base else { return };
        let expected = own(base).or(shared).map(Node::to_json);
        for (name, agent) in &agents {
            let Some(voice) = own(agent).filter(|voice| Some(voice.to_json()) != expected) else {
                continue;
            };
            let other = match (own(base), shared) {
                (Some(_), _) => format!("that of `{base_name}`"),
                (None, Some(_)) => "that of the session".to_owned(),
                (None, None) => format!("that of `{base_name}`, which is left to the server"),
            };
            self.report(
                Diagnostic::at(
                    voice.span.clone(),
                    format!("the voice of `{name}` differs from {other}"),
                )
                .help(
                    "a session can't change its voice once it has spoken: set one `voice` under `[session]`",
                ),
            );
        }
    }

    fn tool(&mut self, name: &str, tool: &Node) {
        if !names::is_function_name(name) {
            self.report(
                Diagnostic::at(
                    tool.key_span.clone(),
                    format!("`{name}` can't be the name of a tool"),
                )
                .help("names are 1 to 64 letters, digits, `_` or `-`"),
            );
        }
        self.tool_kind(name, tool);
        if let Some(parameters) = tool.get("parameters") {
            self.parameters(parameters);
        }
    }

    fn tool_kind(&mut self, name: &str, tool: &Node) {
        match (tool.get("command"), tool.get("output")) {
            (Some(_), Some(output)) => self.report(
                Diagnostic::at(output.key_span.clone(), "both `command` and `output` are given").help("keep one of them"),
            ),
            (None, None) if matches!(tool.content, Content::Table(_)) => self.report(
                Diagnostic::at(tool.key_span.clone(), format!("tool `{name}` does nothing"))
                    .help("add `command = [\"program\", \"argument\"]` to run a program, or `output = \"…\"` for a fixed answer"),
            ),
            (Some(command), None) => self.command(command),
            _ => {}
        }
        if let (Some(timeout), Some(_), None) =
            (tool.get("timeout_sec"), tool.get("output"), tool.get("command"))
        {
            self.report(
                Diagnostic::at(timeout.key_span.clone(), "a fixed answer takes no time")
                    .help("`timeout_sec` goes with `command`; leave it out"),
            );
        }
    }

    fn command(&mut self, command: &Node) {
        let program = command.items().first();
        if let Some(program) =
            program.filter(|program| program.text().is_some_and(|text| text.value.trim().is_empty()))
        {
            self.report(
                Diagnostic::at(program.span.clone(), "the program has no name")
                    .help("the first item is the program to run, the others are its arguments"),
            );
        }
    }

    fn parameters(&mut self, parameters: &Node) {
        if parameters.entries().next().is_none() && parameters.kind() != "a table" {
            return;
        }
        let mistakes = structure::check_json_schema(parameters);
        let broken = !mistakes.is_empty();
        self.findings.mistakes.extend(mistakes);
        let kind = parameters.get("type");
        if broken
            || kind
                .and_then(Node::text)
                .is_some_and(|kind| kind.value == "object")
        {
            return;
        }
        let place = kind.map_or(&parameters.key_span, |kind| &kind.span);
        self.report(
            Diagnostic::at(
                place.clone(),
                "the parameters of a tool must be a JSON schema of type `object`",
            )
            .help(
                "write `parameters = { type = \"object\", properties = { city = { type = \"string\" } } }`",
            ),
        );
    }
}

/// The names that the model of one agent sees, each with what it stands for.
#[derive(Default)]
struct Visible<'a> {
    seen: HashMap<String, (&'static str, &'a str)>,
}

impl<'a> Visible<'a> {
    /// Adds a name; a mistake if it is taken.
    fn add(&mut self, name: &str, reference: &Reference<'a>, what: &'static str) -> Option<Diagnostic> {
        let taken = self.seen.insert(name.to_owned(), (what, reference.written))?;
        let message = match taken {
            (other, written) if other == what && written == reference.written => {
                format!("the {what} `{written}` is listed twice")
            }
            (other, written) => format!(
                "the model would see two functions named `{name}`: this {what}, and the {other} `{written}`"
            ),
        };
        Some(Diagnostic::at(reference.node.span.clone(), message).help("remove or rename one of them"))
    }
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
