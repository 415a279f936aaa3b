//! Command lines that make no sense: each is refused with exit status 2, before anything happens, and says what would
//! be right.

#[path = "support/cli.rs"]
mod cli;

use cli::{Agent, program, run};

/// What is said of a command line that must be refused.
fn refused(arguments: &[&str]) -> String {
    let outcome = Agent::weather().run(arguments.iter().copied());
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(2), ""),
        "{arguments:?}: {}",
        outcome.stderr
    );
    outcome.stderr
}

#[test]
fn each_mistake_names_what_would_be_right() {
    let cases: &[(&[&str], &str)] = &[
        (&["--simulate", "--trce", "stdout"], "'--trace'"),
        (&["--simulate", "--timeout", "soon"], "such as 30s, 2m, 500ms"),
        (&["--simulate", "--turn-timeout", "0"], "above zero"),
        (&["--simulate", "--url", "ws://h"], "cannot be used with '--url"),
        (
            &["--simulate", "--modality", "video"],
            "[possible values: text, audio]",
        ),
        (
            &["--simulate", "--trace", "file"],
            "expected openai, otlp, stdout, file=PATH or none",
        ),
        (
            &["--simulate", "--trace", "none", "--trace", "stdout"],
            "--trace none goes with no other",
        ),
        (
            &["--simulate", "--trace-endpoint", "ftp://h"],
            "--trace-endpoint: ",
        ),
        (&["--simulate", "--trace-id", "7"], "`trace_` followed by 32"),
        (
            &["--simulate", "--context", "novalue"],
            "expected KEY=VALUE or @FILE",
        ),
        (
            &["--simulate", "--context", "@/no/such.json"],
            "--context @/no/such.json: it can't be read: No such file",
        ),
        (
            &["--simulate", "--context", "a=1", "--context", "a.b=1"],
            "`b` has no place there",
        ),
        (
            &["--simulate", "--start", "Nobody"],
            "the agents are `Assistant`, `Billing`",
        ),
        (&["--simulate", "--raw"], "--json"),
        (
            &["-m", "hi"],
            "set OPENAI_API_KEY, or try without one: --simulate",
        ),
        (&["--api-key-env", "MY_KEY"], "set MY_KEY"),
        (&["--url", "ftp://h"], "it must begin with wss://"),
        (
            &["--url", "ws://h", "--header", "nonsense"],
            "--header 'Name: value'",
        ),
        (
            &["check", "agent.toml"],
            "`--agent <FILE>` is for running a session, not for `check`",
        ),
    ];
    for (arguments, expected) in cases {
        let said = refused(arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_header_that_the_protocol_does_not_allow_is_a_mistake_too() {
    let said = refused(&[
        "--url",
        "ws://127.0.0.1:1",
        "--header",
        "Bad Name: planted",
        "-m",
        "hi",
    ]);
    assert!(said.contains("`Bad Name`") && !said.contains("planted"), "{said}");
}

#[test]
fn a_file_given_without_its_flag_is_recognised() {
    let mut command = program();
    command.arg("agents/assistant.toml");
    let outcome = run(command);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("write `--agent agents/assistant.toml`"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_session_needs_an_agent_file() {
    let mut command = program();
    command.args(["-m", "hi"]);
    let outcome = run(command);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("--agent <FILE>"), "{}", outcome.stderr);
}

#[test]
fn mistakes_in_the_agent_file_are_all_shown() {
    let outcome =
        Agent::new("[agents.A]\nhandoffs = [\"B\"]\ninstrctions = \"x\"\n").run(["--simulate", "-m", "hi"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    for expected in ["agent.toml:2:", "agent.toml:3:", "`instructions`"] {
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
}
