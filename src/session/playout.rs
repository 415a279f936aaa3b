//! When answers have been heard, by the clock: their sound comes faster than it plays.

use tokio::time::Instant;

use super::SessionEvent;
use crate::protocol::AudioFormat;

/// Counts the sound of the answers.
#[derive(Debug)]
pub struct Playout {
    format: AudioFormat,
    /// When the sound that has come will have been heard.
    until: Option<Instant>,
}

impl Playout {
    /// Of answers in the session's output format.
    pub fn new(format: AudioFormat) -> Self {
        Self { format, until: None }
    }

    /// Takes note of what happened at `now`.
    pub fn note(&mut self, event: &SessionEvent, now: Instant) {
        match event {
            SessionEvent::Audio { audio, .. } => {
                let begins = self.until.map_or(now, |until| until.max(now));
                self.until = begins.checked_add(self.format.duration(audio.len() as u64));
            }
            SessionEvent::AudioInterrupted { .. } => self.until = None,
            _ => {}
        }
    }

    /// When all has been heard; none when there is nothing to hear.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sound(millis: usize) -> SessionEvent {
        SessionEvent::Audio {
            item_id: "item".into(),
            content_index: 0,
            audio: vec![0; millis * 8].into(),
        }
    }

    #[test]
    fn sound_plays_behind_what_plays_and_an_interruption_ends_it() {
        let (mut playout, start) = (Playout::new(AudioFormat::Pcmu), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        playout.note(&sound(300), start);
        playout.note(&sound(200), after(100));
        assert_eq!(playout.until(), Some(after(500)));
        playout.note(&sound(100), after(900));
        assert_eq!(playout.until(), Some(after(1_000)), "there was a pause");
        let interrupted = SessionEvent::AudioInterrupted {
            item_id: "item".into(),
            content_index: 0,
            played_ms: 5,
        };
        playout.note(&interrupted, after(950));
        assert_eq!(playout.until(), None);
    }
}
