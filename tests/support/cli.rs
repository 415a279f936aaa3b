//! Runs the built program: once to its end, or as a child to be watched and signalled.
//!
//! Use it with `#[path = "support/cli.rs"] mod cli;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for what must come.
pub const LIMIT: Duration = Duration::from_secs(20);

/// An agent with a tool that has a fixed answer, and one to hand over to.
pub const WEATHER: &str = r#"
start = "Assistant"

[agents.Assistant]
instructions = "You are friendly."
tools = ["get_weather"]
handoffs = ["Billing"]

[agents.Billing]
handoff_description = "Answers questions about invoices."
instructions = "You know all invoices."

[tools.get_weather]
description = "Tells the current weather of a city."
parameters = { type = "object", properties = { city = { type = "string" } }, required = ["city"] }
output = { sky = "clear", celsius = 21 }
"#;

/// The program, with nothing from the environment of the tests that could change what it does.
pub fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_realtime-run"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let changes_it = [
            "OPENAI_", "OTEL_", "TRACE", "AZURE_", "RUST_LOG", "NO_COLOR", "TERM", "COLUMNS", "GITHUB_",
        ];
        if changes_it.iter().any(|prefix| name.starts_with(prefix)) {
            program.env_remove(name);
        }
    }
    // What is run for an agent of a test has a folder of its own; nothing goes to the home of who runs the tests.
    program.env(
        "REALTIME_RUN_SPOOL",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/no-store"),
    );
    program.stdin(Stdio::null());
    program
}

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The lines of stdout as JSON.
    pub fn json(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// The types of the events on stdout.
    pub fn types(&self) -> Vec<String> {
        let kind = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
        self.json().iter().map(kind).collect()
    }
}

/// An agent file and runs of it.
pub struct Agent {
    directory: TempDir,
}

impl Agent {
    pub fn new(text: &str) -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("agent.toml"), text).unwrap();
        Self { directory }
    }

    pub fn weather() -> Self {
        Self::new(WEATHER)
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("agent.toml")
    }

    /// Where its traces are kept.
    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// The program about to run this agent.
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = program();
        command.arg("--agent").arg(self.path()).args(arguments);
        command.env("REALTIME_RUN_SPOOL", self.store());
        command
    }

    /// Runs it to its end.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        run(self.command(arguments))
    }
}

/// Runs a command to its end.
pub fn run(command: Command) -> Outcome {
    run_with_input(command, "")
}

/// Runs a command to its end, with `input` on its stdin.
pub fn run_with_input(mut command: Command, input: &str) -> Outcome {
    command.stdin(Stdio::piped());
    let mut child = Child::start(command);
    child.say(input);
    child.end_input();
    child.wait()
}

/// A running program.
pub struct Child {
    process: std::process::Child,
    stdout: Arc<Seen>,
    stderr: Arc<Seen>,
}

/// What came on one of its streams so far.
#[derive(Default)]
struct Seen {
    text: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Seen {
    fn follow(mut stream: impl Read + Send + 'static) -> Arc<Self> {
        let seen = Arc::new(Self::default());
        let follower = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer).unwrap_or(0);
                let mut text = follower.text.lock().unwrap();
                text.0.extend_from_slice(&buffer[..read]);
                text.1 = read == 0;
                follower.changed.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        seen
    }

    fn shows(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.text.lock().unwrap().0).contains(text)
    }

    fn wait_until(&self, done: impl FnMut(&str, bool) -> bool) -> String {
        self.wait_within(LIMIT, done)
    }

    fn wait_within(&self, limit: Duration, mut done: impl FnMut(&str, bool) -> bool) -> String {
        let text = self.text.lock().unwrap();
        let show = |text: &(Vec<u8>, bool)| String::from_utf8_lossy(&text.0).into_owned();
        let (text, timeout) = self
            .changed
            .wait_timeout_while(text, limit, |text| !done(&show(text), text.1))
            .unwrap();
        assert!(!timeout.timed_out(), "waited in vain; so far: {}", show(&text));
        show(&text)
    }
}

impl Child {
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        Self {
            stdout: Seen::follow(process.stdout.take().unwrap()),
            stderr: Seen::follow(process.stderr.take().unwrap()),
            process,
        }
    }

    /// Starts it with a stdout that nobody reads yet.
    pub fn start_unread(mut command: Command) -> (Self, Unread) {
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer.try_clone().unwrap()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let child = Self {
            stdout: Seen::follow(std::io::empty()),
            stderr: Seen::follow(process.stderr.take().unwrap()),
            process,
        };
        (child, Unread { reader, writer })
    }

    /// Writes to its stdin. A program that has ended already does not matter.
    pub fn say(&mut self, text: &str) {
        self.say_bytes(text.as_bytes());
    }

    pub fn say_bytes(&mut self, bytes: &[u8]) {
        let _ = self.process.stdin.as_mut().unwrap().write_all(bytes);
    }

    pub fn end_input(&mut self) {
        self.process.stdin = None;
    }

    /// Waits until `text` is on stdout, and returns all that is.
    pub fn wait_for_stdout(&self, text: &str) -> String {
        self.stdout.wait_until(|seen, _| seen.contains(text))
    }

    /// Waits until so many lines on stdout hold `text`, and returns all that is.
    pub fn wait_for_lines(&self, text: &str, count: usize) -> String {
        let whole = |seen: &str| {
            seen.split_inclusive('\n')
                .filter(|line| line.ends_with('\n') && line.contains(text))
                .count()
        };
        self.stdout.wait_until(|seen, _| whole(seen) >= count)
    }

    /// Waits until `text` is on stderr, and returns all that is.
    pub fn wait_for_stderr(&self, text: &str) -> String {
        self.stderr.wait_until(|seen, _| seen.contains(text))
    }

    /// Waits until `text` is on either.
    pub fn wait_for_any(&self, text: &str) {
        wait_until(text, || self.stdout.shows(text) || self.stderr.shows(text));
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
        tasks.filter_map(|task| name(task.ok()?).ok()).collect()
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let id = self.process.id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {id}")])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn wait(self) -> Outcome {
        self.wait_within(LIMIT)
    }

    /// Waits for its end, of work that takes long.
    pub fn wait_within(mut self, limit: Duration) -> Outcome {
        let stdout = self.stdout.wait_within(limit, |_, ended| ended);
        let stderr = self.stderr.wait_within(limit, |_, ended| ended);
        // It has let go of its streams, so it is ending.
        let code = self.process.wait().unwrap().code();
        Outcome { code, stdout, stderr }
    }
}

/// A stdout that nobody reads.
pub struct Unread {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Unread {
    /// Waits until nothing more fits in.
    pub fn wait_until_full(&self) {
        wait_until("a full pipe", || {
            let mut ready = [PollFd::new(&self.writer, PollFlags::OUT)];
            poll(&mut ready, Some(&Timespec::default())).unwrap() == 0
        });
    }

    /// The end to read from.
    pub fn into_reader(self) -> PipeReader {
        self.reader
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until something is so.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// `text` with what differs from run to run replaced: ids and durations.
pub fn masked(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n']).collect::<Vec<_>>();
    let mut masked = String::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let unit = |word: &str| word.trim_end().trim_end_matches([',', ';']).to_owned();
        let next = words.peek().map(|next| unit(next));
        let is_number = word.trim_end().parse::<f64>().is_ok();
        if word.starts_with("trace_") {
            masked += &format!("trace_…{}", &word[word.trim_end().len()..]);
        } else if is_number && matches!(next.as_deref(), Some("s" | "ms" | "µs")) {
            masked += "… ";
        } else if matches!(unit(word).as_str(), "s" | "ms" | "µs") && masked.ends_with("… ") {
            masked += &format!("s{}", &word[unit(word).len()..]);
        } else {
            masked += word;
        }
    }
    masked
}
