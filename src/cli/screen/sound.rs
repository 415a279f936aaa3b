//! What the screen knows of the microphone and the speaker, and does to them.

/// How loud it is, and on which side.
#[derive(Debug, Clone, Copy, Default)]
pub struct Levels {
    pub microphone: Option<MicrophoneLevel>,
    pub speaker: Option<SpeakerLevel>,
}

/// The user's side.
#[derive(Debug, Clone, Copy, Default)]
pub struct MicrophoneLevel {
    /// From 0 to 1.
    pub level: f32,
    pub is_muted: bool,
    /// Whether what it hears is sent; only with push-to-talk it may not be.
    pub is_open: bool,
    pub is_push_to_talk: bool,
}

/// The assistant's side.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpeakerLevel {
    /// From 0 to 1.
    pub level: f32,
    /// Whether it plays an answer.
    pub plays: bool,
}

/// The microphone and the speaker, as the screen sees them.
pub trait Sound: Send + Sync {
    /// How loud it is right now.
    fn levels(&self) -> Levels;
    /// Mutes the microphone, or lets it be heard again.
    fn toggle_mute(&self);
    /// The key to talk went down, or up.
    fn talk(&self, press: super::view::Press);
}
