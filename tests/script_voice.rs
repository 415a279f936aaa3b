//! Scripts with turns that are spoken, in whole sessions with the simulator.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/scripts.rs"]
mod scripts;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use insta::assert_snapshot;
use realtime_run::audio::{self, Channels, WavWriter};
use realtime_run::protocol::AudioFormat;
use realtime_run::script::{Act, EventKind, Outcome, PlayOptions, Script, Verdict};
use realtime_run::simulator::{Options, Pace};
use scripts::*;
use tempfile::TempDir;

const AGENT: &str = r#"
[agents.Desk]
instructions = "Help."
"#;

/// Detection by the server, in which silence ends a turn soon.
const QUICK: &str = r#"
[session]
turn_detection = { type = "server_vad", silence_duration_ms = 200 }
[agents.Desk]
instructions = "Help."
"#;

const SCENARIO: &str = r#"
transcripts = ["hello there", "and goodbye"]

[[steps]]
when = { user_says = "hello" }
then = [{ say = "Hello, I am here." }]

[[steps]]
when = { user_says = "goodbye" }
then = [{ say = "Till next time." }]

[[steps]]
when = { user_says = "long" }
then = [{ say = "one two three four five six seven eight nine ten" }]
"#;

/// A file in which somebody speaks so long, at another rate than the session's.
fn speech(folder: &TempDir, millis: u64) -> PathBuf {
    let path = folder.path().join(format!("{millis}.wav"));
    let format = AudioFormat::Pcm { rate: 16_000 };
    let tone = audio::tone(300.0, Duration::from_millis(millis), format);
    let mut wav = WavWriter::new(File::create(&path).unwrap(), Channels::Mono, 16_000).unwrap();
    wav.write(audio::decode(&tone, format)).unwrap();
    wav.flush().unwrap();
    path
}

/// What is shown names the folder, which is another one each time.
fn show_in(folder: &TempDir, outcome: &Outcome) -> String {
    show(outcome).replace(&folder.path().display().to_string(), "")
}

async fn in_real_time(agents: &str, script: &Script) -> Outcome {
    let play_options = PlayOptions {
        realtime: true,
        ..PlayOptions::default()
    };
    perform_with(agents, SCENARIO, Options::default(), script, play_options).await
}

#[tokio::test]
async fn what_is_in_files_is_said_and_answered() {
    let folder = TempDir::new().unwrap();
    let script = script([
        turn(
            Act::Speak(speech(&folder, 900)),
            [answer("here"), absent(EventKind::Interrupted)],
        ),
        turn(
            Act::Speak(speech(&folder, 600)),
            [answer("next time"), absent(EventKind::Interrupted)],
        ),
    ]);
    for agents in [AGENT, QUICK] {
        let outcome = perform(agents, SCENARIO, &script).await;
        assert_snapshot!(show_in(&folder, &outcome));
        for turn in &outcome.turns {
            assert!(
                turn.first_sound.is_some() && turn.first_word.is_some(),
                "{turn:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_session_without_turn_detection_is_told_that_the_turn_is_over() {
    let agents = "[session]\nturn_detection = \"none\"\n[agents.Desk]\ninstructions = \"Help.\"";
    let folder = TempDir::new().unwrap();
    let script = script([turn(Act::Speak(speech(&folder, 900)), [answer("here")])]);
    let outcome = perform(agents, SCENARIO, &script).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{}", show(&outcome));
}

#[tokio::test]
async fn a_server_that_only_tells_where_turns_end_is_asked_for_an_answer() {
    let agents = QUICK.replace(" }", ", create_response = false }");
    let folder = TempDir::new().unwrap();
    let script = script([turn(Act::Speak(speech(&folder, 900)), [answer("here")])]);
    let outcome = perform(&agents, SCENARIO, &script).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{}", show(&outcome));
}

#[tokio::test]
async fn speech_that_nobody_hears_fails_the_turn() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("quiet.wav");
    let mut wav = WavWriter::new(File::create(&path).unwrap(), Channels::Mono, 24_000).unwrap();
    wav.write([0; 12_000]).unwrap();
    wav.flush().unwrap();
    let script = script([turn(Act::Speak(path), [answer("here")])]);
    assert_snapshot!(show_in(&folder, &perform(QUICK, SCENARIO, &script).await));
}

#[tokio::test]
async fn a_file_that_can_not_be_read_breaks_the_run() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("no.wav");
    std::fs::write(&path, "words").unwrap();
    let script = script([turn(Act::Speak(path), [])]);
    let outcome = perform(QUICK, SCENARIO, &script).await;
    assert!(
        matches!(outcome.verdict, Verdict::Broken { .. }),
        "{}",
        show(&outcome)
    );
}

#[tokio::test]
async fn silence_is_no_turn() {
    let silence = Act::Silence(Duration::from_secs(5));
    let script = script([
        turn(silence, [absent(EventKind::Response)]),
        say("hello", [answer("here")]),
    ]);
    assert_snapshot!(show(&perform(QUICK, SCENARIO, &script).await));
}

#[tokio::test]
async fn an_answer_is_cut_where_it_was_heard_to() {
    let script = script([
        say("something long", []),
        turn(
            Act::InterruptAfter(Duration::from_millis(200)),
            [expect(EventKind::Interrupted)],
        ),
        say("hello", [answer("here"), absent(EventKind::Interrupted)]),
    ]);
    for realtime in [false, true] {
        let (options, play_options) = (
            Options::default(),
            PlayOptions {
                realtime,
                ..PlayOptions::default()
            },
        );
        let outcome = perform_with(QUICK, SCENARIO, options, &script, play_options).await;
        assert_eq!(outcome.verdict, Verdict::Passed, "{}", show(&outcome));
    }
}

#[tokio::test]
async fn in_real_time_sound_takes_the_time_that_it_sounds() {
    let folder = TempDir::new().unwrap();
    let script = script([
        turn(Act::Speak(speech(&folder, 900)), [answer("here")]),
        turn(Act::Speak(speech(&folder, 600)), [absent(EventKind::Interrupted)]),
    ]);
    let outcome = in_real_time(QUICK, &script).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{}", show(&outcome));
    assert!(
        outcome.turns[0].duration >= Duration::from_millis(1_100),
        "{outcome:?}"
    );
    let wait = outcome.turns[0].first_sound.unwrap();
    assert!(
        wait >= Duration::from_millis(200),
        "the silence that ends a turn is waited for: {wait:?}"
    );
}

#[tokio::test]
async fn a_spoken_answer_is_interrupted_while_it_comes() {
    let options = Options {
        pace: Pace::Realtime,
        ..Options::default()
    };
    let script = script([
        say("something long", [absent(EventKind::Response)]),
        turn(
            Act::InterruptAfter(Duration::from_millis(300)),
            [expect(EventKind::Interrupted), expect(EventKind::Response)],
        ),
    ]);
    let play_options = PlayOptions {
        realtime: true,
        ..PlayOptions::default()
    };
    let outcome = perform_with(QUICK, SCENARIO, options, &script, play_options).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{}", show(&outcome));
}
