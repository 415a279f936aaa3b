use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::{Agent, ResolveError, ResolvedAgent, names};
use crate::context::Variables;
use crate::tool::{ManagedTool, McpServer, McpServers, McpTool, Tool};

/// Adds the tools of the agent's MCP servers to what it has. Each server is asked once (span rule M2).
///
/// # Errors
/// When a server that is required can't be used, or the model can't be shown one of its tools.
pub(super) async fn add_tools(
    resolved: &mut ResolvedAgent,
    agent: &Agent,
    variables: &Variables,
    servers: &McpServers,
) -> Result<(), ResolveError> {
    // Whether a server is used is decided here, once for this activation.
    let used = enabled(agent, variables)?;
    let listed = join_all(
        used.into_iter()
            .map(|server| async move { (server, servers.tools(server).await) }),
    )
    .await;
    let mut tools = Vec::new();
    for (server, listed) in listed {
        match listed {
            Ok(listed) => {
                resolved.warnings.extend(missing(server, &listed));
                tools.extend(listed);
            }
            Err(error) if server.required => {
                let agent = agent.name.clone();
                return Err(ResolveError::McpServer { agent, error });
            }
            Err(error) => resolved
                .warnings
                .push(format!("{error}; the agent goes on without it")),
        }
    }
    let tools = told_apart(resolved, tools)?;
    resolved.tools.extend(
        tools
            .into_iter()
            .map(|tool| Arc::new(ManagedTool::new(Arc::new(tool))) as _),
    );
    Ok(())
}

fn enabled<'a>(agent: &'a Agent, variables: &Variables) -> Result<Vec<&'a Arc<McpServer>>, ResolveError> {
    let mut enabled = Vec::new();
    for server in &agent.mcp_servers {
        let what = || format!("the condition of the MCP server `{}`", server.name);
        if server
            .is_enabled(variables)
            .map_err(|error| ResolveError::template(agent, what(), error))?
        {
            enabled.push(server);
        }
    }
    Ok(enabled)
}

/// Tools that are wanted of a server but that it does not have.
fn missing(server: &McpServer, listed: &[McpTool]) -> Vec<String> {
    let wanted = server.enabled_tools.iter().flatten();
    wanted
        .filter(|name| !server.disabled_tools.contains(name))
        .filter(|name| listed.iter().all(|tool| tool.spec().name != **name))
        .map(|name| {
            format!(
                "the MCP server `{}` has no tool `{name}` (`enabled_tools`)",
                server.name
            )
        })
        .collect()
}

/// The tools under names that the model can tell apart from all others, and that the API takes.
fn told_apart(resolved: &ResolvedAgent, tools: Vec<McpTool>) -> Result<Vec<McpTool>, ResolveError> {
    let uses = count_names(resolved, &tools);
    let tools: Vec<McpTool> = tools
        .into_iter()
        .map(
            |tool| match uses[&tool.spec().name] > 1 && tool.server().prefix_on_clash {
                true => tool.prefixed(),
                false => tool,
            },
        )
        .collect();
    let uses = count_names(resolved, &tools);
    for tool in &tools {
        let name = &tool.spec().name;
        let why = match (names::is_function_name(name), uses[name]) {
            (false, _) => "names are 1 to 64 letters, digits, `_` or `-`; leave it out with `disabled_tools`",
            (true, 1) => continue,
            (true, _) => {
                "another function has that name; set `prefix_on_clash = true` for the server, or leave the tool out with \
                 `disabled_tools`"
            }
        };
        return Err(ResolveError::McpTool {
            agent: resolved.name.clone(),
            server: tool.server().name.clone(),
            tool: name.clone(),
            why,
        });
    }
    Ok(tools)
}

/// How many functions there would be of each name.
fn count_names(resolved: &ResolvedAgent, tools: &[McpTool]) -> HashMap<String, usize> {
    let own = resolved.tools.iter().map(|tool| tool.spec().name.clone());
    let handoffs = resolved.handoffs.iter().map(|handoff| handoff.tool_name.clone());
    let of_servers = tools.iter().map(|tool| tool.spec().name.clone());
    let mut uses = HashMap::new();
    for name in own.chain(handoffs).chain(of_servers) {
        *uses.entry(name).or_insert(0) += 1;
    }
    uses
}
