use std::fmt;
use std::sync::Arc;

use super::SessionSettings;
use crate::context::Template;
use crate::protocol::{FunctionDefinition, SessionConfig};
use crate::tool::{self, Debounce, Guardrail, Tool, ToolSpec};

/// An agent as one activation of it sees the world: which tools and handoffs it really has. What the server is
/// sent, which calls are served and what the agent's span says are all made from this one value (span rules
/// M1 to M3).
#[derive(Clone)]
pub struct ResolvedAgent {
    /// The agent's name.
    pub name: String,
    /// What the model is told to be and do.
    pub instructions: String,
    /// What the model can call.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Whom the model can hand over to.
    pub handoffs: Vec<ResolvedHandoff>,
    /// What watches over what it says.
    pub output_guardrails: Vec<Arc<dyn Guardrail>>,
    /// When they look at an answer that goes on.
    pub guardrail_debounce: Debounce,
    /// The session's settings, with this agent's voice.
    pub settings: SessionSettings,
    /// What the model is told of failures, unless the tool knows better: a template with `tool` and `error`.
    pub tool_error_message: Option<Template>,
    /// What the model is told of calls that were not approved, unless the tool knows better: a template with `tool`.
    pub tool_refusal_message: Option<Template>,
    /// What it has to do without, in words for the application.
    pub warnings: Vec<String>,
}

/// A handoff that the model can really make.
#[derive(Clone)]
pub struct ResolvedHandoff {
    /// The agent that takes over.
    pub agent: String,
    /// The tool the model calls for it.
    pub tool_name: String,
    /// What the model is told about it.
    pub description: String,
    /// What takes the input that the model gives, before the other agent takes over.
    pub on_handoff: Option<Arc<dyn Tool>>,
}

/// What a name the model calls stands for.
#[derive(Clone, Copy)]
pub enum Callable<'a> {
    /// A tool to run.
    Tool(&'a Arc<dyn Tool>),
    /// A change of agent.
    Handoff(&'a ResolvedHandoff),
}

impl ResolvedAgent {
    /// The settings to send for this agent: all of them, and always its list of functions, so that nothing of
    /// the agent before stays (protocol.md section 4.1).
    pub fn session_config(&self) -> SessionConfig {
        let tools = self.tools.iter().map(|tool| definition(tool.spec()));
        let handoffs = self.handoffs.iter().map(ResolvedHandoff::definition);
        SessionConfig {
            model: None,
            instructions: self.own_instructions(),
            tools: Some(tools.chain(handoffs).collect()),
            ..self.settings.config.clone()
        }
    }

    /// The instructions, unless they are left to a stored prompt.
    fn own_instructions(&self) -> Option<String> {
        let has_prompt = matches!(self.settings.config.prompt, Some(Some(_)));
        let are_left = self.instructions.is_empty() && has_prompt;
        (!are_left).then(|| self.instructions.clone())
    }

    /// The tools by the names the model sees, without handoffs (span rule M3).
    pub fn tool_names(&self) -> Vec<String> {
        self.tools.iter().map(|tool| tool.spec().name.clone()).collect()
    }

    /// The handoffs by the names of their agents (span rule M3).
    pub fn handoff_names(&self) -> Vec<String> {
        self.handoffs
            .iter()
            .map(|handoff| handoff.agent.clone())
            .collect()
    }

    /// What the model means when it calls `name`.
    pub fn find(&self, name: &str) -> Option<Callable<'_>> {
        let tool = self
            .tools
            .iter()
            .find(|tool| tool.spec().name == name)
            .map(Callable::Tool);
        tool.or_else(|| {
            self.handoffs
                .iter()
                .find(|handoff| handoff.tool_name == name)
                .map(Callable::Handoff)
        })
    }
}

impl ResolvedAgent {
    /// What the model is told when one of its tools has failed.
    pub fn tell_failure(&self, tool: &str, error: &str) -> String {
        let own = match self.find(tool) {
            Some(Callable::Tool(tool)) => tool.tell_failure(error),
            _ => None,
        };
        own.or_else(|| self.tell(tool, error))
            .unwrap_or_else(|| format!("The tool {tool} failed: {error}"))
    }

    /// What the model is told when a call of one of its tools was not approved (protocol.md section 6.5, rule 6).
    pub fn tell_refusal(&self, tool: &str) -> String {
        let own = match self.find(tool) {
            Some(Callable::Tool(tool)) => tool.tell_refusal(),
            _ => None,
        };
        let shared = || tool::tell_refusal(self.tool_refusal_message.as_ref()?, tool);
        own.or_else(shared)
            .unwrap_or_else(|| "Tool execution was not approved.".to_owned())
    }

    /// What the model is told when it calls what it does not have (protocol.md section 6.5, rule 5).
    pub fn tell_unknown(&self, tool: &str) -> String {
        self.tell(tool, "there is no such tool")
            .unwrap_or_else(|| format!("Tool {tool} not found"))
    }

    fn tell(&self, tool: &str, error: &str) -> Option<String> {
        tool::tell_failure(self.tool_error_message.as_ref()?, tool, error)
    }
}

impl fmt::Debug for ResolvedHandoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedHandoff")
            .field("agent", &self.agent)
            .field("tool_name", &self.tool_name)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ResolvedAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedAgent")
            .field("name", &self.name)
            .field("instructions", &self.instructions)
            .field("tools", &self.tool_names())
            .field("handoffs", &self.handoffs)
            .field("settings", &self.settings)
            .field("warnings", &self.warnings)
            .finish()
    }
}

impl ResolvedHandoff {
    fn definition(&self) -> FunctionDefinition {
        FunctionDefinition {
            name: self.tool_name.clone(),
            description: self.description.clone(),
            parameters: match &self.on_handoff {
                Some(tool) => tool.spec().parameters.clone(),
                None => ToolSpec::no_parameters(),
            },
        }
    }
}

fn definition(spec: &ToolSpec) -> FunctionDefinition {
    FunctionDefinition {
        name: spec.name.clone(),
        description: spec.description.clone(),
        parameters: spec.parameters.clone(),
    }
}
