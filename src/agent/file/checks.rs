//! The sense of an agent file: whether what it names exists and what it says can be done. All checks pass over
//! what is of the wrong shape; that is told elsewhere.

use std::collections::HashMap;
use std::path::Path;

use super::{mcp, parameters, tools};
use crate::agent::names;
use crate::file::{Content, Diagnostic, Node, misspelt, nearest, quoted, read_text};
use crate::protocol::transfer_tool;
use crate::tool::EndSessionTool;
use crate::trace::Redaction;

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
    checks.guardrails(root, "output_guardrails");
    for (name, agent) in section(root, "agents") {
        checks.agent(name, agent);
    }
    checks.voices();
    checks.redaction();
    for (name, tool) in section(root, "tools") {
        checks.findings.mistakes.extend(tools::check(name, tool));
        checks.guardrails(tool, "input_guardrails");
        checks.guardrails(tool, "output_guardrails");
    }
    for (name, server) in section(root, "mcp_servers") {
        checks.findings.mistakes.extend(mcp::check(name, server));
        checks.guardrails(server, "input_guardrails");
        checks.guardrails(server, "output_guardrails");
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

    fn start(&mut self) {
        let mut agents = section(self.root, "agents");
        match (self.root.get("start"), agents.next(), agents.next()) {
            (Some(start), _, _) => {
                if let Some(start) = Reference::new(start) {
                    self.require(&start, "agent");
                }
            }
            (None, Some((name, first)), Some(_)) => self.report(
                Diagnostic::at(first.key_span.clone(), "nothing says which of the agents starts")
                    .label("the first of several agents")
                    .help(format!(
                        "put `start = {}` at the top of the file",
                        toml::Value::from(name)
                    )),
            ),
            _ => {}
        }
    }

    /// Whether there is the agent, the tool, the MCP server or the guardrail that is referred to; if not, that is a mistake.
    fn require(&mut self, reference: &Reference<'_>, what: &str) -> bool {
        let words = what.replace("mcp_", "MCP ");
        let section = self.root.get(&format!("{what}s"));
        if what == "tool" && reference.name == EndSessionTool::NAME {
            return true; // it needs no definition
        }
        if section.is_some_and(|section| section.get(reference.name).is_some()) {
            return true;
        }
        let known: Vec<&str> = section
            .into_iter()
            .flat_map(Node::entries)
            .map(|(name, _)| name)
            .collect();
        let help = match nearest(reference.written, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("this file defines none; write one under `[{what}s.NAME]`"),
            None => format!("{words}s of this file: {}", quoted(&known)),
        };
        let message = format!("there is no {words} `{}`", reference.written);
        self.report(Diagnostic::at(reference.node.span.clone(), message).help(help));
        false
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
        let tools = agent.get("tools").into_iter().flat_map(Node::items);
        for tool in tools.filter_map(Reference::new) {
            if self.require(&tool, "tool") {
                self.findings
                    .mistakes
                    .extend(visible.add(tool.name, &tool, "tool"));
            }
        }
        self.mcp_servers(agent);
        self.guardrails(agent, "output_guardrails");
        for handoff in agent.get("handoffs").into_iter().flat_map(Node::items) {
            self.handoff(handoff, &mut visible);
        }
    }

    fn mcp_servers(&mut self, agent: &'a Node) {
        let mut seen = Visible::default();
        let servers = agent.get("mcp_servers").into_iter().flat_map(Node::items);
        for server in servers.filter_map(Reference::new) {
            if self.require(&server, "mcp_server") {
                let twice = seen.add(server.name, &server, "MCP server");
                self.findings.mistakes.extend(twice);
            }
        }
    }

    fn guardrails(&mut self, table: &'a Node, key: &str) {
        let mut seen = Visible::default();
        let guardrails = table.get(key).into_iter().flat_map(Node::items);
        for guardrail in guardrails.filter_map(Reference::new) {
            if self.require(&guardrail, "guardrail") {
                let twice = seen.add(guardrail.name, &guardrail, "guardrail");
                self.findings.mistakes.extend(twice);
            }
        }
    }

    fn handoff(&mut self, handoff: &'a Node, visible: &mut Visible<'a>) {
        self.handoff_input(handoff);
        let Some(target) = Reference::new(handoff.get("agent").unwrap_or(handoff)) else {
            return;
        };
        if !self.require(&target, "agent") {
            return;
        }
        let own = handoff.get("tool_name").and_then(Reference::new);
        let tool = own
            .as_ref()
            .map_or_else(|| transfer_tool(target.name), |own| own.name.to_owned());
        if names::is_function_name(&tool) {
            self.findings
                .mistakes
                .extend(visible.add(&tool, &target, "handoff"));
            return;
        }
        self.report(match own {
            Some(own) => Diagnostic::at(
                own.node.span.clone(),
                format!("`{}` can't be the name of a function", own.written),
            )
            .help("names are 1 to 64 letters, digits, `_` or `-`"),
            None => Diagnostic::at(
                target.node.span.clone(),
                format!("the handoff to this agent would be a function with a name of {} characters", tool.len()),
            )
            .help("a function's name has at most 64 characters; give the agent a shorter name, or the handoff a `tool_name`"),
        });
    }

    /// What a handoff takes from the model, and who takes it.
    fn handoff_input(&mut self, handoff: &Node) {
        let schema = handoff.get("input_schema");
        match handoff.get("on_handoff").and_then(Reference::new) {
            Some(tool) => {
                if self.require(&tool, "tool") {
                    self.at_once(&tool);
                }
            }
            None => {
                if let Some(schema) = schema.filter(|_| handoff.get("on_handoff").is_none()) {
                    self.report(
                        Diagnostic::at(schema.key_span.clone(), "nothing takes the input of this handoff")
                            .help("name the tool that does: `on_handoff = \"…\"`"),
                    );
                }
            }
        }
        self.findings
            .mistakes
            .extend(schema.into_iter().flat_map(parameters::check));
    }

    /// A handoff happens at once, or not at all.
    fn at_once(&mut self, tool: &Reference<'_>) {
        let section = self.root.get("tools").and_then(|tools| tools.get(tool.name));
        let get = |key| section.and_then(|section| section.get(key));
        let here = |message| Diagnostic::at(tool.node.span.clone(), message);
        if get("needs_approval").is_some_and(|approval| approval.to_json() != false) {
            let message = format!("`{}` needs approval, and no handoff waits for that", tool.written);
            self.report(here(message).help("name a tool without `needs_approval`"));
        }
        let guardrails = ["input_guardrails", "output_guardrails"].map(get);
        if guardrails
            .into_iter()
            .flatten()
            .any(|list| !list.items().is_empty())
        {
            let message = format!(
                "`{}` has guardrails, and no handoff waits for those",
                tool.written
            );
            self.report(here(message).help("name a tool without `input_guardrails` and `output_guardrails`"));
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
            (None, None)
                if matches!(agent.content, Content::Table(_))
                    && agent.get("prompt").is_none()
                    && !misspelt(agent, "instructions") =>
            {
                self.report(
                    Diagnostic::at(
                        agent.key_span.clone(),
                        format!("agent `{name}` has no instructions"),
                    )
                    .help("add `instructions = \"…\"`, or `instructions_file` with the path of a text file"),
                )
            }
            (None, Some(file)) => self.instructions_file(file),
            _ => {}
        }
    }

    fn instructions_file(&mut self, file: &Node) {
        let Some(path) = file.text() else { return };
        match read_text(&self.directory.join(&path.value)) {
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
    fn redaction(&mut self) {
        let patterns = self.root.at("/tracing/redact").map_or(&[][..], Node::items);
        for node in patterns {
            let Some(text) = node.text() else { continue };
            if let Err(why) = text.value.parse::<Redaction>() {
                let mistake = Diagnostic::at(node.span.clone(), format!("this can't be looked for: {why}"));
                self.report(mistake.help(
                    "patterns are regular expressions as the crate `regex` reads them, best between single quotes",
                ));
            }
        }
    }

    fn voices(&mut self) {
        let own = |agent: &'a Node| agent.get("voice");
        let shared = ["/session/audio/output/voice", "/session/voice"]
            .into_iter()
            .find_map(|at| self.root.at(at));
        let agents: Vec<_> = section(self.root, "agents").collect();
        // What the voices are measured by: the session's, or that of an agent without one, or of the first.
        let silent = agents.iter().find(|(_, agent)| own(agent).is_none());
        let (expected, whose) = match (shared, silent, agents.first()) {
            (Some(shared), _, _) => (Some(shared.to_json()), "that of the session".to_owned()),
            (None, Some((name, _)), _) => (None, format!("that of `{name}`, which is left to the server")),
            (None, None, Some((name, first))) => (own(first).map(Node::to_json), format!("that of `{name}`")),
            (None, None, None) => return,
        };
        for (name, agent) in agents {
            if let Some(voice) = own(agent).filter(|voice| Some(voice.to_json()) != expected) {
                self.report(
                    Diagnostic::at(voice.span.clone(), format!("the voice of `{name}` differs from {whose}"))
                        .help("a session can't change its voice once it has spoken: set one `voice` under `[session]`"),
                );
            }
        }
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
        let (other, written) = self.seen.insert(name.to_owned(), (what, reference.written))?;
        let here = |message: String| Diagnostic::at(reference.node.span.clone(), message);
        if other == what && written == reference.written {
            return Some(here(format!("the {what} `{written}` is listed twice")).help("remove one of them"));
        }
        let both = format!("this {what}, and the {other} `{written}`");
        Some(
            here(format!(
                "the model would see two functions named `{name}`: {both}"
            ))
            .help("rename one of them"),
        )
    }
}
