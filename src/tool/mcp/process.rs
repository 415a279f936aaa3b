use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::server::McpCommand;
use crate::tool::limit::Tail;
use crate::tool::process_group::ProcessGroup;
use crate::tool::program::{STDERR_TAIL, drain, tell_place};

/// How long a server may take to leave, once its stdin is closed and once more when it is asked to.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);
/// How long the rest of what a broken server writes to stderr is awaited.
const STDERR_LIMIT: Duration = Duration::from_millis(500);

/// What any program needs and that is no secret. Everything else must be given to a server by name.
const ENVIRONMENT: &[&str] = &[
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    // Windows
    "APPDATA",
    "COMSPEC",
    "HOMEDRIVE",
    "HOMEPATH",
    "LOCALAPPDATA",
    "PATHEXT",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
    "WINDIR",
];

/// A server that runs as a child process. It and all that it starts are ended when this is dropped.
pub(super) struct Process {
    /// Before the child: as long as that has not been waited for, its id stands for nothing else.
    group: ProcessGroup,
    child: Child,
    /// One task that reads stderr; it ends when all that could write to it have ended.
    stderr: JoinSet<()>,
    tail: Arc<Mutex<Tail>>,
}

impl Process {
    /// Starts the program, or says in words why it can't be.
    pub fn start(command: &McpCommand) -> Result<(Self, ChildStdout, ChildStdin), String> {
        let program = &command.program;
        let named = |why: &str| format!("can't be run: the program `{}` {why}", program.file_name());
        let mut prepared = program.command();
        prepared.env_clear();
        prepared.envs(
            ENVIRONMENT
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        tell_place(&mut prepared);
        prepared.envs(&command.environment);
        let mut child = program.start(prepared).map_err(|why| named(&why))?;
        let (Some(stdout), Some(stdin)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(named("has no stdin and stdout"));
        };
        let tail = Arc::new(Mutex::new(Tail::new(STDERR_TAIL)));
        let mut stderr = JoinSet::new();
        let (stream, kept) = (child.stderr.take(), Arc::clone(&tail));
        stderr.spawn(async move {
            let keep = |bytes: &[u8]| kept.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
            let _ = drain(stream, keep).await;
        });
        let process = Self {
            group: ProcessGroup::of(&child),
            child,
            stderr,
            tail,
        };
        Ok((process, stdout, stdin))
    }

    /// Gives up on it: ends it, and tells the end of what it wrote to stderr.
    pub async fn last_words(mut self) -> String {
        self.fell_silent(STDERR_LIMIT).await;
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.text().trim().to_owned()
    }

    /// Ends it, its stdin being closed: it may leave by itself, is then asked to, and at last made to (MCP 2025-11-25,
    /// "Lifecycle", shutdown over stdio).
    pub async fn end(mut self) {
        if !self.fell_silent(LEAVE_LIMIT).await {
            self.group.terminate();
            self.fell_silent(LEAVE_LIMIT).await;
        }
        let Self { group, mut child, .. } = self;
        drop(group);
        let _ = timeout(LEAVE_LIMIT, child.wait()).await;
    }

    /// Waits until stderr has ended, which it does with the last of the processes. Says whether it has.
    async fn fell_silent(&mut self, limit: Duration) -> bool {
        timeout(limit, self.stderr.join_next()).await.is_ok()
    }
}
