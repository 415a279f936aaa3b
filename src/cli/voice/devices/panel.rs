//! What a screen shows of the devices, and does to the microphone.

use super::ears::{Ears, Key, Switch};
use super::mouth::Mouth;

/// The devices, as a screen sees them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Panel {
    ears: Option<Switch>,
    mouth: Option<Mouth>,
}

/// How loud it is on both sides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Levels {
    /// None without a microphone.
    pub microphone: Option<MicrophoneLevel>,
    /// None without a speaker.
    pub speaker: Option<SpeakerLevel>,
}

/// The user's side.
#[derive(Debug, Clone, Copy, Default)]
pub struct MicrophoneLevel {
    /// The root of the mean square, from 0 to 1.
    pub level: f32,
    pub is_muted: bool,
    /// Whether the user's voice would reach the session now.
    pub is_open: bool,
    /// Whether a key opens it.
    pub has_key: bool,
}

/// The assistant's side.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpeakerLevel {
    /// The root of the mean square, from 0 to 1.
    pub level: f32,
    /// Whether the assistant is being heard.
    pub is_sounding: bool,
}

impl Panel {
    pub(super) fn new(ears: Option<&Ears>, mouth: Option<&Mouth>) -> Self {
        Self {
            ears: ears.map(Ears::switch),
            mouth: mouth.cloned(),
        }
    }

    /// How loud it is right now.
    pub fn levels(&self) -> Levels {
        Levels {
            microphone: self.ears.as_ref().and_then(Switch::level),
            speaker: self.mouth.as_ref().map(|mouth| SpeakerLevel {
                level: mouth.loudness(),
                is_sounding: mouth.is_sounding(),
            }),
        }
    }

    /// Presses a key of the microphone, if there is one.
    pub fn press(&self, key: Key) {
        if let Some(ears) = &self.ears {
            ears.press(key);
        }
    }
}
