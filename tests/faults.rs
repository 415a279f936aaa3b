//! Servers that do what no good server does, from `tests/scenarios/`: how our session ends with each. The built program
//! has the right exit status and says why; the library loses no span; nothing hangs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/spans.rs"]
mod spans;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cli::{Agent, LIMIT, Outcome};
use realtime_run::agent::AgentFile;
use realtime_run::session::{Session, SessionEvent};
use realtime_run::simulator::{Options, Scenario, Simulator};
use realtime_run::transport::Endpoint;
use serde_json::Value;
use spans::{Traced, traced};
use tokio::time::timeout;

/// What the user says, turn by turn.
const TURNS: [&str; 2] = ["hello, weather", "bye"];
const TWICE: &str = "All is well.\nAll is well.\n";

/// How a run with a scenario ends.
struct Case {
    scenario: &'static str,
    code: i32,
    stdout: &'static str,
    /// What is on stderr; nothing else is if this is empty.
    stderr: &'static [&'static str],
}

const fn survives(scenario: &'static str, stderr: &'static [&'static str]) -> Case {
    Case {
        scenario,
        code: 0,
        stdout: TWICE,
        stderr,
    }
}

const fn fails(scenario: &'static str, stdout: &'static str, stderr: &'static [&'static str]) -> Case {
    Case {
        scenario,
        code: 3,
        stdout,
        stderr,
    }
}

const CASES: &[Case] = &[
    survives("unknown_events", &["an event without a `type`"]),
    survives("duplicates", &[]),
    survives("late_deltas", &[]),
    survives("null_ids", &[]),
    survives(
        "malformed_json",
        &[
            "a frame that is not a JSON event",
            "a `response.done` event that cannot be read",
        ],
    ),
    survives("binary_frames", &["a frame that is not a JSON event"]),
    survives("huge_item", &[]),
    survives("deaf", &[]),
    survives("slow_sends", &[]),
    fails(
        "closed_with_an_error",
        "I was about to\n",
        &["error: the connection was lost (close code 1011: keepalive ping timeout)"],
    ),
    fails(
        "closed_in_the_middle",
        "I was about to\n",
        &["error: the server closed the session (close code 1000)"],
    ),
    fails(
        "closed_after_the_answer",
        "All is well.\n",
        &["error: the server closed the session (close code 1000)"],
    ),
    fails(
        "dropped_in_the_middle",
        "I was about to\n",
        &["error: the connection was lost (close code 1006"],
    ),
    fails(
        "dropped_with_a_call",
        "",
        &["error: the connection was lost (close code 1006"],
    ),
    fails(
        "dropped_at_once",
        "",
        &["error: the connection was lost (close code 1006"],
    ),
    fails(
        "expired",
        "I was about to\n",
        &[
            "(session_expired)\nhelp: start a new session",
            "error: the server ended the session",
        ],
    ),
    fails(
        "refused_key",
        "",
        &[
            "error: the server refused the session: Incorrect API key",
            "help: check the key",
        ],
    ),
    fails(
        "refused_quota",
        "",
        &[
            "error: the server refused the session: You exceeded",
            "help: the account has no credit left",
        ],
    ),
    fails(
        "refused_rate",
        "",
        &["HTTP 429", "(it asks to wait 1 s)\nhelp: wait a little"],
    ),
    fails(
        "no_access",
        "",
        &["The model does not exist, or you have no access to it."],
    ),
    fails(
        "failed",
        "All is\n",
        &["error: the turn failed: Rate limit reached. (rate_limit_exceeded)"],
    ),
    fails(
        "cut_off",
        "Once upon a\n",
        &["error: the answer is incomplete: content_filter"],
    ),
    Case {
        scenario: "silent",
        code: 4,
        stdout: "Let me think\n",
        stderr: &["error: the turn took longer than 1.00 s\nhelp: --turn-timeout"],
    },
    fails(
        "uncovered",
        "All is well.\n",
        &["error: the turn failed: No step of the scenario is left that fits the user's words “bye”."],
    ),
    fails(
        "unknown_tool",
        "All is well.\n",
        &["warning: the server says: Tool launch_rocket not found"],
    ),
];

fn path(scenario: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    directory.join(format!("{scenario}.toml"))
}

fn run(scenario: &str, more: &[&str]) -> Outcome {
    let path = path(scenario).display().to_string();
    let mut arguments = vec!["--simulate", "--scenario", &path, "-q"];
    for turn in TURNS {
        arguments.extend(["-m", turn]);
    }
    if scenario == "silent" {
        arguments.extend(["--turn-timeout", "1s"]);
    }
    Agent::weather().run(arguments.into_iter().chain(more.iter().copied()))
}

#[test]
fn every_scenario_has_its_end() {
    let directory = std::fs::read_dir(path("x").parent().unwrap()).unwrap();
    let files: BTreeSet<PathBuf> = directory.map(|entry| entry.unwrap().path()).collect();
    let cases: BTreeSet<PathBuf> = CASES.iter().map(|case| path(case.scenario)).collect();
    assert_eq!(files, cases);
}

#[test]
fn the_program_ends_as_it_should_and_says_why() {
    for case in CASES {
        let name = case.scenario;
        let outcome = run(name, &["--no-tracing"]);
        assert_eq!(outcome.code, Some(case.code), "{name}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, case.stdout, "{name}: {}", outcome.stderr);
        if case.stderr.is_empty() {
            assert_eq!(outcome.stderr, "", "{name}");
        }
        for words in case.stderr {
            assert!(
                outcome.stderr.contains(words),
                "{name}: {words}: {}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn the_program_sends_every_span_once() {
    for case in CASES {
        let name = case.scenario;
        let lines = run(name, &["--trace", "stdout"]).json();
        let spans: Vec<&Value> = lines
            .iter()
            .filter(|line| line["object"] == "trace.span")
            .collect();
        let ids: BTreeSet<_> = spans.iter().map(|span| span["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), spans.len(), "{name}: a span was sent twice");
        let agents = spans.iter().filter(|span| span["span_data"]["type"] == "agent");
        assert_eq!(agents.count(), 1, "{name}");
        for span in &spans {
            assert!(span["ended_at"].is_string(), "{name}: {span}");
            let parent = span["parent_id"].as_str();
            assert!(
                parent.is_none_or(|id| ids.contains(id)),
                "{name}: an orphan: {span}"
            );
        }
    }
}

/// A session with the server of a scenario.
async fn open(scenario: &str, traced: &Traced) -> (Simulator, Option<Session>) {
    let options = Options::default().with_scenario(&Scenario::load(path(scenario)).unwrap());
    let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
    let agents = AgentFile::load(Agent::weather().path()).unwrap().agents;
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let connecting = Session::builder(agents).endpoint(endpoint).connect();
    let session = timeout(LIMIT, traced.trace.scope(connecting))
        .await
        .expect("in time");
    (simulator, session.ok())
}

#[tokio::test]
async fn the_library_ends_every_span_once() {
    for case in CASES {
        let traced = traced();
        let (simulator, session) = open(case.scenario, &traced).await;
        let talk = async {
            let Some(mut session) = session else { return };
            let mut turns = TURNS.into_iter();
            // The server may have ended the session already.
            drop(session.send_message(turns.next().unwrap()).await);
            while let Some(event) = session.next().await {
                match event {
                    SessionEvent::TurnEnd { .. } => match turns.next() {
                        Some(words) => drop(session.send_message(words).await),
                        None => session.close().await,
                    },
                    SessionEvent::TranscriptDelta { .. } if case.scenario == "silent" => {
                        session.close().await
                    }
                    _ => {}
                }
            }
        };
        timeout(LIMIT, talk)
            .await
            .unwrap_or_else(|_| panic!("{} hangs", case.scenario));
        traced.check_all_ended_once();
        assert_eq!(traced.named("Assistant").len(), 1, "{}", case.scenario);
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn deltas_that_come_after_a_cancelled_response_are_dropped() {
    let text = "[[steps]]\nthen = [{ say = \"one two three four five\" }, \"stay_silent\"]\n[faults]\nlate_deltas = 4";
    let scenario = Scenario::parse("late.toml", text).unwrap();
    let simulator = Simulator::bind_with("127.0.0.1:0", Options::default().with_scenario(&scenario));
    let simulator = simulator.await.unwrap();
    let agents = AgentFile::load(Agent::weather().path()).unwrap().agents;
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let mut session = Session::builder(agents)
        .endpoint(endpoint)
        .connect()
        .await
        .unwrap();
    session.send_message("count").await.unwrap();
    let (mut said, mut turns) = (String::new(), 0);
    let talk = async {
        while let Some(event) = session.next().await {
            match event {
                SessionEvent::TranscriptDelta { delta, .. } => {
                    said += &delta;
                    if said.ends_with("five") {
                        session.interrupt().await.unwrap();
                    }
                }
                // The answer to this comes after all that was late.
                SessionEvent::TurnEnd { .. } if turns == 0 => {
                    turns += 1;
                    session.send_message("go on").await.unwrap();
                }
                SessionEvent::TurnEnd { .. } => session.close().await,
                _ => {}
            }
        }
    };
    timeout(LIMIT, talk).await.expect("in time");
    assert_eq!(
        said, "one two three four fiveYou said: go on",
        "nothing came twice"
    );
    simulator.shutdown().await;
}
