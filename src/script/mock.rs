//! What stands in for tools while a script is played.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;
use tokio::time::sleep;

use super::{Mock, MockAnswer, Script};
use crate::agent::Agents;
use crate::context::{RunContext, TemplateError, Variables};
use crate::tool::{Tool, ToolCall, ToolError, ToolFuture, ToolGuardrails, ToolOutput, ToolSpec};

impl Script {
    /// Prepares agents for the script: puts its context over theirs, and its mocks in place of their tools, also of those
    /// of MCP servers. What is around a tool stays around its mock: arguments are held to its schema, its calls are
    /// approved and watched over, and its answers change the context if they may.
    pub fn apply_to(&self, agents: &mut Agents) {
        let context = RunContext::new(agents.context.take());
        context.merge(Value::Object(self.context.clone()));
        agents.context = Value::clone(&context.values());
        if self.mocks.is_empty() {
            return;
        }
        let mocks: IndexMap<String, Arc<Mock>> = self
            .mocks
            .iter()
            .map(|(name, mock)| (name.clone(), Arc::new(mock.clone())))
            .collect();
        agents.replace_tools(move |tool| match mocks.get(&tool.spec().name) {
            Some(mock) => Arc::new(MockedTool {
                mock: Arc::clone(mock),
                tool,
            }),
            None => tool,
        });
    }
}

/// A tool whose answers come from a script.
struct MockedTool {
    mock: Arc<Mock>,
    tool: Arc<dyn Tool>,
}

impl Tool for MockedTool {
    fn spec(&self) -> &ToolSpec {
        self.tool.spec()
    }

    fn call(&self, call: ToolCall) -> ToolFuture {
        let (mock, tool) = (Arc::clone(&self.mock), Arc::clone(&self.tool));
        Box::pin(async move {
            if !mock.delay.is_zero() {
                sleep(mock.delay).await;
            }
            match &mock.answer {
                MockAnswer::Real => tool.call(call).await,
                MockAnswer::Output(Value::String(text)) => Ok(ToolOutput::Text(text.clone())),
                MockAnswer::Output(value) => Ok(ToolOutput::Json(value.clone())),
                MockAnswer::Error(message) => Err(ToolError::new(message)),
            }
        })
    }

    fn is_enabled(&self, context: &Variables) -> Result<bool, TemplateError> {
        self.tool.is_enabled(context)
    }

    fn needs_approval(&self, call: &ToolCall) -> Result<bool, ToolError> {
        self.tool.needs_approval(call)
    }

    fn guardrails(&self) -> ToolGuardrails {
        self.tool.guardrails()
    }

    fn tell_failure(&self, error: &str) -> Option<String> {
        self.tool.tell_failure(error)
    }

    fn tell_refusal(&self) -> Option<String> {
        self.tool.tell_refusal()
    }

    fn mcp_server(&self) -> Option<&str> {
        self.tool.mcp_server()
    }
}
