//! What a user says from sound files and through a pipe: when it is sent, where turns end, and what goes wrong.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;
#[path = "support/sound.rs"]
mod sound;

use std::fs;
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use cli::{Agent, Child, Outcome};
use fake_server::{Do, FakeServer, created, done, words};
use realtime_run::audio;
use realtime_run::protocol::AudioFormat;
use serde_json::{Value, json};
use sound::{PCM, Sounds, bytes, heard, peak_memory, sent, silence, spoken, tone};

/// An agent whose server finds turns by this.
fn agent(turn_detection: &str) -> Agent {
    Agent::new(&format!(
        "[session]\nturn_detection = {turn_detection}\n[agents.Assistant]\ninstructions = \"You are friendly.\"\n"
    ))
}

/// Turns end after a fifth of a second of silence.
fn quick() -> Agent {
    agent(r#"{ type = "server_vad", silence_duration_ms = 200 }"#)
}

/// A run on the simulator that says these files, and tells all that goes over the wire.
fn say(agent: &Agent, pace: &str, files: &[&str], more: &[&str]) -> Outcome {
    let fixed = ["--simulate", "--json", "--raw", "--audio-pace", pace];
    let files = files.iter().flat_map(|file| ["--audio-in", file]);
    let outcome = agent.run(fixed.into_iter().chain(files).chain(more.iter().copied()));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome
}

/// The same, with sound on stdin.
fn pipe(agent: &Agent, sound: &[u8], more: &[&str]) -> Outcome {
    let fixed = ["--simulate", "--json", "--raw", "--audio-in", "-"];
    let mut command = agent.command(fixed.into_iter().chain(more.iter().copied()));
    command.stdin(Stdio::piped());
    let mut child = Child::start(command);
    child.say_bytes(sound);
    child.end_input();
    child.wait()
}

fn count(outcome: &Outcome, kind: &str) -> usize {
    outcome.types().iter().filter(|own| *own == kind).count()
}

#[test]
fn each_file_is_a_turn_that_follows_the_answer_to_the_one_before() {
    let sounds = Sounds::new();
    let files = [sounds.tone("one.wav", 700), sounds.tone("two.wav", 500)];
    let outcome = say(&quick(), "fast", &[&files[0], &files[1]], &[]);
    assert_eq!(count(&outcome, "turn_end"), 2);
    let events = outcome.json();
    let first_end = events
        .iter()
        .position(|event| event["type"] == "turn_end")
        .unwrap();
    let raw = |events: &[Value]| -> Vec<u8> {
        let sent: Vec<Value> = events.iter().map(|event| event["event"].clone()).collect();
        spoken(&sent)
    };
    // What a turn needs of silence is sent once, and the next file begins behind it.
    for (said, millis) in [(raw(&events[..first_end]), 700), (raw(&events[first_end..]), 500)] {
        assert_eq!(said, bytes(&[tone(millis, PCM), silence(1_000)].concat()));
    }
}

#[test]
fn at_its_own_pace_sound_never_runs_ahead_and_the_next_turn_waits_until_the_answer_was_heard() {
    let sounds = Sounds::new();
    let files = [sounds.tone("one.wav", 300), sounds.tone("two.wav", 300)];
    let recording = sounds.path("run.jsonl");
    let record = ["--record", recording.to_str().unwrap()];
    let agent = quick();
    let outcome = say(&agent, "realtime", &[&files[0], &files[1]], &record);
    assert_eq!(count(&outcome, "turn_end"), 2);
    let rows = fs::read_to_string(&recording).unwrap();
    let rows: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let sound_at: Vec<f64> = rows
        .iter()
        .filter(|row| row["event"]["type"] == "input_audio_buffer.append")
        .map(|row| row["at_ms"].as_f64().unwrap())
        .collect();
    // The first row of each turn, 20 ms into it.
    let first_turn = &sound_at[..300 / 20];
    for (n, at) in first_turn.iter().enumerate() {
        let due = first_turn[0] + 20.0 * n as f64;
        assert!(*at > due - 20.0, "chunk {n} left at {at}, and is due at {due}");
    }
    let first_answer_ms = heard(&outcome).len() as f64 / 48.0 / 2.0;
    let pause = sound_at
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .fold(0.0, f64::max);
    assert!(first_answer_ms > 500.0, "{first_answer_ms}");
    assert!(pause > first_answer_ms - 100.0, "{pause} of {first_answer_ms}");
    let silence_sent = spoken(&sent(&outcome)).len() - bytes(&tone(600, PCM)).len();
    assert!(
        silence_sent < 2 * 48 * 1_000,
        "at this pace silence ends when the server has heard enough: {silence_sent}"
    );
}

#[test]
fn without_turn_detection_the_turn_is_committed_and_an_answer_asked_for() {
    let sounds = Sounds::new();
    let file = sounds.tone("one.wav", 510);
    let outcome = say(&agent("\"none\""), "fast", &[&file, &file], &[]);
    let sent = sent(&outcome);
    assert_eq!(
        spoken(&sent),
        bytes(&[tone(510, PCM), tone(510, PCM)].concat()),
        "no silence"
    );
    let kinds: Vec<&str> = sent.iter().filter_map(|event| event["type"].as_str()).collect();
    let mut turns = kinds[1..].to_vec();
    turns.dedup();
    let turn = [
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "response.create",
    ];
    assert_eq!(turns, [turn, turn].concat());
    assert_eq!(count(&outcome, "turn_end"), 2);
}

#[test]
fn a_server_that_only_finds_turns_is_asked_for_each_answer() {
    let agent = agent(r#"{ type = "server_vad", silence_duration_ms = 200, create_response = false }"#);
    let sounds = Sounds::new();
    let outcome = say(&agent, "fast", &[&sounds.tone("one.wav", 500)], &[]);
    let asked = |event: &&Value| event["type"] == "response.create";
    assert_eq!(sent(&outcome).iter().filter(asked).count(), 1);
    assert_eq!(count(&outcome, "agent_end"), 1);
}

#[test]
fn a_pause_in_a_file_makes_two_turns_of_it_and_both_are_answered() {
    let sounds = Sounds::new();
    let samples = [tone(500, PCM), silence(900), tone(500, PCM), silence(800)].concat();
    let file = sounds.file("two.wav", &samples, 24_000);
    for pace in ["fast", "realtime"] {
        let outcome = say(&quick(), pace, &[&file], &[]);
        assert_eq!(count(&outcome, "speech_stopped"), 2, "{pace}");
        assert_eq!(count(&outcome, "agent_end"), 2, "{pace}");
    }
}

#[test]
fn sound_on_stdin_has_as_many_turns_as_the_server_finds() {
    let said = bytes(&[tone(500, PCM), silence(1_500), tone(700, PCM)].concat());
    // Half a sample at the end is none.
    let outcome = pipe(&quick(), &[&said[..], &[7]].concat(), &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(count(&outcome, "speech_stopped"), 2);
    assert_eq!(spoken(&sent(&outcome))[..said.len()], said);
    let last = outcome.types();
    assert_eq!(last.last().unwrap(), "session_end");
}

#[test]
fn what_comes_through_a_pipe_goes_out_before_it_ends() {
    let agent = quick();
    let mut command = agent.command(["--simulate", "--json", "--audio-in", "-"]);
    command.stdin(Stdio::piped());
    let mut child = Child::start(command);
    child.say_bytes(&bytes(&[tone(500, PCM), silence(500)].concat()));
    child.wait_for_stdout("turn_end");
    child.say_bytes(&bytes(&tone(500, PCM)));
    child.end_input();
    let outcome = child.wait();
    assert_eq!((outcome.code, count(&outcome, "turn_end")), (Some(0), 2));
}

#[test]
fn the_text_shows_which_file_is_heard_and_what_the_server_made_of_it() {
    let sounds = Sounds::new();
    let file = sounds.tone("one.wav", 500);
    let outcome = quick().run(["--simulate", "--audio-pace", "fast", "--audio-in", &file]);
    assert_eq!(outcome.stdout, "You said: 0.7 seconds of audio\n");
    let lines: Vec<&str> = outcome.stderr.lines().skip(1).take(2).collect();
    assert_eq!(lines, [&format!("  sound {file}"), "> 0.7 seconds of audio"]);
}

#[test]
fn what_cannot_be_read_is_refused_before_anything_connects() {
    let sounds = Sounds::new();
    let no_sound = sounds.path("notes.txt");
    fs::write(&no_sound, "no sound").unwrap();
    let good = sounds.tone("one.wav", 100);
    let cases: [(&[&str], &str); 5] = [
        (&["--audio-in", "no/such.wav"], "no/such.wav: "),
        (
            &["--audio-in", &good, "--audio-in", no_sound.to_str().unwrap()],
            "notes.txt: ",
        ),
        (
            &["--audio-in", "-", "--audio-in", "-"],
            "stdin can be heard only once",
        ),
        (&["--audio-in", &good, "-m", "hello"], "cannot be used with"),
        (&["--audio-pace", "fast"], "--audio-in"),
    ];
    for (arguments, message) in cases {
        // Nobody is there, which would be exit code 3.
        let url = ["--url", "ws://127.0.0.1:9/v1/realtime"];
        let outcome = quick().run(url.into_iter().chain(arguments.iter().copied()));
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
    }
}

#[test]
fn a_file_in_which_nobody_speaks_is_told_of() {
    let sounds = Sounds::new();
    let file = sounds.file("silence.wav", &silence(500), 24_000);
    let outcome = quick().run(["--simulate", "--audio-pace", "fast", "--audio-in", &file]);
    assert_eq!(outcome.code, Some(3));
    assert!(
        outcome.stderr.contains("heard nobody speak"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_is_too_short_for_a_turn_is_told_of() {
    let sounds = Sounds::new();
    let file = sounds.tone("click.wav", 80);
    let outcome = agent("\"none\"").run(["--simulate", "--audio-in", &file]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("100 ms at least"), "{}", outcome.stderr);
}

#[test]
fn a_server_that_takes_no_sound_is_not_awaited_for_ever() {
    let sounds = Sounds::new();
    let file = sounds.tone("long.wav", 300_000);
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = FakeServer::start(move |event| {
        if event["type"] == "input_audio_buffer.append" {
            // Reads nothing more, until the test is over.
            let _ = held.lock().unwrap().recv();
        }
        vec![]
    });
    let outcome = quick().run([
        "--url",
        &server.url(),
        "--audio-in",
        &file,
        "--audio-pace",
        "fast",
        "--turn-timeout",
        "500ms",
    ]);
    drop(hold);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("took no sound for 500 ms"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_session_that_ends_while_sound_is_sent_ends_the_run() {
    let sounds = Sounds::new();
    let file = sounds.tone("long.wav", 60_000);
    let appends = Mutex::new(0);
    let server = FakeServer::start(move |event| {
        let mut appends = appends.lock().unwrap();
        *appends += usize::from(event["type"] == "input_audio_buffer.append");
        match *appends {
            10 => vec![Do::Close(1011, "out of order")],
            _ => vec![],
        }
    });
    let started = Instant::now();
    let outcome = quick().run(["--url", &server.url(), "--audio-in", &file]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("out of order"), "{}", outcome.stderr);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "not after the whole minute"
    );
}

#[test]
fn an_answer_that_does_not_come_is_not_awaited_for_ever() {
    let sounds = Sounds::new();
    let file = sounds.tone("one.wav", 200);
    let stopped = Mutex::new(false);
    let server = FakeServer::start(move |event| {
        let mut stopped = stopped.lock().unwrap();
        if event["type"] == "input_audio_buffer.append" && !std::mem::replace(&mut *stopped, true) {
            let speech = |kind: &str, place: &str| {
                Do::Send(
                    json!({"type": format!("input_audio_buffer.{kind}"), "event_id": "event_9", "item_id": "item_1", place: 900_000}),
                )
            };
            return vec![
                speech("speech_started", "audio_start_ms"),
                speech("speech_stopped", "audio_end_ms"),
            ];
        }
        vec![]
    });
    let url = server.url();
    let outcome = quick().run(["--url", &url, "--audio-in", &file, "--turn-timeout", "300ms"]);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("the turn took longer"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn speech_that_never_stops_for_the_server_is_not_awaited_for_ever() {
    let sounds = Sounds::new();
    let file = sounds.tone("one.wav", 200);
    let appends = Mutex::new(0);
    let server = FakeServer::start(move |event| {
        let mut appends = appends.lock().unwrap();
        *appends += usize::from(event["type"] == "input_audio_buffer.append");
        match *appends {
            // The last of the silence.
            60 => vec![Do::Send(
                json!({"type": "input_audio_buffer.speech_started", "event_id": "event_9", "item_id": "item_1", "audio_start_ms": 0}),
            )],
            _ => vec![],
        }
    });
    let arguments = [
        "--audio-in",
        &file,
        "--audio-pace",
        "fast",
        "--turn-timeout",
        "300ms",
    ];
    let outcome = quick().run(["--url", &server.url()].into_iter().chain(arguments));
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
}

#[test]
fn in_g711_both_ways_nothing_is_lost_but_what_the_code_leaves_out() {
    for (name, format) in [("pcmu", AudioFormat::Pcmu), ("pcma", AudioFormat::Pcma)] {
        let sounds = Sounds::new();
        // From faint to nearly full scale.
        let samples: Vec<i16> = tone(1_000, format)
            .iter()
            .enumerate()
            .map(|(n, sample)| (i32::from(*sample) * n as i32 / 3_000).clamp(-32_000, 32_000) as i16)
            .collect();
        let file = sounds.file("voice.wav", &samples, 8_000);
        let agent = Agent::new(&format!(
            "[session]\nturn_detection = \"none\"\nvoice = \"marin\"\ninput_audio_format = {{ type = \"audio/{name}\" }}\n\
             output_audio_format = {{ type = \"audio/{name}\" }}\n[agents.Assistant]\ninstructions = \"Hi.\"\n"
        ));
        let (voice, scenario) = (format!("cat {file}"), sounds.path("one_sentence.toml"));
        fs::write(&scenario, "[[steps]]\nthen = [{ say = \"Yes\" }]\n").unwrap();
        let server = ["--scenario", scenario.to_str().unwrap(), "--tts-command", &voice];
        let outcome = say(&agent, "fast", &[&file], &server);
        let (said, answered) = (spoken(&sent(&outcome)), heard(&outcome));
        for (what, sound) in [("said", said), ("answered", answered)] {
            let back = audio::decode(&sound, format);
            assert_eq!(back.len(), samples.len(), "{name}, {what}");
            for (wanted, got) in samples.iter().zip(&back) {
                let (wanted, got) = (i32::from(*wanted), i32::from(*got));
                // Half a step of the code: a 32nd of the value, and the smallest step.
                let step = wanted.abs() / 32 + 16;
                assert!(
                    (wanted - got).abs() <= step,
                    "{name}, {what}: {wanted} became {got}"
                );
            }
        }
    }
}

/// What a server took of a run.
#[derive(Default)]
struct Taken {
    bytes: usize,
    /// Whether all of it was what the file has there.
    is_right: bool,
    peak_kib: Option<u64>,
}

/// Sends a file of so many seconds as fast as it goes; tells what arrived, and how much memory that took.
fn send_fast(sounds: &Sounds, seconds: usize) -> (Taken, Duration) {
    // Each sample tells its place.
    let samples: Vec<i16> = (0..seconds * 24_000)
        .map(|place| (place % 30_011) as i16)
        .collect();
    let file = sounds.file("long.wav", &samples, 24_000);
    let expected = bytes(&samples);
    let taken = Arc::new(Mutex::new(Taken {
        is_right: true,
        ..Taken::default()
    }));
    let process = Arc::new(OnceLock::new());
    let server = FakeServer::start({
        let (taken, process) = (Arc::clone(&taken), Arc::clone(&process));
        move |event| {
            let mut taken = taken.lock().unwrap();
            match event["type"].as_str().unwrap() {
                "input_audio_buffer.append" => {
                    let audio = BASE64_STANDARD.decode(event["audio"].as_str().unwrap()).unwrap();
                    let end = taken.bytes + audio.len();
                    taken.is_right &= expected.get(taken.bytes..end) == Some(&audio[..]);
                    taken.bytes = end;
                    vec![]
                }
                "input_audio_buffer.commit" => {
                    taken.peak_kib = process.get().copied().and_then(peak_memory);
                    vec![]
                }
                "response.create" => vec![
                    created("resp_1"),
                    words("resp_1", "All of it."),
                    done("resp_1", "completed", Value::Null),
                ],
                _ => vec![],
            }
        }
    });
    let started = Instant::now();
    let agent = agent("\"none\"");
    let url = server.url();
    let arguments = ["--url", &url, "--audio-in", &file, "--audio-pace", "fast"];
    let child = Child::start(agent.command(arguments));
    process.set(child.id()).unwrap();
    let outcome = child.wait_within(Duration::from_secs(120));
    assert_eq!(outcome.stdout, "All of it.\n", "{}", outcome.stderr);
    fs::remove_file(&file).unwrap();
    (std::mem::take(&mut taken.lock().unwrap()), started.elapsed())
}

#[test]
fn ten_minutes_of_sound_arrive_to_the_sample_and_take_no_more_memory_than_ten_seconds() {
    let sounds = Sounds::new();
    let (short, _) = send_fast(&sounds, 10);
    let (long, time) = send_fast(&sounds, 600);
    assert_eq!((short.bytes, short.is_right), (10 * 48_000, true));
    assert_eq!((long.bytes, long.is_right), (600 * 48_000, true));
    if let (Some(short), Some(long)) = (short.peak_kib, long.peak_kib) {
        println!("ten seconds: {short} KiB; ten minutes: {long} KiB, in {time:?}");
        assert!(long < short + 8 * 1024, "{long} KiB rather than {short}");
    }
}

#[test]
fn where_stdin_is_sound_nobody_can_be_asked_for_approval() {
    let agent = Agent::new(
        "[session]\nturn_detection = \"none\"\n[agents.Assistant]\ninstructions = \"Hi.\"\ntools = [\"wipe\"]\n\
         [tools.wipe]\ndescription = \"Wipes.\"\noutput = \"ok\"\nneeds_approval = true\n",
    );
    let sounds = Sounds::new();
    let scenario = sounds.path("wipe.toml");
    let steps = "[[steps]]\nwhen = { user_says = \"seconds\" }\nthen = [{ call = \"wipe\", arguments = {} }]\n\
                 [[steps]]\nwhen = { tool_output = \"wipe\" }\nthen = [{ say = \"Well.\" }]\n";
    fs::write(&scenario, steps).unwrap();
    let sound = bytes(&tone(300, PCM));
    let outcome = pipe(&agent, &sound, &["--scenario", scenario.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("there is nobody to ask"),
        "{}",
        outcome.stderr
    );
}
