use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};

use super::limit::{Head, OUTPUT_LIMIT, Tail};
use super::process_group::ProcessGroup;
use super::program::{Program, STDERR_TAIL, drain, tell_place};
use super::{Tool, ToolCall, ToolError, ToolFuture, ToolOutput, ToolSpec};

/// A tool that runs a program, without a shell.
///
/// The program gets the arguments of the call as one line of JSON on stdin, which it may leave unread; what it
/// writes to stdout, without line breaks at the end, is the answer. An exit code other than 0 is an error that quotes the
/// end of stderr. A program that takes too long is ended, and so are the programs it started itself (on Unix);
/// the same happens when the call is dropped. In a trace it finds the place of its call in `TRACEPARENT`.
#[derive(Debug, Clone)]
pub struct CommandTool {
    spec: ToolSpec,
    command: Command,
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
        let program = Program {
            name: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            directory: None,
        };
        let timeout = Self::DEFAULT_TIMEOUT;
        Self {
            spec,
            command: Command { program, timeout },
        }
    }

    /// Sets the directory the program runs in. The path of a program counts from it too; a mere name is looked
    /// up in `PATH`.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.command.program.directory = Some(directory.into());
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

    fn call(&self, call: ToolCall) -> ToolFuture {
        let command = self.command.clone();
        Box::pin(async move { command.run(call.arguments).await })
    }
}

/// What to run and within which limits.
#[derive(Debug, Clone)]
struct Command {
    program: Program,
    timeout: Duration,
}

impl Command {
    async fn run(self, arguments: Value) -> Result<ToolOutput, ToolError> {
        let mut child = self.start()?;
        let mut group = ProcessGroup::of(&child);
        let finished = tokio::time::timeout(self.timeout, converse(&mut child, &arguments)).await;
        let (status, stdout, stderr) = match finished {
            Ok(finished) => finished.map_err(|error| self.error(format!("failed: {error}")))?,
            // Returning drops the group, and with it ends every program in it.
            Err(_) => return Err(self.error(format!("took longer than {:?} and was ended", self.timeout))),
        };
        group.ended();
        if status.success() {
            return Ok(ToolOutput::Text(stdout.into_text()));
        }
        Err(self.error(match stderr.text().trim() {
            "" => format!("failed ({status}) and wrote nothing to stderr"),
            stderr => format!("failed ({status}): {stderr}"),
        }))
    }

    fn start(&self) -> Result<Child, ToolError> {
        let mut command = self.program.command();
        tell_place(&mut command);
        let started = self.program.start(command);
        started.map_err(|why| self.error(why))
    }

    fn error(&self, what: String) -> ToolError {
        ToolError::new(format!("the program `{}` {what}", self.program.file_name()))
    }
}

/// Feeds the program, takes all it writes, and waits for its end, in this order: as long as it has not been
/// waited for, its process id stands for nothing else.
async fn converse(child: &mut Child, arguments: &Value) -> io::Result<(ExitStatus, Head, Tail)> {
    let (mut stdout, mut stderr) = (Head::new(OUTPUT_LIMIT), Tail::new(STDERR_TAIL));
    let feeding = feed(child.stdin.take(), arguments.to_string());
    let reading = drain(child.stdout.take(), |bytes| stdout.push(bytes));
    let complaints = drain(child.stderr.take(), |bytes| stderr.push(bytes));
    let ((), out, err) = tokio::join!(feeding, reading, complaints);
    out.and(err)?;
    Ok((child.wait().await?, stdout, stderr))
}

/// Writes the arguments and closes stdin. A program may end without having read them, so errors mean nothing.
async fn feed(stdin: Option<ChildStdin>, arguments: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(format!("{arguments}\n").as_bytes()).await;
        let _ = stdin.shutdown().await;
    }
}
