use super::{Tool, ToolCall, ToolFuture, ToolOutput, ToolSpec};

/// A tool that always gives the same answer, for demonstrations and tests.
#[derive(Debug, Clone)]
pub struct OutputTool {
    spec: ToolSpec,
    output: ToolOutput,
}

impl OutputTool {
    /// A tool that answers `output` whatever it is asked.
    pub fn new(spec: ToolSpec, output: impl Into<ToolOutput>) -> Self {
        Self {
            spec,
            output: output.into(),
        }
    }
}

impl Tool for OutputTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, _: ToolCall) -> ToolFuture {
        let output = self.output.clone();
        Box::pin(async { Ok(output) })
    }
}
