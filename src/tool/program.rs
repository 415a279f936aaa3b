use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::process_group::ProcessGroup;
use crate::trace::Context;

/// How much of the end of stderr is kept for errors to quote, in bytes.
pub(super) const STDERR_TAIL: usize = 2 * 1024;

/// A program to start, without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// A path, which counts from the directory it runs in, or a mere name, which is looked up in `PATH`.
    pub name: String,
    pub arguments: Vec<String>,
    /// Where it runs; the current directory if none.
    pub directory: Option<PathBuf>,
}

impl Program {
    /// The command that starts it: with pipes to it, in a process group of its own, ended when its handle is dropped.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        ProcessGroup::prepare(&mut command);
        command
    }

    /// Starts what [`Program::command`] has made, or says in words why it can't be.
    pub fn start(&self, mut command: Command) -> Result<Child, String> {
        command.spawn().map_err(|error| self.not_started(&error))
    }

    /// What people call it.
    pub fn file_name(&self) -> String {
        let name = Path::new(&self.name).file_name().unwrap_or(self.name.as_ref());
        name.display().to_string()
    }

    /// Where the program is: a path counts from the directory it runs in, which the operating system alone does
    /// not see to everywhere.
    fn path(&self) -> PathBuf {
        match &self.directory {
            Some(directory) if self.name.contains(std::path::is_separator) => directory.join(&self.name),
            _ => PathBuf::from(&self.name),
        }
    }

    fn not_started(&self, error: &io::Error) -> String {
        let directory = self.directory.as_deref().filter(|directory| !directory.is_dir());
        match (error.kind(), directory) {
            (_, Some(directory)) => format!("can't start: there is no directory {}", directory.display()),
            (io::ErrorKind::NotFound, None) => self.not_found(),
            (io::ErrorKind::PermissionDenied, None) => {
                "can't start: the file is not executable (chmod +x makes it so)".to_owned()
            }
            _ => format!("can't start: {error}"),
        }
    }

    fn not_found(&self) -> String {
        let path = self.path();
        if path.is_file() {
            return "can't start: the interpreter named in its first line is missing".to_owned();
        }
        match path.components().count() {
            1 => "can't start: there is no such program in PATH; install it, or give its path".to_owned(),
            _ => format!("can't start: there is no file {}", path.display()),
        }
    }
}

/// Tells a program the current place in the trace, by the variables that stand for the headers of W3C Trace Context.
/// Where nothing is recorded it gets what it would get anyway (span rule N1).
pub(super) fn tell_place(command: &mut Command) {
    let place = Context::current();
    let Some(parent) = place.traceparent() else { return };
    command.env("TRACEPARENT", parent.to_string());
    match place.tracestate() {
        Some(state) => command.env("TRACESTATE", state),
        // What this process was told belongs to another parent.
        None => command.env_remove("TRACESTATE"),
    };
}

/// Reads to the end, so that the program never waits for a reader.
pub(super) async fn drain(
    stream: Option<impl AsyncRead + Unpin>,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut buffer = vec![0; 8 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => take(&buffer[..count]),
        }
    }
}
