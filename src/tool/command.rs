use std::path::PathBuf;
use std::time::Duration;

use super::{Tool, ToolCall, ToolError, ToolFuture, ToolSpec};

/// A tool that runs a program.
#[derive(Debug, Clone)]
pub struct CommandTool {
    spec: ToolSpec,
    command: Command,
}

/// What to run and within which limits.
#[derive(Debug, Clone)]
struct Command {
    program: String,
    arguments: Vec<String>,
    directory: Option<PathBuf>,
    timeout: Duration,
}

impl CommandTool {
    /// How long a program may run unless said otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    /// A tool that runs `program` with `arguments`, in the current directory.
    pub fn new<A: Into<String>>(
        spec: ToolSpec,
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let command = Command {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            directory: None,
            timeout: Self::DEFAULT_TIMEOUT,
        };
        Self { spec, command }
    }

    /// Sets the directory the program runs in; a relative program path counts from it too.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.command.directory = Some(directory.into());
        self
    }

    /// Sets how long the program may run.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.command.timeout = timeout;
        self
    }
}

impl Tool for CommandTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, _call: ToolCall) -> ToolFuture {
        Box::pin(async { Err(ToolError::new("not yet")) })
    }
}
