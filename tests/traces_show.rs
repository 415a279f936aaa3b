//! `traces show`: traces drawn in the terminal.

#[path = "support/cli.rs"]
mod cli;

use std::path::Path;
use std::process::Command;

use cli::{Agent, Outcome, masked, program, run};
use rexpect::session::spawn_command;
use serde_json::{Value, json};
use tempfile::TempDir;

const REFUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/refund.jsonl");

fn show(arguments: &[&str]) -> Outcome {
    let mut command = program();
    command.args(["traces", "show"]).args(arguments);
    run(command)
}

/// What it draws of a file with these lines.
fn shown(lines: impl IntoIterator<Item = String>) -> Outcome {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("trace.jsonl");
    let lines: Vec<String> = lines.into_iter().collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut outcome = show(&[file.to_str().unwrap()]);
    outcome.stderr = outcome.stderr.replace(file.to_str().unwrap(), "FILE");
    outcome
}

/// What a terminal of so many columns is sent.
fn in_terminal(columns: u16, environment: &[(&str, &str)], arguments: &str) -> String {
    let mut command = Command::new("sh");
    let script = format!(
        "stty cols {columns}; exec {} traces show {arguments}",
        env!("CARGO_BIN_EXE_realtime-run")
    );
    command
        .args(["-c", &script])
        .env_remove("NO_COLOR")
        .env("TERM", "xterm");
    command.envs(environment.iter().copied());
    let mut terminal = spawn_command(command, Some(20_000)).unwrap();
    let bytes: Vec<u8> = terminal
        .exp_eof()
        .unwrap()
        .chars()
        .map(|byte| byte as u8)
        .collect();
    String::from_utf8(bytes).unwrap().replace('\r', "")
}

fn trace(number: u8) -> String {
    json!({"object": "trace", "id": format!("trace_{number:032x}"), "workflow_name": format!("Run {number}")})
        .to_string()
}

fn span(number: u8, parent: Option<u8>, seconds: (u8, Option<u8>), data: Value) -> String {
    let id = |number: u8| format!("span_{number:024x}");
    let at = |second: u8| format!("2026-01-02T03:04:{second:02}Z");
    json!({"object": "trace.span", "id": id(number), "trace_id": format!("trace_{:032x}", 1), "parent_id": parent.map(id),
        "started_at": at(seconds.0), "ended_at": seconds.1.map(at), "span_data": data, "error": null})
    .to_string()
}

fn agent(name: &str) -> Value {
    json!({"type": "agent", "name": name})
}

#[test]
fn a_trace_is_a_waterfall() {
    let outcome = show(&[REFUND]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(outcome.stdout);
    assert!(outcome.stdout.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn a_narrow_terminal_and_a_wide_one_are_filled() {
    let narrow = in_terminal(40, &[], &format!("{REFUND} --color never"));
    insta::assert_snapshot!(narrow);
    let wide = in_terminal(240, &[], &format!("{REFUND} --color never"));
    for (text, columns) in [(narrow, 40), (wide, 240)] {
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(
            (columns - 3..=columns).contains(&widest),
            "{widest} of {columns}:\n{text}"
        );
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    assert!(in_terminal(80, &[], REFUND).contains("\x1b[1m\x1b[31merror:"));
    assert!(!in_terminal(80, &[("NO_COLOR", "1")], REFUND).contains('\x1b'));
    assert!(!show(&[REFUND]).stdout.contains('\x1b'));
    assert!(show(&[REFUND, "--color", "always"]).stdout.contains('\x1b'));
}

#[test]
fn where_the_locale_has_no_more_it_is_drawn_in_ascii() {
    let mut command = program();
    command.args(["traces", "show", REFUND]).env("LC_ALL", "C");
    let outcome = run(command);
    assert!(outcome.stdout.is_ascii(), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("handoff Triage -> Refunds"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn names_do_nothing_to_the_terminal() {
    let hostile = "\x1b]0;owned\x07\x1b[2Jred\u{202e}der\r\n日本語";
    let mut failed: Value = serde_json::from_str(&span(1, None, (1, Some(3)), agent(hostile))).unwrap();
    failed["error"] = json!({"message": hostile, "data": null});
    let named = trace(1).replace("Run 1", "\\u001b[31mred\\u009b");
    let outcome = shown([named, failed.to_string()]);
    insta::assert_snapshot!(outcome.stdout);
    let harmless = |c: char| !c.is_control() || c == '\n';
    assert!(outcome.stdout.chars().all(harmless), "{:?}", outcome.stdout);
}

#[test]
fn what_is_left_of_a_run_that_was_killed_is_shown() {
    let lines = [
        "Good morning!".to_owned(),
        trace(1),
        span(
            2,
            Some(1),
            (1, Some(3)),
            json!({"type": "function", "name": "look"}),
        ),
        "{\"type\": \"session_end\"}".to_owned(),
        span(3, Some(1), (3, None), agent("Half")),
        span(5, Some(6), (4, Some(5)), agent("Hen")),
        span(6, Some(5), (4, Some(6)), agent("Egg")),
        span(4, Some(1), (5, Some(6)), agent("Torn"))[..90].to_owned(),
    ];
    let outcome = shown(lines);
    assert_eq!(outcome.code, Some(0));
    insta::assert_snapshot!(format!("{}\n{}", outcome.stdout, outcome.stderr));
}

#[test]
fn of_several_traces_the_last_is_shown_or_the_one_that_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("traces.jsonl");
    std::fs::write(&file, [trace(1), trace(2), trace(16)].join("\n")).unwrap();
    let file = file.to_str().unwrap();
    let name = |outcome: &Outcome| outcome.stdout.lines().next().unwrap_or_default().to_owned();
    let last = show(&[file]);
    assert_eq!(name(&last), "trace_00000000000000000000000000000010 Run 16");
    assert!(
        last.stderr.contains("holds 3 traces, of which this is the last"),
        "{}",
        last.stderr
    );
    let named = show(&[file, "--trace-id", "00000000000000000000000000000001"]);
    assert_eq!(
        (name(&named).as_str(), named.stderr.as_str()),
        ("trace_00000000000000000000000000000001 Run 1", "")
    );
    let ambiguous = show(&[file, "--trace-id", "trace_0000000000000000000000000000000"]);
    assert_eq!(ambiguous.code, Some(2));
    assert!(
        ambiguous.stderr.contains("2 ids begin so: trace_"),
        "{}",
        ambiguous.stderr
    );
}

#[test]
fn files_without_a_trace_are_refused_with_the_reason() {
    for lines in [
        vec![],
        vec!["{}".to_owned(), "[package]".to_owned(), "\0\u{1}".to_owned()],
    ] {
        let outcome = shown(lines);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
        assert!(
            outcome.stderr.starts_with("error: FILE holds no trace: "),
            "{}",
            outcome.stderr
        );
    }
    let outcome = show(&["/nowhere/trace.jsonl"]);
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (Some(2), "error: there is no file /nowhere/trace.jsonl\n")
    );
    let outcome = show(&["/"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("cannot read /"), "{}", outcome.stderr);
}

#[test]
fn a_page_that_can_not_be_written_is_a_failure() {
    let mut command = program();
    command.args(["traces", "html", REFUND, "-o", "/nowhere/page.html"]);
    let outcome = run(command);
    assert_eq!(outcome.code, Some(3));
    assert!(
        outcome
            .stderr
            .starts_with("error: cannot write /nowhere/page.html: "),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_last_run_is_shown_from_the_store() {
    let agent = Agent::weather();
    for words in ["Hello", "What is the weather in Oslo?"] {
        assert_eq!(agent.run(["--simulate", "-m", words]).code, Some(0));
    }
    let ask = |arguments: &[&str]| {
        let mut command = program();
        command
            .args(["traces", "show"])
            .args(arguments)
            .env("REALTIME_RUN_SPOOL", agent.store());
        run(command)
    };
    let last = ask(&[]);
    assert!(
        last.stdout.contains("function get_weather"),
        "{}{}",
        last.stdout,
        last.stderr
    );
    let id = last.stdout.split(' ').next().unwrap();
    for prefix in [id, &id[..20], &id["trace_".len()..20]] {
        assert_eq!(ask(&[prefix]).stdout, last.stdout);
    }
    let unknown = ask(&["trace_0000"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("`trace_0000` is no file and no trace in"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_run_at_a_terminal_ends_by_saying_how_to_look_at_it() {
    let agent = Agent::weather();
    let end = |flags: &[&str]| {
        let mut command = agent.command(["--simulate", "-m", "Hello"]);
        command.args(flags).env("TERM", "xterm");
        spawn_command(command, Some(20_000)).unwrap().exp_eof().unwrap()
    };
    assert!(end(&[]).contains("realtime-run traces show"));
    let elsewhere = agent.path().with_file_name("elsewhere");
    let spool = elsewhere.to_str().unwrap();
    assert!(end(&["--spool", spool]).contains(&format!("traces show --spool {spool};")));
    for without in ["--no-store", "--no-tracing", "-q", "--json"] {
        assert!(!end(&[without]).contains("traces show"), "{without}");
    }
    let piped = agent.run(["--simulate", "-m", "Hello"]);
    assert!(!piped.stderr.contains("traces show"), "{}", piped.stderr);
}

#[test]
fn an_empty_store_has_nothing_to_show() {
    let folder = TempDir::new().unwrap();
    let mut command = program();
    command.args(["traces", "show", "--spool"]).arg(folder.path());
    let outcome = run(command);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.starts_with("error: no traces are kept in "),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_a_run_says_on_stdout_and_stderr_together_can_be_shown() {
    let agent = Agent::weather();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("captured.txt");
    let mut traced = agent.command(["--simulate", "-m", "Hello", "--trace", "stdout"]);
    let output = std::fs::File::create(&file).unwrap();
    let status = traced
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .status()
        .unwrap();
    assert!(status.success());
    let outcome = show(&[file.to_str().unwrap()]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(
        masked(&outcome.stdout).contains("agent Assistant"),
        "{}",
        outcome.stdout
    );
    assert!(Path::new(&file).exists());
}
