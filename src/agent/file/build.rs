//! Agents, made of a file that was found to be good.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::schema::{AgentSection, FileContent, HandoffEntry, ToolSection};
use super::{AgentFile, TracingSettings};
use crate::agent::{Agent, Agents};
use crate::tool::{CommandTool, McpServer, OutputTool, Tool, ToolOutput, ToolSpec};

/// Makes the agents; `texts` holds what was read from other files, by their paths as the file has them.
///
/// # Errors
/// What was overlooked when the file was checked.
pub(super) fn build(
    content: FileContent,
    texts: &HashMap<String, String>,
    directory: &Path,
) -> Result<AgentFile, Box<dyn std::error::Error>> {
    let mut tools = HashMap::new();
    for (name, section) in content.tools {
        tools.insert(name.clone(), tool(name, section, directory)?);
    }
    let mut servers = HashMap::new();
    for (name, section) in content.mcp_servers {
        servers.insert(name.clone(), Arc::new(section.into_server(name, directory)?));
    }
    let mut sections = content
        .agents
        .into_iter()
        .map(|(name, section)| agent(name, section, texts, &tools, &servers));
    let first = sections.next().ok_or("there is no agent")??;
    let mut agents = Agents::new(first).settings(content.session.into_settings()?);
    for agent in sections {
        agents = agents.with(agent?);
    }
    agents.context = Value::Object(content.context);
    if let Some(start) = content.start {
        agents.set_start(&start)?;
    }
    let tracing = TracingSettings {
        workflow_name: content.tracing.workflow_name,
        group_id: content.tracing.group_id,
        metadata: content.tracing.metadata,
    };
    Ok(AgentFile { agents, tracing })
}

fn agent(
    name: String,
    section: AgentSection,
    texts: &HashMap<String, String>,
    tools: &HashMap<String, Arc<dyn Tool>>,
    servers: &HashMap<String, Arc<McpServer>>,
) -> Result<Agent, String> {
    let from_file = || texts.get(section.instructions_file.as_deref()?).cloned();
    let instructions = section
        .instructions
        .or_else(from_file)
        .ok_or("an agent has no instructions")?;
    let mut agent = Agent::new(name).instructions(instructions);
    agent.handoff_description = section.handoff_description;
    agent.handoffs = section
        .handoffs
        .into_iter()
        .map(HandoffEntry::into_agent)
        .map(Into::into)
        .collect();
    agent.voice = section.voice;
    for name in section.tools {
        let tool = tools
            .get(&name)
            .ok_or_else(|| format!("there is no tool `{name}`"))?;
        agent = agent.shared_tool(Arc::clone(tool));
    }
    for name in section.mcp_servers {
        let server = servers
            .get(&name)
            .ok_or_else(|| format!("there is no MCP server `{name}`"))?;
        agent = agent.mcp_server(Arc::clone(server));
    }
    Ok(agent)
}

fn tool(name: String, section: ToolSection, directory: &Path) -> Result<Arc<dyn Tool>, String> {
    let mut spec = ToolSpec::new(name, section.description);
    if let Some(parameters) = section.parameters {
        spec = spec.parameters(Value::Object(parameters));
    }
    if let Some(output) = section.output {
        let output = match output {
            Value::String(text) => ToolOutput::Text(text),
            value => ToolOutput::Json(value),
        };
        return Ok(Arc::new(OutputTool::new(spec, output)));
    }
    let mut command = section.command.unwrap_or_default().into_iter();
    let program = command
        .next()
        .ok_or("a tool has neither `command` nor `output`")?;
    let tool = CommandTool::new(spec, program, command).current_dir(directory);
    let timeout = section
        .timeout_sec
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(match timeout {
        Some(timeout) => tool.timeout(timeout),
        None => tool,
    }))
}
