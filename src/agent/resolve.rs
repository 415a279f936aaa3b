//! What an agent gets when it takes charge.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::{Agent, Agents, Handoff, ResolvedAgent, ResolvedHandoff, UnknownAgent, mcp, names};
use crate::context::{TemplateError, Variables};
use crate::tool::{Guardrail, McpError, McpServers, Tool};

impl Agents {
    /// What an activation of the agent `name` gets in a run that knows `context`: done once each time it takes charge
    /// (span rule M2). Tools, handoffs and MCP servers that are not enabled are left out (M1). The servers it needs are
    /// started among `servers`, which belong to whoever runs the agents.
    ///
    /// # Errors
    /// A [`ResolveError`] when there is no such agent, it cannot be put before a model as it is, or an MCP server that it
    /// can't do without fails.
    pub async fn resolve(
        &self,
        name: &str,
        context: &Value,
        servers: &McpServers,
    ) -> Result<ResolvedAgent, ResolveError> {
        self.activate(self.require(name)?, context, servers).await
    }

    /// What the starting agent gets when a session is entered: as [`Agents::resolve`] says, with what is overridden for
    /// the run.
    ///
    /// # Errors
    /// As [`Agents::resolve`].
    pub async fn resolve_entry(
        &self,
        context: &Value,
        servers: &McpServers,
    ) -> Result<ResolvedAgent, ResolveError> {
        let agent = self.starting()?;
        self.activate(&agent, context, servers).await
    }

    async fn activate(
        &self,
        agent: &Agent,
        context: &Value,
        servers: &McpServers,
    ) -> Result<ResolvedAgent, ResolveError> {
        let variables = Variables::of(context);
        let mut settings = self.settings.clone();
        if let Some(voice) = &agent.voice {
            settings.config.audio.output.voice = Some(voice.clone());
        }
        if let Some(prompt) = self.prompt_of(agent) {
            settings.config.prompt = Some(prompt);
        }
        let mut resolved = ResolvedAgent {
            name: agent.name.clone(),
            instructions: agent
                .instructions
                .render(&variables)
                .map_err(|error| ResolveError::template(agent, "the instructions", error))?,
            tools: enabled_tools(agent, &variables)?,
            handoffs: self.resolve_handoffs(agent, &variables)?,
            output_guardrails: self.guardrails_over(agent),
            guardrail_debounce: self.guardrail_debounce,
            settings,
            tool_error_message: self.tool_error_message.clone(),
            tool_refusal_message: self.tool_refusal_message.clone(),
            warnings: Vec::new(),
        };
        mcp::add_tools(&mut resolved, agent, &variables, servers).await?;
        resolved.tools = resolved
            .tools
            .into_iter()
            .map(|tool| self.replaced(tool))
            .collect();
        check_names(&resolved)?;
        Ok(resolved)
    }

    /// What watches over an agent's words, each once, though both the agent and all agents may name it.
    fn guardrails_over(&self, agent: &Agent) -> Vec<Arc<dyn Guardrail>> {
        let mut guardrails: Vec<Arc<dyn Guardrail>> = Vec::new();
        for guardrail in self.output_guardrails.iter().chain(&agent.output_guardrails) {
            if !guardrails.iter().any(|known| Arc::ptr_eq(known, guardrail)) {
                guardrails.push(Arc::clone(guardrail));
            }
        }
        guardrails
    }

    /// The stored prompt that an agent brings along. A server keeps the last one it was given, so where any agent has
    /// its own, one without says so.
    fn prompt_of(&self, agent: &Agent) -> Option<Option<Value>> {
        let is_shared = self.settings.config.prompt.is_some();
        let any_own = || self.all().any(|agent| agent.prompt.is_some());
        (agent.prompt.is_some() || !is_shared && any_own()).then(|| agent.prompt.clone())
    }

    fn resolve_handoffs(
        &self,
        agent: &Agent,
        variables: &Variables,
    ) -> Result<Vec<ResolvedHandoff>, ResolveError> {
        let mut resolved = Vec::new();
        for handoff in &agent.handoffs {
            let enabled = handoff
                .when
                .as_ref()
                .map_or(Ok(true), |when| when.holds(variables));
            let what = || format!("the condition of the handoff to `{}`", handoff.agent);
            if enabled.map_err(|error| ResolveError::template(agent, what(), error))? {
                resolved.push(self.resolve_handoff(agent, handoff)?);
            }
        }
        Ok(resolved)
    }

    fn resolve_handoff(&self, agent: &Agent, handoff: &Handoff) -> Result<ResolvedHandoff, ResolveError> {
        let target = self
            .require(&handoff.agent)
            .map_err(|unknown| ResolveError::Handoff {
                agent: agent.name.clone(),
                unknown,
            })?;
        Ok(ResolvedHandoff {
            agent: target.name.clone(),
            tool_name: handoff.called(),
            description: handoff
                .description
                .clone()
                .unwrap_or_else(|| describe_handoff(target)),
            on_handoff: handoff.on_handoff.clone().map(|tool| self.replaced(tool)),
        })
    }
}

fn enabled_tools(agent: &Agent, variables: &Variables) -> Result<Vec<Arc<dyn Tool>>, ResolveError> {
    let mut enabled = Vec::new();
    for tool in &agent.tools {
        let what = || format!("the condition of the tool `{}`", tool.spec().name);
        if tool
            .is_enabled(variables)
            .map_err(|error| ResolveError::template(agent, what(), error))?
        {
            enabled.push(Arc::clone(tool));
        }
    }
    Ok(enabled)
}

fn describe_handoff(target: &Agent) -> String {
    let transfer = format!("Hands the conversation over to the agent {}.", target.name);
    match &target.handoff_description {
        Some(description) => format!("{transfer} {description}"),
        None => transfer,
    }
}

/// Every name a model sees must stand for one thing, and be one the API takes.
fn check_names(agent: &ResolvedAgent) -> Result<(), ResolveError> {
    let mut seen = HashSet::new();
    let tools = agent.tools.iter().map(|tool| tool.spec().name.as_str());
    for name in tools.chain(agent.handoffs.iter().map(|handoff| handoff.tool_name.as_str())) {
        if !names::is_function_name(name) {
            return Err(ResolveError::InvalidName {
                agent: agent.name.clone(),
                name: name.to_owned(),
            });
        }
        if !seen.insert(name) {
            return Err(ResolveError::DuplicateName {
                agent: agent.name.clone(),
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

/// Why an agent could not be activated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// There is no agent of that name.
    #[error(transparent)]
    UnknownAgent(#[from] UnknownAgent),
    /// It hands over to an agent that is not there.
    #[error("agent `{agent}` can't hand over: {unknown}")]
    Handoff {
        /// The agent that was to be activated.
        agent: String,
        /// The agent that is missing.
        unknown: UnknownAgent,
    },
    /// Its instructions, or the condition of one of its tools and handoffs, can't be worked out from the context.
    #[error("{what} of agent `{agent}` can't be worked out: {error}")]
    Template {
        /// The agent that was to be activated.
        agent: String,
        /// What it is that can't be worked out.
        what: String,
        /// Why.
        error: TemplateError,
    },
    /// Two of its tools and handoffs have the same name.
    #[error("agent `{agent}` shows the model two functions named `{name}`; rename one of them")]
    DuplicateName {
        /// The agent that was to be activated.
        agent: String,
        /// The name that stands for two things.
        name: String,
    },
    /// The API does not take the name of one of its tools or handoffs.
    #[error(
        "agent `{agent}` has a function named `{name}`, but names are 1 to 64 letters, digits, `_` or `-`"
    )]
    InvalidName {
        /// The agent that was to be activated.
        agent: String,
        /// The name.
        name: String,
    },
    /// An MCP server that it can't do without fails.
    #[error("agent `{agent}` can't take charge: {error}")]
    McpServer {
        /// The agent that was to be activated.
        agent: String,
        /// What is wrong with the server.
        error: McpError,
    },
    /// The model can't be shown a tool of an MCP server.
    #[error("agent `{agent}` can't have the tool `{tool}` of the MCP server `{server}`: {why}")]
    McpTool {
        /// The agent that was to be activated.
        agent: String,
        /// The server.
        server: String,
        /// The tool, by the name that the model would see.
        tool: String,
        /// Why not, and what to do.
        why: &'static str,
    },
}

impl ResolveError {
    pub(super) fn template(agent: &Agent, what: impl Into<String>, error: TemplateError) -> Self {
        Self::Template {
            agent: agent.name.clone(),
            what: what.into(),
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::agent::Callable;
    use crate::protocol::Voice;
    use crate::tool::{OutputTool, ToolSpec};

    fn tool(name: &str) -> OutputTool {
        OutputTool::new(ToolSpec::new(name, "Does it."), "done")
    }

    fn concierge() -> Agents {
        let triage = Agent::new("Triage")
            .instructions("Greet.")
            .tool(tool("get_hours"));
        let refunds = Handoff::to("Refunds")
            .tool_name("give_money_back")
            .description("For refunds.");
        Agents::new(triage.handoff("Billing Desk").handoff(refunds))
            .with(
                Agent::new("Billing Desk")
                    .handoff_description("Knows invoices.")
                    .handoff("Triage"),
            )
            .with(Agent::new("Refunds"))
    }

    #[tokio::test]
    async fn what_is_sent_and_what_is_named_come_from_one_value() {
        let triage = concierge()
            .resolve("Triage", &json!({}), &McpServers::new())
            .await
            .unwrap();
        let config = serde_json::to_value(triage.session_config()).unwrap();
        assert_eq!(config["instructions"], "Greet.");
        let no_arguments = ToolSpec::no_parameters();
        assert_eq!(
            config["tools"],
            serde_json::json!([
                {"type": "function", "name": "get_hours", "description": "Does it.", "parameters": no_arguments},
                {"type": "function", "name": "transfer_to_billing_desk", "parameters": no_arguments,
                 "description": "Hands the conversation over to the agent Billing Desk. Knows invoices."},
                {"type": "function", "name": "give_money_back", "description": "For refunds.",
                 "parameters": no_arguments},
            ])
        );
        assert_eq!(triage.tool_names(), ["get_hours"]);
        assert_eq!(triage.handoff_names(), ["Billing Desk", "Refunds"]);
    }

    #[tokio::test]
    async fn a_name_that_the_model_calls_stands_for_what_was_sent() {
        let triage = concierge()
            .resolve("Triage", &json!({}), &McpServers::new())
            .await
            .unwrap();
        assert!(
            matches!(triage.find("get_hours"), Some(Callable::Tool(tool)) if tool.spec().name == "get_hours")
        );
        assert!(
            matches!(triage.find("give_money_back"), Some(Callable::Handoff(to)) if to.agent == "Refunds")
        );
        assert!(triage.find("transfer_to_refunds").is_none());
        assert!(triage.find("Refunds").is_none());
    }

    #[tokio::test]
    async fn an_agent_without_tools_sends_an_empty_list() {
        let refunds = concierge()
            .resolve("Refunds", &json!({}), &McpServers::new())
            .await
            .unwrap();
        assert_eq!(refunds.session_config().tools, Some(Vec::new()));
        assert_eq!(refunds.tool_names(), [""; 0]);
    }

    #[tokio::test]
    async fn an_agent_s_own_voice_comes_before_the_session_s() {
        let ash = Voice::Named("ash".to_owned());
        let mut agents = Agents::new(Agent::new("A").voice(ash.clone())).with(Agent::new("B"));
        let cedar = Voice::Named("cedar".to_owned());
        agents.settings.config.audio.output.voice = Some(cedar.clone());
        for (name, voice) in [("A", ash), ("B", cedar)] {
            let config = agents
                .resolve(name, &json!({}), &McpServers::new())
                .await
                .unwrap()
                .session_config();
            assert_eq!(config.audio.output.voice, Some(voice));
        }
    }

    #[tokio::test]
    async fn a_stored_prompt_goes_with_the_agent_that_has_it() {
        let stored = json!({"id": "pmpt_1"});
        let mut agents = Agents::new(Agent::new("A").prompt(stored.clone()))
            .with(Agent::new("B").instructions("Be brief.").prompt(stored.clone()))
            .with(Agent::new("C"));
        let config = async |agents: &Agents, name| {
            let agent = agents
                .resolve(name, &json!({}), &McpServers::new())
                .await
                .unwrap();
            serde_json::to_value(agent.session_config()).unwrap()
        };
        let first = config(&agents, "A").await;
        assert_eq!((&first["prompt"], first.get("instructions")), (&stored, None));
        let second = config(&agents, "B").await;
        assert_eq!(
            (&second["prompt"], &second["instructions"]),
            (&stored, &json!("Be brief."))
        );
        let third = config(&agents, "C").await;
        assert_eq!(
            third.get("prompt"),
            Some(&Value::Null),
            "or it would keep the one before"
        );
        agents.settings.config.prompt = Some(Some(json!({"id": "pmpt_2"})));
        assert_eq!(config(&agents, "C").await["prompt"]["id"], "pmpt_2");
    }

    #[tokio::test]
    async fn names_that_the_model_would_confuse_are_refused() {
        let twice = Agents::new(Agent::new("A").tool(tool("transfer_to_a")).handoff("A"));
        let error = twice
            .resolve("A", &json!({}), &McpServers::new())
            .await
            .unwrap_err();
        assert_eq!(
            error,
            ResolveError::DuplicateName {
                agent: "A".into(),
                name: "transfer_to_a".into()
            }
        );
        let unfit = Agents::new(Agent::new("A").tool(tool("get weather")));
        let error = unfit
            .resolve("A", &json!({}), &McpServers::new())
            .await
            .unwrap_err();
        assert_eq!(
            error,
            ResolveError::InvalidName {
                agent: "A".into(),
                name: "get weather".into()
            }
        );
    }

    #[tokio::test]
    async fn missing_agents_are_named() {
        let mut agents = Agents::new(Agent::new("A").handoff("C")).with(Agent::new("B"));
        assert_eq!(
            agents
                .resolve("A", &json!({}), &McpServers::new())
                .await
                .unwrap_err()
                .to_string(),
            "agent `A` can't hand over: there is no agent `C`; the agents are `A`, `B`"
        );
        assert!(matches!(
            agents.resolve("C", &json!({}), &McpServers::new()).await,
            Err(ResolveError::UnknownAgent(_))
        ));
        assert!(agents.set_start("C").is_err());
        assert_eq!(agents.start(), "A");
        agents.set_start("B").unwrap();
        assert_eq!(agents.start(), "B");
        assert_eq!(agents.names().collect::<Vec<_>>(), ["A", "B"]);
    }
}
