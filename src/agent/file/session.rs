//! `[session]`: the settings of protocol.md section 4 in the SDK's names, nested as the API has them or flat as
//! older releases of the SDK had them (section 4.2); where both are given, the nested one counts.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::SessionSettings;
use crate::protocol::{
    AudioConfig, AudioFormat, AudioInputConfig, AudioOutputConfig, MaxTokens, Modality, NoiseReduction,
    SessionConfig, TranscriptionConfig, TurnDetection, Voice,
};

/// What all agents share.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct SessionSection {
    /// The model; `gpt-realtime-2.1` if absent.
    model: Option<String>,
    /// What answers are made of: `["audio"]`, which comes with a transcript, or `["text"]`.
    #[schemars(length(min = 1, max = 1))]
    output_modalities: Option<Vec<Modality>>,
    /// The older name of `output_modalities`; `["text", "audio"]` means audio.
    #[schemars(length(min = 1, max = 2))]
    modalities: Option<Vec<Modality>>,
    /// How sound comes in and goes out.
    audio: AudioSection,
    /// The same as `audio.output.voice`.
    voice: Option<Voice>,
    /// The same as `audio.output.speed`.
    #[schemars(range(min = 0.25, max = 1.5))]
    speed: Option<f64>,
    /// The same as `audio.input.format`.
    input_audio_format: Option<FormatEntry>,
    /// The same as `audio.output.format`.
    output_audio_format: Option<FormatEntry>,
    /// The same as `audio.input.transcription`.
    input_audio_transcription: Option<OrNone<TranscriptionConfig>>,
    /// The same as `audio.input.noise_reduction`.
    input_audio_noise_reduction: Option<OrNone<NoiseReduction>>,
    /// The same as `audio.input.turn_detection`.
    turn_detection: Option<OrNone<TurnDetection>>,
    /// The most tokens one answer may have: 1 to 4,096, or "inf".
    max_output_tokens: Option<MaxTokens>,
    /// The older name of `max_output_tokens`.
    max_response_output_tokens: Option<MaxTokens>,
    /// Whether the model may, must or must not call a tool, or which one it must call.
    tool_choice: Option<ToolChoice>,
    /// Whether the model may make several calls at once.
    parallel_tool_calls: Option<bool>,
    /// Whether tools run in the background while the conversation goes on; true if absent.
    async_tool_calls: Option<bool>,
    /// How hard the model thinks.
    reasoning: Option<Reasoning>,
    /// What happens when the conversation outgrows the model's context.
    truncation: Option<Truncation>,
    /// A prompt stored with the provider, or "none".
    prompt: Option<OrNone<Prompt>>,
    /// A trace that the server keeps of its own accord, beside the run's own, or "none".
    tracing: Option<OrNone<ServerTracing>>,
    /// Extra fields that the server shall send, such as "item.input_audio_transcription.logprobs".
    include: Option<Vec<String>>,
}

/// How sound comes in and goes out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct AudioSection {
    /// The user's side.
    input: AudioInputSection,
    /// The model's side.
    output: AudioOutputSection,
}

/// How the user's speech is taken in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct AudioInputSection {
    /// The encoding; 16-bit PCM at 24 kHz if absent.
    format: Option<FormatEntry>,
    /// How noise is filtered out, or "none".
    noise_reduction: Option<OrNone<NoiseReduction>>,
    /// How speech is written down, or "none"; by `gpt-4o-mini-transcribe` if absent.
    transcription: Option<OrNone<TranscriptionConfig>>,
    /// How the end of the user's turn is found, or "none" where the client says so; by its meaning
    /// (`semantic_vad`) if absent.
    turn_detection: Option<OrNone<TurnDetection>>,
}

/// How the model's speech is made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct AudioOutputSection {
    /// The encoding; 16-bit PCM at 24 kHz if absent.
    format: Option<FormatEntry>,
    /// The voice, such as "marin", or `{ id = "voice_…" }` for one of your own; the server's choice if absent.
    voice: Option<Voice>,
    /// The pace of speech, 0.25 to 1.5.
    #[schemars(range(min = 0.25, max = 1.5))]
    speed: Option<f64>,
}

/// A setting that the word "none" turns off.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OrNone<T> {
    /// Off.
    Off(Off),
    /// On, as given.
    On(T),
}

/// The word `none`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Off {
    /// Turned off.
    None,
}

impl<T> OrNone<T> {
    fn into_option(self) -> Option<T> {
        match self {
            Self::Off(Off::None) => None,
            Self::On(value) => Some(value),
        }
    }
}

/// An encoding of audio: a name or a table.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
enum FormatEntry {
    /// By name.
    Name(FormatName),
    /// In full.
    Full(AudioFormat),
}

/// The name of an encoding, as the API has it or as older releases of the SDK had it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct FormatName(AudioFormat);

impl TryFrom<String> for FormatName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        AudioFormat::from_name(&name).map(Self).ok_or(name)
    }
}

impl JsonSchema for FormatName {
    fn schema_name() -> Cow<'static, str> {
        "FormatName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "enum": ["audio/pcm", "audio/pcmu", "audio/pcma", "pcm16", "g711_ulaw", "g711_alaw", "pcm", "pcmu", "pcma"],
        })
    }
}

impl From<FormatEntry> for AudioFormat {
    fn from(entry: FormatEntry) -> Self {
        match entry {
            FormatEntry::Name(FormatName(format)) | FormatEntry::Full(format) => format,
        }
    }
}

/// Whether the model calls tools.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum ToolChoice {
    /// In general.
    Mode(ToolChoiceMode),
    /// A certain tool, which it must call.
    Tool(ToolChoiceTool),
}

/// Whether the model calls tools.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ToolChoiceMode {
    /// As it sees fit.
    Auto,
    /// Never.
    None,
    /// In every answer.
    Required,
}

/// The tool that the model must call.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToolChoiceTool {
    /// One of the agent's own.
    Function {
        /// Its name.
        name: String,
    },
    /// One of an MCP server that the provider calls.
    Mcp {
        /// The server.
        server_label: String,
        /// The tool; any of the server's if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

/// How hard the model thinks.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Reasoning {
    /// The more, the slower and the better.
    effort: Effort,
}

/// How hard the model thinks.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
}

/// What happens when the conversation outgrows the model's context.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Truncation {
    /// The server's way, or an error.
    Mode(TruncationMode),
    /// A share of the context is kept.
    Ratio(TruncationRatio),
}

/// What happens when the conversation outgrows the model's context.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TruncationMode {
    /// The oldest is dropped, as the server sees fit.
    Auto,
    /// The answer fails.
    Disabled,
}

/// How much of the conversation is kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TruncationRatio {
    /// A share of it.
    RetentionRatio {
        /// The share, 0 to 1.
        #[schemars(range(min = 0.0, max = 1.0))]
        retention_ratio: f64,
        /// Limits of its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        token_limits: Option<TokenLimits>,
    },
}

/// Limits of how much of the conversation is kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct TokenLimits {
    /// The most tokens after the instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    post_instructions: Option<u32>,
}

/// A prompt stored with the provider.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Prompt {
    /// Its id.
    id: String,
    /// Its version; the newest if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// What is put in for its variables.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    variables: Map<String, Value>,
}

/// The trace that the server keeps.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum ServerTracing {
    /// With the server's own names.
    Auto(Auto),
    /// With names.
    Named {
        /// What the session is part of.
        #[serde(skip_serializing_if = "Option::is_none")]
        workflow_name: Option<String>,
        /// What ties several sessions together.
        #[serde(skip_serializing_if = "Option::is_none")]
        group_id: Option<String>,
        /// Anything else to keep with it.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        metadata: Map<String, Value>,
    },
}

/// The word `auto`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Auto {
    /// As the server sees fit.
    Auto,
}

impl SessionSection {
    /// The settings, with the defaults of [`SessionSettings`] where the file says nothing.
    pub fn into_settings(self) -> Result<SessionSettings, serde_json::Error> {
        let defaults = SessionSettings::default();
        let AudioSection { input, output } = self.audio;
        let usual = defaults.config.audio;
        let audio = AudioConfig {
            input: AudioInputConfig {
                format: input
                    .format
                    .or(self.input_audio_format)
                    .map(Into::into)
                    .or(usual.input.format),
                noise_reduction: input
                    .noise_reduction
                    .or(self.input_audio_noise_reduction)
                    .map(OrNone::into_option)
                    .or(usual.input.noise_reduction),
                transcription: input
                    .transcription
                    .or(self.input_audio_transcription)
                    .map(OrNone::into_option)
                    .or(usual.input.transcription),
                turn_detection: input
                    .turn_detection
                    .or(self.turn_detection)
                    .map(OrNone::into_option)
                    .or(usual.input.turn_detection),
            },
            output: AudioOutputConfig {
                format: output
                    .format
                    .or(self.output_audio_format)
                    .map(Into::into)
                    .or(usual.output.format),
                voice: output.voice.or(self.voice),
                speed: output.speed.or(self.speed),
            },
        };
        let config = SessionConfig {
            output_modalities: self
                .output_modalities
                .or(self.modalities.map(one_modality))
                .or(defaults.config.output_modalities),
            audio,
            tool_choice: json(self.tool_choice)?,
            max_output_tokens: self.max_output_tokens.or(self.max_response_output_tokens),
            tracing: nullable_json(self.tracing)?,
            truncation: json(self.truncation)?,
            prompt: nullable_json(self.prompt)?,
            include: self.include,
            reasoning: json(self.reasoning)?,
            parallel_tool_calls: self.parallel_tool_calls,
            ..SessionConfig::default()
        };
        Ok(SessionSettings {
            model: self.model.unwrap_or(defaults.model),
            config,
            async_tool_calls: self.async_tool_calls.unwrap_or(defaults.async_tool_calls),
        })
    }
}

/// Audio always comes with a transcript, so text beside it says nothing more (protocol.md section 4.2).
fn one_modality(modalities: Vec<Modality>) -> Vec<Modality> {
    let audio = modalities.contains(&Modality::Audio);
    vec![if audio { Modality::Audio } else { Modality::Text }]
}

fn json<T: Serialize>(setting: Option<T>) -> Result<Option<Value>, serde_json::Error> {
    setting.map(serde_json::to_value).transpose()
}

fn nullable_json<T: Serialize>(
    setting: Option<OrNone<T>>,
) -> Result<Option<Option<Value>>, serde_json::Error> {
    setting.map(|setting| json(setting.into_option())).transpose()
}
