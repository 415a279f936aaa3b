use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How much of stderr is kept for errors to quote, in bytes.
const STDERR_KEPT: usize = 2 << 10;

/// A program that speaks or listens, run without a shell: once for each sentence or turn, with the one on its stdin and the
/// other on its stdout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechCommand {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

impl SpeechCommand {
    /// The program and its arguments, in words that white space separates; none if there are none. It has 30 seconds.
    pub fn new(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Self {
            program: words.next()?,
            arguments: words.collect(),
            timeout: super::TIMEOUT,
        })
    }

    /// The same with another limit to its time.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it, and gives what it wrote, at most so many bytes; or says why there is nothing.
    pub(super) async fn run(&self, input: Vec<u8>, most: usize) -> Result<Vec<u8>, String> {
        let talk = timeout(self.timeout, self.talk(input, most)).await;
        let talk = talk.unwrap_or_else(|_| Err(format!("took longer than {:?}", self.timeout)));
        talk.map_err(|why| format!("`{}` {why}", self.program))
    }

    async fn talk(&self, input: Vec<u8>, most: usize) -> Result<Vec<u8>, String> {
        let mut child = self.start()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // One that does not want all of it has its reasons.
                let _ = stdin.write_all(&input).await;
            }
        };
        let ((), output, errors) = tokio::join!(write, read(stdout, most + 1), read(stderr, STDERR_KEPT));
        if output.len() > most {
            return Err(format!("wrote more than {most} bytes"));
        }
        match child.wait().await {
            Ok(status) if status.success() => Ok(output),
            Ok(status) => Err(ended(status, &errors)),
            Err(error) => Err(format!("was lost: {error}")),
        }
    }

    fn start(&self) -> Result<Child, String> {
        Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("can't be started: {error}"))
    }
}

fn ended(status: ExitStatus, errors: &[u8]) -> String {
    let errors = String::from_utf8_lossy(errors);
    match errors.trim() {
        "" => format!("failed with {status}"),
        said => format!("failed with {status}: {said}"),
    }
}

/// What can be read, up to a limit. What came before a failure counts; the exit status tells of the failure.
async fn read(stream: Option<impl AsyncRead + Unpin>, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let _ = stream.take(most as u64).read_to_end(&mut bytes).await;
    }
    bytes
}
