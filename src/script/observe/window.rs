//! What is seen of one turn.

use std::time::Duration;

use crate::script::happening::Happening;
use crate::script::{EventKind, Line, Speaker};
use crate::session::Latency;

/// What is seen from the beginning of a turn to that of the next. Times count from when the session was open.
#[derive(Debug, Default)]
pub(in crate::script) struct Window {
    pub(in crate::script) began_at: Duration,
    /// The end of what the user said or did, from which times are told.
    origin: Duration,
    /// Whether the user says something in it.
    pub(super) is_said: bool,
    pub(in crate::script) happened: Vec<Happening>,
    pub(in crate::script) lines: Vec<Line>,
    pub(in crate::script) first_word: Option<Duration>,
    pub(in crate::script) first_sound: Option<Duration>,
    /// What went wrong with answers.
    pub(in crate::script) faults: Vec<String>,
}

impl Window {
    /// One that begins, and so far tells times from there.
    pub(super) fn new(began_at: Duration) -> Self {
        Self {
            began_at,
            origin: began_at,
            ..Self::default()
        }
    }

    pub(super) fn happening(&self, kind: EventKind, at: Duration) -> Happening {
        Happening::new(kind, at)
    }

    /// Times are told from here.
    pub(super) fn set_origin(&mut self, at: Duration) {
        self.origin = at;
    }

    /// Counts all times from the end of what the user said or did.
    pub(super) fn end(&mut self) {
        let from_open = self.happened.iter_mut().map(|own| &mut own.after);
        let firsts = self.first_word.iter_mut().chain(&mut self.first_sound);
        for time in from_open.chain(firsts) {
            *time = time.saturating_sub(self.origin);
        }
    }

    pub(super) fn tell(&mut self, speaker: Speaker, text: impl Into<String>) {
        let text = text.into();
        self.lines.push(Line { speaker, text });
    }

    /// Takes note of words or sound of an answer.
    pub(super) fn hear(&mut self, at: Duration, is_sound: bool) {
        match is_sound {
            true => self.first_sound.get_or_insert(at),
            false => self.first_word.get_or_insert(at),
        };
    }

    /// The session has measured how long the user waited: from where they really ended, if it is they who said something
    /// in this turn.
    pub(super) fn measure(&mut self, latency: &Latency) {
        let measured = [
            (self.first_word, latency.first_word),
            (self.first_sound, latency.first_audio),
        ];
        let origin = measured
            .into_iter()
            .find_map(|(at, waited)| at?.checked_sub(waited?));
        if let Some(origin) = origin.filter(|_| self.is_said) {
            self.origin = origin;
        }
    }
}
