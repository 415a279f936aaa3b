//! Microphone and speaker on a virtual sound card: what is heard, who is heard, and what an interruption cuts.
#![cfg(feature = "devices")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/sound.rs"]
mod sound;
#[path = "support/sound_card.rs"]
mod sound_card;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cli::{Agent, Child, Outcome};
use realtime_run::audio::{self, decode};
use realtime_run::protocol::AudioFormat;
use serde_json::Value;
use sound::{PCM, Sounds, heard};
use sound_card::{RATE, SoundCard, sound_card};

/// Long enough to be interrupted.
const LONG: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
                    seventeen eighteen nineteen twenty one two three four five six seven eight nine ten eleven twelve";

fn agent() -> Agent {
    Agent::new(
        "[session]\nturn_detection = { type = \"server_vad\", silence_duration_ms = 300 }\n\
         [agents.Assistant]\ninstructions = \"You are friendly.\"\n",
    )
}

/// A run on the simulator and this card, that tells what happens.
fn on(card: &SoundCard, agent: &Agent, arguments: &[&str]) -> Command {
    let fixed = ["--simulate", "--json", "--no-tracing"];
    let mut command = agent.command(fixed.into_iter().chain(arguments.iter().copied()));
    card.plug_in(&mut command);
    command.stdin(Stdio::null());
    command
}

/// A voice, at the card's rate.
fn voice(millis: u64) -> Vec<i16> {
    let format = AudioFormat::Pcm { rate: RATE };
    decode(&audio::tone(300.0, Duration::from_millis(millis), format), format)
}

fn count(outcome: &Outcome, kind: &str) -> usize {
    outcome.types().iter().filter(|own| *own == kind).count()
}

/// How long the answers in these lines of `--json` are, in milliseconds.
fn said_ms(lines: &str) -> f64 {
    let whole = lines.rfind('\n').map_or("", |end| &lines[..end]);
    let outcome = Outcome {
        code: None,
        stdout: whole.to_owned(),
        stderr: String::new(),
    };
    heard(&outcome).len() as f64 / 48.0
}

/// Times that a wave rises through zero.
fn waves(samples: &[i16]) -> f64 {
    samples
        .windows(2)
        .filter(|pair| pair[0] <= 0 && pair[1] > 0)
        .count() as f64
}

fn is_near(value: f64, expected: f64, share: f64) -> bool {
    (value - expected).abs() <= expected * share
}

fn millis(samples: usize) -> f64 {
    samples as f64 * 1_000.0 / f64::from(RATE)
}

#[test]
fn what_the_assistant_says_is_heard_whole_as_loud_and_as_high_as_it_was_sent() {
    let Some(card) = sound_card() else { return };
    let recorder = card.record();
    let outcome = cli::run(on(&card, &agent(), &["--speaker", "-m", LONG]));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "", "no gaps were reported");
    recorder.wait_for_silence();
    let sent = decode(&heard(&outcome), PCM);
    let sound = recorder.sound();
    let sent_ms = sent.len() as f64 / 24.0;
    assert!(
        is_near(millis(sound.len()), sent_ms, 0.01),
        "{} of {sent_ms} ms",
        millis(sound.len())
    );
    assert!(
        is_near(waves(&sound), waves(&sent), 0.01),
        "{} of {} waves",
        waves(&sound),
        waves(&sent)
    );
    let loudest =
        |samples: &[i16]| f64::from(samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap());
    assert!(
        is_near(loudest(&sound), loudest(&sent), 0.05),
        "{} of {}",
        loudest(&sound),
        loudest(&sent)
    );
    // The steepest that a tone of the simulator rises, at this rate, and a little for the filter.
    let steepest = |samples: &[i16]| {
        let steps = samples
            .windows(2)
            .map(|pair| (f64::from(pair[0]) - f64::from(pair[1])).abs());
        steps.fold(0.0, f64::max)
    };
    assert!(
        steepest(&sound) < 1.2 * steepest(&sent) / 2.0,
        "a click: {} beside {}",
        steepest(&sound),
        steepest(&sent)
    );
    let longest_hole = sound
        .split(|sample| *sample != 0)
        .map(<[i16]>::len)
        .max()
        .unwrap();
    let hole_sent = sent.split(|sample| *sample != 0).map(<[i16]>::len).max().unwrap();
    assert!(
        longest_hole < 2 * hole_sent + 240,
        "a hole of {} ms",
        millis(longest_hole)
    );
}

#[test]
fn whoever_speaks_into_the_microphone_is_answered_aloud() {
    let Some(card) = sound_card() else { return };
    let recorder = card.record();
    let agent = agent();
    let child = Child::start(on(&card, &agent, &["--mic", "--speaker"]));
    child.wait_for_stdout("session_start");
    for turn in 1..=2 {
        card.say(&voice(1_000));
        let so_far = child.wait_for_lines(r#""type":"turn_end""#, turn);
        recorder.wait_for_tones(0.95 * said_ms(&so_far));
    }
    recorder.wait_for_silence();
    child.signal("INT");
    let outcome = child.wait();
    assert_eq!(outcome.code, Some(130), "{}", outcome.stderr);
    assert_eq!(
        [
            count(&outcome, "speech_started"),
            count(&outcome, "speech_stopped")
        ],
        [2, 2]
    );
    assert_eq!(count(&outcome, "audio_interrupted"), 0);
    let (heard_ms, said_ms) = (recorder.tones_ms(), said_ms(&outcome.stdout));
    assert!(is_near(heard_ms, said_ms, 0.03), "{heard_ms} of {said_ms} ms");
}

#[test]
fn the_assistant_does_not_hear_itself() {
    let Some(card) = sound_card() else { return };
    let recorder = card.record();
    let agent = agent();
    let arguments = ["--mic", "--input-device", "echo", "--speaker", "-m", LONG];
    let child = Child::start(on(&card, &agent, &arguments));
    child.wait_for_stdout(r#""type":"turn_end""#);
    recorder.wait_for_silence();
    child.signal("INT");
    let outcome = child.wait();
    assert_eq!(count(&outcome, "audio_interrupted"), 0, "{}", outcome.stderr);
    assert_eq!(count(&outcome, "speech_started"), 0);
    let sent_ms = heard(&outcome).len() as f64 / 48.0;
    assert!(is_near(millis(recorder.sound().len()), sent_ms, 0.02));
}

#[test]
fn whoever_cuts_in_silences_the_assistant_at_once_and_the_session_knows_what_was_heard() {
    let Some(card) = sound_card() else { return };
    let recorder = card.record();
    let agent = agent();
    let sounds = Sounds::new();
    let recording = sounds.path("run.jsonl");
    let record = ["--record", recording.to_str().unwrap(), "--record-no-audio"];
    let arguments = [&["--mic", "--speaker", "-m", LONG][..], &record].concat();
    let child = Child::start(on(&card, &agent, &arguments));
    recorder.wait_for_tones(1_500.0);
    let cut_in_at = Instant::now();
    card.say(&voice(1_000));
    child.wait_for_stdout(r#""type":"audio_interrupted""#);
    let silent_at = recorder.wait_for_silence();
    let heard_ms = millis(recorder.sound().len());
    child.signal("INT");
    let outcome = child.wait();

    let after = silent_at.saturating_duration_since(cut_in_at);
    assert!(after < Duration::from_millis(800), "silent only after {after:?}");
    let events = outcome.json();
    let interrupted = events.iter().find(|event| event["type"] == "audio_interrupted");
    let played_ms = interrupted.unwrap()["played_ms"].as_u64().unwrap();
    let rows = std::fs::read_to_string(&recording).unwrap();
    let rows = rows
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).unwrap());
    let mut truncations = rows.filter(|row| row["event"]["type"] == "conversation.item.truncate");
    let truncation = truncations.next().unwrap();
    assert_eq!(truncation["event"]["audio_end_ms"].as_u64(), Some(played_ms));
    // What the device had taken already is heard on, and the fade.
    let beyond = heard_ms - played_ms as f64;
    assert!(
        (-20.0..250.0).contains(&beyond),
        "{heard_ms} ms were heard, and {played_ms} told"
    );
    // The user is heard, from about where they began.
    assert!(count(&outcome, "speech_started") >= 1, "{}", outcome.stderr);
}

#[test]
fn who_is_kept_from_playing_for_a_moment_plays_the_rest() {
    let Some(card) = sound_card() else { return };
    let recorder = card.record();
    let agent = agent();
    let child = Child::start(on(&card, &agent, &["--speaker", "-m", LONG]));
    for heard in [500.0, 1_500.0] {
        recorder.wait_for_tones(heard);
        // The sound that the device has is over long before.
        child.signal("STOP");
        recorder.wait_for_silence();
        child.signal("CONT");
    }
    let outcome = child.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("a gap was heard") || outcome.stderr.contains("gaps were heard"));
    let (heard_ms, said_ms) = (recorder.tones_ms(), said_ms(&outcome.stdout));
    assert!(is_near(heard_ms, said_ms, 0.1), "{heard_ms} of {said_ms} ms");
}

#[test]
fn a_device_that_vanishes_ends_the_conversation_and_says_so() {
    for devices in [&["--mic"][..], &["--speaker"], &["--mic", "--speaker"]] {
        let Some(mut card) = sound_card() else { return };
        let agent = agent();
        let mut command = on(&card, &agent, devices);
        command.stdin(Stdio::piped());
        let child = Child::start(command);
        child.wait_for_stdout("session_start");
        card.unplug();
        child.wait_for_stderr("is gone");
        let outcome = child.wait();
        assert_eq!(outcome.code, Some(3), "{devices:?}: {}", outcome.stderr);
        assert_eq!(count(&outcome, "session_end"), 1, "{devices:?}");
    }
}

#[test]
fn devices_are_listed_and_those_that_are_not_there_are_told() {
    let Some(card) = sound_card() else { return };
    let mut command = cli::program();
    command.arg("devices");
    card.plug_in(&mut command);
    let outcome = cli::run(command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let lines: Vec<_> = outcome
        .stdout
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .collect();
    for direction in ["input", "output"] {
        let is_default = |line: &&Vec<&str>| line[..3] == [direction, "*", "default"];
        assert_eq!(lines.iter().filter(is_default).count(), 1, "{}", outcome.stdout);
    }
    assert!(
        lines.contains(&vec!["input", "", "echo", "What is played"]),
        "{}",
        outcome.stdout
    );

    let agent = agent();
    let outcome = cli::run(on(&card, &agent, &["--mic", "--input-device", "gramophone"]));
    assert_eq!(outcome.code, Some(2));
    let expected =
        "error: there is no input device `gramophone`\nhelp: `realtime-run devices` lists what there is\n";
    assert_eq!(outcome.stderr, expected);
}

#[test]
fn where_nobody_could_tell_the_end_of_a_turn_nobody_is_heard() {
    let agent =
        Agent::new("[session]\nturn_detection = \"none\"\n[agents.Assistant]\ninstructions = \"x\"\n");
    let outcome = agent.run(["--simulate", "--mic"]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("the session has no turn detection"),
        "{}",
        outcome.stderr
    );
    let outcome = agent.run(["--simulate", "--mic", "--push-to-talk"]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("reads its key from a terminal"),
        "{}",
        outcome.stderr
    );
}
