//! The frames of the simulator beside those recorded from the service: the same order, the same keys.

mod simulator_client;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use realtime_run::audio;
use realtime_run::protocol::AudioFormat;

use simulator_client::{Client, call, find, order, outputs, simulator, weather_tool, words};

/// The server's events of a recording; none, loudly, where there are no recordings.
fn recording(name: &str) -> Option<Vec<Value>> {
    let path = format!("{}/../shared/recordings/{name}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: there is no recording at {path}");
        return None;
    };
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    Some(
        rows.filter(|row| row["from"] == "server")
            .map(|mut row| row["event"].take())
            .collect(),
    )
}

/// Every path of keys in a value; the items of an array count as one.
fn paths(value: &Value, path: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = format!("{path}.{key}");
                paths(value, &path, all);
                all.insert(path);
            }
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| paths(value, &format!("{path}[]"), all)),
        _ => {}
    }
}

/// For each type of event, and role or kind of item in it, all paths of keys.
fn shapes(events: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let mut shapes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for event in events {
        let item = &event["item"];
        let name = format!("{} {}{}", event["type"], item["type"], item["role"]);
        paths(event, "", shapes.entry(name).or_default());
    }
    shapes
}

/// Our events have all the keys that the recorded ones have, and no others.
fn assert_same_shapes(ours: &[Value], recorded: &[Value]) {
    let (ours, recorded) = (shapes(ours), shapes(recorded));
    for (name, keys) in &recorded {
        let mine = ours.get(name).unwrap_or_else(|| panic!("{name} was never sent"));
        assert_eq!(mine, keys, "{name}");
    }
}

/// The recordings end before the trailing limits, and their tool output came before the call was whole.
fn comparable(events: &[Value]) -> Vec<Value> {
    let mut events = events.to_vec();
    events.retain(|event| event["type"] != "rate_limits.updated");
    events
}

/// What the recording's client set up.
async fn set_up(client: &mut Client, modality: &str, tools: Value) -> Value {
    client
        .update(json!({
            "output_modalities": [modality],
            "instructions": "Answer in two or three words.",
            "audio": {"input": {
                "turn_detection": {"type": "server_vad"},
                "transcription": {"model": "gpt-realtime-whisper"},
            }},
            "tools": tools,
        }))
        .await
}

#[tokio::test]
async fn an_audio_turn_is_as_recorded() {
    let simulator = simulator().await;
    let mut client = Client::connect(&format!("{}?model=gpt-realtime", simulator.url())).await;
    let mut ours = vec![client.event().await];
    let session = set_up(&mut client, "audio", json!([])).await;
    ours.push(json!({"type": "session.updated", "event_id": "", "session": session}));
    ours.extend(client.turn("Say a short greeting.").await);

    // The service forgets the item before when that is the conversation's first (protocol.md, trap 3).
    let of_assistant = |kind: &str| {
        let mut all = ours
            .iter()
            .filter(|event| event["type"] == kind && event["item"]["role"] == "assistant");
        all.next().expect("one of the assistant's")["previous_item_id"].clone()
    };
    assert_eq!(
        of_assistant("conversation.item.added"),
        find(&ours, "conversation.item.added")["item"]["id"]
    );
    assert_eq!(of_assistant("conversation.item.done"), Value::Null);

    let limits = find(&ours, "rate_limits.updated");
    assert_eq!(ours.last(), Some(limits), "the limits come after the response");
    assert_eq!(limits["rate_limits"][0]["name"], "tokens");
    let Some(recorded) = recording("openai-text-in-audio-out.jsonl") else {
        return;
    };
    let ours = comparable(&ours);
    assert_same_shapes(&ours, &recorded);
    assert_eq!(without_interleaving(order(&ours)), order(&recorded));
}

/// Transcript and audio may mix once the audio has begun (protocol.md section 5.2); in the recording they do not.
fn without_interleaving(mut order: Vec<String>) -> Vec<String> {
    let first_audio = order
        .iter()
        .position(|kind| kind == "response.output_audio.delta")
        .expect("audio");
    let mut at = 0;
    order.retain(|kind| {
        at += 1;
        at <= first_audio || kind != "response.output_audio_transcript.delta"
    });
    order.dedup();
    order
}

#[tokio::test]
async fn several_words_of_transcript_come_before_the_first_sound() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let events = client.turn("One two three four five six seven").await;
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap_or_default())
        .collect();
    let first = |kind| {
        kinds
            .iter()
            .position(|other| *other == kind)
            .expect("one of that type")
    };
    let last = |kind| {
        kinds
            .iter()
            .rposition(|other| *other == kind)
            .expect("one of that type")
    };
    let (transcript, audio) = (
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
    );
    assert!(first(audio) >= first(transcript) + 3, "the transcript leads");
    assert!(last(transcript) > first(audio), "and the two mix");

    let deltas = |kind| events.iter().filter(move |event| event["type"] == kind);
    let text: String = deltas(transcript)
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(text, words(&events));
    let spoken = text.split_whitespace().count();
    assert_eq!(deltas(audio).count(), spoken, "a tone for each word");
    for delta in deltas(audio) {
        let bytes = BASE64_STANDARD
            .decode(delta["delta"].as_str().expect("base64"))
            .expect("base64");
        assert_eq!(bytes.len(), 200 * 48, "200 ms of 24 kHz PCM");
        assert!(delta.get("obfuscation").is_none());
    }
}

#[tokio::test]
async fn a_tool_round_is_as_recorded() {
    let simulator = simulator().await;
    let mut client = Client::connect(&format!("{}?model=gpt-realtime", simulator.url())).await;
    let mut ours = vec![client.event().await];
    let session = set_up(&mut client, "text", json!([weather_tool()])).await;
    ours.push(json!({"type": "session.updated", "event_id": "", "session": session}));
    let first = client.turn("What is the weather in London?").await;
    let call = call(&first);
    assert_eq!(
        (&call["name"], &call["arguments"]),
        (&json!("get_weather"), &json!(r#"{"city":"London"}"#))
    );
    let second = client
        .answer_call(&call, "It is foggy and 12 degrees in London.")
        .await;
    assert!(
        words(&second).contains("It is foggy and 12 degrees in London."),
        "{}",
        words(&second)
    );
    ours.extend(first);
    ours.extend(second);

    let Some(recorded) = recording("openai-tool-call.jsonl") else {
        return;
    };
    assert_eq!(order(&comparable(&ours)), order(&recorded));
    assert_same_shapes(&without_schemas(comparable(&ours)), &without_schemas(recorded));
}

/// What a tool's own schema says is the client's.
fn without_schemas(mut events: Vec<Value>) -> Vec<Value> {
    for event in &mut events {
        if let Some(tool) = event.pointer_mut("/session/tools/0") {
            tool["parameters"] = Value::Null;
        }
    }
    events
}

#[tokio::test]
async fn a_turn_found_by_the_server_is_as_recorded() {
    let simulator = simulator().await;
    let mut client = Client::connect(&format!("{}?model=gpt-realtime", simulator.url())).await;
    let mut ours = vec![client.event().await];
    let session = set_up(&mut client, "audio", json!([])).await;
    ours.push(json!({"type": "session.updated", "event_id": "", "session": session}));
    let sound = audio::tone(300.0, Duration::from_millis(1_300), AudioFormat::PCM24);
    for audio in [vec![0; 48 * 1_000], sound, vec![0; 48 * 500]] {
        let audio = BASE64_STANDARD.encode(audio);
        client
            .send(json!({"type": "input_audio_buffer.append", "audio": audio}))
            .await;
    }
    ours.extend(client.until("rate_limits.updated").await);
    let completed = find(&ours, "conversation.item.input_audio_transcription.completed");
    assert_eq!(completed["usage"]["type"], "duration");

    let Some(recorded) = recording("openai-server-vad.jsonl") else {
        return;
    };
    let ours = comparable(&ours);
    assert_same_shapes(&ours, &recorded);
    // The words of the user come when they will, in recordings too.
    let (ours, heard) = without_transcription(&ours);
    let (recorded, recorded_heard) = without_transcription(&recorded);
    assert_eq!(
        without_interleaving(order(&ours)),
        without_interleaving(order(&recorded))
    );
    assert_eq!(order(&heard), order(&recorded_heard));
}

/// Events of a turn, and those that tell the user's words.
fn without_transcription(events: &[Value]) -> (Vec<Value>, Vec<Value>) {
    let is_heard = |event: &&Value| {
        event["type"]
            .as_str()
            .unwrap_or_default()
            .contains(".input_audio_transcription.")
    };
    let (heard, others) = events.iter().partition::<Vec<_>, _>(is_heard);
    (
        others.into_iter().cloned().collect(),
        heard.into_iter().cloned().collect(),
    )
}

#[tokio::test]
async fn text_like_deltas_are_padded_and_ids_are_the_services() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client.update(json!({"tools": [weather_tool()]})).await;
    let mut events = client.turn("What is the weather in Llanfairpwllgwyngyll?").await;
    events.extend(client.turn("Grüße aus Köln, 東京 und überall sonst!").await);

    let mut padded = BTreeSet::new();
    for event in &events {
        assert_id(&event["event_id"], "event_", 21);
        if let Some(obfuscation) = event["obfuscation"].as_str() {
            let delta = event["delta"].as_str().expect("a delta");
            assert_eq!(
                (delta.chars().count() + obfuscation.chars().count()) % 16,
                0,
                "{event}"
            );
            padded.insert(event["type"].as_str().expect("a type"));
        }
    }
    let expected = [
        "response.function_call_arguments.delta",
        "response.output_audio_transcript.delta",
    ];
    assert_eq!(padded, BTreeSet::from(expected));
    let response = &find(&events, "response.created")["response"];
    assert_id(&response["id"], "resp_", 21);
    assert_id(&response["conversation_id"], "conv_", 21);
    let call = &outputs(&events)[0];
    assert_id(&call["id"], "item_", 21);
    assert_id(&call["call_id"], "call_", 16);
}

fn assert_id(id: &Value, prefix: &str, length: usize) {
    let random = id.as_str().and_then(|id| id.strip_prefix(prefix));
    assert_eq!(random.map(str::len), Some(length), "{id}");
}

#[tokio::test]
async fn input_tokens_grow_with_the_conversation() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let usage = |events: &[Value]| find(events, "response.done")["response"]["usage"].clone();
    let first = usage(
        &client
            .turn("Tell me something long, with quite a few words in it.")
            .await,
    );
    let second = usage(&client.turn("And more.").await);
    let tokens = |usage: &Value, path: &str| usage.pointer(path).and_then(Value::as_u64).expect("a count");
    assert!(tokens(&second, "/input_tokens") > tokens(&first, "/input_tokens"));
    assert!(
        tokens(&second, "/input_token_details/audio_tokens") > 0,
        "what it said aloud is read again"
    );
    for usage in [first, second] {
        assert_eq!(
            tokens(&usage, "/total_tokens"),
            tokens(&usage, "/input_tokens") + tokens(&usage, "/output_tokens")
        );
        assert!(tokens(&usage, "/output_token_details/audio_tokens") > 0);
    }
}

#[tokio::test]
async fn every_output_format_has_the_bytes_of_its_rate() {
    let simulator = simulator().await;
    for (format, bytes) in [("audio/pcm", 9_600), ("audio/pcmu", 1_600), ("audio/pcma", 1_600)] {
        let mut client = Client::open(&simulator).await;
        client
            .update(json!({"audio": {"output": {"format": {"type": format}}}}))
            .await;
        let events = client.turn("Hello").await;
        let delta = find(&events, "response.output_audio.delta");
        let audio = BASE64_STANDARD
            .decode(delta["delta"].as_str().expect("base64"))
            .expect("base64");
        assert_eq!(audio.len(), bytes, "{format}");
    }
}
