//! Recordings played to the program itself and by `simulate`: a run does again what it did, and is told when it does not.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;

use std::fs;
use std::path::Path;

use cli::{Agent, Child, Outcome, program, run};
use fake_server::{Do, FakeServer, created, done, error, words};
use serde_json::{Value, json};
use tempfile::TempDir;

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings");

/// Turns with a tool, a handoff, sound and mere words.
const TURNS: [&str; 6] = [
    "-m",
    "What is the weather in Oslo?",
    "-m",
    "I have questions about invoices",
    "-m",
    "Thank you",
];

/// A folder with one recording.
struct Recording {
    folder: TempDir,
}

impl Recording {
    /// To be written by a run.
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn of(text: &str) -> Self {
        let recording = Self::new();
        fs::write(recording.path(), text).unwrap();
        recording
    }

    fn path(&self) -> String {
        let path = self.folder.path().join("run.jsonl");
        path.to_str().unwrap().to_owned()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Runs an agent on it.
    fn play(&self, agent: &Agent, more: &[&str]) -> Outcome {
        let path = self.path();
        let replay = ["--simulate", "--timeout", "60s", "--replay", &path];
        agent.run(replay.into_iter().chain(more.iter().copied()))
    }
}

fn arguments<'a>(first: &[&'a str], second: &[&'a str]) -> Vec<&'a str> {
    first.iter().chain(second).copied().collect()
}

#[test]
fn a_recorded_run_replays_to_itself() {
    let agent = Agent::weather();
    for kept in [&[][..], &["--record-no-audio"]] {
        let recording = Recording::new();
        let path = recording.path();
        let first = [&["--simulate", "--record", &path][..], kept, &TURNS].concat();
        let first = agent.run(first);
        assert_eq!(first.code, Some(0), "{}", first.stderr);
        assert!(first.stderr.contains("handoff"), "{}", first.stderr);
        for speed in ["1", "max"] {
            let again = recording.play(&agent, &arguments(&["--speed", speed], &TURNS));
            assert_eq!(again.code, Some(0), "{}", again.stderr);
            assert_eq!(again.stdout, first.stdout);
            let told = format!("{path} was played to 1 client: 0 deviations\n");
            assert!(again.stderr.ends_with(&told), "{}", again.stderr);
        }
    }
}

#[test]
fn a_recording_of_a_replay_is_the_same_but_for_times_and_the_place() {
    let agent = Agent::weather();
    let (first, second) = (Recording::new(), Recording::new());
    agent.run(arguments(&["--simulate", "--record", &first.path()], &TURNS));
    first.play(
        &agent,
        &arguments(&["--speed", "max", "--record", &second.path()], &TURNS),
    );
    let sent_by = |text: &str, from: &str| -> Vec<Value> {
        let rows = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let own = rows.filter(|row| row["from"] == from);
        own.map(|row| {
            let mut event = row["event"].clone();
            // The trace is another one.
            event["session"]["tracing"].take();
            event
        })
        .collect()
    };
    for from in ["server", "client"] {
        let (first, second) = (sent_by(&first.text(), from), sent_by(&second.text(), from));
        // What trails the last answer need not come before the run has left.
        let least = first.len() - usize::from(from == "server");
        assert!(second.len() >= least && second.len() <= first.len());
        assert_eq!(second[..least], first[..least], "{from}");
    }
}

#[test]
fn a_failed_run_fails_again_in_the_same_way() {
    let why = json!({"type": "failed", "error": {"code": "odd", "message": "It is odd."}});
    let server = FakeServer::start(move |event| match event["type"].as_str().unwrap() {
        "response.create" => vec![
            error("server_error", "odd", "It is odd."),
            created("r1"),
            words("r1", "Well"),
            done("r1", "failed", why.clone()),
        ],
        _ => Vec::new(),
    });
    let lost = FakeServer::start(|event| match event["type"].as_str().unwrap() {
        "response.create" => vec![created("r1"), words("r1", "Well"), Do::Drop],
        _ => Vec::new(),
    });
    let refusing = FakeServer::start_silent(|_| {
        vec![
            error(
                "invalid_request_error",
                "invalid_api_key",
                "Incorrect API key provided: sk-1***9.",
            ),
            Do::Close(3000, "invalid_request_error.invalid_api_key"),
        ]
    });
    let agent = Agent::weather();
    for server in [server, lost, refusing] {
        let recording = Recording::new();
        let first = agent.run(["--url", &server.url(), "--record", &recording.path(), "-m", "hi"]);
        let again = recording.play(&agent, &["-m", "hi"]);
        assert_eq!((first.code, again.code), (Some(3), Some(3)), "{}", again.stderr);
        assert_eq!(again.stdout, first.stdout);
        let errors = |outcome: &Outcome| -> Vec<String> {
            let lines = outcome.stderr.lines().filter(|line| line.starts_with("error"));
            lines.map(|line| line.replace("sk-1***9", "***")).collect()
        };
        assert_eq!(errors(&again), errors(&first));
    }
}

#[test]
fn a_run_that_deviates_is_told_where_and_ends_with_1() {
    let agent = Agent::weather();
    let recording = Recording::new();
    agent.run(["--simulate", "--record", &recording.path(), "-m", "Hello"]);
    let other_words = recording.play(&agent, &["-m", "Bye"]);
    assert_eq!(other_words.code, Some(1), "{}", other_words.stderr);
    let told = format!(
        "error: client 1 deviates from {}, line 6: `conversation.item.create` (message) differs at \
         `item.content[0].text`: recorded is \"Hello\", but the client sent \"Bye\"\n",
        recording.path()
    );
    assert!(other_words.stderr.contains(&told), "{}", other_words.stderr);

    let one_more = recording.play(&agent, &["-m", "Hello", "-m", "Hello"]);
    assert_eq!(one_more.code, Some(1), "{}", one_more.stderr);
    assert!(
        one_more
            .stderr
            .contains("the recording ends here, but the client sent `conversation.item.create`"),
        "{}",
        one_more.stderr
    );

    let other_agent = Agent::new(&cli::WEATHER.replace("celsius = 21", "celsius = 22"));
    let recording = Recording::new();
    agent.run([
        "--simulate",
        "--record",
        &recording.path(),
        "-m",
        "What is the weather in Oslo?",
    ]);
    let other_output = recording.play(&other_agent, &["-m", "What is the weather in Oslo?"]);
    assert_eq!(other_output.code, Some(1));
    assert!(
        other_output.stderr.contains("differs at `item.output`"),
        "{}",
        other_output.stderr
    );
    // A lenient replay does not mind.
    let lenient = recording.play(&other_agent, &["--lenient", "-m", "Weather?"]);
    assert_eq!(lenient.code, Some(0), "{}", lenient.stderr);
    assert!(lenient.stdout.contains("\"celsius\":21"), "{}", lenient.stdout);
}

/// The simulator, serving a recording.
fn serve(recording: &Recording, more: &[&str]) -> (Child, String) {
    let mut command = program();
    command
        .args(["simulate", "--replay", &recording.path()])
        .args(more);
    let server = Child::start(command);
    let url = server.wait_for_stdout("\n").trim().to_owned();
    (server, url)
}

#[test]
fn simulate_plays_to_every_client_and_sums_up() {
    let agent = Agent::weather();
    let recording = Recording::new();
    let path = recording.path();
    let first = agent.run(["--simulate", "--record", &path, "-m", "Hello"]);

    let (server, url) = serve(&recording, &["--speed", "max"]);
    for _ in 0..2 {
        let again = agent.run(["--url", &url, "-m", "Hello"]);
        assert_eq!((again.code, again.stdout), (first.code, first.stdout.clone()));
    }
    server.signal("INT");
    let outcome = server.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let told = format!("{path} was played to 2 clients: 0 deviations\n");
    assert!(outcome.stderr.ends_with(&told), "{}", outcome.stderr);

    let (server, url) = serve(&recording, &["--speed", "max"]);
    let deviating = agent.run(["--url", &url, "-m", "Bye"]);
    // It is only told: to a client of a server a deviation is an error like others.
    assert_eq!(deviating.code, Some(3), "{}", deviating.stderr);
    assert!(deviating.stderr.contains("line 6"), "{}", deviating.stderr);
    server.signal("TERM");
    let outcome = server.wait();
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains(&format!("client 1 deviates from {path}, line 6: "))
    );
}

#[test]
fn bad_recordings_are_told_with_the_line() {
    let good = r#"{"from": "server", "event": {"type": "session.created", "session": {}}}"#;
    let cases = [
        ("not json".to_owned(), "line 1 is not a JSON object: "),
        (
            format!("{good}\n\n{{\"event\": {{}}}}\n"),
            "line 3 does not say who sent it",
        ),
        (
            format!("{good}\n{{\"from\": \"server\"}}\n"),
            "line 2 holds no frame",
        ),
        (String::new(), "holds nothing from a server"),
        (good.replace("server", "client"), "holds nothing from a server"),
    ];
    let agent = Agent::weather();
    for (text, why) in cases {
        let recording = Recording::of(&text);
        let outcome = recording.play(&agent, &["-m", "hi"]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "{text}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(&recording.path()), "{}", outcome.stderr);
    }
    let mut command = program();
    command.args(["simulate", "--replay", "no-such-file.jsonl"]);
    let outcome = run(command);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome
            .stderr
            .contains("cannot read the recording no-such-file.jsonl: "),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_torn_last_line_is_told_and_left_out() {
    let agent = Agent::weather();
    let recording = Recording::new();
    agent.run(["--simulate", "--record", &recording.path(), "-m", "Hello"]);
    let text = recording.text();
    let torn = Recording::of(&text[..text.len() - 20]);
    let outcome = torn.play(&agent, &["-m", "Hello"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("its last line broke off"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn flags_that_make_no_sense_are_told() {
    let agent = Agent::weather();
    let recording = Recording::of(r#"{"from": "server", "event": {"type": "session.created"}}"#);
    let path = recording.path();
    let cases = [
        (vec!["--replay", &path], "add `--simulate`"),
        (vec!["--simulate", "--lenient"], "--replay <FILE>"),
        (
            vec!["--simulate", "--replay", &path, "--speed", "fast"],
            "expected a factor",
        ),
        (
            vec!["--simulate", "--replay", &path, "--record", &path],
            "replayed and recorded at once",
        ),
    ];
    for (flags, why) in cases {
        let outcome = agent.run(flags);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
    }
    assert!(!recording.text().is_empty());
}

/// Real servers' sides, played to the session of this program: what they said is what it tells.
#[test]
fn recordings_of_real_servers_are_played() {
    if !Path::new(RECORDINGS).exists() {
        return eprintln!("skipped: there are no recordings at {RECORDINGS}");
    }
    let agent = Agent::new(
        r#"
[agents.Assistant]
instructions = "Use the get_weather tool for any weather question, then answer in one short sentence."
tools = ["get_weather"]
[tools.get_weather]
description = "Tells the weather."
parameters = { type = "object", properties = { city = { type = "string" } } }
output = "It is foggy and 12 degrees in London."
"#,
    );
    let weather = "What is the weather in London?";
    let cases = [
        ("openai-text-in-audio-out", "Say a short greeting.", "Hi there!\n"),
        (
            "openai-tool-call",
            weather,
            "It is foggy and 12 degrees in London.\n",
        ),
        (
            "azure-voice-live-tool-call",
            weather,
            "It's foggy and 12 degrees in London right now.\n",
        ),
        (
            "xai-tool-call",
            weather,
            "I'll check the weather for London right away.\n\
             It is foggy and 12 degrees in London. The weather is foggy and 12 degrees.\n",
        ),
    ];
    for (name, question, answer) in cases {
        let path = format!("{RECORDINGS}/{name}.jsonl");
        let outcome = agent.run([
            "--simulate",
            "--timeout",
            "60s",
            "--replay",
            &path,
            "--lenient",
            "-m",
            question,
        ]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(0), answer),
            "{name}: {}",
            outcome.stderr
        );
    }
}
