//! `check`: agent files and script files, right or wrong.

#[path = "support/cli.rs"]
mod cli;

use cli::{Agent, Outcome, program, run};

fn check(agents: &[&Agent]) -> Outcome {
    let mut command = program();
    command.arg("check").args(agents.iter().map(|agent| agent.path()));
    run(command)
}

#[test]
fn good_files_are_ok() {
    let (one, two) = (Agent::weather(), Agent::weather());
    let outcome = check(&[&one, &two]);
    let expected = format!("{}: OK\n{}: OK\n", one.path().display(), two.path().display());
    assert_eq!(
        (outcome.code, outcome.stdout, outcome.stderr),
        (Some(0), expected, String::new())
    );
}

#[test]
fn every_mistake_of_every_file_is_told() {
    let good = Agent::weather();
    let bad = Agent::new("start = \"B\"\n[agents.A]\ntools = [\"nope\"]\n");
    let worse = Agent::new("[agents");
    let outcome = check(&[&bad, &good, &worse]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(outcome.stdout, format!("{}: OK\n", good.path().display()));
    let expected = [(&bad, ":1:"), (&bad, ":3:"), (&worse, ":1:")];
    for (agent, place) in expected {
        let place = format!("{}{place}", agent.path().display());
        assert!(outcome.stderr.contains(&place), "{place}: {}", outcome.stderr);
    }
}

#[test]
fn a_file_that_is_not_there_is_a_mistake() {
    let mut command = program();
    command.args(["check", "no/such.toml"]);
    let outcome = run(command);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    assert!(
        outcome.stderr.contains("no/such.toml: can't be read"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn colours_are_there_when_asked_for() {
    let bad = Agent::new("[agents");
    for (color, expected) in [("always", true), ("never", false), ("auto", false)] {
        let mut command = program();
        command.args(["check", "--color", color]).arg(bad.path());
        assert_eq!(run(command).stderr.contains("\x1b["), expected, "{color}");
    }
}

#[test]
fn the_agents_that_come_with_the_program_are_right() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/agents");
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut command = program();
    command
        .arg("check")
        .args(files.filter(|path| path.extension().is_some_and(|kind| kind == "toml")));
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn a_script_is_checked_with_the_agents_that_it_names() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/script_files/valid");
    let script = |text: &str| Agent::new(&text.replace("DIRECTORY", directory));
    let check = |script: &Agent| {
        let outcome = check(&[script]);
        (outcome.code, outcome.stderr)
    };
    let good = script("agent = 'DIRECTORY/agents.toml'\n[[turns]]\nswitch_agent = 'Billing'");
    assert_eq!(check(&good), (Some(0), String::new()));
    let without_agents = script("[[turns]]\nswitch_agent = 'Biling'");
    assert_eq!(check(&without_agents), (Some(0), String::new()));
    for (text, told) in [
        (
            "agent = 'DIRECTORY/agents.toml'\n[[turns]]\nswitch_agent = 'Biling'",
            "did you mean `Billing`?",
        ),
        ("[[turns]]\nswitch = 'Billing'", "did you mean `switch_agent`?"),
        (
            "agent = 'DIRECTORY/tone.wav'\n[[turns]]\nuser = 'Hello'",
            "tone.wav: can't be read: it is not UTF-8 text",
        ),
        (
            "[simulator]\nscenario = 'DIRECTORY/agents.toml'\n[[turns]]\nuser = 'Hello'",
            "unknown key `start`",
        ),
    ] {
        let (code, stderr) = check(&script(text));
        assert_eq!(code, Some(2));
        assert!(stderr.contains(told), "{stderr}");
    }
}
