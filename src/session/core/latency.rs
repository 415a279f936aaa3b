//! How long the user waits for the first of an answer: from the end of their turn to its first word, its first sound, and
//! to when that is heard.
//!
//! What is measured is measured once a turn. A delta costs the question whether it is the first.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Core;
use crate::protocol::Id;
use crate::session::played::Played;
use crate::session::{FirstPlayed, Latency, LatencySummary, PlayedBy, SessionEvent, TurnEndedBy};
use crate::trace::{Timestamp, keys};

/// The end of a turn of the user: from now on they wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnEnd {
    pub(super) at: Timestamp,
    pub(super) by: TurnEndedBy,
    /// How much silence the server waited for after it.
    silence: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Latencies {
    /// The turn that ended last, if no answer was asked for or begun since.
    ended: Option<TurnEnd>,
    /// The one that an answer has been asked for, which has not begun.
    asked: Option<TurnEnd>,
    /// The one that is being answered.
    turn: Option<Turn>,
    /// How many were answered.
    answered: u64,
    summary: LatencySummary,
}

/// A turn of the user that is being answered.
#[derive(Debug)]
struct Turn {
    ended_at: Timestamp,
    latency: Latency,
    sound: Sound,
    /// Nothing more comes; what has come may still have to be heard.
    is_over: bool,
}

/// What has become of the first sound.
#[derive(Debug)]
enum Sound {
    /// It has not come.
    Awaited,
    /// It has come, and waits to be heard.
    Waiting {
        item_id: Id,
        content_index: u32,
        came_at: Timestamp,
        /// When it is heard by the clock.
        due: Timestamp,
    },
    /// It was heard, or never will be.
    Settled,
}

impl Latencies {
    /// An answer to all that was said has been asked for.
    pub(super) fn ask(&mut self) {
        self.asked = self.ended.take().or(self.asked);
    }

    /// Whether the next word is the first.
    pub(super) fn awaits_word(&self) -> bool {
        matches!(&self.turn, Some(turn) if turn.latency.first_word.is_none() && !turn.is_over)
    }

    /// Whether the next sound is the first.
    pub(super) fn awaits_sound(&self) -> bool {
        matches!(&self.turn, Some(turn) if matches!(turn.sound, Sound::Awaited) && !turn.is_over)
    }

    /// When the first sound came and when it is due, if it is of this part and has not been heard.
    fn waiting(&self, item_id: &str, content_index: u32) -> Option<(Timestamp, Timestamp)> {
        match &self.turn.as_ref()?.sound {
            Sound::Waiting {
                item_id: own,
                content_index: index,
                came_at,
                due,
            } if **own == *item_id && *index == content_index => Some((*came_at, *due)),
            _ => None,
        }
    }

    pub(super) fn take_summary(&mut self) -> LatencySummary {
        std::mem::take(&mut self.summary)
    }
}

impl Core {
    /// The user wrote something.
    pub(super) fn end_written_turn(&mut self) {
        self.end_turn(self.now, TurnEndedBy::Message, None);
    }

    /// The user's sound is committed by hand.
    pub(super) fn end_committed_turn(&mut self) {
        let at = self.sent_audio.last_sent_at().unwrap_or(self.now);
        self.end_turn(at, TurnEndedBy::LastSample, None);
    }

    /// The server says that the user stopped speaking, and where in all sound sent. It counts the silence that it waited
    /// for as part of the speech; how long that is, it tells of detection by silence only.
    pub(super) fn end_spoken_turn(&mut self, audio_end_ms: Option<u64>) {
        let silence = self.info.silence_duration_ms.map(Duration::from_millis);
        let end = audio_end_ms.map(Duration::from_millis);
        let spoken = end.map(|end| end.saturating_sub(silence.unwrap_or_default()));
        match spoken.and_then(|place| self.sent_audio.sent_at(place)) {
            Some(at) => self.end_turn(at, TurnEndedBy::SpeechStopped, silence),
            None => self.end_turn(self.now, TurnEndedBy::SpeechStoppedArrival, None),
        }
    }

    /// The application sends sound as an event of its own; what is no base64 is the server's to refuse.
    pub(super) fn note_raw_audio(&mut self, event: &Map<String, Value>) {
        let base64 = event.get("audio").and_then(Value::as_str).unwrap_or_default();
        let bytes = base64_simd::STANDARD.decoded_length(base64.as_bytes());
        let format = self.input_format();
        self.sent_audio.push(self.now, bytes.unwrap_or_default(), format);
    }

    fn end_turn(&mut self, at: Timestamp, by: TurnEndedBy, silence: Option<Duration>) {
        self.latencies.ended = Some(TurnEnd { at, by, silence });
    }

    /// An answer of the conversation begins; gives the user's turn that it is the first answer to.
    pub(super) fn answer_turn(&mut self) -> Option<TurnEnd> {
        let asked = self.latencies.asked.take();
        let end = asked.or_else(|| self.latencies.ended.take())?;
        self.tell_latency();
        self.speeches.expect_other();
        self.latencies.answered += 1;
        let latency = Latency {
            turn: self.latencies.answered,
            ended_by: end.by,
            silence: end.silence,
            first_word: None,
            first_audio: None,
            first_played: None,
        };
        self.latencies.turn = Some(Turn {
            ended_at: end.at,
            latency,
            sound: Sound::Awaited,
            is_over: false,
        });
        Some(end)
    }

    /// The first word of a turn's answers has come, in this one.
    pub(super) fn note_first_word(&mut self, response_id: &str) {
        let Some(turn) = &mut self.latencies.turn else {
            return;
        };
        let after = self.now.saturating_duration_since(turn.ended_at);
        turn.latency.first_word = Some(after);
        self.generations.mark(response_id, keys::FIRST_WORD_MS, after);
    }

    /// The first sound of a turn's answers has come, in this one.
    pub(super) fn note_first_sound(&mut self, response_id: &str, item_id: &Id, content_index: u32) {
        let due = self
            .playback
            .starts_at(item_id, content_index)
            .unwrap_or(self.now);
        let Some(turn) = &mut self.latencies.turn else {
            return;
        };
        let after = self.now.saturating_duration_since(turn.ended_at);
        turn.latency.first_audio = Some(after);
        turn.sound = Sound::Waiting {
            item_id: item_id.clone(),
            content_index,
            came_at: self.now,
            due,
        };
        self.generations.mark(response_id, keys::FIRST_AUDIO_MS, after);
    }

    /// The application has played so much of a part.
    pub(super) fn on_played(&mut self, played: &Played) {
        let Played {
            item_id,
            content_index,
            bytes,
        } = played;
        self.playback.report(item_id, *content_index, *bytes);
        self.hasten_speech(item_id);
        let Some((came_at, _)) = self.latencies.waiting(item_id, *content_index) else {
            return;
        };
        if *bytes > 0 {
            // What was played by now began to be as long ago as it lasts.
            let lasts = Duration::from_millis(self.playback.format().millis(*bytes));
            let since = self.now.saturating_duration_since(came_at);
            let began = came_at + since.saturating_sub(lasts);
            self.note_first_played(began, PlayedBy::Reports);
            if self.latencies.turn.as_ref().is_some_and(|turn| turn.is_over) {
                self.tell_latency();
            }
        }
    }

    /// Takes the clock's word for it that the first sound is being heard, unless the application tells.
    pub(super) fn hear_by_clock(&mut self) {
        if let Some(turn) = &self.latencies.turn
            && let Sound::Waiting { due, .. } = turn.sound
            && due <= self.now
            && self.playback.source() == PlayedBy::Clock
        {
            self.note_first_played(due, PlayedBy::Clock);
        }
    }

    fn note_first_played(&mut self, at: Timestamp, by: PlayedBy) {
        let Some(turn) = &mut self.latencies.turn else {
            return;
        };
        let after = at.saturating_duration_since(turn.ended_at);
        turn.latency.first_played = Some(FirstPlayed { after, by });
        if let Sound::Waiting { item_id, .. } = std::mem::replace(&mut turn.sound, Sound::Settled) {
            self.speeches.mark(&item_id, keys::FIRST_PLAYED_MS, after);
        }
    }

    /// This part was cut off, and what was not heard of it by now never will be.
    pub(super) fn give_up_sound(&mut self, item_id: &str, content_index: u32) {
        if self.latencies.waiting(item_id, content_index).is_none() {
            return;
        }
        if let Some(turn) = &mut self.latencies.turn {
            turn.sound = Sound::Settled;
            if turn.is_over {
                self.tell_latency();
            }
        }
    }

    /// It is the user's turn again. What was to be heard by the clock has been; who reports what they play may still.
    pub(super) fn end_latency(&mut self) {
        self.latencies.asked = None;
        self.hear_by_clock();
        let reports = self.playback.source() == PlayedBy::Reports;
        match &mut self.latencies.turn {
            Some(turn) if reports && matches!(turn.sound, Sound::Waiting { .. }) => turn.is_over = true,
            _ => self.tell_latency(),
        }
    }

    /// Tells how long the user waited in the turn that was being answered, if anything came.
    pub(super) fn tell_latency(&mut self) {
        self.hear_by_clock();
        let Some(Turn { latency, .. }) = self.latencies.turn.take() else {
            return;
        };
        if latency.first_word.is_some() || latency.first_audio.is_some() {
            self.latencies.summary.add(&latency);
            self.emit(SessionEvent::Latency(latency));
        }
    }
}
