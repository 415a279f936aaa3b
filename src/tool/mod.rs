//! What a model can call.
//!
//! In: a [`ToolCall`], the arguments the model chose. Out: a [`ToolOutput`] or a [`ToolError`], both of which
//! the model gets to read. A tool is anything that implements [`Tool`]: a Rust closure ([`FunctionTool`]), a
//! program ([`CommandTool`]), a request over HTTP ([`HttpTool`]), a ready answer ([`OutputTool`]), the end of the
//! session ([`EndSessionTool`]), a tool of an MCP server ([`McpTool`]). What holds for all of them (arguments are
//! validated, answers are cut, the context is updated) is put around them by [`ManagedTool`]. Which calls have to be
//! approved first is said by an [`Approval`]; who does that is for the session to find out. What watches over tools, and
//! over what models say, is in `guardrail`.
//!
//! Nothing here knows the session that calls; what a tool's span is nested under is set up outside.

mod approval;
mod command;
mod end_session;
mod function;
mod guardrail;
mod http;
mod limit;
mod managed;
mod mcp;
mod output;
mod process_group;
mod program;

use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::context::{RunContext, TemplateError, Variables};

pub use approval::Approval;
pub use command::CommandTool;
pub use end_session::EndSessionTool;
pub use function::FunctionTool;
pub(crate) use guardrail::look;
pub use guardrail::{
    AskingGuardrail, Debounce, FunctionGuardrail, Guardrail, GuardrailCheck, GuardrailError, GuardrailFuture,
    GuardrailPlace, ManagedGuardrail, OnTrip, PatternGuardrail, Subject, ToolGuardrails, Verdict,
};
pub use http::{HttpTool, InvalidRequest, SendArguments};
pub(crate) use http::{check_url, header};
pub use managed::ManagedTool;
pub(crate) use managed::{tell_failure, tell_refusal};
pub use mcp::{McpCommand, McpError, McpHttp, McpServer, McpServers, McpTool, McpTransport};
pub use output::OutputTool;

/// Something the model can call.
pub trait Tool: Send + Sync + 'static {
    /// What the model is told about the tool.
    fn spec(&self) -> &ToolSpec;

    /// Runs it. Dropping the future must stop the work.
    ///
    /// # Errors
    /// A [`ToolError`] goes back to the model as the tool's output, and into the tool's span.
    fn call(&self, call: ToolCall) -> ToolFuture;

    /// Whether an agent that is taking charge has it, by what the run knows. Asked once for each time an agent takes
    /// charge (span rule M2); always, unless said otherwise.
    ///
    /// # Errors
    /// When that can't be told; the agent can't take charge then.
    fn is_enabled(&self, context: &Variables) -> Result<bool, TemplateError> {
        let _ = context;
        Ok(true)
    }

    /// Whether this call has to be approved before it runs; never, unless said otherwise. Asked once for each call, by
    /// the session's own task: it must not block.
    ///
    /// # Errors
    /// When that can't be told, or it is known already that the call can't be served: it is not run then, and the error
    /// is the tool's own.
    fn needs_approval(&self, call: &ToolCall) -> Result<bool, ToolError> {
        let _ = call;
        Ok(false)
    }

    /// What watches over its calls and answers; nothing, unless said otherwise. Asked once for each call. What wraps a
    /// tool passes this on.
    fn guardrails(&self) -> ToolGuardrails {
        ToolGuardrails::default()
    }

    /// What the model is told when it has failed, in whatever way; if none, the agent decides.
    fn tell_failure(&self, error: &str) -> Option<String> {
        let _ = error;
        None
    }

    /// What the model is told when a call was not approved; if none, the agent decides.
    fn tell_refusal(&self) -> Option<String> {
        None
    }

    /// The MCP server that runs it, by name, for the tool's span; none if it is no tool of such a server. What wraps a
    /// tool passes this on.
    fn mcp_server(&self) -> Option<&str> {
        None
    }

    /// Where this wraps another tool: the same around what `replace` makes of that one; none if it wraps none.
    fn rewrap(&self, replace: &ReplaceTool) -> Option<Arc<dyn Tool>> {
        let _ = replace;
        None
    }
}

/// Makes a tool that stands in for another.
pub type ReplaceTool = dyn Fn(Arc<dyn Tool>) -> Arc<dyn Tool> + Send + Sync;

/// What `replace` makes of a tool; what is wrapped around the tool, such as the validation of arguments, stays around it.
pub(crate) fn replaced(tool: &Arc<dyn Tool>, replace: &ReplaceTool) -> Arc<dyn Tool> {
    tool.rewrap(replace).unwrap_or_else(|| replace(Arc::clone(tool)))
}

/// A running tool.
pub type ToolFuture = Pin<Box<dyn Future<Output = Result<ToolOutput, ToolError>> + Send>>;

/// What the model is told about a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// The name the model calls it by: 1 to 64 letters, digits, `_` or `-`.
    pub name: String,
    /// What it does and when to use it, in words for the model.
    pub description: String,
    /// The arguments: a JSON schema of type `object`.
    pub parameters: Value,
}

impl ToolSpec {
    /// A tool without arguments; see [`ToolSpec::parameters`].
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            parameters: Self::no_parameters(),
        }
    }

    /// Sets the JSON schema of the arguments.
    #[must_use]
    pub fn parameters(mut self, schema: Value) -> Self {
        self.parameters = schema;
        self
    }

    /// The schema of a tool that takes no arguments.
    pub fn no_parameters() -> Value {
        json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false})
    }
}

/// One call by the model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolCall {
    /// The call's own id, which its output is sent under.
    pub call_id: String,
    /// The agent in charge when the model made the call.
    pub agent: String,
    /// The arguments the model chose; an object, unless the model disregarded the schema.
    pub arguments: Value,
    /// What the run knows, shared with the session: a tool may change it.
    pub context: RunContext,
}

impl ToolCall {
    /// A call in a run that knows nothing yet.
    pub fn new(call_id: impl Into<String>, agent: impl Into<String>, arguments: Value) -> Self {
        Self {
            call_id: call_id.into(),
            agent: agent.into(),
            arguments,
            context: RunContext::default(),
        }
    }

    /// Sets what the run knows.
    #[must_use]
    pub fn context(mut self, context: RunContext) -> Self {
        self.context = context;
        self
    }
}

/// What a tool answers.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolOutput {
    /// Words, passed to the model as they are.
    Text(String),
    /// A value, passed to the model as JSON.
    Json(Value),
    /// Words, passed to the model as they are, and the wish that the session end once the model has answered them.
    EndSession(String),
}

impl ToolOutput {
    /// The text that the model reads; a value becomes compact JSON (protocol.md section 6.5, rule 3).
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::EndSession(text) => text,
            Self::Json(value) => value.to_string(),
        }
    }
}

impl From<String> for ToolOutput {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for ToolOutput {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Value> for ToolOutput {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// Why a tool could not do its work, in words that the model reads and the span keeps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    message: String,
}

impl ToolError {
    /// An error that says `message`; fits `map_err(ToolError::new)` for any error type.
    pub fn new(message: impl ToString) -> Self {
        Self {
            message: message.to_string(),
        }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reaches_the_model_as_compact_json() {
        let output = ToolOutput::from(json!({"city": "Oslo", "celsius": [1, 2]}));
        assert_eq!(output.into_text(), r#"{"city":"Oslo","celsius":[1,2]}"#);
        assert_eq!(ToolOutput::from("\"as is\"").into_text(), "\"as is\"");
    }
}
