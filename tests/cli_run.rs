//! Runs on the embedded simulator: turns, words, notes, and what goes where.

#[path = "support/cli.rs"]
mod cli;

use cli::{Agent, masked, run_with_input};
use serde_json::Value;

#[test]
fn the_words_go_to_stdout_and_all_else_to_stderr() {
    let outcome = Agent::weather().run(["--simulate", "-m", "What is the weather in Oslo?"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    insta::assert_snapshot!(outcome.stdout, @r#"get_weather says: {"sky":"clear","celsius":21}"#);
    assert!(outcome.stdout.ends_with("}\n"));
    insta::assert_snapshot!(masked(&outcome.stderr), @r#"
    Assistant on gpt-realtime-2.1, simulated
    > What is the weather in Oslo?
      tool get_weather {"city":"Oslo"}
      tool get_weather → {"sky":"clear","celsius":21}
    421 tokens: in 364 (364 text; 128 cached), out 57 (29 text, 28 audio)
    latency of 1 turn (message): first word … s; first sound … s

    trace_… Agent workflow  … s
    └─ agent Assistant  … s
       ├─ generation gpt-realtime-2.1  … s
       ├─ function get_weather  … s
       ├─ generation gpt-realtime-2.1  … s
       └─ speech gpt-realtime-2.1  … s
    "#);
}

#[test]
fn a_handoff_is_noted_and_has_its_place_in_the_span_tree() {
    let outcome = Agent::weather().run([
        "--simulate",
        "-m",
        "I have questions about invoices",
        "--workflow-name",
        "Desk",
    ]);
    assert_eq!(outcome.code, Some(0));
    insta::assert_snapshot!(masked(&outcome.stderr), @r"
    Assistant on gpt-realtime-2.1, simulated
    > I have questions about invoices
      handoff Assistant → Billing
    264 tokens: in 189 (189 text), out 75 (19 text, 56 audio)
    latency of 1 turn (message): first word … s; first sound … s

    trace_… Desk  … s
    ├─ agent Assistant  … s
    │  ├─ generation gpt-realtime-2.1  … s
    │  └─ handoff Assistant → Billing  … s
    └─ agent Billing  … s
       ├─ generation gpt-realtime-2.1  … s
       └─ speech gpt-realtime-2.1  … s
    ");
}

#[test]
fn quiet_leaves_the_words() {
    let outcome = Agent::weather().run(["--simulate", "-q", "-m", "What is the weather in Oslo?"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(outcome.stdout.lines().count(), 1);
}

/// What a run says, and the ends of answers, in their order.
fn order(events: &[Value]) -> Vec<String> {
    let wire = events.iter().filter_map(|event| event.get("event"));
    wire.filter_map(|event| match event["type"].as_str().unwrap() {
        "conversation.item.create" => match event["item"]["content"][0]["text"].as_str() {
            Some(text) => Some(format!("say {text}")),
            None => Some("tool output".to_owned()),
        },
        "response.done" => Some("done".to_owned()),
        _ => None,
    })
    .collect()
}

#[test]
fn a_message_goes_out_when_the_turn_before_is_over() {
    let arguments = [
        "--simulate",
        "--json",
        "--raw",
        "-m",
        "one",
        "-m",
        "two",
        "-m",
        "three",
    ];
    let outcome = Agent::weather().run(arguments);
    assert_eq!(outcome.code, Some(0));
    let expected = ["say one", "done", "say two", "done", "say three", "done"];
    assert_eq!(order(&outcome.json()), expected);
}

#[test]
fn the_turn_is_not_over_while_a_tool_runs() {
    let arguments = [
        "--simulate",
        "--json",
        "--raw",
        "-m",
        "the weather in Oslo, please",
        "-m",
        "thanks",
    ];
    let outcome = Agent::weather().run(arguments);
    // The first turn has two answers: the call, and what is made of its result.
    let order = order(&outcome.json());
    let thanks = order.iter().position(|step| step == "say thanks").unwrap();
    let answers = order[..thanks].iter().filter(|step| *step == "done");
    assert_eq!(answers.count(), 2, "{order:?}");
}

#[test]
fn a_line_of_a_pipe_is_a_turn() {
    let agent = Agent::weather();
    let outcome = run_with_input(
        agent.command(["--simulate", "-q"]),
        "first line\n\nsecond line\r\nlast",
    );
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, expected) in lines.iter().zip(["first line", "second line", "last"]) {
        assert!(line.contains(expected), "{line}");
    }
}

#[test]
fn messages_come_before_stdin() {
    let agent = Agent::weather();
    let outcome = run_with_input(
        agent.command(["--simulate", "-q", "-m", "from the flag"]),
        "from stdin\n",
    );
    assert!(outcome.stdout.contains("from the flag") && !outcome.stdout.contains("from stdin"));
}

#[test]
fn with_nothing_to_say_the_session_is_opened_and_closed() {
    let outcome = Agent::weather().run(["--simulate"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""));
    assert!(
        outcome
            .stderr
            .contains("warning: nothing was said\nhelp: say something with -m"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_line_that_is_no_text_ends_the_run() {
    let agent = Agent::weather();
    let mut child = cli::Child::start({
        let mut command = agent.command(["--simulate", "-q"]);
        command.stdin(std::process::Stdio::piped());
        command
    });
    child.say_bytes(b"hello\n\xff\xfe\n");
    child.end_input();
    let outcome = child.wait();
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("line 2 of stdin is not UTF-8"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stdout.contains("hello"),
        "what came before was said: {}",
        outcome.stdout
    );
}

#[test]
fn flags_win_over_the_agent_file() {
    let arguments = [
        "--simulate",
        "--json",
        "--raw",
        "--start",
        "Billing",
        "--model",
        "other-model",
        "--voice",
        "cedar",
        "--modality",
        "text",
        "-m",
        "hi",
    ];
    let events = Agent::weather().run(arguments).json();
    let start = events
        .iter()
        .find(|event| event["type"] == "session_start")
        .unwrap();
    assert_eq!(
        (&start["agent"], &start["model"]),
        (&"Billing".into(), &"other-model".into())
    );
    let update = events
        .iter()
        .find(|event| event["event"]["type"] == "session.update")
        .unwrap();
    let session = &update["event"]["session"];
    assert_eq!(session["output_modalities"], serde_json::json!(["text"]));
    assert_eq!(session["audio"]["output"]["voice"], "cedar");
    assert!(events.iter().any(|event| event["type"] == "text_delta"));
}

#[test]
fn colour_is_there_when_asked_for_and_never_in_the_words() {
    for (color, expected) in [("always", true), ("never", false), ("auto", false)] {
        let outcome = Agent::weather().run(["--simulate", "--color", color, "-m", "hi"]);
        assert_eq!(outcome.stderr.contains("\x1b["), expected, "{color}");
        assert!(!outcome.stdout.contains('\x1b'), "{color}");
    }
}

#[test]
fn logs_are_off_unless_asked_for() {
    let quiet = Agent::weather().run(["--simulate", "-m", "hi"]);
    assert!(!quiet.stderr.contains("DEBUG"), "{}", quiet.stderr);
    let agent = Agent::weather();
    let mut command = agent.command(["--simulate", "-m", "hi"]);
    command.env("RUST_LOG", "realtime_run=trace");
    let loud = cli::run(command);
    assert!(loud.stderr.contains("realtime_run::"), "{}", loud.stderr);
    assert_eq!(loud.stdout, quiet.stdout);
}

#[test]
fn the_objection_of_a_guardrail_is_told_in_words_and_shown_in_the_tree() {
    let file = |on_trip: &str| {
        Agent::new(&format!(
            "output_guardrails = ['polite']\n[agents.A]\ninstructions = 'Talk.'\n\
             [guardrails.polite]\npattern = 'damn'\non_trip = '{on_trip}'\nmessage = 'Be kind.'"
        ))
    };
    let outcome = file("reject").run(["--simulate", "-m", "damn it"]);
    let told = "\n  guardrail polite stopped the answer: Be kind.\n";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    let line = outcome
        .stderr
        .lines()
        .find(|line| line.contains("─ guardrail polite"));
    assert!(line.unwrap().ends_with("  triggered"), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome.stdout.ends_with("You said: Be kind.\n"),
        "{}",
        outcome.stdout
    );

    let outcome = file("stop").run(["--simulate", "-m", "damn it"]);
    let told = "error: the guardrail `polite` ended the session: Be kind.\n";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(3));
}
