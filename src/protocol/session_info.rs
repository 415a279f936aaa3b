use serde::Serialize;
use serde_json::Value;

use super::{AudioFormat, Id};

/// What a server says its session is, in `session.created` and `session.updated`. Read from the GA shape and
/// from the beta dialect's flat one (protocol.md sections 3.4 and 4.2).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SessionInfo {
    /// The session's id.
    pub id: Option<Id>,
    /// The model that answers.
    pub model: Option<String>,
    /// The encoding of the model's audio, where the server says it.
    pub output_format: Option<AudioFormat>,
    /// How the user's speech is transcribed, where the server says it: an object, or null for not at all.
    pub transcription: Option<Value>,
    /// Whether the server itself cuts off a running answer when the user speaks. Anything but a plain `true`
    /// counts as no.
    pub interrupt_response: bool,
    /// How long the server waits in silence before it takes the user's turn for over, in milliseconds; `None` where it
    /// does not go by that.
    pub silence_duration_ms: Option<u64>,
}

impl SessionInfo {
    /// Reads the `session` object of an event.
    pub fn from_value(session: &Value) -> Self {
        let text = |key: &str| session.get(key).and_then(Value::as_str);
        let nested = |path: &str| session.pointer(path);
        let turn_detection = nested("/audio/input/turn_detection").or_else(|| session.get("turn_detection"));
        Self {
            id: text("id").map(Id::from),
            model: text("model").map(str::to_owned),
            output_format: nested("/audio/output/format")
                .or_else(|| session.get("output_audio_format"))
                .and_then(format_of),
            transcription: nested("/audio/input/transcription")
                .or_else(|| session.get("input_audio_transcription"))
                .cloned(),
            interrupt_response: turn_detection
                .and_then(|detection| detection.get("interrupt_response"))
                .and_then(Value::as_bool)
                .unwrap_or(false),
            silence_duration_ms: turn_detection
                .and_then(|detection| detection.get("silence_duration_ms"))
                .and_then(Value::as_u64),
        }
    }
}

/// The format in a GA object or a beta name; `None` for one unknown, which is then taken for PCM at 24 kHz.
fn format_of(value: &Value) -> Option<AudioFormat> {
    match value {
        Value::String(name) => AudioFormat::from_name(name),
        object => serde_json::from_value(object.clone()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_shapes_are_read() {
        let ga = json!({"id": "sess_1", "audio": {
            "input": {"turn_detection": {"type": "server_vad", "interrupt_response": true, "silence_duration_ms": 200}, "transcription": {"model": "m"}},
            "output": {"format": {"type": "audio/pcmu"}}}});
        let beta = json!({"id": "sess_1", "output_audio_format": "g711_ulaw", "input_audio_transcription": {"model": "m"},
            "turn_detection": {"interrupt_response": true, "silence_duration_ms": 200}});
        assert_eq!(SessionInfo::from_value(&ga), SessionInfo::from_value(&beta));
        assert_eq!(
            SessionInfo::from_value(&ga).output_format,
            Some(AudioFormat::Pcmu)
        );
        assert_eq!(SessionInfo::from_value(&ga).silence_duration_ms, Some(200));
    }

    #[test]
    fn nothing_known_is_no_failure() {
        assert_eq!(SessionInfo::from_value(&json!("odd")), SessionInfo::default());
    }
}
