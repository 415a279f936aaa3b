//! Agents, made of a file that was found to be good.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::guardrails::Guardrails;
use super::schema::{AgentSection, ArgumentsPlace, FileContent, HandoffSection, HttpSection, ToolSection};
use super::{AgentFile, TracingSettings};
use crate::agent::{Agent, Agents, Handoff};
use crate::context::{Condition, Template};
use crate::tool::{
    Approval, CommandTool, EndSessionTool, HttpTool, ManagedTool, McpServer, OutputTool, SendArguments, Tool,
    ToolSpec,
};
use crate::trace::Redaction;

/// What was overlooked when the file was checked.
pub(super) type Overlooked = Box<dyn std::error::Error>;

/// Makes the agents; `texts` holds what was read from other files, by their paths as the file has them.
///
/// # Errors
/// What was overlooked when the file was checked.
pub(super) fn build(
    content: FileContent,
    texts: &HashMap<String, String>,
    directory: &Path,
) -> Result<AgentFile, Overlooked> {
    let guardrails = Guardrails::new(content.guardrails, directory)?;
    let tools = Tools::new(content.tools, &guardrails, directory)?;
    let mut servers = HashMap::new();
    for (name, section) in content.mcp_servers {
        let watched_by = guardrails.of_tool(&section.input_guardrails, &section.output_guardrails)?;
        let mut server = section.into_server(name.clone(), directory)?;
        server.guardrails = watched_by;
        servers.insert(name, Arc::new(server));
    }
    let parts = Parts {
        texts,
        tools: &tools,
        servers: &servers,
        guardrails: &guardrails,
    };
    let mut sections = content
        .agents
        .into_iter()
        .map(|(name, section)| agent(name, section, &parts));
    let first = sections.next().ok_or("there is no agent")??;
    let mut agents = Agents::new(first).settings(content.session.into_settings()?);
    for agent in sections {
        agents = agents.with(agent?);
    }
    for tool in tools.made.into_values() {
        agents = agents.with_spare_tool(tool);
    }
    agents.output_guardrails = guardrails.get(&content.output_guardrails)?;
    agents.guardrail_debounce = content.guardrail_debounce.map(Into::into).unwrap_or_default();
    agents.context = Value::Object(content.context);
    agents.tool_error_message = content.tool_error_message.map(Template::new).transpose()?;
    agents.tool_refusal_message = content.tool_refusal_message.map(Template::new).transpose()?;
    if let Some(start) = content.start {
        agents.set_start(&start)?;
    }
    let mut patterns = content.tracing.redact.iter();
    let redact = patterns.try_fold(Redaction::default(), |all, pattern| all.pattern(pattern))?;
    let tracing = TracingSettings {
        workflow_name: content.tracing.workflow_name,
        group_id: content.tracing.group_id,
        metadata: content.tracing.metadata,
        redact,
    };
    Ok(AgentFile { agents, tracing })
}

/// What agents are made of.
struct Parts<'a> {
    /// What was read from other files.
    texts: &'a HashMap<String, String>,
    tools: &'a Tools<'a>,
    servers: &'a HashMap<String, Arc<McpServer>>,
    guardrails: &'a Guardrails,
}

fn agent(name: String, section: AgentSection, parts: &Parts<'_>) -> Result<Agent, Overlooked> {
    let from_file = || parts.texts.get(section.instructions_file.as_deref()?).cloned();
    let instructions = section
        .instructions
        .or_else(from_file)
        .or_else(|| section.prompt.as_ref().map(|_| String::new()))
        .ok_or("an agent has no instructions")?;
    let mut agent = Agent::new(name).instructions_template(Template::new(instructions)?);
    agent.handoff_description = section.handoff_description;
    agent.voice = section.voice;
    agent.prompt = section.prompt.map(serde_json::to_value).transpose()?;
    agent.output_guardrails = parts.guardrails.get(&section.output_guardrails)?;
    for entry in section.handoffs {
        agent = agent.handoff(handoff(entry.into(), parts.tools)?);
    }
    for name in section.tools {
        agent.tools.push(parts.tools.get(&name)?);
    }
    for name in section.mcp_servers {
        let server = parts
            .servers
            .get(&name)
            .ok_or_else(|| format!("there is no MCP server `{name}`"))?;
        agent = agent.mcp_server(Arc::clone(server));
    }
    Ok(agent)
}

fn handoff(section: HandoffSection, tools: &Tools<'_>) -> Result<Handoff, Overlooked> {
    let mut handoff = Handoff::to(section.agent);
    handoff.tool_name = section.tool_name;
    handoff.description = section.tool_description;
    handoff.when = section.when.map(Condition::new).transpose()?;
    handoff.on_handoff = match (section.on_handoff, section.input_schema) {
        (None, _) => None,
        (Some(name), None) => Some(tools.get(&name)?),
        (Some(name), Some(schema)) => Some(tools.with_parameters(&name, schema)?),
    };
    Ok(handoff)
}

/// The tools of a file.
struct Tools<'a> {
    sections: IndexMap<String, ToolSection>,
    made: IndexMap<String, Arc<dyn Tool>>,
    guardrails: &'a Guardrails,
    directory: &'a Path,
}

impl<'a> Tools<'a> {
    fn new(
        sections: IndexMap<String, ToolSection>,
        guardrails: &'a Guardrails,
        directory: &'a Path,
    ) -> Result<Self, Overlooked> {
        let mut made = IndexMap::new();
        for (name, section) in &sections {
            made.insert(name.clone(), tool(name, section.clone(), guardrails, directory)?);
        }
        let end_session = || Arc::new(ManagedTool::new(Arc::new(EndSessionTool::new()))) as Arc<dyn Tool>;
        made.entry(EndSessionTool::NAME.to_owned())
            .or_insert_with(end_session);
        Ok(Self {
            sections,
            made,
            guardrails,
            directory,
        })
    }

    fn get(&self, name: &str) -> Result<Arc<dyn Tool>, Overlooked> {
        let tool = self
            .made
            .get(name)
            .ok_or_else(|| format!("there is no tool `{name}`"))?;
        Ok(Arc::clone(tool))
    }

    /// The tool of that name, with other arguments.
    fn with_parameters(&self, name: &str, schema: Map<String, Value>) -> Result<Arc<dyn Tool>, Overlooked> {
        let Some(section) = self.sections.get(name) else {
            return self.get(name);
        };
        let section = ToolSection {
            parameters: Some(schema),
            ..section.clone()
        };
        tool(name, section, self.guardrails, self.directory)
    }
}

fn tool(
    name: &str,
    section: ToolSection,
    guardrails: &Guardrails,
    directory: &Path,
) -> Result<Arc<dyn Tool>, Overlooked> {
    let mut spec = ToolSpec::new(name, section.description);
    if let Some(parameters) = section.parameters {
        spec = spec.parameters(Value::Object(parameters));
    }
    let timeout = section.timeout_sec.map(Duration::try_from_secs_f64).transpose()?;
    let tool: Arc<dyn Tool> = match (section.output, section.http, section.command) {
        (Some(output), ..) => Arc::new(OutputTool::template(spec, output)?),
        (None, Some(request), _) => Arc::new(http(spec, request, timeout)?),
        (None, None, command) => {
            let mut command = command.unwrap_or_default().into_iter();
            let program = command.next().ok_or("a tool does nothing")?;
            let tool = CommandTool::new(spec, program, command).current_dir(directory);
            Arc::new(tool.timeout(timeout.unwrap_or(CommandTool::DEFAULT_TIMEOUT)))
        }
    };
    let own = guardrails.of_tool(&section.input_guardrails, &section.output_guardrails)?;
    let mut managed = ManagedTool::new(tool).watched_by(&own);
    if let Some(when) = section.when {
        managed = managed.when(Condition::new(when)?);
    }
    if let Some(approval) = section.needs_approval {
        managed = managed.approval(Approval::try_from(approval)?);
    }
    if section.updates_context {
        managed = managed.updates_context();
    }
    if let Some(message) = section.tool_error_message {
        managed = managed.error_message(Template::new(message)?);
    }
    if let Some(message) = section.tool_refusal_message {
        managed = managed.refusal_message(Template::new(message)?);
    }
    Ok(Arc::new(managed))
}

fn http(spec: ToolSpec, section: HttpSection, timeout: Option<Duration>) -> Result<HttpTool, Overlooked> {
    let mut tool = HttpTool::new(spec, section.method.name(), Template::new(section.url)?)?
        .timeout(timeout.unwrap_or(HttpTool::DEFAULT_TIMEOUT));
    for (name, value) in &section.headers {
        tool = tool.header(name, value)?;
    }
    if let Some(place) = section.arguments {
        tool = tool.send_arguments(match place {
            ArgumentsPlace::Query => SendArguments::Query,
            ArgumentsPlace::Body => SendArguments::Body,
            ArgumentsPlace::None => SendArguments::None,
        });
    }
    if let Some(limit) = section.max_response_bytes {
        tool = tool.max_response_bytes(limit as usize);
    }
    Ok(tool)
}
