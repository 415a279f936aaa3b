use super::{Tool, ToolCall, ToolFuture, ToolOutput, ToolSpec};

/// A tool by which the model ends the session: it may say goodbye, then the session closes.
#[derive(Debug, Clone)]
pub struct EndSessionTool {
    spec: ToolSpec,
}

impl EndSessionTool {
    /// The name that the model calls it by.
    pub const NAME: &str = "end_session";

    /// The tool, under its own name.
    pub fn new() -> Self {
        let description = "Ends the session. Call it when the user says goodbye or has nothing more to ask.";
        Self {
            spec: ToolSpec::new(Self::NAME, description),
        }
    }
}

impl Default for EndSessionTool {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool for EndSessionTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, _: ToolCall) -> ToolFuture {
        let told = "The session ends after your next words: say goodbye.".to_owned();
        Box::pin(async { Ok(ToolOutput::EndSession(told)) })
    }
}
