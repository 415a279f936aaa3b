//! Where the trace of a run goes, and what becomes of the run when it gets nowhere.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/sink.rs"]
mod sink;

use cli::{Agent, Child, run};
use serde_json::{Value, json};
use sink::{Answer, Gate, Sink};

const TRACED: &str = r#"
[tracing]
workflow_name = "From the file"
group_id = "group-1"
metadata = { site = "example", kept = 1 }

[agents.Assistant]
instructions = "Be brief."
"#;

fn items(sink: &Sink) -> Vec<Value> {
    sink.requests().iter().flat_map(sink::Request::items).collect()
}

/// `--trace openai` to a sink.
fn traced_to<'a>(agent: &Agent, endpoint: &'a str, more: &[&'a str]) -> std::process::Command {
    let arguments = [
        "--simulate",
        "--trace",
        "openai",
        "--trace-endpoint",
        endpoint,
        "-m",
        "hi",
    ];
    let mut command = agent.command(arguments.into_iter().chain(more.iter().copied()));
    command.env("OPENAI_API_KEY", "sk-trace-key");
    command
}

#[test]
fn on_stdout_the_trace_comes_before_its_spans_and_the_words_move_to_stderr() {
    let outcome = Agent::weather().run([
        "--simulate",
        "--trace",
        "stdout",
        "-m",
        "What is the weather in Oslo?",
    ]);
    assert_eq!(outcome.code, Some(0));
    let items = outcome.json();
    assert_eq!(items[0]["object"], "trace");
    assert!(items[1..].iter().all(|item| item["object"] == "trace.span"));
    let kinds: Vec<_> = items[1..]
        .iter()
        .map(|item| item["span_data"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.last(), Some(&"agent"), "an agent's span outlives its work");
    let mut sorted = kinds.clone();
    sorted.sort_unstable(); // a tool may have answered before the answer that called it has ended
    assert_eq!(
        sorted,
        ["agent", "function", "generation", "generation", "speech"]
    );
    assert!(items[1..].iter().all(|span| span["trace_id"] == items[0]["id"]));
    assert!(items[1..5].iter().all(|span| span["parent_id"] == items[5]["id"]));
    assert!(
        outcome.stderr.contains("\nget_weather says: "),
        "{}",
        outcome.stderr
    );
    let banner = format!("traced to stdout as {}", items[0]["id"].as_str().unwrap());
    assert!(outcome.stderr.contains(&banner), "{}", outcome.stderr);
}

#[test]
fn content_stays_out_of_the_trace_on_request() {
    let weather = Agent::weather();
    let traced = |flag: Option<&str>, variable: &str| {
        let question = [
            "--simulate",
            "--trace",
            "stdout",
            "-m",
            "What is the weather in Oslo?",
        ];
        let mut command = weather.command(question.into_iter().chain(flag));
        command.env("OPENAI_AGENTS_TRACE_INCLUDE_SENSITIVE_DATA", variable);
        run(command)
    };
    for (flag, variable, is_kept) in [
        (None, "", true),
        (None, "1", true),
        (None, "0", false),
        (Some("--no-trace-content"), "1", false),
    ] {
        let outcome = traced(flag, variable);
        assert_eq!(outcome.stdout.contains("Oslo"), is_kept, "{flag:?} {variable:?}");
        assert!(outcome.stdout.contains("\"get_weather\""), "names stay");
        assert!(
            outcome.stderr.contains("Oslo"),
            "the words themselves are for the user"
        );
    }
}

#[test]
fn events_and_spans_can_share_stdout() {
    let outcome = Agent::weather().run(["--simulate", "--json", "--trace", "stdout", "-m", "hi"]);
    let lines = outcome.json();
    let (events, items): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.get("type").is_some());
    assert!(events.len() > 5);
    assert_eq!(items.len(), 4);
    assert_eq!(events[0]["trace_id"], items[0]["id"]);
}

#[test]
fn the_traces_endpoint_gets_it_all_before_the_run_ends() {
    let sink = Sink::always(204);
    let outcome = run(traced_to(&Agent::weather(), &sink.url("/v1/traces/ingest"), &[]));
    assert_eq!(outcome.code, Some(0));
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    let request = &sink.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer sk-trace-key"));
    let objects: Vec<_> = items(&sink).iter().map(|item| item["object"].clone()).collect();
    assert_eq!(objects, ["trace", "trace.span", "trace.span", "trace.span"]);
}

#[test]
fn the_trace_is_named_by_the_file_and_the_flags_win() {
    let agent = Agent::new(TRACED);
    let from_file = agent
        .run(["--simulate", "--trace", "stdout", "-m", "hi"])
        .json()
        .remove(0);
    assert_eq!(from_file["workflow_name"], "From the file");
    assert_eq!(from_file["group_id"], "group-1");
    assert_eq!(from_file["metadata"], json!({"site": "example", "kept": 1}));

    let id = "trace_0123456789abcdef0123456789abcdef";
    let arguments = [
        "--simulate",
        "--trace",
        "stdout",
        "-m",
        "hi",
        "--workflow-name",
        "Mine",
        "--group-id",
        "g2",
        "--trace-id",
        id,
        "--trace-metadata",
        "site=here",
        "--trace-metadata",
        "more=a=b",
    ];
    let from_flags = agent.run(arguments).json().remove(0);
    let expected = json!({
        "object": "trace", "id": id, "workflow_name": "Mine", "group_id": "g2",
        "metadata": {"site": "here", "kept": 1, "more": "a=b"},
    });
    assert_eq!(from_flags, expected);

    let unnamed = Agent::weather()
        .run(["--simulate", "--trace", "stdout", "-m", "hi"])
        .json()
        .remove(0);
    assert_eq!(unnamed["workflow_name"], "Agent workflow");
}

#[test]
fn n1_without_tracing_there_is_no_trace_no_span_and_no_request() {
    let sink = Sink::always(204);
    let endpoint = sink.url("/v1/traces/ingest");
    let agent = Agent::new("[session]\ntracing = \"auto\"\n[agents.A]\ninstructions = \"Hi.\"\n");
    let by_flag = traced_to(&agent, &endpoint, &["--no-tracing", "--json", "--raw"]);
    let mut by_environment = traced_to(&agent, &endpoint, &["--json", "--raw"]);
    by_environment.env("OPENAI_AGENTS_DISABLE_TRACING", "true");
    for command in [by_flag, by_environment] {
        let outcome = run(command);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        let events = outcome.json();
        assert_eq!(
            events
                .iter()
                .find(|event| event["type"] == "session_start")
                .unwrap()["trace_id"],
            Value::Null
        );
        let updates = events
            .iter()
            .filter(|event| event["event"]["type"] == "session.update");
        for update in updates {
            let tracing = &update["event"]["session"]["tracing"];
            assert!(
                tracing.is_null(),
                "the server is asked for no trace either: {tracing}"
            );
        }
    }
    assert_eq!(sink.requests().len(), 0);

    let outcome = agent.run(["--simulate", "--no-tracing", "-m", "hi"]);
    assert!(!outcome.stderr.contains("trace_"), "no tree: {}", outcome.stderr);
}

#[test]
fn a_variable_that_says_no_disables_nothing() {
    let sink = Sink::always(204);
    let agent = Agent::weather();
    for no in ["0", "false", ""] {
        let before = sink.requests().len();
        let mut command = traced_to(&agent, &sink.url("/ingest"), &[]);
        command.env("OPENAI_AGENTS_DISABLE_TRACING", no);
        assert_eq!(run(command).code, Some(0));
        assert_eq!(sink.requests().len(), before + 1, "{no:?}");
    }
}

#[test]
fn no_exporter_thread_runs_unless_there_is_something_to_export() {
    if !std::path::Path::new("/proc/self/task").exists() {
        eprintln!("skipped: this system does not list threads in /proc/self/task");
        return;
    }
    for (arguments, expected) in [
        (&["--simulate", "--no-tracing", "--trace", "stdout"][..], false),
        (&["--simulate"], false),
        (&["--simulate", "--trace", "stdout"], true),
    ] {
        let agent = Agent::weather();
        let mut command = agent.command(arguments.iter().copied());
        command.stdin(std::process::Stdio::piped());
        let mut child = Child::start(command);
        child.say("hi\n");
        child.wait_for_any("You said: hi");
        let runs = |thread: &str| child.threads().iter().any(|name| name.starts_with(thread));
        if expected {
            cli::wait_until("the exporter's thread", || runs("trace-export"));
        } else {
            assert!(!runs("trace-export"), "{arguments:?}");
        }
        assert!(
            !arguments.contains(&"--no-tracing") || !runs("trace-"),
            "nor any other"
        );
        child.end_input();
        assert_eq!(child.wait().code, Some(0));
    }
}

#[test]
fn what_did_not_get_there_is_told_and_changes_nothing() {
    let sink = Sink::always(400);
    let outcome = run(traced_to(&Agent::weather(), &sink.url("/ingest"), &["-q"]));
    assert_eq!(
        outcome.code,
        Some(0),
        "trouble with the trace is no trouble with the run"
    );
    let expected = format!(
        "warning: 4 of 4 trace items did not get to openai: {} answered 400",
        sink.host()
    );
    assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
}

#[test]
fn without_a_key_the_warning_says_what_to_set() {
    let sink = Sink::always(204);
    let agent = Agent::weather();
    let mut command = traced_to(&agent, &sink.url("/ingest"), &["-q"]);
    command.env_remove("OPENAI_API_KEY");
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome.stderr.contains("set OPENAI_API_KEY"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_traces_endpoint_that_does_not_answer_holds_the_run_up_for_a_few_seconds_only() {
    let never = Gate::default();
    let sink = Sink::start({
        let never = never.clone();
        move |_, _| Answer::status(204).after(&never)
    });
    let started = std::time::Instant::now();
    let outcome = run(traced_to(&Agent::weather(), &sink.url("/ingest"), &["-q"]));
    assert_eq!(outcome.code, Some(0));
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
    assert!(
        outcome
            .stderr
            .contains("4 of 4 trace items did not get to openai"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_failed_entry_is_traced_too() {
    let sink = Sink::always(204);
    let agent = Agent::weather();
    let endpoint = sink.url("/ingest");
    let mut command = agent.command([
        "--url",
        "ws://127.0.0.1:1",
        "--trace",
        "openai",
        "--trace-endpoint",
        &endpoint,
        "-m",
        "hi",
    ]);
    command.env("OPENAI_API_KEY", "sk-trace-key");
    assert_eq!(run(command).code, Some(3));
    let span = items(&sink).remove(1);
    assert_eq!(span["span_data"]["name"], "Assistant");
    assert!(
        span["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("cannot reach 127.0.0.1:1"),
        "{span}"
    );
}
