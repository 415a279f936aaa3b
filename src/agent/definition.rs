use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::context::{Condition, Template};
use crate::protocol::{Voice, transfer_tool};
use crate::tool::{Guardrail, ManagedTool, McpServer, Tool};

/// One agent: what it is told to be, what it can call, and whom it can hand over to.
///
/// ```
/// use realtime_run::agent::Agent;
///
/// let billing = Agent::new("Billing")
///     .instructions("Answer questions about invoices.")
///     .handoff_description("Knows all about invoices.")
///     .handoff("Triage");
/// ```
#[derive(Clone)]
pub struct Agent {
    /// Its name, unique among the agents of a session.
    pub name: String,
    /// What the model is told to be and do, filled in from the context each time it takes charge.
    pub instructions: Template,
    /// When to hand over to this agent, in words for the models of other agents.
    pub handoff_description: Option<String>,
    /// The agents it can hand over to.
    pub handoffs: Vec<Handoff>,
    /// What it can call.
    pub tools: Vec<Arc<dyn Tool>>,
    /// The MCP servers whose tools it can call too.
    pub mcp_servers: Vec<Arc<McpServer>>,
    /// What watches over what it says, beside what watches over all agents.
    pub output_guardrails: Vec<Arc<dyn Guardrail>>,
    /// Its voice, where it is not the session's. A server refuses to change the voice once the model has
    /// spoken, so agents that hand over to each other need the same.
    pub voice: Option<Voice>,
    /// A prompt stored with the provider, where it is not the session's: an object with `id`, and `version` and
    /// `variables` if it has them. With one, the agent may do without instructions.
    pub prompt: Option<Value>,
}

impl Agent {
    /// An agent without instructions, tools or handoffs.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            instructions: Template::default(),
            handoff_description: None,
            handoffs: Vec::new(),
            tools: Vec::new(),
            mcp_servers: Vec::new(),
            output_guardrails: Vec::new(),
            voice: None,
            prompt: None,
        }
    }

    /// Sets what the model is told to be and do, word for word.
    #[must_use]
    pub fn instructions(self, text: impl Into<String>) -> Self {
        self.instructions_template(Template::plain(text))
    }

    /// Sets what the model is told to be and do, to be filled in from the context each time the agent takes charge.
    #[must_use]
    pub fn instructions_template(mut self, template: Template) -> Self {
        self.instructions = template;
        self
    }

    /// Sets when other agents shall hand over to this one.
    #[must_use]
    pub fn handoff_description(mut self, text: impl Into<String>) -> Self {
        self.handoff_description = Some(text.into());
        self
    }

    /// Adds an agent it can hand over to: a name, or a [`Handoff`] with more to say.
    #[must_use]
    pub fn handoff(mut self, handoff: impl Into<Handoff>) -> Self {
        self.handoffs.push(handoff.into());
        self
    }

    /// Adds something it can call. Arguments are validated before it runs ([`ManagedTool`]).
    #[must_use]
    pub fn tool(self, tool: impl Tool) -> Self {
        self.shared_tool(Arc::new(tool))
    }

    /// Adds something that several agents can call. Arguments are validated before it runs ([`ManagedTool`]).
    #[must_use]
    pub fn shared_tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.push(Arc::new(ManagedTool::new(tool)));
        self
    }

    /// Adds an MCP server whose tools it can call, on its own or as one of several agents that share it.
    #[must_use]
    pub fn mcp_server(mut self, server: impl Into<Arc<McpServer>>) -> Self {
        self.mcp_servers.push(server.into());
        self
    }

    /// Adds what watches over what it says.
    #[must_use]
    pub fn output_guardrail(mut self, guardrail: impl Guardrail) -> Self {
        self.output_guardrails.push(Arc::new(guardrail));
        self
    }

    /// Sets its voice; see [`Agent::voice`](#structfield.voice).
    #[must_use]
    pub fn voice(mut self, voice: Voice) -> Self {
        self.voice = Some(voice);
        self
    }

    /// Sets a prompt stored with the provider; see [`Agent::prompt`](#structfield.prompt).
    #[must_use]
    pub fn prompt(mut self, prompt: Value) -> Self {
        self.prompt = Some(prompt);
        self
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools: Vec<&str> = self.tools.iter().map(|tool| tool.spec().name.as_str()).collect();
        let guardrails: Vec<&str> = self.output_guardrails.iter().map(|own| own.name()).collect();
        f.debug_struct("Agent")
            .field("name", &self.name)
            .field("instructions", &self.instructions.source())
            .field("handoff_description", &self.handoff_description)
            .field("handoffs", &self.handoffs)
            .field("tools", &tools)
            .field("mcp_servers", &self.mcp_servers)
            .field("output_guardrails", &guardrails)
            .field("voice", &self.voice)
            .field("prompt", &self.prompt)
            .finish()
    }
}

/// A way to hand the conversation over to another agent.
#[derive(Clone)]
pub struct Handoff {
    /// The name of the agent that takes over.
    pub agent: String,
    /// The tool the model calls for it; `transfer_to_<agent>` if none.
    pub tool_name: Option<String>,
    /// What the model is told about it; made from the agent's `handoff_description` if none.
    pub description: Option<String>,
    /// When the agent that is taking charge has it; always if none.
    pub when: Option<Condition>,
    /// What runs before the other agent takes over, with the input that the model gives; if it fails, so does the
    /// handoff (span rule L6), and so it does if the call needs approval, for which no handoff waits. Its parameters are
    /// those of the handoff, which has none without it.
    pub on_handoff: Option<Arc<dyn Tool>>,
}

impl Handoff {
    /// A handoff to `agent` under the usual tool name.
    pub fn to(agent: impl Into<String>) -> Self {
        Self {
            agent: agent.into(),
            tool_name: None,
            description: None,
            when: None,
            on_handoff: None,
        }
    }

    /// Sets the tool the model calls for it.
    #[must_use]
    pub fn tool_name(mut self, name: impl Into<String>) -> Self {
        self.tool_name = Some(name.into());
        self
    }

    /// Sets what the model is told about it.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Sets when the agent that is taking charge has it, by the context.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.when = Some(condition);
        self
    }

    /// Sets what runs before the other agent takes over; see [`Handoff::on_handoff`](#structfield.on_handoff).
    #[must_use]
    pub fn on_handoff(mut self, tool: impl Tool) -> Self {
        self.on_handoff = Some(Arc::new(ManagedTool::new(Arc::new(tool))));
        self
    }

    /// The name of the tool the model calls for it.
    pub(crate) fn called(&self) -> String {
        self.tool_name
            .clone()
            .unwrap_or_else(|| transfer_tool(&self.agent))
    }
}

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff")
            .field("agent", &self.agent)
            .field("tool_name", &self.tool_name)
            .field("description", &self.description)
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}

impl From<&str> for Handoff {
    fn from(agent: &str) -> Self {
        Self::to(agent)
    }
}

impl From<String> for Handoff {
    fn from(agent: String) -> Self {
        Self::to(agent)
    }
}
