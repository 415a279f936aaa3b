//! Sound that was left out of a recording: a note of its length stands in its place.

use serde_json::{Map, Value};

const BEFORE: &str = "[";
const AFTER: &str = " bytes of audio]";

/// Replaces all sound in an event by notes of its length.
pub(crate) fn leave_out_audio(event: &mut Map<String, Value>) {
    for_each_sound(event, &mut |sound| {
        if note_of_length(sound).is_none() {
            *sound = format!("{BEFORE}{}{AFTER}", length(sound));
        }
    });
}

/// Replaces all notes in an event by silence of that length.
pub(crate) fn put_back_silence(event: &mut Map<String, Value>) {
    for_each_sound(event, &mut |sound| {
        if let Some(bytes) = note_of_length(sound) {
            *sound = base64_simd::STANDARD.encode_to_string(vec![0; bytes]);
        }
    });
}

/// The bytes of sound that a note stands for.
pub(crate) fn note_of_length(text: &str) -> Option<usize> {
    let bytes = text.strip_prefix(BEFORE)?.strip_suffix(AFTER)?.parse().ok()?;
    // No message holds more.
    (bytes <= 64 << 20).then_some(bytes)
}

/// How many bytes base64 stands for.
fn length(base64: &str) -> usize {
    let base64 = base64.trim_end_matches('=');
    base64.len() * 3 / 4
}

fn for_each_sound(event: &mut Map<String, Value>, change: &mut impl FnMut(&mut String)) {
    let is_delta = event
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("audio.delta"));
    for (name, value) in event {
        match value {
            Value::String(sound) if name == "audio" || (is_delta && name == "delta") => change(sound),
            Value::Object(fields) => for_each_sound(fields, change),
            Value::Array(values) => values
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|fields| for_each_sound(fields, change)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sound_becomes_its_length_and_then_silence() {
        let sound = base64_simd::STANDARD.encode_to_string([1, 2, 3, 4]);
        let events = |sound: &str| {
            [
                json!({"type": "input_audio_buffer.append", "audio": sound}),
                json!({"type": "response.output_audio.delta", "delta": sound}),
                json!({"type": "response.audio.delta", "delta": sound}),
                json!({"type": "response.output_audio_transcript.delta", "delta": "AQIDBA=="}),
                json!({"type": "conversation.item.retrieved", "item": {"content": [
                    {"type": "input_audio", "audio": sound, "transcript": "AQIDBA=="}]}}),
                json!({"type": "session.update", "session": {"audio": {"input": {}}, "output_modalities": ["audio"]}}),
            ]
        };
        let silence = base64_simd::STANDARD.encode_to_string([0; 4]);
        let all = events(&sound)
            .into_iter()
            .zip(events("[4 bytes of audio]"))
            .zip(events(&silence));
        for ((mut event, noted), silent) in all {
            let fields = event.as_object_mut().unwrap();
            leave_out_audio(fields);
            leave_out_audio(fields);
            assert_eq!(Value::Object(fields.clone()), noted);
            put_back_silence(fields);
            assert_eq!(event, silent);
        }
    }
}
