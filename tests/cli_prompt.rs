//! The prompt, at a real terminal.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/person.rs"]
mod person;
#[path = "support/slow_server.rs"]
mod slow_server;

use std::time::Duration;

use cli::Agent;
use nix::sys::signal::Signal;
use person::{PROMPT, Person};
use rexpect::session::spawn_command;
use slow_server::SlowServer;

#[test]
fn a_line_is_answered_and_ctrl_d_ends_the_run() {
    let mut person = Person::at(["--simulate"]);
    person.types("What is the weather in Oslo?");
    person.sees("tool get_weather {\"city\":\"Oslo\"}");
    person.sees("get_weather says: ");
    person.is_asked();
    person.types("thank you");
    person.sees("You said: thank you");
    person.is_asked();
    person.presses('d');
    person.sees("function get_weather");
    person.sees_the_end(0);
}

#[test]
fn commands_do_what_they_say() {
    let mut person = Person::at(["--simulate"]);
    person.types("/nonsense");
    person.sees("There is no /nonsense. What there is:");
    person.sees("/agent NAME");
    person.is_asked();
    person.types("/history");
    person.sees("Nothing was said yet.");
    person.is_asked();
    person.types("/agent");
    person.sees("Assistant (in charge)");
    person.is_asked();
    person.types("/agent Nobody");
    person.sees("there is no agent `Nobody`");
    person.is_asked();
    person.types("/agent Billing");
    person.sees("handoff Assistant");
    person.sees("Billing");
    person.is_asked();
    person.types("//slash");
    person.sees("You said: /slash");
    person.is_asked();
    person.types("/history");
    person.sees("you: /slash");
    person.sees("assistant: You said: /slash");
    person.is_asked();
    person.types("/interrupt");
    person.sees("There is no answer to interrupt.");
    person.is_asked();
    person.types("/quit");
    person.sees("agent Billing");
    person.sees_the_end(0);
}

fn slow_words() -> SlowServer {
    SlowServer::start(&"word ".repeat(5_000), Duration::from_millis(10))
}

#[test]
fn ctrl_c_stops_the_answer_and_a_second_one_ends_the_run() {
    let server = slow_words();
    let mut person = Person::at(["--url", &server.url()]);
    person.types("go on");
    person.sees("word word");
    person.presses('c');
    person.sees("(cut off)");
    person.is_asked();
    person.types("again");
    person.sees("word word");
    person.presses('c');
    person.sees("(cut off)");
    person.is_asked();
    person.presses('c');
    person.sees("agent Assistant");
    person.sees_the_end(130);
}

#[test]
fn an_answer_can_be_stopped_by_typing_into_it() {
    let server = slow_words();
    let mut person = Person::at(["--url", &server.url()]);
    person.types("go on");
    person.sees("word word");
    person.types("/interrupt");
    person.sees("(cut off)");
    person.is_asked();
    person.presses('d');
    person.sees_the_end(0);
}

#[test]
fn what_is_typed_ahead_is_said_when_the_turn_is_over() {
    let server = SlowServer::start(&"word ".repeat(20), Duration::from_millis(20));
    let mut person = Person::at(["--url", &server.url()]);
    person.types("first");
    person.sees("word word");
    person.types("second");
    person.types("/history");
    person.sees("you: first");
    // The answer to the second comes without another prompt.
    person.sees("word word");
    person.is_asked();
    person.types("/history");
    person.sees("you: second");
    person.is_asked();
    person.presses('d');
    person.sees_the_end(0);
}

#[test]
fn at_an_empty_prompt_ctrl_c_has_to_be_meant() {
    let mut person = Person::at(["--simulate"]);
    person.presses('c');
    person.sees("Ctrl-C again or Ctrl-D ends the run");
    person.is_asked();
    person.types("hello");
    person.sees("You said: hello");
    person.is_asked();
    person.presses('c');
    person.sees("Ctrl-C again or Ctrl-D ends the run");
    person.is_asked();
    person.presses('c');
    person.sees_the_end(130);
}

#[test]
fn a_signal_ends_the_run_in_the_middle_of_a_line() {
    let mut person = Person::at(["--simulate"]);
    person.terminal.send("half a li").unwrap();
    person.terminal.flush().unwrap();
    person.sees("half a li");
    person.terminal.process_mut().signal(Signal::SIGTERM).unwrap();
    person.sees("agent Assistant");
    person.sees_the_end(130);
}

#[test]
fn when_the_server_goes_the_prompt_goes_too_and_the_terminal_is_as_before() {
    let server = SlowServer::start("word", Duration::ZERO);
    let agent = Agent::weather();
    let mut command = std::process::Command::new("sh");
    let script = format!(
        "{} --agent {} --url {}; echo status $?; stty -a",
        env!("CARGO_BIN_EXE_realtime-run"),
        agent.path().display(),
        server.url()
    );
    command
        .args(["-c", &script])
        .env("TERM", "xterm")
        .env("REALTIME_RUN_SPOOL", agent.store());
    let mut terminal = spawn_command(command, Some(cli::LIMIT.as_millis() as u64)).unwrap();
    terminal.exp_string("Say something").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    drop(server);
    terminal.exp_string("the connection was lost").unwrap();
    terminal.exp_string("status 3").unwrap();
    let settings = terminal.exp_eof().unwrap();
    for setting in ["icanon", "isig", "iexten", "icrnl"] {
        assert!(
            settings.split_whitespace().any(|word| word == setting),
            "{setting}: {settings}"
        );
    }
}
