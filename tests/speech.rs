//! Real speech, made by espeak-ng: the simulator finds its turns, and the program sees to it that they end.
//!
//! Needs what `make speech` installs. Without it the tests are skipped, except where `CI` is set.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/sound.rs"]
mod sound;

use std::process::{Command, Stdio};

use cli::{Agent, Outcome};
use realtime_run::audio::AudioReader;
use sound::Sounds;

/// Whether the programs are there; if not, loudly.
fn is_there(programs: &[&str]) -> bool {
    let is_missing = |program: &&&str| {
        let mut version = Command::new(program);
        version
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        !version.status().is_ok_and(|status| status.success())
    };
    let missing: Vec<_> = programs.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return true;
    }
    let message = format!("{missing:?} are not installed; `make speech` installs them");
    assert!(std::env::var_os("CI").is_none(), "{message}");
    eprintln!("skipped: {message}");
    false
}

/// A file in which this is said.
fn say(sounds: &Sounds, name: &str, words: &str) -> String {
    let path = sounds.path(name).to_str().unwrap().to_owned();
    let made = Command::new("espeak-ng")
        .args(["-w", &path, words])
        .status()
        .unwrap();
    assert!(made.success());
    path
}

/// How long a WAV file of 22,050 samples a second lasts, in milliseconds.
fn length_ms(file: &str) -> u64 {
    (std::fs::metadata(file).unwrap().len() - 44) * 1_000 / (2 * 22_050)
}

fn agent() -> Agent {
    Agent::new(
        "[session]\nturn_detection = { type = \"server_vad\" }\n[agents.Assistant]\ninstructions = \"You are friendly.\"\n",
    )
}

fn ms(outcome: &Outcome, kind: &str, place: &str) -> Vec<u64> {
    let events = outcome.json();
    let meant = events.iter().filter(|event| event["type"] == kind);
    meant.map(|event| event[place].as_u64().unwrap()).collect()
}

#[test]
fn the_server_hears_where_speech_begins_and_ends() {
    if !is_there(&["espeak-ng"]) {
        return;
    }
    let sounds = Sounds::new();
    let files = [
        say(&sounds, "rome.wav", "What is the weather in Rome today?"),
        say(&sounds, "oslo.wav", "And in Oslo?"),
    ];
    for pace in ["fast", "realtime"] {
        let outcome = agent().run([
            "--simulate",
            "--json",
            "--raw",
            "--audio-pace",
            pace,
            "--audio-in",
            &files[0],
            "--audio-in",
            &files[1],
        ]);
        assert_eq!(outcome.code, Some(0), "{pace}: {}", outcome.stderr);
        let (started, stopped) = (
            ms(&outcome, "speech_started", "audio_start_ms"),
            ms(&outcome, "speech_stopped", "audio_end_ms"),
        );
        assert_eq!((started.len(), stopped.len()), (2, 2), "{pace}");
        assert!(
            started[0] < 100,
            "{pace}: it begins at once, not at {} ms",
            started[0]
        );
        // Where the speech ends, or a little before that where it fades, there begins half a second of silence.
        let end = length_ms(&files[0]) + 500;
        assert!(
            (end - 500..end + 64).contains(&stopped[0]),
            "{pace}: {} of {end}",
            stopped[0]
        );
        let sent = sound::spoken(&sound::sent(&outcome)).len() as u64 / 48;
        let most = length_ms(&files[0]) + length_ms(&files[1]) + 2 * 1_000 + 2;
        assert!(
            sent <= most,
            "{pace}: silence is sent once a turn: {sent} ms rather than {most}"
        );
    }
}

#[test]
fn speech_goes_through_a_pipeline_and_the_answer_comes_out_of_it() {
    if !is_there(&["espeak-ng", "sox"]) {
        return;
    }
    let (sounds, agent) = (Sounds::new(), agent());
    let raw = "-t raw -r 24000 -e signed -b 16 -c 1 -";
    let line = format!(
        "espeak-ng --stdout 'And in Rome?' | sox -t wav - {raw} | {} --agent {} --simulate --no-store --audio-in - \
         --audio-out - | sox {raw} {}",
        env!("CARGO_BIN_EXE_realtime-run"),
        agent.path().display(),
        sounds.path("answer.wav").display()
    );
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("You said: "),
        "the words are beside the sound: {stderr}"
    );
    let mut answer = AudioReader::open(&sounds.path("answer.wav"), sound::PCM).unwrap();
    let answer = answer.read_to_end().unwrap();
    assert!(answer.len() > 48_000, "{} bytes", answer.len());
    assert!(answer.iter().any(|byte| *byte != 0));
}
