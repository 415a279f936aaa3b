//! Tools that are programs: what they are given, what is taken from them, and that they end.

#![cfg(unix)]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use realtime_run::tool::{CommandTool, Tool, ToolCall, ToolError, ToolSpec};
use serde_json::{Value, json};

/// Far beyond what any of these programs needs.
const LIMIT: Duration = Duration::from_secs(60);

fn program(program: &str, arguments: &[&str]) -> CommandTool {
    let tool = CommandTool::new(
        ToolSpec::new("test", "Does it."),
        program,
        arguments.iter().copied(),
    );
    tool.timeout(LIMIT)
}

fn shell(script: &str) -> CommandTool {
    program("sh", &["-c", script])
}

fn call(arguments: Value) -> ToolCall {
    ToolCall {
        call_id: "call_1".to_owned(),
        agent: "Assistant".to_owned(),
        arguments,
    }
}

async fn run(tool: CommandTool) -> Result<String, ToolError> {
    tool.call(call(json!({}))).await.map(|output| output.into_text())
}

async fn failure(tool: CommandTool) -> String {
    run(tool).await.unwrap_err().to_string()
}

#[tokio::test]
async fn arguments_arrive_as_json_on_stdin() {
    let arguments = json!({"city": "Zürich \"old\"\n", "days": [1, 2]});
    let output = program("cat", &[])
        .call(call(arguments.clone()))
        .await
        .unwrap()
        .into_text();
    assert_eq!(serde_json::from_str::<Value>(&output).unwrap(), arguments);
    assert_eq!(
        output.lines().count(),
        1,
        "one line, so that it can be read by line: {output}"
    );
}

#[tokio::test]
async fn no_shell_reads_the_command() {
    let words = ["$HOME", "*", "a; echo b", "`date`", "two  spaces"];
    assert_eq!(
        run(program("printf", &["%s|", words[0]])).await.unwrap(),
        "$HOME|"
    );
    let all: Vec<&str> = ["%s|"].into_iter().chain(words).collect();
    assert_eq!(
        run(program("printf", &all)).await.unwrap(),
        "$HOME|*|a; echo b|`date`|two  spaces|"
    );
}

#[tokio::test]
async fn line_breaks_at_the_end_are_no_part_of_the_answer() {
    assert_eq!(
        run(shell("printf ' one\\n\\ntwo \\r\\n\\n'")).await.unwrap(),
        " one\n\ntwo "
    );
    assert_eq!(run(program("true", &[])).await.unwrap(), "");
}

#[tokio::test]
async fn a_program_may_leave_its_arguments_unread() {
    let much = json!({"text": "x".repeat(1_000_000)});
    let output = shell("exec <&-; echo done").call(call(much)).await.unwrap();
    assert_eq!(output.into_text(), "done");
}

#[tokio::test]
async fn a_program_may_answer_before_it_has_read_its_arguments() {
    let much = json!({"text": "x".repeat(1_000_000)});
    let output = shell("head -c 200000 /dev/zero | tr '\\0' y; cat >/dev/null")
        .call(call(much))
        .await
        .unwrap();
    assert_eq!(output.into_text(), "y".repeat(200_000));
}

#[tokio::test]
async fn failing_is_an_error_with_the_end_of_stderr() {
    assert_eq!(
        failure(shell("echo lost; echo 'no such city' >&2; exit 3")).await,
        "the program `sh` failed (exit status: 3): no such city"
    );
    assert_eq!(
        failure(program("false", &[])).await,
        "the program `false` failed (exit status: 1) and wrote nothing to stderr"
    );
    let long = failure(shell("seq 1 10000 >&2; echo the reason >&2; exit 1")).await;
    assert!(long.ends_with("10000\nthe reason"), "{long}");
    assert!(long.contains(": …") && long.len() < 3_000, "{} bytes", long.len());
}

#[tokio::test]
async fn a_long_answer_is_cut() {
    let output = run(shell("head -c 5000000 /dev/zero | tr '\\0' y"))
        .await
        .unwrap();
    assert!(output.starts_with("yyy"));
    assert!(
        output.ends_with("bytes more were left out]"),
        "{}",
        &output[output.len() - 80..]
    );
    assert!(output.len() < 300_000, "{} bytes", output.len());
}

#[tokio::test]
async fn an_answer_need_not_be_utf_8() {
    assert_eq!(
        run(shell("printf 'caf\\351 ok'")).await.unwrap(),
        "caf\u{fffd} ok"
    );
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_ended() {
    let message = failure(program("sleep", &["1000"]).timeout(Duration::from_millis(50))).await;
    assert_eq!(message, "the program `sleep` took longer than 50ms and was ended");
}

#[tokio::test]
async fn a_program_that_never_stops_writing_is_ended() {
    let message = failure(program("yes", &[]).timeout(Duration::from_millis(100))).await;
    assert!(message.contains("took longer than 100ms"), "{message}");
}

/// Shows the life of a program by a pipe that it holds open: the pipe ends when the last holder does.
struct Pipe {
    events: mpsc::Receiver<&'static str>,
}

impl Pipe {
    fn new(directory: &Path) -> Self {
        let path = directory.join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (send, events) = mpsc::channel();
        thread::spawn(move || {
            let mut pipe = File::open(path).unwrap();
            send.send("opened").unwrap();
            pipe.read_to_end(&mut Vec::new()).unwrap();
            send.send("closed").unwrap();
        });
        Self { events }
    }

    /// Waits for the next event, off the runtime's thread.
    async fn next(self) -> (Self, &'static str) {
        tokio::task::spawn_blocking(|| {
            let event = self.events.recv_timeout(LIMIT).unwrap();
            (self, event)
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn dropping_a_call_ends_the_program_and_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = Pipe::new(directory.path());
    let tool = shell("sleep 1000 > pipe & wait").current_dir(directory.path());
    let calling = tokio::spawn(tool.call(call(json!({}))));
    let (pipe, event) = pipe.next().await;
    assert_eq!(event, "opened");
    calling.abort();
    let (_, event) = pipe.next().await;
    assert_eq!(event, "closed");
}

#[tokio::test]
async fn a_program_that_is_missing_is_named_with_what_to_do() {
    assert_eq!(
        failure(program("no-such-program-here", &[])).await,
        "the program `no-such-program-here` can't start: there is no such program in PATH; install it, or give its path"
    );
    let directory = tempfile::tempdir().unwrap();
    let message = failure(program("./weather.sh", &[]).current_dir(directory.path())).await;
    assert!(
        message.starts_with("the program `weather.sh` can't start: there is no file "),
        "{message}"
    );
    fs::write(directory.path().join("weather.sh"), "#!/bin/sh\necho sunny\n").unwrap();
    let message = failure(program("./weather.sh", &[]).current_dir(directory.path())).await;
    assert!(message.contains("chmod +x"), "{message}");
    let message = failure(program("true", &[]).current_dir("/no/such/directory")).await;
    assert!(
        message.contains("there is no directory /no/such/directory"),
        "{message}"
    );
}

#[tokio::test]
async fn paths_count_from_the_directory_it_runs_in() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("weather.sh");
    fs::write(&script, "#!/bin/sh\ncat weather.txt\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.path().join("weather.txt"), "sunny").unwrap();
    assert_eq!(
        run(program("./weather.sh", &[]).current_dir(directory.path()))
            .await
            .unwrap(),
        "sunny"
    );
}
