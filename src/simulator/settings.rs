//! The settings of a session, as the server echoes them in full (protocol.md section 4).

use serde_json::{Map, Value, json};

use crate::protocol::{AudioFormat, FunctionDefinition, Id};

use super::brain::ToolChoice;
use super::id;
use super::output_item::Delivery;
use super::refusal::{Refused, invalid_value, refusal};
use super::vad::Rules;

/// What a session does when it is told nothing else.
const INSTRUCTIONS: &str = "You are a helpful assistant who answers in a few friendly words.";

/// The longest that a semantic detector of an eagerness waits (protocol.md section 4), in milliseconds.
const LONGEST_WAITS_MS: &[(&str, u64)] = &[
    ("low", 8_000),
    ("medium", 4_000),
    ("auto", 4_000),
    ("high", 2_000),
];

/// Keys of `turn_detection` that have no meaning where nothing is answered.
const ABOUT_ANSWERS: &[&str] = &["create_response", "interrupt_response", "idle_timeout_ms"];

/// Keys that can be set to null; for all others null means "as it was".
const NULLABLE: &[&str] = &[
    "transcription",
    "noise_reduction",
    "turn_detection",
    "idle_timeout_ms",
    "tracing",
    "prompt",
    "include",
    "language",
];

/// The settings of one session, or, with a response's own laid over them, of one response.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The session object exactly as it is echoed.
    session: Value,
    /// Whether the client hears the model another way.
    is_call: bool,
}

/// How turns are found in the user's audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TurnDetection {
    pub(super) rules: Rules,
    /// How much from before the speech belongs to the turn.
    pub(super) prefix_padding_ms: u64,
    pub(super) creates_response: bool,
    pub(super) interrupts_response: bool,
}

impl Settings {
    /// The defaults for a model, as recorded from `gpt-realtime-2.1`, and where it differs from `gpt-realtime`.
    pub(super) fn new(model: &str, expires_at: u64) -> Self {
        Self::with(model, expires_at, false)
    }

    /// The defaults for a call that was joined; how it was set up is not known here.
    pub(super) fn of_call(expires_at: u64) -> Self {
        Self::with("gpt-realtime-2.1", expires_at, true)
    }

    /// The defaults of a session that makes words of speech, and nothing else.
    pub(super) fn of_transcription(expires_at: u64) -> Self {
        let session = json!({
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": id::new("sess_"),
            "expires_at": expires_at,
            "audio": {"input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": null,
                "noise_reduction": null,
                "turn_detection": turn_detection("server_vad"),
            }},
            "include": null,
        });
        let mut settings = Self {
            session,
            is_call: false,
        };
        settings.without_answers();
        settings
    }

    fn with(model: &str, expires_at: u64, is_call: bool) -> Self {
        let is_first = model == "gpt-realtime";
        let mut turn_detection = turn_detection("server_vad");
        if is_first {
            turn_detection["silence_duration_ms"] = 200.into();
        }
        let session = json!({
            "type": "realtime",
            "object": "realtime.session",
            "id": id::new("sess_"),
            "model": model,
            "output_modalities": ["audio"],
            "instructions": INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": null,
            "truncation": "auto",
            "prompt": null,
            "expires_at": expires_at,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": null,
                    "noise_reduction": null,
                    "turn_detection": turn_detection,
                },
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "voice": if is_first { "alloy" } else { "marin" },
                    "speed": 1.0,
                },
            },
            "include": null,
        });
        Self { session, is_call }
    }

    /// The session object for `session.created` and `session.updated`.
    pub(super) fn echo(&self) -> &Value {
        &self.session
    }

    pub(super) fn session_id(&self) -> Id {
        self.session["id"].as_str().unwrap_or_default().into()
    }

    /// Lays a checked `session.update` over these settings.
    ///
    /// # Errors
    /// When the type of the session would change, or the voice after the model has spoken.
    pub(super) fn update(&mut self, change: &Value, has_spoken: bool) -> Refused<()> {
        if change
            .get("type")
            .is_some_and(|kind| *kind != self.session["type"])
        {
            let (kind, wanted) = (&self.session["type"], &change["type"]);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            return Err(invalid_value("session.type", &text(wanted), &[&text(kind)]));
        }
        if has_spoken && self.changes_voice(change) {
            return Err(refusal(
                "cannot_update_voice",
                "Cannot update a conversation's voice if assistant audio is present.",
            ));
        }
        let model = self.session.get("model").cloned();
        merge(&mut self.session, change);
        // The URL decides on the model; an update cannot.
        if let Some(model) = model {
            self.session["model"] = model;
        }
        if self.is_transcription() {
            self.without_answers();
        }
        Ok(())
    }

    fn changes_voice(&self, change: &Value) -> bool {
        let voice = &change["audio"]["output"]["voice"];
        !voice.is_null() && *voice != self.session["audio"]["output"]["voice"]
    }

    /// Whether the session makes words of speech, and nothing else.
    pub(super) fn is_transcription(&self) -> bool {
        self.session["type"] == "transcription"
    }

    /// The echo of a session without answers does not say what becomes of them.
    fn without_answers(&mut self) {
        if let Some(detection) = self.session["audio"]["input"]["turn_detection"].as_object_mut() {
            detection.retain(|key, _| !ABOUT_ANSWERS.contains(&key.as_str()));
        }
    }

    /// These settings with those of one `response.create` over them.
    pub(super) fn overridden(&self, response: Option<&Map<String, Value>>) -> Self {
        let mut settings = self.clone();
        for (key, value) in response.into_iter().flatten() {
            if settings.session.get(key).is_some() {
                merge_key(&mut settings.session, key, value);
            }
        }
        settings
    }

    pub(super) fn instructions(&self) -> &str {
        self.session["instructions"].as_str().unwrap_or_default()
    }

    /// How answers are given.
    pub(super) fn delivery(&self) -> Delivery {
        let modalities = self.session["output_modalities"].as_array();
        if !modalities.is_some_and(|modalities| modalities.iter().any(|modality| modality == "audio")) {
            return Delivery::Written;
        }
        match self.is_call {
            true => Delivery::Elsewhere(self.output_format()),
            false => Delivery::Spoken(self.output_format()),
        }
    }

    pub(super) fn output_modalities(&self) -> &Value {
        &self.session["output_modalities"]
    }

    pub(super) fn input_format(&self) -> AudioFormat {
        read_format(&self.session["audio"]["input"]["format"])
    }

    pub(super) fn output_format(&self) -> AudioFormat {
        read_format(&self.session["audio"]["output"]["format"])
    }

    /// The part of the settings that a response repeats.
    pub(super) fn response_audio(&self) -> Value {
        let output = &self.session["audio"]["output"];
        json!({"output": {"format": output["format"], "voice": output["voice"]}})
    }

    /// How turns are found; none when the client says where they end.
    pub(super) fn turn_detection(&self) -> Option<TurnDetection> {
        let given = &self.session["audio"]["input"]["turn_detection"];
        let (millis, is_on) = (|key: &str| given[key].as_u64(), |key: &str| given[key] != false);
        let kind = given["type"].as_str()?;
        let silence_ms = match kind {
            "semantic_vad" => patience_ms(given["eagerness"].as_str()),
            _ => millis("silence_duration_ms").unwrap_or_default(),
        };
        Some(TurnDetection {
            rules: Rules {
                threshold: given["threshold"].as_f64().unwrap_or(0.5),
                silence_ms,
                idle_timeout_ms: millis("idle_timeout_ms"),
            },
            prefix_padding_ms: millis("prefix_padding_ms").unwrap_or(300),
            creates_response: is_on("create_response") && !self.is_transcription(),
            interrupts_response: is_on("interrupt_response"),
        })
    }

    /// The model that makes words of the user's speech; empty when the client has not said.
    pub(super) fn transcription_model(&self) -> &str {
        let transcription = &self.session["audio"]["input"]["transcription"];
        transcription["model"].as_str().unwrap_or_default()
    }

    pub(super) fn transcribes(&self) -> bool {
        self.is_transcription() || !self.session["audio"]["input"]["transcription"].is_null()
    }

    pub(super) fn max_output_tokens(&self) -> &Value {
        &self.session["max_output_tokens"]
    }

    /// The functions the model may call; tools that the server runs itself are not among them.
    pub(super) fn functions(&self) -> Vec<FunctionDefinition> {
        let tools = self.session["tools"].as_array();
        tools.into_iter().flatten().filter_map(function).collect()
    }

    /// All tools as text, for counting what they cost.
    pub(super) fn tools_text(&self) -> String {
        match self.session["tools"].as_array() {
            Some(tools) if !tools.is_empty() => self.session["tools"].to_string(),
            _ => String::new(),
        }
    }

    pub(super) fn tool_choice(&self) -> ToolChoice {
        match &self.session["tool_choice"] {
            Value::String(choice) if choice == "none" => ToolChoice::None,
            Value::String(choice) if choice == "required" => ToolChoice::Required,
            Value::Object(choice) => match choice.get("name") {
                Some(Value::String(name)) => ToolChoice::Named(name.clone()),
                _ => ToolChoice::Auto,
            },
            _ => ToolChoice::Auto,
        }
    }
}

fn function(tool: &Value) -> Option<FunctionDefinition> {
    if tool["type"] != "function" {
        return None;
    }
    Some(FunctionDefinition {
        name: tool["name"].as_str()?.to_owned(),
        description: tool["description"].as_str().unwrap_or_default().to_owned(),
        parameters: tool["parameters"].clone(),
    })
}

fn read_format(format: &Value) -> AudioFormat {
    serde_json::from_value(format.clone()).unwrap_or_default()
}

/// Only the keys that are there change; objects merge key by key.
fn merge(target: &mut Value, change: &Value) {
    for (key, value) in change.as_object().into_iter().flatten() {
        merge_key(target, key, value);
    }
}

fn merge_key(target: &mut Value, key: &str, change: &Value) {
    let current = &mut target[key];
    match change {
        Value::Null if NULLABLE.contains(&key) => *current = Value::Null,
        Value::Null => {}
        // Two stored prompts, or two choices, have nothing in common that could be kept.
        Value::Object(_) if matches!(key, "prompt" | "tool_choice" | "voice") => *current = change.clone(),
        Value::Object(_) => {
            if !current.is_object() || (change.get("type").is_some() && change["type"] != current["type"]) {
                *current = starting_point(key, &change["type"]);
            }
            merge(current, change);
        }
        _ => *current = change.clone(),
    }
}

/// What a partly given object is completed with in the echo.
fn starting_point(key: &str, kind: &Value) -> Value {
    match (key, kind.as_str()) {
        ("turn_detection", Some(kind)) => turn_detection(kind),
        ("transcription", _) => json!({"model": null, "language": null, "prompt": null}),
        ("format", Some("audio/pcm")) => json!({"type": "audio/pcm", "rate": 24_000}),
        _ => json!({}),
    }
}

/// How long it must be quiet for a semantic detector: half of the longest wait, since the real one waits so long only
/// for a sentence that seems unfinished.
fn patience_ms(eagerness: Option<&str>) -> u64 {
    let eagerness = eagerness.unwrap_or("auto");
    let longest = LONGEST_WAITS_MS.iter().find(|(name, _)| *name == eagerness);
    longest.map_or(4_000, |(_, wait)| *wait) / 2
}

fn turn_detection(kind: &str) -> Value {
    match kind {
        "semantic_vad" => json!({
            "type": "semantic_vad",
            "eagerness": "auto",
            "create_response": true,
            "interrupt_response": true,
        }),
        _ => json!({
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
            "idle_timeout_ms": null,
            "create_response": true,
            "interrupt_response": true,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("gpt-realtime-2.1", 0)
    }

    fn updated(change: Value) -> Value {
        let mut settings = settings();
        settings.update(&change, false).unwrap();
        settings.session
    }

    #[test]
    fn only_what_is_given_changes() {
        let before = settings();
        let after = updated(json!({"audio": {"output": {"speed": 1.2}}, "instructions": ""}));
        assert_eq!(after["instructions"], "");
        assert_eq!(after["audio"]["output"]["speed"], 1.2);
        assert_eq!(after["audio"]["output"]["voice"], "marin");
        assert_eq!(after["audio"]["input"], before.session["audio"]["input"]);
        assert_eq!(after["tools"], json!([]));
    }

    #[test]
    fn null_clears_what_can_be_off_and_keeps_the_rest() {
        let after = updated(json!({
            "audio": {"input": {"turn_detection": null}, "output": {"voice": null}}, "tools": null,
        }));
        assert_eq!(after["audio"]["input"]["turn_detection"], Value::Null);
        assert_eq!(after["audio"]["output"]["voice"], "marin");
        assert_eq!(after["tools"], json!([]));
    }

    #[test]
    fn partial_objects_are_completed() {
        let after = updated(json!({"audio": {"input": {
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 900},
            "transcription": {"model": "whisper-1"},
        }}}));
        let input = &after["audio"]["input"];
        assert_eq!(input["turn_detection"]["silence_duration_ms"], 900);
        assert_eq!(input["turn_detection"]["threshold"], 0.5);
        assert_eq!(
            input["transcription"],
            json!({"model": "whisper-1", "language": null, "prompt": null})
        );
    }

    #[test]
    fn another_type_brings_its_own_defaults() {
        let mut settings = settings();
        let semantic = json!({"audio": {
            "input": {"turn_detection": {"type": "semantic_vad", "interrupt_response": false}},
            "output": {"format": {"type": "audio/pcmu"}},
        }});
        settings.update(&semantic, false).unwrap();
        let audio = &settings.session["audio"];
        assert_eq!(
            audio["input"]["turn_detection"],
            json!({
                "type": "semantic_vad", "eagerness": "auto", "create_response": true, "interrupt_response": false,
            })
        );
        assert_eq!(audio["output"]["format"], json!({"type": "audio/pcmu"}));
        assert_eq!(settings.output_format(), AudioFormat::Pcmu);
    }

    #[test]
    fn the_model_stays_the_urls() {
        assert_eq!(updated(json!({"model": "another"}))["model"], "gpt-realtime-2.1");
    }

    #[test]
    fn the_first_model_has_other_defaults() {
        let session = Settings::new("gpt-realtime", 0).session;
        assert_eq!(session["audio"]["output"]["voice"], "alloy");
        assert_eq!(
            session["audio"]["input"]["turn_detection"]["silence_duration_ms"],
            200
        );
    }

    #[test]
    fn turns_are_found_as_the_session_says() {
        let detection = |detection: Value| {
            let mut settings = settings();
            let change = json!({"audio": {"input": {"turn_detection": detection}}});
            settings.update(&change, false).unwrap();
            settings.turn_detection()
        };
        assert_eq!(detection(Value::Null), None);
        let server = json!({"type": "server_vad", "threshold": 0.7, "prefix_padding_ms": 0, "silence_duration_ms": 900,
            "idle_timeout_ms": 6_000, "create_response": false, "interrupt_response": false});
        assert_eq!(
            detection(server),
            Some(TurnDetection {
                rules: Rules {
                    threshold: 0.7,
                    silence_ms: 900,
                    idle_timeout_ms: Some(6_000)
                },
                prefix_padding_ms: 0,
                creates_response: false,
                interrupts_response: false,
            })
        );
        let wait = |eagerness: &str| {
            let semantic = json!({"type": "semantic_vad", "eagerness": eagerness});
            detection(semantic).unwrap().rules.silence_ms
        };
        assert_eq!(
            [wait("high"), wait("medium"), wait("auto"), wait("low")],
            [1_000, 2_000, 2_000, 4_000]
        );
    }

    #[test]
    fn the_voice_is_fixed_once_it_was_heard() {
        let mut settings = settings();
        let same = json!({"audio": {"output": {"voice": "marin"}}});
        let other = json!({"audio": {"output": {"voice": "ash"}}, "instructions": "New."});
        assert!(settings.update(&same, true).is_ok());
        let refused = settings.update(&other, true).unwrap_err();
        assert_eq!(refused.code(), "cannot_update_voice");
        assert_eq!(settings.instructions(), INSTRUCTIONS, "nothing was applied");
        assert!(settings.update(&other, false).is_ok());
    }

    #[test]
    fn a_response_has_settings_of_its_own() {
        let settings = settings();
        let Value::Object(response) = json!({
            "output_modalities": ["text"], "conversation": "none", "metadata": {"a": "b"}, "tool_choice": "none",
            "audio": {"output": {"voice": "ash"}},
        }) else {
            unreachable!()
        };
        let one = settings.overridden(Some(&response));
        assert!(matches!(one.delivery(), Delivery::Written));
        assert!(matches!(settings.delivery(), Delivery::Spoken(_)));
        assert_eq!(one.tool_choice(), ToolChoice::None);
        assert_eq!(one.response_audio()["output"]["voice"], "ash");
        assert!(one.session.get("metadata").is_none());
    }
}
