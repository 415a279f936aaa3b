//! What a script says of agents by name: whether they have it, told before anything connects.

use std::ops::Range;
use std::sync::Arc;

use super::Script;
use crate::agent::Agents;
use crate::file::{Diagnostic, Diagnostics, OtherFile, nearest, quoted};
use crate::tool::McpServer;

/// The agents, tools and guardrails that a script speaks of, and where.
#[derive(Debug, Clone, Default)]
pub struct Mentions {
    /// The script's file, as people know it, and what it holds.
    pub(super) source_name: String,
    pub(super) text: String,
    pub(super) list: Vec<Mention>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    pub what: Mentioned,
    pub name: String,
    /// Whether the name may be shown.
    pub is_shown: bool,
    pub span: Range<usize>,
    /// The file that it stands in, unless that is the script's own.
    pub file: Option<Arc<OtherFile>>,
}

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mentioned {
    Agent,
    Tool,
    Guardrail,
}

impl Script {
    /// Whether these agents have what the script speaks of by name: agents, tools, guardrails. A tool that an MCP server
    /// could bring passes, as servers are not asked here.
    ///
    /// # Errors
    /// All names that are of nothing.
    pub fn check_with(&self, agents: &Agents) -> Result<(), Diagnostics> {
        let mentions = &self.mentions;
        let known = Known::of(agents);
        let unknown = mentions.list.iter().filter(|mention| !known.has(mention));
        let mistakes: Vec<Diagnostic> = unknown.map(|mention| known.mistake(mention)).collect();
        match mistakes.is_empty() {
            true => Ok(()),
            false => Err(Diagnostics::new(&mentions.source_name, &mentions.text, mistakes)),
        }
    }
}

/// What there is.
struct Known<'a> {
    agents: Vec<&'a str>,
    tools: Vec<&'a str>,
    guardrails: Vec<String>,
    servers: Vec<&'a McpServer>,
    /// The functions by which models hand over.
    handoffs: Vec<String>,
}

impl<'a> Known<'a> {
    fn of(agents: &'a Agents) -> Self {
        let each = || agents.names().filter_map(|name| agents.get(name));
        let servers: Vec<&McpServer> = each()
            .flat_map(|agent| &agent.mcp_servers)
            .map(|server| &**server)
            .collect();
        let over_words = each().flat_map(|agent| &agent.output_guardrails);
        let over_words = over_words.chain(&agents.output_guardrails).cloned();
        let over_tools = agents.tools().map(|tool| tool.guardrails());
        let over_tools = over_tools.chain(servers.iter().map(|server| server.guardrails.clone()));
        let over_tools = over_tools.flat_map(|both| both.input.into_iter().chain(both.output));
        Self {
            agents: agents.names().collect(),
            tools: distinct(agents.tools().map(|tool| tool.spec().name.as_str())),
            guardrails: distinct(
                over_words
                    .chain(over_tools)
                    .map(|guardrail| guardrail.name().to_owned()),
            ),
            handoffs: distinct(
                each()
                    .flat_map(|agent| &agent.handoffs)
                    .map(|handoff| handoff.called()),
            ),
            servers,
        }
    }

    fn has(&self, mention: &Mention) -> bool {
        let name = mention.name.as_str();
        match mention.what {
            Mentioned::Agent => self.agents.contains(&name),
            Mentioned::Tool => {
                self.tools.contains(&name) || self.servers.iter().any(|server| server.could_bring(name))
            }
            Mentioned::Guardrail => self.guardrails.iter().any(|known| known == name),
        }
    }

    fn mistake(&self, mention: &Mention) -> Diagnostic {
        let (what, known): (_, Vec<&str>) = match mention.what {
            Mentioned::Agent => ("agent", self.agents.clone()),
            Mentioned::Tool => ("tool", self.tools.clone()),
            Mentioned::Guardrail => ("guardrail", self.guardrails.iter().map(String::as_str).collect()),
        };
        let place = |message| Diagnostic::at(mention.span.clone(), message).in_file(mention.file.clone());
        if !mention.is_shown {
            return place(format!("there is no {what} of this name"));
        }
        let name = &mention.name;
        let is_handoff = mention.what == Mentioned::Tool && self.handoffs.contains(name);
        let help = match nearest(name, known.iter().copied()) {
            _ if is_handoff => {
                "it hands over to another agent: expect `event = \"handoff\"`, with the `agent`".to_owned()
            }
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("these agents have no {what}s"),
            None => format!("the {what}s are {}", quoted(&known)),
        };
        place(format!("there is no {what} `{name}`")).help(help)
    }
}

/// Each once.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::agent::Agent;
    use crate::tool::McpCommand;

    /// Whether a script may speak of this tool, of agents with such an MCP server.
    fn passes(tool: &str, change: impl FnOnce(&mut McpServer)) -> bool {
        let mut server = McpServer::new("docs", McpCommand::new("false", [""; 0]));
        change(&mut server);
        let agents = Agents::new(Agent::new("A").mcp_server(server));
        let text = format!("[tools.{tool}]\noutput = 1\n[[turns]]\nuser = 'Hello'");
        let script = Script::parse("test.toml", &text, Path::new("."), &[]).unwrap();
        script.check_with(&agents).is_ok()
    }

    #[test]
    fn a_tool_that_a_server_could_bring_passes() {
        assert!(passes("search", |_| {}));
        assert!(!passes("search", |server| server.enabled = false));
        assert!(!passes("search", |server| server.disabled_tools = vec!["search".into()]));
        assert!(!passes("search", |server| server.enabled_tools =
            Some(vec!["read".into()])));
        let read_only = |server: &mut McpServer| {
            server.enabled_tools = Some(vec!["read".into()]);
            server.prefix_on_clash = true;
        };
        assert!(passes("docs__read", read_only) && !passes("docs__search", read_only));
        assert!(!passes("docs__read", |server| server.enabled_tools =
            Some(vec!["read".into()])));
    }
}
