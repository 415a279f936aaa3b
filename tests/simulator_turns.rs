//! Turns that the simulator finds in the user's audio (protocol.md sections 5.3 to 5.5, 5.8, 5.9).

mod simulator_client;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use realtime_run::audio;
use realtime_run::protocol::{ApiError, AudioFormat};
use realtime_run::simulator::{
    Brain, Options, Output, Pace, Prompt, Reply, Speech, Transcriber, Transcription,
};
use simulator_client::*;

const PCM: AudioFormat = AudioFormat::PCM24;

fn sound(millis: u64, format: AudioFormat) -> Vec<u8> {
    audio::tone(300.0, Duration::from_millis(millis), format)
}

fn silence(millis: u64, format: AudioFormat) -> Vec<u8> {
    let samples = millis * u64::from(audio::sample_rate(format)) / 1_000;
    audio::encode((0..samples).map(|_| 0), format)
}

/// Sends audio in pieces of a size that no sample fits into.
async fn append(client: &mut Client, audio: &[u8]) {
    for chunk in audio.chunks(4_001) {
        client
            .send(json!({"type": "input_audio_buffer.append", "audio": BASE64_STANDARD.encode(chunk)}))
            .await;
    }
}

async fn speak(client: &mut Client) {
    append(client, &[sound(960, PCM), silence(640, PCM)].concat()).await;
}

fn detection(detection: Value) -> Value {
    json!({"audio": {"input": {"turn_detection": detection}}})
}

#[tokio::test]
async fn a_turn_of_speech_is_found_and_answered() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client
        .update(json!({"audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}}))
        .await;
    append(&mut client, &silence(1_000, PCM)).await;
    speak(&mut client).await;
    let events = client.until("response.done").await;
    assert_eq!(
        order(&events)[..9],
        [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
            "response.output_item.added",
        ]
    );
    let (started, stopped) = (&events[0], &events[1]);
    // Frames of 32 ms: the sound begins within the one at 992, and 16 quiet ones, which are 500 ms, after the one at 1952.
    assert_eq!(
        (&started["audio_start_ms"], &stopped["audio_end_ms"]),
        (&json!(692), &json!(2_496))
    );
    for event in [&events[1], &events[2]] {
        assert_eq!(event["item_id"], started["item_id"]);
    }
    assert_eq!(
        find(&events, "conversation.item.added")["item"]["id"],
        started["item_id"]
    );
    assert_eq!(words(&events), "You said: 1.8 seconds of audio");
    client.next("rate_limits.updated").await;

    speak(&mut client).await;
    let second = client.until("response.done").await;
    assert!(
        second[0]["audio_start_ms"].as_u64() >= Some(2_496),
        "the time line goes on"
    );
    assert_ne!(second[0]["item_id"], started["item_id"]);
}

#[tokio::test]
async fn turns_are_found_in_telephone_audio() {
    for (name, format) in [
        ("audio/pcmu", AudioFormat::Pcmu),
        ("audio/pcma", AudioFormat::Pcma),
    ] {
        let simulator = simulator().await;
        let mut client = Client::open(&simulator).await;
        client
            .update(json!({"audio": {"input": {"format": {"type": name}}}}))
            .await;
        append(&mut client, &[sound(960, format), silence(640, format)].concat()).await;
        let events = client.until("response.done").await;
        assert_eq!(
            find(&events, "input_audio_buffer.speech_started")["audio_start_ms"],
            0
        );
        assert_eq!(
            find(&events, "input_audio_buffer.speech_stopped")["audio_end_ms"],
            1_472,
            "{name}"
        );
    }
}

#[tokio::test]
async fn speech_cuts_off_the_answer_that_is_running() {
    let options = Options {
        pace: Pace::Realtime,
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    client
        .say("Say quite a lot of words that take their time to be heard")
        .await;
    client.respond().await;
    client.next("response.output_audio.delta").await;
    append(&mut client, &sound(320, PCM)).await;
    let events = client.until("response.done").await;
    let response = &events.last().expect("the end")["response"];
    assert_eq!(
        response["status_details"],
        json!({"type": "cancelled", "reason": "turn_detected"})
    );
    assert_eq!(response["output"][0]["status"], "incomplete");
    let started = events
        .iter()
        .position(|event| event["type"] == "input_audio_buffer.speech_started");
    assert_eq!(
        order(&events[started.expect("speech")..]),
        [
            "input_audio_buffer.speech_started",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]
    );
    append(&mut client, &silence(640, PCM)).await;
    assert_eq!(
        client.next("response.done").await["response"]["status"],
        "completed"
    );
}

#[tokio::test]
async fn an_answer_runs_on_where_speech_must_not_cut_it_off() {
    let options = Options {
        pace: Pace::Every(Duration::from_millis(2)),
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    client
        .update(detection(
            json!({"type": "server_vad", "interrupt_response": false, "create_response": false}),
        ))
        .await;
    client
        .say("Say quite a lot of words that take their time to be heard")
        .await;
    client.respond().await;
    client.next("response.output_audio.delta").await;
    speak(&mut client).await;
    let events = client.until("response.done").await;
    find(&events, "input_audio_buffer.speech_started");
    assert_eq!(events.last().expect("the end")["response"]["status"], "completed");
    client.next("rate_limits.updated").await;

    // Nor does the turn make an answer by itself.
    client.respond().await;
    assert_eq!(
        words(&client.until("response.done").await),
        "You said: 1.5 seconds of audio"
    );
}

#[tokio::test]
async fn a_semantic_detector_waits_longer_the_less_eager_it_is() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    for (eagerness, wait_ms) in [("high", 1_024), ("auto", 2_016), ("low", 4_000)] {
        client
            .update(detection(
                json!({"type": "semantic_vad", "eagerness": eagerness, "create_response": false}),
            ))
            .await;
        append(&mut client, &[sound(960, PCM), silence(5_024, PCM)].concat()).await;
        let started = client.next("input_audio_buffer.speech_started").await["audio_start_ms"].clone();
        let stopped = client.next("input_audio_buffer.speech_stopped").await["audio_end_ms"].clone();
        let ms = |value: Value| value.as_u64().expect("milliseconds");
        let (started, stopped) = (ms(started), ms(stopped));
        // The prefix of 300 ms is there only where audio came before.
        let spoken_from = if started == 0 { 0 } else { started + 300 };
        assert_eq!(stopped - spoken_from, 960 + wait_ms, "{eagerness}");
    }
}

#[tokio::test]
async fn without_a_detector_the_client_says_where_a_turn_ends() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client.update(detection(Value::Null)).await;
    speak(&mut client).await;
    client.send(json!({"type": "input_audio_buffer.commit"})).await;
    let events = client.until("conversation.item.done").await;
    assert_eq!(
        order(&events),
        [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done"
        ]
    );
    client.respond().await;
    let events = client.until("response.done").await;
    assert_eq!(
        events[0]["type"], "response.created",
        "nothing came of the commit alone"
    );
    assert_eq!(words(&events), "You said: 1.6 seconds of audio");
}

#[tokio::test]
async fn a_user_who_says_nothing_is_asked() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client
        .update(detection(
            json!({"type": "server_vad", "idle_timeout_ms": 5_000, "create_response": false}),
        ))
        .await;
    append(&mut client, &silence(20_000, PCM)).await;
    // "You said: Hi" are three words of 200 ms, from when there were 20 seconds of audio.
    let events = client.turn("Hi").await;
    assert!(
        !order(&events).contains(&"input_audio_buffer.timeout_triggered".to_owned()),
        "{events:?}"
    );
    append(&mut client, &silence(5_500, PCM)).await;
    append(&mut client, &silence(9_000, PCM)).await;
    let events = client.until("response.done").await;
    assert_eq!(
        order(&events)[..5],
        [
            "input_audio_buffer.timeout_triggered",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
        ]
    );
    let triggered = &events[0];
    assert_eq!(triggered["audio_start_ms"], 20_600);
    assert_eq!(triggered["audio_end_ms"], 25_600);
    assert_eq!(triggered["item_id"], events[1]["item_id"]);
}

/// Fails, or takes for ever.
struct Deaf(bool);

impl Transcriber for Deaf {
    fn transcribe(&self, _: Speech) -> Transcription {
        if self.0 {
            return Box::pin(std::future::pending());
        }
        let error = ApiError {
            kind: "server_error".into(),
            code: Some("DeploymentNotFound".into()),
            message: "Nobody is there to listen.".into(),
            ..ApiError::default()
        };
        Box::pin(std::future::ready(Err(error)))
    }
}

/// Knows what it hears.
struct Prompter;

impl Brain for Prompter {
    fn answer(&mut self, prompt: &Prompt<'_>) -> Reply {
        vec![Output::Say(format!("{} items", prompt.items().count()))].into()
    }

    fn hear(&mut self, _: &Speech) -> Option<Result<String, ApiError>> {
        Some(Ok("My own words.".into()))
    }
}

#[tokio::test]
async fn a_transcription_that_fails_leaves_the_answer_alone() {
    let options = Options {
        transcriber: Arc::new(Deaf(false)),
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    client
        .update(json!({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}))
        .await;
    speak(&mut client).await;
    let events = client.until("response.done").await;
    let failed = find(&events, "conversation.item.input_audio_transcription.failed");
    assert_eq!(
        failed["error"],
        json!({"type": "server_error", "code": "DeploymentNotFound", "message": "Nobody is there to listen.",
            "param": null})
    );
    assert_eq!(events.last().expect("the end")["response"]["status"], "completed");
}

#[tokio::test]
async fn an_answer_waits_for_the_words_and_can_be_cancelled_meanwhile() {
    let options = Options {
        transcriber: Arc::new(Deaf(true)),
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    speak(&mut client).await;
    client.next("response.created").await;
    client.send(json!({"type": "response.cancel"})).await;
    let done = client.next("response.done").await;
    assert_eq!(done["response"]["status"], "cancelled");
    assert_eq!(done["response"]["output"], json!([]), "nothing was begun");
}

#[tokio::test]
async fn a_brain_may_know_what_the_user_says() {
    let options = Options {
        brain: Arc::new(|| Box::new(Prompter)),
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    speak(&mut client).await;
    let events = client.until("response.done").await;
    assert!(
        !order(&events).iter().any(|kind| kind.contains("transcription")),
        "it was not asked for"
    );
    client.next("rate_limits.updated").await;
    let item = find(&events, "conversation.item.added")["item"]["id"].clone();
    client
        .send(json!({"type": "conversation.item.retrieve", "item_id": item}))
        .await;
    let item = client.next("conversation.item.retrieved").await;
    assert_eq!(item["item"]["content"][0]["transcript"], Value::Null, "nor shown");

    client
        .update(json!({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}))
        .await;
    speak(&mut client).await;
    let events = client.until("response.done").await;
    let completed = find(&events, "conversation.item.input_audio_transcription.completed");
    assert_eq!(completed["transcript"], "My own words.");
}

#[tokio::test]
async fn sound_can_come_in_the_time_it_takes_to_play() {
    let options = Options {
        pace: Pace::Realtime,
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    client.say("one two three").await;
    client.respond().await;
    client.next("response.output_audio.delta").await;
    let began = std::time::Instant::now();
    client.next("response.done").await;
    // Five words of 200 ms, of which the first has come.
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
}
