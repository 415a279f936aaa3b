//! How smoke tests are told: under GitHub Actions, at a terminal, and without keys.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;
#[path = "support/smoke.rs"]
mod smoke;

use cli::{Outcome, run};
use fake_server::{Do, FakeServer, created, done, error, words};
use rexpect::session::spawn_command;
use serde_json::json;
use smoke::{Folder, RIGHT, WRONG, settled};

const KEY: &str = "sk-planted-0123456789";
const HEADER_KEY: &str = "planted-in-a-header";
const URL_KEY: &str = "planted-in-a-url";

#[test]
fn github_actions_folds_what_failed_and_annotates_its_lines() {
    let named = format!("name = 'Rome: 50%, at most'\n{WRONG}");
    let broken = "agent = 'agent.toml'\nsimulator = { scenario = 'drop.toml' }\n[[turns]]\nuser = 'Hi'\n";
    let folder = Folder::with(&[
        ("a.smoke.toml", RIGHT),
        ("b.smoke.toml", &named),
        ("c.smoke.toml", broken),
        (
            "drop.toml",
            "[[steps]]\nthen = [{ say = '##[add-mask]x' }, 'done', 'drop']\n",
        ),
    ]);
    let mut command = folder.command(&["--script", ".", "--simulate"]);
    command.env("GITHUB_ACTIONS", "true");
    let outcome = run(command);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    insta::assert_snapshot!(settled(&outcome.stdout));
}

#[test]
fn annotations_stay_out_of_what_programs_read() {
    let folder = Folder::with(&[("b.smoke.toml", WRONG)]);
    let mut command = folder.command(&["--script", ".", "--simulate", "--json"]);
    command.env("GITHUB_ACTIONS", "true");
    let outcome = run(command);
    assert_eq!(outcome.types(), ["attempt", "summary"]);
    assert!(
        outcome
            .stderr
            .starts_with("::error file=b.smoke.toml,line=5,title=b::expected"),
        "{}",
        outcome.stderr
    );
}

/// Plays a script at a server that quotes all keys in whatever it says.
fn run_with_keys(more: &[&str]) -> (Outcome, Folder) {
    let server = FakeServer::start(|event| match event["type"].as_str().unwrap() {
        "response.create" => {
            let message = format!("Your key {KEY} and {HEADER_KEY} are odd.");
            let why = json!({"type": "failed", "error": {"code": "odd", "message": message}});
            vec![
                error("invalid_request_error", "odd", &message),
                created("r1"),
                words("r1", &format!("So {KEY} is.")),
                done("r1", "failed", why),
            ]
        }
        _ => Vec::<Do>::new(),
    });
    let folder = Folder::with(&[("b.smoke.toml", WRONG)]);
    let url = format!("{}?api-key={URL_KEY}", server.url());
    let header = format!("Authorization: Bearer {HEADER_KEY}");
    let arguments = [
        "--script",
        ".",
        "--url",
        &url,
        "--api-key-env",
        "PLANTED",
        "--header",
        &header,
        "-vvv",
    ];
    let reports = [
        "--trace", "none", "--junit", "o.xml", "--report", "o.json", "--report", "o.html",
    ];
    let mut command = folder.command(&[&arguments[..], &reports, more].concat());
    command.envs([
        ("PLANTED", KEY),
        ("OPENAI_API_KEY", KEY),
        ("GITHUB_ACTIONS", "true"),
    ]);
    (run(command), folder)
}

#[test]
fn no_key_is_told_or_written_down() {
    for more in [&[][..], &["--json"], &["--retries", "1"]] {
        let (outcome, folder) = run_with_keys(more);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stdout.contains("are odd"), "{}", outcome.stdout);
        let reports = ["o.xml", "o.json", "o.html"].map(|name| folder.read(name));
        assert!(reports[0].contains("are odd"), "{}", reports[0]);
        for key in [KEY, HEADER_KEY, URL_KEY] {
            for text in reports.iter().chain([&outcome.stdout, &outcome.stderr]) {
                assert!(!text.contains(key), "{text}");
            }
        }
    }
}

#[test]
fn a_terminal_shows_what_is_being_played_below_what_has_ended() {
    let slow = "[[steps]]\nrepeat = true\nthen = [{ wait_ms = 1_500 }, { say = 'x' }]\n";
    let script = "name = 'Slow one'\nagent = 'agent.toml'\nsimulator = { scenario = 'slow.toml' }\n[[turns]]\nuser = 'Hi'\n[[turns]]\nuser = 'Ho'\n";
    let folder = Folder::with(&[
        ("a.smoke.toml", RIGHT),
        ("b.smoke.toml", script),
        ("slow.toml", slow),
    ]);
    let mut command = folder.command(&["--script", ".", "--simulate", "--concurrency", "2"]);
    command.env("TERM", "xterm").stdin(std::process::Stdio::inherit());
    let limit = cli::LIMIT.as_millis() as u64;
    let mut terminal = spawn_command(command, Some(limit)).unwrap();
    let mut sees = |text: &str| {
        terminal
            .exp_string(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    sees("Slow one  turn 1 of 2");
    sees("1/2");
    sees("1 passed, 0 not");
    sees("Slow one  turn 2 of 2");
    let before = sees("2 passed");
    assert!(before.contains("Slow one  "), "its own line: {before}");
    terminal.exp_eof().unwrap();
    assert!(format!("{:?}", terminal.process().wait().unwrap()).ends_with(", 0)"));
}
