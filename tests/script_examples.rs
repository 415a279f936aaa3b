//! The scripts of the example agents, and those that `--init` writes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/cli.rs"]
mod cli;

use std::path::{Path, PathBuf};
use std::process::Command;

use cli::{Outcome, program, run};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The example agents, by the names of their files without ending.
fn agents() -> Vec<String> {
    let files = std::fs::read_dir(root("agents")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut agents: Vec<String> = names
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| !name.contains('.'))
        .collect();
    agents.sort();
    agents
}

fn play(arguments: &[&str]) -> Outcome {
    let mut command = program();
    command
        .current_dir(root("."))
        .args(["--simulate", "--no-store"])
        .args(arguments);
    run(command)
}

/// The program about to write a first script for an example agent, in a directory of its own.
fn init(directory: &Path, agent: &Path, arguments: &[&str]) -> Command {
    let mut command = program();
    command.current_dir(directory).arg("--agent").arg(agent);
    command.arg("--init").args(arguments);
    command
}

#[test]
fn every_example_agent_has_a_smoke_test_that_passes() {
    for agent in agents() {
        let kind = match agent.as_str() {
            // It is played where its server is: `mcp_everything`.
            "mcp" => "script",
            _ => "smoke",
        };
        assert!(
            root(&format!("agents/{agent}.{kind}.toml")).exists(),
            "{agent} has no smoke test"
        );
    }
    let outcome = play(&["--script", "agents"]);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn a_first_script_is_right_and_passes() {
    let directory = tempfile::tempdir().unwrap();
    let playable = agents().into_iter().filter(|agent| agent != "mcp");
    let mut scripts = Vec::new();
    for agent in playable {
        let script = directory.path().join(format!("{agent}.smoke.toml"));
        let file = root(&format!("agents/{agent}.toml"));
        let outcome = run(init(
            directory.path(),
            &file,
            &["--script", script.to_str().unwrap()],
        ));
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        scripts.push(script);
    }
    let mut check = program();
    check.arg("check").args(&scripts);
    let checked = run(check);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let played = play(&["--script", directory.path().to_str().unwrap()]);
    assert_eq!(played.code, Some(0), "{}{}", played.stdout, played.stderr);
}

#[test]
fn a_first_script_goes_beside_its_agents_and_over_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let agent = directory.path().join("agent.toml");
    std::fs::copy(root("agents/approval.toml"), &agent).unwrap();
    let written = run(init(directory.path(), Path::new("agent.toml"), &[]));
    assert_eq!(
        (written.code, written.stdout.as_str()),
        (Some(0), "agent.smoke.toml: written\n")
    );
    assert!(
        written
            .stderr
            .contains("realtime-run --script agent.smoke.toml --simulate"),
        "{}",
        written.stderr
    );
    let path = directory.path().join("agent.smoke.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\nagent = \"agent.toml\"\n"), "{text}");
    assert!(text.contains("\n#approve = \"refund\"\n"), "{text}");

    std::fs::write(&path, "mine").unwrap();
    let again = run(init(directory.path(), Path::new("agent.toml"), &[]));
    assert_eq!((again.code, again.stdout.as_str()), (Some(2), ""));
    assert!(
        again.stderr.contains("agent.smoke.toml is there already"),
        "{}",
        again.stderr
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_first_script_needs_agents_that_are_right_and_one_place_to_go() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bad.toml"), "[agents").unwrap();
    let bad = run(init(directory.path(), Path::new("bad.toml"), &[]));
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("bad.toml:1:"), "{}", bad.stderr);
    let good = root("agents/assistant.toml");
    for (arguments, told) in [
        (
            &["--script", "a.toml", "--script", "b.toml"][..],
            "give --script once",
        ),
        (&["--script", "nosuch/a.toml"], "nosuch/a.toml can't be written"),
    ] {
        let outcome = run(init(directory.path(), &good, arguments));
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// The lines that tell how a script went.
fn rates(arguments: &[&str]) -> (Option<i32>, Vec<serde_json::Value>) {
    let flags = [
        "--script",
        "scenarios/flaky.smoke.toml",
        "--repeat",
        "20",
        "--json",
    ];
    let outcome = play(&[&flags, arguments].concat());
    let lines = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let attempts = lines.filter(|line: &serde_json::Value| line["type"] == "attempt");
    (
        outcome.code,
        attempts.map(|line| line["status"].clone()).collect(),
    )
}

#[test]
fn a_flaky_scenario_with_a_seed_passes_as_often_each_time() {
    let (strict, first) = rates(&[]);
    let (lenient, second) = rates(&["--min-pass-rate", "0.5"]);
    assert_eq!(first, second);
    let passed = first.iter().filter(|status| *status == "passed").count();
    assert_eq!((first.len(), strict, lenient), (20, Some(1), Some(0)));
    assert!((10..20).contains(&passed), "{passed} of 20 passed");
}
