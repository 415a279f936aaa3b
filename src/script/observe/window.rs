//! What is seen of one turn.

use std::time::Duration;

use crate::script::happening::Happening;
use crate::script::{EventKind, Line, Speaker};

/// What is seen from the beginning of a turn to that of the next. Times count from when the session was open.
#[derive(Debug, Default)]
pub(in crate::script) struct Window {
    pub(in crate::script) began_at: Duration,
    /// The end of what the user said or did, from which times are told.
    pub(super) origin: Duration,
    pub(in crate::script) happened: Vec<Happening>,
    pub(in crate::script) lines: Vec<Line>,
    pub(in crate::script) first_word: Option<Duration>,
    pub(in crate::script) first_sound: Option<Duration>,
    /// What went wrong with answers.
    pub(in crate::script) faults: Vec<String>,
}

impl Window {
    pub(super) fn new(began_at: Duration) -> Self {
        Self {
            began_at,
            origin: began_at,
            ..Self::default()
        }
    }

    /// How long after the end of the user's turn that is.
    pub(super) fn after(&self, at: Duration) -> Duration {
        at.saturating_sub(self.origin)
    }

    pub(super) fn happening(&self, kind: EventKind, at: Duration) -> Happening {
        Happening::new(kind, self.after(at))
    }

    pub(super) fn tell(&mut self, speaker: Speaker, text: impl Into<String>) {
        let text = text.into();
        self.lines.push(Line { speaker, text });
    }

    /// Takes note of words or sound of an answer.
    pub(super) fn hear(&mut self, at: Duration, is_sound: bool) {
        let after = self.after(at);
        match is_sound {
            true => self.first_sound.get_or_insert(after),
            false => self.first_word.get_or_insert(after),
        };
    }
}
