use std::sync::Arc;

use rmcp::model::{CallToolRequestParams, CallToolResponse, ErrorData, RequestParamsMeta, Tool as Listed};
use rmcp::service::{Peer, RoleClient, ServiceError};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{McpServer, answer, cause};
use crate::tool::scrub::Scrub;
use crate::tool::{Tool, ToolCall, ToolError, ToolFuture, ToolGuardrails, ToolOutput, ToolSpec};
use crate::trace::Context;

/// The longest description that the Realtime API takes, in characters (protocol.md, limits).
const MAX_DESCRIPTION: usize = 1024;

/// A tool that an MCP server runs. It keeps no server alive.
#[derive(Clone)]
pub struct McpTool {
    spec: ToolSpec,
    /// What the server calls it.
    name: String,
    way: Arc<Way>,
}

/// What all tools of one server need to call it.
pub(super) struct Way {
    pub server: Arc<McpServer>,
    pub peer: Peer<RoleClient>,
    pub scrub: Scrub,
}

impl McpTool {
    pub(super) fn new(listed: Listed, way: &Arc<Way>) -> Self {
        let name = listed.name.into_owned();
        let description = listed
            .description
            .map(Into::into)
            .or(listed.title)
            .unwrap_or_default();
        let schema = Arc::unwrap_or_clone(listed.input_schema);
        Self {
            spec: ToolSpec::new(name.clone(), shortened(description)).parameters(parameters(schema)),
            name,
            way: Arc::clone(way),
        }
    }

    /// The server that runs it.
    pub fn server(&self) -> &McpServer {
        &self.way.server
    }

    /// The same tool under the name `<server>__<tool>`.
    #[must_use]
    pub fn prefixed(mut self) -> Self {
        self.spec.name = format!("{}__{}", self.way.server.name, self.name);
        self
    }
}

impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, call: ToolCall) -> ToolFuture {
        let (way, name) = (Arc::clone(&self.way), self.name.clone());
        Box::pin(async move { way.call(name, call.arguments).await })
    }

    fn needs_approval(&self, call: &ToolCall) -> Result<bool, ToolError> {
        self.server().needs_approval.is_needed(call)
    }

    fn guardrails(&self) -> ToolGuardrails {
        self.server().guardrails.clone()
    }

    fn mcp_server(&self) -> Option<&str> {
        Some(&self.way.server.name)
    }
}

impl std::fmt::Debug for McpTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McpTool")
            .field("server", &self.way.server.name)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl Way {
    /// Dropping the future tells the server that the call is off.
    async fn call(&self, name: String, arguments: Value) -> Result<ToolOutput, ToolError> {
        let Value::Object(arguments) = arguments else {
            return Err(ToolError::new("the arguments must be a JSON object"));
        };
        let limit = self.server.tool_timeout;
        let mut params = CallToolRequestParams::new(name).with_arguments(arguments);
        // By MCP's own rule for it (SEP-414), which holds for servers of any kind.
        let place = Context::current();
        if let Some(parent) = place.traceparent() {
            params.set_traceparent(&parent.to_string());
        }
        if let Some(state) = place.tracestate() {
            params.set_tracestate(state);
        }
        match timeout(limit, self.peer.call_tool_once(params)).await {
            Ok(Ok(CallToolResponse::Complete(result))) => answer::output(result),
            Ok(Ok(_)) => Err(self.error("wants to go on in a way that is not supported here")),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_) => Err(self.error(format!(
                "took longer than {limit:?} (`tool_timeout_sec` gives it longer)"
            ))),
        }
    }

    fn failure(&self, error: &ServiceError) -> ToolError {
        match error {
            // The server's own words about this call are for the model.
            ServiceError::McpError(ErrorData { message, .. }) => ToolError::new(self.scrub.clean(message)),
            error => self.error(format!(
                "could not be called: {}",
                self.scrub.clean(&cause::of_request(error))
            )),
        }
    }

    fn error(&self, what: impl std::fmt::Display) -> ToolError {
        ToolError::new(format!("the MCP server `{}` {what}", self.server.name))
    }
}

/// The schema as the Realtime API wants it: an object with properties, if only none.
fn parameters(mut schema: Map<String, Value>) -> Value {
    schema.entry("type").or_insert_with(|| json!("object"));
    schema.entry("properties").or_insert_with(|| json!({}));
    Value::Object(schema)
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_DESCRIPTION) {
        None => text,
        Some(_) => text.chars().take(MAX_DESCRIPTION - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_fit_the_api() {
        assert_eq!(shortened("é".repeat(1024)), "é".repeat(1024));
        let cut = shortened("é".repeat(1025));
        assert_eq!((cut.chars().count(), cut.ends_with("é…")), (1024, true));
    }

    #[test]
    fn a_schema_without_properties_gets_none() {
        let bare = json!({"$schema": "x"}).as_object().unwrap().clone();
        assert_eq!(
            parameters(bare),
            json!({"$schema": "x", "type": "object", "properties": {}})
        );
    }
}
