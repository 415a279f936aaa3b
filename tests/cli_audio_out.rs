//! What a run keeps of its sound: the answers, each side of each turn, and the conversation on its time line.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fake_server.rs"]
mod fake_server;
#[path = "support/sound.rs"]
mod sound;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine};
use cli::{Agent, Child, Outcome};
use fake_server::{Do, FakeServer, created, done};
use realtime_run::audio::{self, AudioReader};
use realtime_run::protocol::AudioFormat;
use serde_json::json;
use sound::{PCM, Sounds, bytes, heard, silence, tone};

fn agent(settings: &str) -> Agent {
    Agent::new(&format!(
        "[session]\nturn_detection = {{ type = \"server_vad\", silence_duration_ms = 200 }}\n{settings}\n\
         [agents.Assistant]\ninstructions = \"You are friendly.\"\n"
    ))
}

fn run(agent: &Agent, arguments: &[&str]) -> Outcome {
    let outcome = agent.run(["--simulate"].into_iter().chain(arguments.iter().copied()));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome
}

/// The samples of a file with one channel, at its own rate.
fn samples(path: &Path, rate: u32) -> Vec<i16> {
    let format = AudioFormat::Pcm { rate };
    let mut reader = AudioReader::open(path, format).unwrap();
    audio::decode(&reader.read_to_end().unwrap(), format)
}

/// Both channels of a file, and its rate.
fn channels(path: &Path) -> (u32, [Vec<i16>; 2]) {
    let file = fs::read(path).unwrap();
    assert_eq!(file[22..24], [2, 0], "channels");
    let rate = u32::from_le_bytes(file[24..28].try_into().unwrap());
    let samples = audio::decode(&file[44..], PCM);
    let side = |side: usize| samples.iter().skip(side).step_by(2).copied().collect();
    (rate, [side(0), side(1)])
}

/// The one stretch of sound in samples.
fn sounding(samples: &[i16]) -> std::ops::Range<usize> {
    let loud = |sample: &i16| sample.unsigned_abs() > 200;
    let start = samples.iter().position(loud).unwrap();
    start..samples.iter().rposition(loud).unwrap() + 1
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_answers_are_kept_one_after_the_other() {
    let sounds = Sounds::new();
    let file = sounds.path("answers.wav");
    let keep = [
        "--json",
        "-m",
        "Hello",
        "-m",
        "Goodbye",
        "--audio-out",
        file.to_str().unwrap(),
    ];
    let outcome = run(&agent(""), &keep);
    let heard = heard(&outcome);
    assert!(heard.len() > 48_000, "{}", heard.len());
    assert_eq!(bytes(&samples(&file, 24_000)), heard);
}

#[test]
fn raw_sound_goes_to_stdout_as_it_comes_and_the_words_to_stderr() {
    for settings in ["", "output_audio_format = \"g711_ulaw\""] {
        let agent = agent(settings);
        let said = heard(&run(&agent, &["--json", "-m", "Hello"]));
        let mut command = agent.command(["--simulate", "-m", "Hello", "--audio-out", "-"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.stdout, said, "{settings}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("You said: Hello"));
    }
}

#[test]
fn every_side_of_every_turn_and_the_conversation_as_it_was_heard() {
    let sounds = Sounds::new();
    let files = [sounds.tone("one.wav", 700), sounds.tone("two.wav", 500)];
    let directory = sounds.path("all");
    let outcome = run(
        &agent(""),
        &[
            "--json",
            "--audio-in",
            &files[0],
            "--audio-in",
            &files[1],
            "--audio-pace",
            "fast",
            "--audio-out-dir",
            directory.to_str().unwrap(),
        ],
    );
    assert_eq!(
        names(&directory),
        [
            "conversation.wav",
            "turn-001-assistant.wav",
            "turn-001-user.wav",
            "turn-002-assistant.wav",
            "turn-002-user.wav",
        ]
    );
    let one = |name: &str| samples(&directory.join(name), 24_000);
    let mut answers = one("turn-001-assistant.wav");
    let first_answer = answers.len();
    answers.extend(one("turn-002-assistant.wav"));
    assert_eq!(bytes(&answers), heard(&outcome));
    for (name, millis) in [("turn-001-user.wav", 700), ("turn-002-user.wav", 500)] {
        let user = one(name);
        let said = tone(millis, PCM);
        assert_eq!(user[..said.len()], said, "{name}");
        assert!(user[said.len()..].iter().all(|sample| *sample == 0), "{name}");
    }

    let (rate, [user, assistant]) = channels(&directory.join("conversation.wav"));
    assert_eq!(rate, 24_000);
    // The user first, then the answer, and so on: sound that was sent at once takes its time.
    let first = sounding(&user[..700 * 24 + 2_400]);
    assert!(
        first.start < 2_400 && first.len().abs_diff(700 * 24) < 480,
        "{first:?}"
    );
    let second = sounding(&user[first.end + 2_400..]);
    let second = second.start + first.end + 2_400..second.end + first.end + 2_400;
    let answer = sounding(&assistant[..second.start]);
    assert!(answer.start > first.end, "{answer:?} after {first:?}");
    assert!(answer.len().abs_diff(first_answer) < 480, "{answer:?}");
    let last = sounding(&assistant[second.end..]);
    assert!(
        last.end + second.end + 480 > assistant.len(),
        "it ends with its last sound"
    );
}

#[test]
fn sides_of_different_rates_share_a_file() {
    let sounds = Sounds::new();
    let file = sounds.tone("one.wav", 500);
    let directory = sounds.path("all");
    let arguments = [
        "--audio-in",
        &file,
        "--audio-pace",
        "fast",
        "--audio-out-dir",
        directory.to_str().unwrap(),
    ];
    run(&agent("output_audio_format = \"g711_alaw\""), &arguments);
    let answer = samples(&directory.join("turn-001-assistant.wav"), 8_000);
    let (rate, [user, assistant]) = channels(&directory.join("conversation.wav"));
    assert_eq!(rate, 24_000);
    assert!(sounding(&user).len().abs_diff(500 * 24) < 480);
    assert!(sounding(&assistant).len().abs_diff(answer.len() * 3) < 480);
}

/// The server answers at once with three seconds of sound, and hears the user again half a second later.
#[test]
fn what_an_interruption_cuts_is_not_in_the_file() {
    let sent: Vec<i16> = (0..72_000).map(|n| (n % 30_000) as i16 + 1).collect();
    let audio = BASE64_STANDARD.encode(bytes(&sent));
    let appends = AtomicUsize::new(0);
    let server = FakeServer::start(move |event| {
        let send = |event| vec![Do::Send(event)];
        match event["type"].as_str().unwrap() {
            "input_audio_buffer.append" => match appends.fetch_add(1, Ordering::SeqCst) {
                0 => vec![
                    created("1"),
                    Do::Send(
                        json!({"type": "response.output_audio.delta", "event_id": "e", "response_id": "1",
                        "item_id": "answer", "output_index": 0, "content_index": 0, "delta": audio}),
                    ),
                ],
                25 => send(
                    json!({"type": "input_audio_buffer.speech_started", "event_id": "e",
                    "item_id": "user", "audio_start_ms": 480}),
                ),
                26 => vec![
                    done(
                        "1",
                        "cancelled",
                        json!({"type": "cancelled", "reason": "turn_detected"}),
                    ),
                    Do::Send(
                        json!({"type": "input_audio_buffer.speech_stopped", "event_id": "e",
                        "item_id": "user", "audio_end_ms": 100_000}),
                    ),
                    created("2"),
                    done("2", "completed", json!(null)),
                ],
                _ => vec![],
            },
            _ => vec![],
        }
    });
    let sounds = Sounds::new();
    let said = sounds.file("said.wav", &[tone(600, PCM), silence(100)].concat(), 24_000);
    let (file, directory) = (sounds.path("answers.wav"), sounds.path("all"));
    let url = server.url();
    let outcome = agent("").run([
        "--url",
        &url,
        "--json",
        "--audio-in",
        &said,
        "--audio-out",
        file.to_str().unwrap(),
        "--audio-out-dir",
        directory.to_str().unwrap(),
    ]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let events = outcome.json();
    let cut = events.iter().find(|event| event["type"] == "audio_interrupted");
    let played_ms = cut.unwrap()["played_ms"].as_u64().unwrap() as usize;
    assert!((300..3_000).contains(&played_ms), "{played_ms}");
    assert_eq!(samples(&file, 24_000), sent[..played_ms * 24], "what was heard");
    // The second turn begins where the server heard it begin, though that was known only later.
    assert_eq!(
        samples(&directory.join("turn-001-assistant.wav"), 24_000).len(),
        played_ms * 24
    );
    let second = samples(&directory.join("turn-002-user.wav"), 24_000);
    // Up to the next answer, which begins with the chunk after it.
    assert!(second.len() >= 40 * 24, "{}", second.len());
    assert_eq!(second, tone(600, PCM)[480 * 24..][..second.len()]);
    let (_, [user, assistant]) = channels(&directory.join("conversation.wav"));
    assert_eq!(sounding(&user).len().abs_diff(600 * 24) / 240, 0);
    let answer = sounding(&assistant);
    assert!(answer.len().abs_diff(played_ms * 24) < 480, "{answer:?}");
    assert!(
        answer.start < 12_000,
        "it begins while the user speaks: {answer:?}"
    );
}

#[test]
fn a_killed_run_leaves_what_was_heard_until_then() {
    let sounds = Sounds::new();
    let file = sounds.path("answers.wav");
    let agent = agent("");
    let mut command = agent.command(["--simulate", "--audio-out", file.to_str().unwrap()]);
    command.stdin(Stdio::piped());
    let mut child = Child::start(command);
    child.say("Hello\n");
    child.wait_for_stdout("You said: Hello");
    // Sound is settled three seconds after it was heard, and readable a second later.
    cli::wait_until("sound in the file", || {
        fs::read(&file).is_ok_and(|bytes| bytes.len() > 44 && bytes[40..44] != [0; 4])
    });
    child.signal("KILL");
    drop(child);
    assert!(!samples(&file, 24_000).is_empty());
}

#[test]
fn files_of_a_run_before_go_and_others_stay() {
    let sounds = Sounds::new();
    let directory = sounds.path("all");
    fs::create_dir(&directory).unwrap();
    for name in [
        "turn-001-user.wav",
        "turn-1234-assistant.wav",
        "notes.txt",
        "turn-01-user.wav",
    ] {
        fs::write(directory.join(name), "old").unwrap();
    }
    run(
        &agent(""),
        &["-m", "Hello", "--audio-out-dir", directory.to_str().unwrap()],
    );
    assert_eq!(
        names(&directory),
        [
            "conversation.wav",
            "notes.txt",
            "turn-001-assistant.wav",
            "turn-01-user.wav"
        ]
    );
}

#[test]
fn what_can_not_be_written_is_said_before_the_session_opens() {
    let sounds = Sounds::new();
    let said = sounds.tone("said.wav", 300);
    let missing = sounds.path("missing/out.wav");
    let taken = sounds.tone("taken", 1);
    let inside = format!("{taken}/all");
    let own = sounds.tone("turn-001-user.wav", 300);
    let beside = sounds.path(".");
    let folder = sounds.path("folder.wav");
    fs::create_dir(&folder).unwrap();
    let cases: [(&[&str], &str); 8] = [
        (
            &["--audio-out", missing.to_str().unwrap()],
            "No such file or directory",
        ),
        (
            &["--audio-out", folder.to_str().unwrap()],
            "it is no regular file",
        ),
        (&["--audio-out", "out.mp3"], "only WAV is written"),
        (&["--audio-out-dir", &inside], "cannot write to --audio-out-dir"),
        (
            &["--audio-out", "-", "--json"],
            "stdout is for events with `--json`",
        ),
        (
            &["--audio-out", "-", "--trace", "stdout"],
            "stdout is for the trace with `--trace stdout`",
        ),
        (
            &["--audio-in", &said, "--audio-out", &said],
            "can't be heard and written at once",
        ),
        (
            &["--audio-in", &own, "--audio-out-dir", beside.to_str().unwrap()],
            "can't be heard and written at once",
        ),
    ];
    for (arguments, said) in cases {
        let outcome = agent("").run(["--simulate"].into_iter().chain(arguments.iter().copied()));
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{arguments:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("simulated"), "{}", outcome.stderr);
    }
    assert!(fs::read(&said).unwrap().len() > 44, "the input is as it was");
}

#[test]
fn a_folder_that_goes_away_is_told_and_the_run_goes_on() {
    let sounds = Sounds::new();
    let directory = sounds.path("all");
    let agent = agent("");
    let mut command = agent.command(["--simulate", "--audio-out-dir", directory.to_str().unwrap()]);
    command.stdin(Stdio::piped());
    let mut child = Child::start(command);
    child.wait_for_stderr("simulated");
    fs::remove_dir_all(&directory).unwrap();
    child.say("Hello\n");
    child.end_input();
    let outcome = child.wait();
    assert!(outcome.stdout.contains("You said: Hello"), "{}", outcome.stdout);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    let told = "turn-001-assistant.wav is not whole: No such file or directory";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
}
