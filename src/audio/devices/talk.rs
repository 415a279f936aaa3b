//! What of a microphone goes to the session: by the gate, or while a key is held.

use std::time::Instant;

use super::capture::Chunk;
use super::gate::{Gate, Passed, silence};
use crate::protocol::AudioFormat;

/// A key that opens the microphone.
#[derive(Debug)]
pub struct PushToTalk {
    /// The session finds no ends of turns itself: letting go of the key ends one.
    commits: bool,
    pressed: bool,
    /// Sound has gone out since the key was pressed.
    spoke: bool,
}

impl PushToTalk {
    /// A key that is not pressed. With `commits`, letting go of it ends the turn: for sessions without turn detection.
    pub fn new(commits: bool) -> Self {
        Self {
            commits,
            pressed: false,
            spoke: false,
        }
    }

    fn take(&mut self, chunk: Chunk, format: AudioFormat) -> Passed {
        let audio = match (self.pressed, self.commits) {
            (true, _) => {
                self.spoke = true;
                vec![chunk.audio]
            }
            // Turn detection has to hear that the user is silent.
            (false, false) => vec![silence(chunk.audio.len(), format)],
            (false, true) => Vec::new(),
        };
        Passed {
            audio,
            barge_in: false,
        }
    }
}

/// How the microphone is opened.
#[derive(Debug)]
pub enum Opening {
    /// It is open unless it would hear the assistant.
    Gate(Box<Gate>),
    /// A person opens it.
    Key(PushToTalk),
}

/// Decides what of a microphone goes to the session. It works on time that is handed to it.
#[derive(Debug)]
pub struct Intake {
    format: AudioFormat,
    opening: Opening,
    muted: bool,
}

impl Intake {
    /// For sound of this format.
    pub fn new(format: AudioFormat, opening: Opening) -> Self {
        Self {
            format,
            opening,
            muted: false,
        }
    }

    /// Takes what the microphone heard until `now`, while `played` was how loud the assistant is (the root of the mean
    /// square, 0 for silence).
    pub fn take(&mut self, now: Instant, mut chunk: Chunk, played: f32) -> Passed {
        if self.muted {
            chunk = Chunk {
                audio: silence(chunk.audio.len(), self.format),
                level: 0.0,
                ..chunk
            };
        }
        match &mut self.opening {
            Opening::Gate(gate) => gate.take(now, chunk, played),
            Opening::Key(key) => key.take(chunk, self.format),
        }
    }

    /// Whether the user's voice would reach the session now.
    pub fn is_open(&self) -> bool {
        !self.muted
            && match &self.opening {
                Opening::Gate(gate) => !gate.is_shut(),
                Opening::Key(key) => key.pressed,
            }
    }

    /// Whether a key opens it.
    pub fn has_key(&self) -> bool {
        matches!(self.opening, Opening::Key(_))
    }

    /// The key is pressed. Tells whether that begins a turn.
    pub fn press(&mut self) -> bool {
        match &mut self.opening {
            Opening::Key(key) => !std::mem::replace(&mut key.pressed, true),
            Opening::Gate(_) => false,
        }
    }

    /// The key is let go of. Tells whether a turn is to be committed.
    pub fn release(&mut self) -> bool {
        match &mut self.opening {
            Opening::Key(key) => {
                key.pressed = false;
                std::mem::take(&mut key.spoke) && key.commits
            }
            Opening::Gate(_) => false,
        }
    }

    /// Whether the microphone hears nothing but silence.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    /// Mutes the microphone, or lets it be heard again.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn chunk() -> Chunk {
        Chunk {
            audio: Bytes::from_static(&[1; 160]),
            level: 0.5,
            length: Duration::from_millis(20),
        }
    }

    fn key(commits: bool) -> Intake {
        Intake::new(AudioFormat::Pcmu, Opening::Key(PushToTalk::new(commits)))
    }

    fn take(intake: &mut Intake) -> Vec<Bytes> {
        intake.take(Instant::now(), chunk(), 0.5).audio
    }

    #[test]
    fn without_turn_detection_only_what_is_said_with_the_key_goes_out_and_release_commits_it() {
        let mut intake = key(true);
        assert!(take(&mut intake).is_empty());
        assert!(intake.press() && intake.is_open());
        assert!(!intake.press(), "it repeats while it is held");
        assert_eq!(take(&mut intake), [chunk().audio]);
        assert!(intake.release());
        assert!(!intake.release());
        assert!(take(&mut intake).is_empty());
    }

    #[test]
    fn a_key_that_was_only_touched_commits_nothing() {
        let mut intake = key(true);
        intake.press();
        assert!(!intake.release());
    }

    #[test]
    fn turn_detection_hears_silence_while_the_key_is_up() {
        let mut intake = key(false);
        assert_eq!(take(&mut intake), [Bytes::from_static(&[0xff; 160])]);
        intake.press();
        assert_eq!(take(&mut intake), [chunk().audio]);
        assert!(!intake.release());
    }

    #[test]
    fn who_is_muted_is_silent_and_does_not_cut_in() {
        let mut intake = Intake::new(
            AudioFormat::Pcmu,
            Opening::Gate(Box::new(Gate::new(AudioFormat::Pcmu))),
        );
        intake.set_muted(true);
        assert!(intake.is_muted() && !intake.is_open());
        let passed = intake.take(Instant::now(), chunk(), 0.0);
        assert_eq!(passed.audio, [Bytes::from_static(&[0xff; 160])]);
        intake.set_muted(false);
        assert_eq!(intake.take(Instant::now(), chunk(), 0.0).audio, [chunk().audio]);
        assert!(!intake.press() && !intake.release());
    }
}
