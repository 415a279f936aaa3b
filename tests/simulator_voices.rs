//! A simulator whose voice and ears are programs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod simulator_client;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use realtime_run::audio::{AudioReader, Channels, WavWriter};
use realtime_run::protocol::AudioFormat;
use realtime_run::simulator::{Options, Scenario, SpeechCommand};
use serde_json::{Value, json};
use simulator_client::{Client, find, outputs, simulator_with};
use tempfile::TempDir;

const TWO_SENTENCES: &str = "[[steps]]\nrepeat = true\nthen = [{ say = \"It is sunny. \" }, { say = \"Is it\" }, { say = \" not?\" }]";

/// A server that says two sentences, each with this program.
fn speaking(program: &str) -> Options {
    let scenario = Scenario::parse("two.toml", TWO_SENTENCES).unwrap();
    Options {
        voice: SpeechCommand::new(program),
        ..Options::default().with_scenario(&scenario)
    }
}

/// A second of sound at another rate than the wire's, as a file.
fn sound(directory: &TempDir) -> (PathBuf, String) {
    let path = directory.path().join("voice.wav");
    let mut wav = WavWriter::new(File::create(&path).unwrap(), Channels::Mono, 22_050).unwrap();
    wav.write((0..22_050_i32).map(|n| (n % 200 * 100) as i16))
        .unwrap();
    wav.finish().unwrap();
    let program = format!("cat {}", path.display());
    (path, program)
}

#[tokio::test]
async fn a_program_speaks_each_sentence_at_the_rate_of_the_wire() {
    let directory = TempDir::new().unwrap();
    let (wav, program) = sound(&directory);
    let simulator = simulator_with(speaking(&program)).await;
    let mut client = Client::open(&simulator).await;
    let events = client.turn("How is the weather?").await;
    assert_eq!(simulator_client::words(&events), "It is sunny. Is it not?");
    assert_eq!(outputs(&events).len(), 1, "one message");
    let deltas = events
        .iter()
        .filter(|event| event["type"] == "response.output_audio.delta");
    let heard: Vec<u8> = deltas
        .flat_map(|event| BASE64_STANDARD.decode(event["delta"].as_str().unwrap()).unwrap())
        .collect();
    let mut file = AudioReader::open(&wav, AudioFormat::PCM24).unwrap();
    let once = file.read_to_end().unwrap();
    assert_eq!(once.len(), 48_000, "a second");
    assert_eq!(heard, [&once[..], &once[..]].concat());

    let item = &find(&events, "response.output_item.done")["item"]["id"];
    client
        .send(json!({"type": "conversation.item.retrieve", "item_id": item}))
        .await;
    let retrieved = client.next("conversation.item.retrieved").await;
    let audio = retrieved["item"]["content"][0]["audio"].as_str().unwrap();
    assert_eq!(BASE64_STANDARD.decode(audio).unwrap(), heard);
}

#[tokio::test]
async fn what_is_written_needs_no_voice() {
    let simulator = simulator_with(speaking("false")).await;
    let mut client = Client::open(&simulator).await;
    client.update(json!({"output_modalities": ["text"]})).await;
    let events = client.turn("How is the weather?").await;
    assert_eq!(simulator_client::words(&events), "It is sunny. Is it not?");
}

async fn failure(options: Options) -> Value {
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    let events = client.turn("How is the weather?").await;
    let response = &find(&events, "response.done")["response"];
    assert_eq!(response["status"], "failed", "{response}");
    response["status_details"]["error"].clone()
}

#[tokio::test]
async fn a_voice_that_fails_fails_the_response_with_the_reason() {
    let cases = [
        ("false", "`false` failed with exit status: 1"),
        (
            "no/such/program",
            "`no/such/program` can't be started: No such file or directory",
        ),
        ("cat", "what it wrote to stdout is unfit: it is no audio file"),
        ("sh -c", "`sh` failed with exit status: 2: "),
    ];
    for (program, said) in cases {
        let error = failure(speaking(program)).await;
        assert_eq!(error["code"], "tts_failed");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
    let slow = SpeechCommand::new("sleep 60")
        .unwrap()
        .with_timeout(Duration::from_millis(100));
    let options = Options {
        voice: Some(slow),
        ..speaking("true")
    };
    assert_eq!(
        failure(options).await["message"],
        "`sleep` took longer than 100ms"
    );
}

/// What the client is told of a second of speech.
async fn transcription(program: &str) -> Value {
    let ears = SpeechCommand::new(program).unwrap();
    let simulator = simulator_with(Options {
        transcriber: Arc::new(ears),
        ..Options::default()
    })
    .await;
    let mut client = Client::open(&simulator).await;
    let input = json!({"turn_detection": null, "transcription": {"model": "any"}});
    client.update(json!({"audio": {"input": input}})).await;
    let audio = BASE64_STANDARD.encode(vec![1; 48_000]);
    client
        .send(json!({"type": "input_audio_buffer.append", "audio": audio}))
        .await;
    client.send(json!({"type": "input_audio_buffer.commit"})).await;
    loop {
        let event = client.event().await;
        let kind = event["type"].as_str().unwrap();
        if kind.ends_with("transcription.completed") || kind.ends_with("transcription.failed") {
            return event;
        }
    }
}

#[tokio::test]
async fn a_program_listens_to_a_wav_file() {
    assert_eq!(transcription("head -c 4").await["transcript"], "RIFF");
    // The header, and a second of samples.
    assert_eq!(transcription("wc -c").await["transcript"], "48044");
    let failed = transcription("false").await;
    assert_eq!(failed["error"]["message"], "`false` failed with exit status: 1");
}
