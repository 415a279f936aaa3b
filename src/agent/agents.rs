use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{Agent, Handoff, SessionSettings};
use crate::context::Template;
use crate::tool::{self, Debounce, Guardrail, ReplaceTool, Tool};

/// The agents of a session, the one that starts, and what they share.
///
/// ```
/// use realtime_run::agent::{Agent, Agents};
///
/// let agents = Agents::new(Agent::new("Triage").handoff("Billing"))
///     .with(Agent::new("Billing").handoff("Triage"));
/// assert_eq!(agents.start(), "Triage");
/// ```
#[derive(Clone)]
pub struct Agents {
    /// What all agents share.
    pub settings: SessionSettings,
    /// What tools, templates and conditions are told about the run; an object.
    pub context: Value,
    /// What models are told of a tool's failure, unless the tool has words of its own: a template with `tool` and
    /// `error`.
    pub tool_error_message: Option<Template>,
    /// What models are told of a call that was not approved, unless the tool has words of its own: a template with
    /// `tool`.
    pub tool_refusal_message: Option<Template>,
    /// What watches over what every agent says.
    pub output_guardrails: Vec<Arc<dyn Guardrail>>,
    /// When guardrails look at an answer that goes on.
    pub guardrail_debounce: Debounce,
    start: String,
    /// By name, in the order they were added.
    agents: IndexMap<String, Arc<Agent>>,
    /// Tools that an agent may be given for a run, beside those that agents have.
    spare_tools: Vec<Arc<dyn Tool>>,
    overrides: Overrides,
    replace_tool: Option<Arc<ReplaceTool>>,
}

/// What takes the place of the starting agent's own lists when a session is entered.
#[derive(Clone, Default)]
struct Overrides {
    tools: Option<Vec<Arc<dyn Tool>>>,
    handoffs: Option<Vec<Handoff>>,
}

impl Agents {
    /// A session of which `agent` is the first in charge.
    pub fn new(agent: Agent) -> Self {
        let agents = Self {
            settings: SessionSettings::default(),
            context: Value::Object(Map::new()),
            tool_error_message: None,
            tool_refusal_message: None,
            output_guardrails: Vec::new(),
            guardrail_debounce: Debounce::default(),
            spare_tools: Vec::new(),
            overrides: Overrides::default(),
            replace_tool: None,
            start: agent.name.clone(),
            agents: IndexMap::new(),
        };
        agents.with(agent)
    }

    /// Adds an agent that others can hand over to. One of the same name is replaced.
    #[must_use]
    pub fn with(mut self, agent: Agent) -> Self {
        self.agents.insert(agent.name.clone(), Arc::new(agent));
        self
    }

    /// Sets what all agents share.
    #[must_use]
    pub fn settings(mut self, settings: SessionSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds what watches over what every agent says.
    #[must_use]
    pub fn output_guardrail(mut self, guardrail: impl Guardrail) -> Self {
        self.output_guardrails.push(Arc::new(guardrail));
        self
    }

    /// The name of the agent that starts.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// Makes another agent the one that starts.
    ///
    /// # Errors
    /// [`UnknownAgent`] if there is none of that name.
    pub fn set_start(&mut self, name: &str) -> Result<(), UnknownAgent> {
        self.start = self.require(name)?.name.clone();
        Ok(())
    }

    /// Adds a tool that [`Agents::override_tools`] can name though no agent has it.
    #[must_use]
    pub fn with_spare_tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.spare_tools.push(tool);
        self
    }

    /// Gives the starting agent these tools instead of its own, and of those of its MCP servers, when a session is
    /// entered, as far as they are enabled; none for an empty list. When it takes charge again later, it has its own.
    ///
    /// # Errors
    /// [`UnknownTool`] if there is none of one of the names.
    pub fn override_tools<N: AsRef<str>>(&mut self, names: &[N]) -> Result<(), UnknownTool> {
        let tools = names.iter().map(|name| self.require_tool(name.as_ref()));
        self.overrides.tools = Some(tools.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Gives the starting agent handoffs to these agents instead of its own when a session is entered, as far as they
    /// are enabled; none for an empty list. What it says of a handoff itself goes on to hold. When it takes charge again
    /// later, it has its own.
    ///
    /// # Errors
    /// [`UnknownAgent`] if there is none of one of the names.
    pub fn override_handoffs<N: AsRef<str>>(&mut self, agents: &[N]) -> Result<(), UnknownAgent> {
        let own = &self.require(&self.start)?.handoffs;
        let handoff = |name: &N| {
            let target = &self.require(name.as_ref())?.name;
            let known = own.iter().find(|handoff| handoff.agent == *target);
            Ok(known.cloned().unwrap_or_else(|| Handoff::to(target)))
        };
        self.overrides.handoffs = Some(agents.iter().map(handoff).collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Has `replace` make what stands in for each tool that an agent gets when it takes charge, those of MCP servers and
    /// those that run before handoffs too. It is given the tool itself; what is around that stays as it is: the
    /// validation of its arguments, its approval, its guardrails, its updates of the context. Called again, it replaces
    /// what was made before.
    pub fn replace_tools(
        &mut self,
        replace: impl Fn(Arc<dyn Tool>) -> Arc<dyn Tool> + Send + Sync + 'static,
    ) {
        let before = self.replace_tool.take();
        self.replace_tool = Some(match before {
            None => Arc::new(replace),
            Some(before) => Arc::new(move |tool| replace(before(tool))),
        });
    }

    /// What an agent gets in place of a tool.
    pub(super) fn replaced(&self, tool: Arc<dyn Tool>) -> Arc<dyn Tool> {
        match &self.replace_tool {
            Some(replace) => tool::replaced(&tool, &**replace),
            None => tool,
        }
    }

    /// The tools that a run may have beside those of MCP servers: those of all agents, those that run before handoffs, and
    /// those that the starting agent has instead of its own.
    pub(crate) fn tools(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        let agents = || self.agents.values();
        let own = agents().flat_map(|agent| &agent.tools);
        let handoffs = agents().flat_map(|agent| &agent.handoffs);
        let before_handoffs = handoffs.filter_map(|handoff| handoff.on_handoff.as_ref());
        own.chain(before_handoffs)
            .chain(self.overrides.tools.iter().flatten())
    }

    /// The agent of that name.
    pub fn get(&self, name: &str) -> Option<&Agent> {
        self.agents.get(name).map(Arc::as_ref)
    }

    /// The names of all agents, in the order they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.agents.keys().map(String::as_str)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values().map(Arc::as_ref)
    }

    /// The agent that starts, with what is overridden for the run.
    pub(super) fn starting(&self) -> Result<Agent, UnknownAgent> {
        let mut agent = self.require(&self.start)?.clone();
        if let Some(tools) = &self.overrides.tools {
            agent.tools.clone_from(tools);
            agent.mcp_servers.clear();
        }
        if let Some(handoffs) = &self.overrides.handoffs {
            agent.handoffs.clone_from(handoffs);
        }
        Ok(agent)
    }

    pub(super) fn require(&self, name: &str) -> Result<&Agent, UnknownAgent> {
        self.get(name).ok_or_else(|| UnknownAgent {
            name: name.to_owned(),
            known: self.names().map(str::to_owned).collect(),
        })
    }

    fn require_tool(&self, name: &str) -> Result<Arc<dyn Tool>, UnknownTool> {
        let of_agents = self.agents.values().flat_map(|agent| &agent.tools);
        let all = self.spare_tools.iter().chain(of_agents);
        match all.clone().find(|tool| tool.spec().name == name) {
            Some(tool) => Ok(Arc::clone(tool)),
            None => Err(UnknownTool::new(
                name,
                &mut all.map(|tool| tool.spec().name.as_str()),
            )),
        }
    }
}

/// There is no agent of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no agent `{name}`; the agents are {}", quoted(known))]
pub struct UnknownAgent {
    /// The name that was asked for.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

/// There is no tool of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool `{name}`; {}", if known.is_empty() { "there are none at all".to_owned() } else { format!("the tools are {}", quoted(known)) })]
pub struct UnknownTool {
    /// The name that was asked for.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

impl UnknownTool {
    fn new(name: &str, all: &mut dyn Iterator<Item = &str>) -> Self {
        let mut known: Vec<String> = Vec::new();
        for other in all {
            if !known.iter().any(|name| name == other) {
                known.push(other.to_owned());
            }
        }
        Self {
            name: name.to_owned(),
            known,
        }
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents")
            .field("start", &self.start)
            .field("agents", &self.agents)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn quoted(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
