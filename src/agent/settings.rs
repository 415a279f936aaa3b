use crate::protocol::{
    AudioConfig, AudioFormat, AudioInputConfig, AudioOutputConfig, Modality, SessionConfig,
    TranscriptionConfig, TurnDetection,
};

/// What all agents of a session share.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSettings {
    /// The model, which goes into the URL.
    pub model: String,
    /// What goes into each `session.update` beside the agent's own instructions, tools and voice. The model is
    /// not among it: only the URL's counts.
    pub config: SessionConfig,
    /// Whether tools run in the background while the conversation goes on, rather than in line.
    pub async_tool_calls: bool,
}

impl SessionSettings {
    /// The model of a session that names none.
    pub const DEFAULT_MODEL: &str = "gpt-realtime-2.1";
    /// The model that transcribes the user's speech unless another is named.
    pub const DEFAULT_TRANSCRIPTION_MODEL: &str = "gpt-4o-mini-transcribe";
}

/// What a user of the Python SDK gets (protocol.md section 4.1): answers in audio, PCM at 24 kHz both ways,
/// transcription of the user's speech, and semantic turn detection that lets the user interrupt. Unlike there, the voice
/// is the server's own choice.
impl Default for SessionSettings {
    fn default() -> Self {
        let transcription = TranscriptionConfig {
            model: Self::DEFAULT_TRANSCRIPTION_MODEL.to_owned(),
            language: None,
            prompt: None,
            delay: None,
            keywords: None,
            languages: None,
        };
        let turn_detection = TurnDetection::SemanticVad {
            eagerness: None,
            create_response: None,
            interrupt_response: Some(true),
        };
        let input = AudioInputConfig {
            format: Some(AudioFormat::PCM24),
            noise_reduction: None,
            transcription: Some(Some(transcription)),
            turn_detection: Some(Some(turn_detection)),
        };
        let output = AudioOutputConfig {
            format: Some(AudioFormat::PCM24),
            voice: None,
            speed: None,
        };
        Self {
            model: Self::DEFAULT_MODEL.to_owned(),
            config: SessionConfig {
                output_modalities: Some(vec![Modality::Audio]),
                audio: AudioConfig { input, output },
                ..SessionConfig::default()
            },
            async_tool_calls: true,
        }
    }
}
