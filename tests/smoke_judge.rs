//! The judge of smoke tests, from the command line to every report: what it rules, and that its key stays with it.

#[path = "support/chat_server.rs"]
mod chat_server;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/smoke.rs"]
mod smoke;

use std::path::Path;

use chat_server::ChatServer;
use cli::Outcome;
use serde_json::{Value, json};
use smoke::Folder;

const KEY: &str = "sk-planted-with-the-judge";

/// Is told the weather, and has claims judged.
const JUDGED: &str = r#"
agent = "agent.toml"
[[turns]]
user = "What is the weather in Oslo?"
expect = [{ event = "response", judge = "it is about the sky" }]
[[turns]]
user = "And in Rome?"
expect = [{ event = "response", judge = "it is about the sea" }]
"#;

/// Everything that a run can write, in the folder.
const ALL: [&str; 10] = [
    "--report",
    "out.json",
    "--report",
    "out.html",
    "--junit",
    "out.xml",
    "--trace",
    "file=trace.jsonl",
    "-vvv",
    "--simulate",
];

/// Plays the script, its claims judged at that address.
fn play(folder: &Folder, url: &str, more: &[&str]) -> Outcome {
    let judge = ["--judge-url", url, "--judge-model", "tiny"];
    let key = ["--judge-key-env", "JUDGE_KEY", "--script", "b.smoke.toml"];
    let mut command = folder.command(&[&judge[..], &key, &ALL, more].concat());
    command.env("JUDGE_KEY", KEY).env("RUST_LOG", "trace");
    cli::run(command)
}

/// The same, where something answers: with a ruling on each claim that tells the key.
async fn play_judged(more: &'static [&'static str]) -> (Folder, Outcome) {
    let server = ChatServer::start().await;
    let url = server.url();
    let played = tokio::task::spawn_blocking(move || {
        let folder = Folder::with(&[("b.smoke.toml", JUDGED)]);
        let outcome = play(&folder, &url, more);
        (folder, outcome)
    });
    for (holds, reason) in [(true, "the sky is clear"), (false, "no sea is named")] {
        let asked = server.asked().await;
        assert!(
            asked.head.contains(&format!("authorization: bearer {KEY}")),
            "{}",
            asked.head
        );
        assert_eq!(asked.body["model"], "tiny");
        let ruling = json!({"holds": holds, "reason": format!("{reason}: {KEY}")}).to_string();
        let answer = json!({"choices": [{"message": {"content": ruling}}]});
        asked.answer("200 OK", &answer.to_string()).await;
    }
    played.await.unwrap()
}

/// That the key is in nothing that was said or written.
fn assert_secret(folder: &Folder, outcome: &Outcome) {
    assert!(!outcome.stdout.contains(KEY), "{}", outcome.stdout);
    assert!(!outcome.stderr.contains(KEY), "{}", outcome.stderr);
    let mut files = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_holds_no_key(&path);
                files += 1;
            }
        }
    }
    assert!(
        files >= 6,
        "two of the test's, three reports and a trace: {files}"
    );
}

fn assert_holds_no_key(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let found = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
    assert!(!found, "{} holds the key", path.display());
}

#[tokio::test]
async fn what_the_judge_rules_is_told_and_reported() {
    let (folder, outcome) = play_judged(&[]).await;
    assert_eq!(outcome.code, Some(1), "{}{}", outcome.stdout, outcome.stderr);
    let out = &outcome.stdout;
    assert!(
        out.contains("expected an answer of which it is true that \"it is about the sea\" (line 8)"),
        "{out}"
    );
    assert!(
        out.contains("the judge says no: \"no sea is named: ***\""),
        "{out}"
    );
    assert!(!out.contains("the sky is clear"), "{out}");

    let report: Value = serde_json::from_str(&folder.read("out.json")).unwrap();
    let turns = &report["scripts"][0]["runs"][0]["attempts"][0]["turns"];
    let ruling = |turn: usize| turns[turn]["expectations"][0]["ruling"].clone();
    let rulings = [ruling(0), ruling(1)];
    assert_eq!(
        rulings,
        [
            json!({"holds": true, "reason": "the sky is clear: ***"}),
            json!({"holds": false, "reason": "no sea is named: ***"}),
        ],
        "{turns}"
    );
    for name in ["out.html", "out.xml"] {
        assert!(folder.read(name).contains("no sea is named"), "{name}");
    }
    assert!(folder.read("out.html").contains("the sky is clear"));
    assert_secret(&folder, &outcome);
}

#[tokio::test]
async fn programs_are_told_what_the_judge_rules() {
    let (folder, outcome) = play_judged(&["--json"]).await;
    assert_eq!(outcome.code, Some(1), "{}{}", outcome.stdout, outcome.stderr);
    let attempt = &outcome.json()[0];
    let text = attempt.to_string();
    for reason in ["the sky is clear: ***", "no sea is named: ***"] {
        assert!(text.contains(reason), "{attempt}");
    }
    assert_secret(&folder, &outcome);
}

#[test]
fn a_judge_that_is_not_there_is_no_verdict_on_the_agent() {
    // A port that was free a moment ago, and that nobody listens at.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let folder = Folder::with(&[("b.smoke.toml", JUDGED)]);
    let outcome = play(&folder, &url, &[]);
    assert_eq!(outcome.code, Some(3), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("the judge"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("refused"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("1 broken in"), "{}", outcome.stdout);
    assert_secret(&folder, &outcome);
}
