//! The workflow that people copy into their CI does what it says: its commands are run, on the agents of this project.

#[path = "support/cli.rs"]
mod cli;

use std::path::Path;
use std::process::Command;

use cli::run;

const WORKFLOW: &str = include_str!("../examples/ci/github-workflow.yml");

/// What it runs of the program.
fn commands() -> Vec<&'static str> {
    let lines = WORKFLOW
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- run: "));
    lines.filter(|line| line.starts_with("realtime-run ")).collect()
}

/// Runs one of its commands as its runner would, and gives the names of the files that it wrote.
fn written_by(line: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let agents = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents");
    std::os::unix::fs::symlink(agents, folder.path().join("agents")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_realtime-run")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell
        .args(["-e", "-c", line])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", program.display()))
        .env("GITHUB_ACTIONS", "true")
        .env("REALTIME_RUN_SPOOL", folder.path().join("store"));
    let outcome = run(shell);
    assert_eq!(
        outcome.code,
        Some(0),
        "`{line}`: {}{}",
        outcome.stdout,
        outcome.stderr
    );
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains('.')).collect();
    names.sort();
    names
}

#[test]
fn each_of_its_commands_works_and_leaves_the_reports_that_it_keeps() {
    let [simulated, nightly] = commands().try_into().expect("a job without a key, and one with");
    assert!(simulated.contains(" --simulate "));
    assert_eq!(written_by(simulated), ["smoke.html", "smoke.xml"]);
    // Without a key it can only be run on the simulator.
    assert!(!nightly.contains("--simulate"));
    let nightly = format!("{nightly} --simulate");
    assert_eq!(
        written_by(&nightly),
        ["nightly.html", "nightly.json", "nightly.xml"]
    );
    for kept in ["path: smoke.*", "path: nightly.*"] {
        assert!(WORKFLOW.contains(kept), "{kept}");
    }
}

#[test]
fn its_keys_come_from_where_nobody_can_read_them() {
    for line in WORKFLOW
        .lines()
        .filter(|line| line.trim().starts_with("OPENAI_API_KEY:"))
    {
        assert!(line.ends_with("${{ secrets.OPENAI_API_KEY }}"), "{line}");
    }
    let (keyless, nightly) = WORKFLOW.split_once("\n  nightly:").unwrap();
    assert!(!keyless.contains("secrets."));
    assert!(nightly.contains("secrets.OPENAI_API_KEY"));
    assert!(
        !nightly.contains("pull_request"),
        "nobody's pull request gets at the key"
    );
}
