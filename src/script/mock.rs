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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::agent::{AgentFile, ResolvedAgent};
    use crate::tool::McpServers;

    const DIRECTORY: &str = "tests/script_files/valid";

    /// What an agent of the test's agent file gets once a script with these mocks was applied.
    async fn mocked(agent: &str, mocks: &str) -> (ResolvedAgent, RunContext) {
        let text = format!("{mocks}\n[[turns]]\nuser = 'Hello'");
        let script = Script::parse("test.toml", &text, Path::new(DIRECTORY), &[]).unwrap();
        let mut agents = AgentFile::load(format!("{DIRECTORY}/agents.toml"))
            .unwrap()
            .agents;
        script.apply_to(&mut agents);
        let resolved = agents.resolve(agent, &agents.context, &McpServers::new()).await;
        (resolved.unwrap(), RunContext::new(agents.context))
    }

    fn tool<'a>(agent: &'a ResolvedAgent, name: &str) -> &'a Arc<dyn Tool> {
        agent.tools.iter().find(|tool| tool.spec().name == name).unwrap()
    }

    async fn call(
        (agent, context): &(ResolvedAgent, RunContext),
        name: &str,
        arguments: Value,
    ) -> Result<String, String> {
        let call = ToolCall::new("call_1", agent.name.clone(), arguments).context(context.clone());
        let answer = tool(agent, name).call(call).await;
        answer
            .map(ToolOutput::into_text)
            .map_err(|error| error.message().to_owned())
    }

    #[tokio::test]
    async fn a_mock_answers_with_what_it_says() {
        let text = mocked("Triage", "[tools.get_weather]\noutput = 'sunny'").await;
        assert_eq!(
            call(&text, "get_weather", json!({"city": "Rome"})).await,
            Ok("sunny".into())
        );
        let value = mocked("Triage", "[tools.get_weather]\noutput = { sky = ['clear'] }").await;
        let answer = call(&value, "get_weather", json!({"city": "Rome"})).await;
        assert_eq!(answer, Ok(r#"{"sky":["clear"]}"#.into()));
        let failure = mocked("Triage", "[tools.get_weather]\nerror = 'no service'").await;
        let answer = call(&failure, "get_weather", json!({"city": "Rome"})).await;
        assert_eq!(answer, Err("no service".into()));
    }

    #[tokio::test]
    async fn what_is_around_a_tool_stays_around_its_mock() {
        let mocks = "[tools.remember]\noutput = { context = { user = { name = 'Bo' } }, output = 'kept' }";
        let triage = mocked("Triage", mocks).await;
        let answer = call(&triage, "remember", json!({})).await;
        assert!(answer.unwrap_err().starts_with("invalid arguments: "));
        assert_eq!(
            call(&triage, "remember", json!({"name": "Bo"})).await,
            Ok("kept".into())
        );
        assert_eq!(triage.1.values()["user"], json!({"name": "Bo", "tier": "silver"}));

        let billing = mocked("Billing", "[tools.refund]\noutput = 'paid'").await;
        let refund = tool(&billing.0, "refund");
        let asked = refund.needs_approval(&ToolCall::new("call_1", "Billing", json!({})));
        assert_eq!(asked, Ok(true));
        assert_eq!(refund.guardrails().input[0].name(), "small");
        assert_eq!(refund.spec().description, "Pays money back.");
    }

    #[tokio::test]
    async fn what_runs_before_a_handoff_is_mocked_as_well() {
        let (triage, _) = mocked("Triage", "[tools.note]\nerror = 'out of paper'").await;
        let note = triage
            .handoffs
            .iter()
            .find_map(|handoff| handoff.on_handoff.clone());
        let answer = note
            .unwrap()
            .call(ToolCall::new("call_1", "Triage", json!({})))
            .await;
        assert_eq!(answer.unwrap_err().message(), "out of paper");
    }

    #[tokio::test]
    async fn a_delay_alone_delays_the_tool_itself() {
        let triage = mocked("Triage", "[tools.remember]\ndelay_ms = 20").await;
        let began = Instant::now();
        let answer = call(&triage, "remember", json!({"name": "Bo"})).await;
        assert_eq!(answer, Ok("kept".into()));
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn the_script_s_context_goes_over_that_of_the_agents() {
        let (_, context) = mocked("Triage", "[context]\nuser = { tier = 'gold' }").await;
        assert_eq!(context.values()["user"], json!({"name": "Ada", "tier": "gold"}));
    }
}
