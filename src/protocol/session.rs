use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AudioFormat;

/// The settings of a session as `session.update` carries them (protocol.md section 4). Absent keys keep what
/// the server has; a field of type `Option<Option<_>>` can also be set to null, which turns the thing off.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(tag = "type", rename = "realtime")]
pub struct SessionConfig {
    /// The model. Only the URL's counts; servers refuse to change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Audio or text; audio comes with a transcript.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_modalities: Option<Vec<Modality>>,
    /// What the model is told to be and do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// How sound comes in and goes out.
    #[serde(skip_serializing_if = "AudioConfig::is_empty")]
    pub audio: AudioConfig,
    /// The functions the model may call. Always sent for an agent, even when empty: otherwise the tools of the
    /// agent before would stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<FunctionDefinition>>,
    /// `auto`, `none`, `required`, or an object that names one tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// The most tokens one response may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<MaxTokens>,
    /// Whether the server keeps a trace of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Option<Value>>,
    /// What the server does when the conversation outgrows the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Value>,
    /// A prompt stored with the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Option<Value>>,
    /// Extra fields that the server shall send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// How hard the model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Value>,
    /// Whether the model may make several calls at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
}

/// Audio in and out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AudioConfig {
    /// The user's side.
    #[serde(skip_serializing_if = "AudioInputConfig::is_empty")]
    pub input: AudioInputConfig,
    /// The model's side.
    #[serde(skip_serializing_if = "AudioOutputConfig::is_empty")]
    pub output: AudioOutputConfig,
}

impl AudioConfig {
    fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }
}

/// How the user's audio is taken in.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AudioInputConfig {
    /// The encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<AudioFormat>,
    /// Noise reduction, or null for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_reduction: Option<Option<NoiseReduction>>,
    /// Transcription of what the user says, or null for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcription: Option<Option<TranscriptionConfig>>,
    /// How the end of a turn is found, or null when the client says so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_detection: Option<Option<TurnDetection>>,
}

impl AudioInputConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How the model's audio is made.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AudioOutputConfig {
    /// The encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<AudioFormat>,
    /// The voice; fixed once the model has spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<Voice>,
    /// The pace of speech, 0.25 to 1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
}

impl AudioOutputConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a response is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Written words.
    Text,
    /// Spoken words, with a transcript.
    Audio,
}

/// A voice: one of the provider's names, or one of the user's own by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Voice {
    /// A name such as `marin`.
    Named(String),
    /// A custom voice.
    Custom {
        /// Its id, `voice_…`.
        id: String,
    },
}

/// The most tokens of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MaxTokens {
    /// So many: 1 to 4,096.
    Count(#[schemars(range(min = 1, max = 4096))] u32),
    /// No limit but the model's own.
    Unlimited(Unlimited),
}

/// The word `inf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Unlimited {
    /// No limit.
    #[serde(rename = "inf")]
    Inf,
}

/// Filtering of the user's audio before anything else hears it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseReduction {
    /// The kind of microphone.
    #[serde(rename = "type")]
    pub kind: NoiseReductionType,
    /// How strongly it filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
}

/// The kind of microphone that noise reduction reckons with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseReductionType {
    /// Close to the mouth, such as headphones.
    NearField,
    /// Across the room, such as a laptop's.
    FarField,
}

/// How the user's speech is transcribed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TranscriptionConfig {
    /// The transcribing model; on Azure the name of a deployment.
    pub model: String,
    /// The language spoken, as an ISO 639-1 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Words that guide the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// How long streaming transcription may hold words back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// Words to listen for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keywords: Option<Vec<String>>,
    /// The languages that may be spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
}

/// How the server finds the end of the user's turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TurnDetection {
    /// By the loudness of the sound.
    ServerVad {
        /// How loud speech is, 0 to 1.
        #[schemars(range(min = 0.0, max = 1.0))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        threshold: Option<f64>,
        /// Milliseconds kept from before the speech.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix_padding_ms: Option<u32>,
        /// Milliseconds of silence that end a turn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        silence_duration_ms: Option<u32>,
        /// Milliseconds without speech after which the model speaks up; 5,000 to 30,000.
        #[schemars(range(min = 5000, max = 30000))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idle_timeout_ms: Option<u32>,
        /// Whether the server answers each turn by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        create_response: Option<bool>,
        /// Whether speech cuts off a running answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interrupt_response: Option<bool>,
    },
    /// By the meaning of what was said.
    SemanticVad {
        /// How soon it takes a turn for finished: `low`, `medium`, `high` or `auto`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        eagerness: Option<Eagerness>,
        /// Whether the server answers each turn by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        create_response: Option<bool>,
        /// Whether speech cuts off a running answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interrupt_response: Option<bool>,
    },
}

/// How soon semantic turn detection takes a turn for finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Eagerness {
    /// Waits up to 8 seconds.
    Low,
    /// Waits up to 4 seconds.
    Medium,
    /// Waits up to 2 seconds.
    High,
    /// The same as medium.
    Auto,
}

/// A function as the model sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "function")]
pub struct FunctionDefinition {
    /// The name the model calls it by.
    pub name: String,
    /// What it does, in words for the model.
    pub description: String,
    /// The arguments, as a JSON schema.
    pub parameters: Value,
}
