use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{Approval, Tool, ToolCall, ToolError, ToolFuture, ToolOutput, ToolSpec};

/// A tool written in Rust.
///
/// ```
/// use realtime_run::tool::{FunctionTool, ToolCall, ToolError};
/// use serde_json::json;
///
/// let double = FunctionTool::new(
///     "double",
///     "Doubles a number.",
///     json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}),
///     |call: ToolCall| async move {
///         let n = call.arguments["n"].as_i64().ok_or_else(|| ToolError::new("n must be an integer"))?;
///         Ok(json!({"result": n * 2}))
///     },
/// );
/// ```
pub struct FunctionTool {
    spec: ToolSpec,
    approval: Approval,
    timeout: Duration,
    run: Box<dyn Fn(ToolCall) -> ToolFuture + Send + Sync>,
}

impl FunctionTool {
    /// How long a call may take, unless said otherwise: a call without an end would hold up the conversation for ever.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

    /// A tool that runs `function`; `parameters` is the JSON schema of its arguments.
    pub fn new<F, Fut, Out>(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
        function: F,
    ) -> Self
    where
        F: Fn(ToolCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Out, ToolError>> + Send + 'static,
        Out: Into<ToolOutput>,
    {
        Self {
            spec: ToolSpec::new(name, description).parameters(parameters),
            approval: Approval::Never,
            timeout: Self::DEFAULT_TIMEOUT,
            run: Box::new(move |call| {
                let running = function(call);
                Box::pin(async move { running.await.map(Into::into) })
            }),
        }
    }

    /// Sets which calls have to be approved before they run; none, unless said otherwise.
    #[must_use]
    pub fn approval(mut self, approval: impl Into<Approval>) -> Self {
        self.approval = approval.into();
        self
    }

    /// Sets how long a call may take; the function is dropped then.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Tool for FunctionTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, call: ToolCall) -> ToolFuture {
        let (running, limit) = ((self.run)(call), self.timeout);
        Box::pin(async move {
            let finished = tokio::time::timeout(limit, running).await;
            finished.unwrap_or_else(|_| {
                Err(ToolError::new(format!(
                    "took longer than {limit:?} and was ended"
                )))
            })
        })
    }

    fn needs_approval(&self, call: &ToolCall) -> Result<bool, ToolError> {
        self.approval.is_needed(call)
    }
}

impl fmt::Debug for FunctionTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTool")
            .field("spec", &self.spec)
            .field("approval", &self.approval)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_function_without_an_end_is_ended() {
        let endless = FunctionTool::new("wait", "", json!({}), |_| {
            std::future::pending::<Result<String, _>>()
        });
        let call = ToolCall::new("call_1", "A", json!({}));
        let limit = Duration::from_millis(5);
        let error = endless.timeout(limit).call(call).await.unwrap_err();
        assert_eq!(error.message(), "took longer than 5ms and was ended");
    }
}
