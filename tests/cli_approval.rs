//! Calls that need approval, on the command line: settled by `--approve`, by a person at a terminal, or by a program
//! that reads `--json`.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/person.rs"]
mod person;
#[path = "support/slow_server.rs"]
mod slow_server;

use std::time::Duration;

use cli::{Agent, Child, Outcome, run_with_input};
use person::Person;
use realtime_run::simulator::Output;
use serde_json::{Value, json};
use slow_server::SlowServer;

const DESK: &str = r#"
[agents.Desk]
instructions = "You are careful."
tools = ["refund", "get_weather"]

[tools.refund]
description = "Refunds an amount of euros."
parameters = { type = "object", properties = { euros = { type = "integer", minimum = 1 } }, required = ["euros"] }
output = "paid"
needs_approval = "args.euros > 50"

[tools.get_weather]
description = "Tells the current weather of a city."
output = "sunny"
"#;

const REFUND: &str = "Refund 120 euros";
const REFUSED: &str = "refund says: Tool execution was not approved.";
const CHOICE: &str = "[o]nce, [a]lways, [n]o, or no with a message";

fn desk() -> Agent {
    Agent::new(DESK)
}

/// A program at both ends of a run.
struct Program(Child);

impl Program {
    fn start<'a>(agent: &Agent, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = agent.command(["--simulate", "--json"]);
        command.args(arguments).stdin(std::process::Stdio::piped());
        Self(Child::start(command))
    }

    fn writes(&mut self, line: &Value) {
        self.0.say(&format!("{line}\n"));
    }

    /// Waits until so many calls are asked about, and gives the id of the last.
    fn is_asked(&self, count: usize) -> String {
        let text = self.0.wait_for_lines("\"tool_approval_required\"", count);
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut asked = events.filter(|event| event["type"] == "tool_approval_required");
        asked.nth(count - 1).unwrap()["call_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn ends(mut self) -> Outcome {
        self.0.end_input();
        self.0.wait()
    }
}

/// The outputs of the calls of a run with `--json`, with their errors.
fn ends(outcome: &Outcome) -> Vec<(String, Value)> {
    let events = outcome.json();
    let ends = events.iter().filter(|event| event["type"] == "tool_end");
    ends.map(|end| (end["output"].as_str().unwrap().to_owned(), end["error"].clone()))
        .collect()
}

#[test]
fn the_command_line_settles_it_beforehand() {
    for (answer, said, shown) in [
        ("always", "refund says: paid", "tool refund → paid"),
        ("never", REFUSED, "tool refund failed: not approved"),
    ] {
        let outcome = desk().run(["--simulate", "--approve", answer, "-m", REFUND]);
        assert_eq!((outcome.code, outcome.stdout.trim_end()), (Some(0), said));
        assert!(outcome.stderr.contains(shown), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    }
}

#[test]
fn where_nobody_can_be_asked_the_call_is_not_run_and_the_flag_is_named() {
    let piped = run_with_input(desk().command(["--simulate"]), &format!("{REFUND}\n"));
    let given = desk().run(["--simulate", "-m", REFUND]);
    for outcome in [piped, given] {
        assert_eq!((outcome.code, outcome.stdout.trim_end()), (Some(0), REFUSED));
        let warning = "warning: `refund` needs approval, and there is nobody to ask: it is not run\n\
                       help: --approve always lets every call run\n";
        assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
    }
    let small = desk().run(["--simulate", "-m", "Refund 20 euros"]);
    assert_eq!(small.stdout.trim_end(), "refund says: paid");
}

#[test]
fn a_program_approves_and_rejects_in_lines_of_json() {
    let agent = desk();
    let mut program = Program::start(&agent, []);
    program.0.say(&format!("{REFUND}\n"));
    let first = program.is_asked(1);
    program.writes(&json!({"type": "approve", "call_id": first}));
    program.0.wait_for_stdout("\"turn_end\"");
    program.0.say("Refund 130 euros\n");
    let second = program.is_asked(2);
    program.writes(&json!({"type": "reject", "call_id": second, "message": "Not today.", "always": true}));
    program.0.say("Refund 140 euros\n");
    let outcome = program.ends();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        ends(&outcome),
        [
            ("paid".to_owned(), Value::Null),
            ("Not today.".to_owned(), "not approved".into()),
            ("Not today.".to_owned(), "not approved".into()),
        ]
    );
}

#[test]
fn with_m_lines_of_stdin_only_approve_or_reject() {
    let agent = desk();
    let mut program = Program::start(&agent, ["-m", REFUND]);
    let call_id = program.is_asked(1);
    program.0.say("hello?\n");
    program
        .0
        .wait_for_stderr("a line of stdin is passed over: with -m or --audio-in they only approve or reject");
    program.writes(&json!({"type": "approve", "call_id": call_id}));
    let outcome = program.0.wait();
    assert_eq!(ends(&outcome), [("paid".to_owned(), Value::Null)]);
}

#[test]
fn a_line_with_a_slip_is_told_and_the_question_stays_open() {
    let agent = desk();
    let mut program = Program::start(&agent, []);
    program.0.say(&format!("{REFUND}\n"));
    let call_id = program.is_asked(1);
    program.writes(&json!({"type": "approve"}));
    program
        .0
        .wait_for_stderr("this line approves or rejects nothing: missing field `call_id`");
    program
        .0
        .wait_for_stderr(r#"help: write {"type":"approve","call_id":"…"}"#);
    program.writes(&json!({"type": "approve", "call_id": "call_x"}));
    program.0.wait_for_stderr("no call `call_x` waits for approval");
    // Other lines are turns, and wait for this one to end.
    program.0.say("Thank you\n");
    program.writes(&json!({"type": "approve", "call_id": call_id}));
    let outcome = program.ends();
    assert_eq!(outcome.code, Some(0));
    assert_eq!(ends(&outcome), [("paid".to_owned(), Value::Null)]);
    assert!(
        outcome.stdout.contains("You said: Thank you"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn the_end_of_stdin_leaves_an_open_question_at_no() {
    let outcome = run_with_input(desk().command(["--simulate", "--json"]), &format!("{REFUND}\n"));
    assert_eq!(outcome.code, Some(0));
    let refused = "Tool execution was not approved.".to_owned();
    assert_eq!(ends(&outcome), [(refused, "not approved".into())]);
    assert_eq!(
        outcome.stderr,
        "warning: stdin has ended: `refund` is not approved\n"
    );
}

#[test]
fn a_question_that_nobody_answers_ends_with_the_turn() {
    let agent = desk();
    let mut program = Program::start(&agent, ["--turn-timeout", "500ms"]);
    program.0.say(&format!("{REFUND}\n"));
    program.is_asked(1);
    let outcome = program.0.wait();
    assert_eq!(outcome.code, Some(4));
    assert!(
        outcome.stderr.contains("the turn took longer than 500 ms"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_person_is_asked_at_the_prompt() {
    let mut person = Person::with(desk(), ["--simulate"]);
    person.is_greeted();
    person.types(REFUND);
    person.sees("Desk wants to call refund {\"euros\":120}");
    person.sees(CHOICE);
    person.types("maybe");
    person.sees(CHOICE);
    person.types("o");
    person.sees("refund says: paid");
    person.is_asked();
    person.types(REFUND);
    person.sees(CHOICE);
    person.types("no, ask me tomorrow");
    person.sees("refund says: ask me tomorrow");
    person.is_asked();
    person.types(REFUND);
    person.sees(CHOICE);
    person.types("always");
    person.sees("refund says: paid");
    person.is_asked();
    person.types(REFUND);
    person.sees("refund says: paid");
    person.is_asked();
    person.presses('d');
    person.sees("error: Tool call was not approved");
    person.sees_the_end(0);
}

#[test]
fn ctrl_c_at_a_question_is_a_no_and_ctrl_d_ends_the_run() {
    let mut person = Person::with(desk(), ["--simulate"]);
    person.is_greeted();
    person.types(REFUND);
    person.sees(CHOICE);
    person.presses('c');
    person.sees("interrupted: `refund` is not approved");
    person.sees(REFUSED);
    person.is_asked();
    person.types(REFUND);
    person.sees(CHOICE);
    person.presses('d');
    person.sees("error: The session ended before the call was approved");
    person.sees_the_end(0);
}

#[test]
fn a_message_from_the_command_line_is_asked_about_at_the_terminal() {
    let mut person = Person::with(desk(), ["--simulate", "-m", REFUND]);
    person.sees(CHOICE);
    person.types("o");
    person.sees("refund says: paid");
    person.sees_the_end(0);
}

fn refund(euros: u32) -> Output {
    Output::Call {
        name: "refund".into(),
        arguments: json!({ "euros": euros }).to_string(),
    }
}

#[test]
fn a_question_can_be_answered_while_an_answer_streams() {
    let words = Output::Say("word ".repeat(2_000));
    let answers = [vec![refund(99), words], vec![Output::Say("goodbye".into())]];
    let server = SlowServer::answering(answers, Duration::from_millis(5));
    let mut person = Person::with(desk(), ["--url", &server.url()]);
    person.is_greeted();
    person.types("go on");
    person.sees("Desk wants to call refund {\"euros\":99}");
    person.sees(CHOICE);
    person.sees("word word word");
    person.types("o");
    person.sees("tool refund {\"euros\":99}");
    person.sees("paid");
    person.sees("word word");
    person.presses('c');
    person.sees("(cut off)");
    person.sees("goodbye");
    person.is_asked();
    person.presses('d');
    person.sees_the_end(0);
}

#[test]
fn several_questions_come_one_after_the_other_and_always_holds_for_the_rest() {
    let calls = (101..=104).map(refund).collect();
    let answers = [calls, vec![Output::Say("done".into())]];
    let server = SlowServer::answering(answers, Duration::ZERO);
    let mut person = Person::with(desk(), ["--url", &server.url()]);
    person.is_greeted();
    person.types("go on");
    person.sees("wants to call refund {\"euros\":101}");
    person.types("n");
    person.sees("refund failed: not approved");
    person.sees("wants to call refund {\"euros\":102}");
    person.types("a");
    let rest = person.sees("done");
    assert_eq!(rest.matches("paid").count(), 3, "{rest}");
    assert!(!rest.contains("wants to call"), "{rest}");
    person.is_asked();
    person.presses('d');
    person.sees_the_end(0);
}
