//! When a turn that is spoken is over: all of it was sent, the server has heard where it ends, and has answered.
//!
//! A sound may hold several sentences with pauses between, each of which the server answers. What it is about to hear is
//! not known, but where it has got to is: it says where speech ended in all that was sent. Only where silence follows in
//! the file itself, so that more could still have been heard, it gets a moment to say so.

use std::time::Duration;

use tokio::time::Instant;

use super::SessionEvent;
use crate::protocol::{Eagerness, TurnDetection};

/// Silence beyond what ends a turn, since detectors judge whole frames.
const MARGIN: Duration = Duration::from_millis(500);
/// Silence at the least (protocol.md, trap 17).
const LEAST_SILENCE: Duration = Duration::from_secs(1);
/// The silence that ends a turn on servers that are not told otherwise (protocol.md section 4).
const SERVER_VAD_SILENCE_MS: u32 = 500;
/// How long the server may take to say that it has heard more.
const MOMENT: Duration = Duration::from_secs(3);

/// How the server comes to know that the user has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEnding {
    /// It hears so much silence. It may leave the wish for an answer to us.
    Silence {
        /// So much of it has to be sent.
        length: Duration,
        /// Whether it answers then.
        answers: bool,
    },
    /// It is told.
    Commit,
}

impl TurnEnding {
    /// By the session's turn detection: absent means the server's own, null none.
    pub fn of(detection: Option<&Option<TurnDetection>>) -> Self {
        let (millis, answers) = match detection {
            Some(None) => return Self::Commit,
            None => (SERVER_VAD_SILENCE_MS, None),
            Some(Some(TurnDetection::ServerVad {
                silence_duration_ms,
                create_response,
                ..
            })) => (
                silence_duration_ms.unwrap_or(SERVER_VAD_SILENCE_MS),
                *create_response,
            ),
            Some(Some(TurnDetection::SemanticVad {
                eagerness,
                create_response,
                ..
            })) => (longest_wait_ms(*eagerness), *create_response),
        };
        Self::Silence {
            length: (Duration::from_millis(millis.into()) + MARGIN).max(LEAST_SILENCE),
            answers: answers.unwrap_or(true),
        }
    }
}

impl TurnEnding {
    /// Whether the server only tells where turns end.
    pub fn leaves_answers_to_us(self) -> bool {
        matches!(self, Self::Silence { answers: false, .. })
    }
}

/// How long semantic detection waits at the most.
fn longest_wait_ms(eagerness: Option<Eagerness>) -> u32 {
    match eagerness {
        Some(Eagerness::Low) => 8_000,
        Some(Eagerness::Medium | Eagerness::Auto) | None => 4_000,
        Some(Eagerness::High) => 2_000,
    }
}

/// A turn that is spoken.
#[derive(Debug)]
pub struct SpokenTurn {
    /// Where it begins in all that was sent.
    from_ms: u64,
    sending: Sending,
    is_speaking: bool,
    /// The server has heard speech, or was told that there was some.
    is_heard: bool,
    /// Where it heard the last speech end, in milliseconds of all that was sent.
    heard_to_ms: Option<u64>,
    answer: Answer,
}

/// How far the turn is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Sound,
    /// The sound ended at this place in all that was sent.
    Silence {
        sound_ms: u64,
    },
    /// All was sent at this time.
    Nothing {
        sound_ms: u64,
        since: Instant,
    },
}

/// What is known of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// None is due.
    None,
    /// The server has heard the end of speech.
    Due,
    /// It has begun.
    Running,
}

/// What to do about a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait for what comes, until this time if there is one.
    Wait(Option<Instant>),
    /// It is over.
    Over,
    /// It is over, and the server heard nobody speak.
    Unheard,
}

impl SpokenTurn {
    /// One of which nothing is sent yet. It begins at this place in all that was sent, in milliseconds.
    pub fn begin(from_ms: u64) -> Self {
        Self {
            from_ms,
            sending: Sending::Sound,
            is_speaking: false,
            is_heard: false,
            heard_to_ms: None,
            answer: Answer::None,
        }
    }

    /// Takes note of what the server does.
    pub fn note(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::SpeechStarted { .. } => {
                self.is_speaking = true;
                self.is_heard = true;
            }
            SessionEvent::SpeechStopped { audio_end_ms, .. } => {
                self.is_speaking = false;
                // A server that does not say where is taken to have heard all.
                self.heard_to_ms = Some(audio_end_ms.unwrap_or(u64::MAX));
                self.answer = Answer::Due;
            }
            SessionEvent::AgentStart { .. } if self.answer == Answer::Due => self.answer = Answer::Running,
            SessionEvent::TurnEnd { .. } if self.answer == Answer::Running => self.answer = Answer::None,
            _ => {}
        }
    }

    /// The sound is sent, to this place in all that was; silence follows.
    pub fn sound_sent(&mut self, sound_ms: u64) {
        self.sending = Sending::Silence { sound_ms };
    }

    /// The silence after it is sent, or enough of it.
    pub fn silence_sent(&mut self, now: Instant) {
        if let Sending::Silence { sound_ms } = self.sending {
            self.sending = Sending::Nothing { sound_ms, since: now };
        }
    }

    /// The server was told that the turn is over, and asked to answer.
    pub fn committed(&mut self, now: Instant) {
        self.sending = Sending::Nothing {
            sound_ms: 0,
            since: now,
        };
        self.is_heard = true;
        self.heard_to_ms = Some(0);
        self.answer = Answer::Running;
    }

    /// How long it is, when all up to this place belongs to it.
    pub fn length_ms(&self, sent_ms: u64) -> u64 {
        sent_ms.saturating_sub(self.from_ms)
    }

    /// Whether the sound itself is still being sent.
    pub fn is_sounding(&self) -> bool {
        self.sending == Sending::Sound
    }

    /// Whether the sound and the silence after it are sent.
    pub fn is_sent(&self) -> bool {
        matches!(self.sending, Sending::Nothing { .. })
    }

    /// Whether more silence would tell the server nothing.
    pub fn needs_no_silence(&self) -> bool {
        matches!(self.sending, Sending::Silence { sound_ms } if self.is_heard_to(sound_ms))
    }

    /// Whether an answer was promised that has not begun, whatever ends now.
    pub fn is_answer_due(&self) -> bool {
        self.answer == Answer::Due
    }

    /// What to do now.
    pub fn next(&self, now: Instant) -> Next {
        let Sending::Nothing { sound_ms, since } = self.sending else {
            return Next::Wait(None);
        };
        if self.is_speaking || self.answer != Answer::None {
            return Next::Wait(None);
        }
        let until = since + MOMENT;
        match (self.is_heard_to(sound_ms), now < until) {
            (true, _) => Next::Over,
            (false, true) => Next::Wait(Some(until)),
            (false, false) if self.is_heard => Next::Over,
            (false, false) => Next::Unheard,
        }
    }

    /// Whether the server has heard speech end at this place or behind it.
    fn is_heard_to(&self, place_ms: u64) -> bool {
        !self.is_speaking && self.heard_to_ms.is_some_and(|heard| heard >= place_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ResponseStatus;

    fn started() -> SessionEvent {
        SessionEvent::SpeechStarted {
            item_id: "item".into(),
            audio_start_ms: Some(0),
        }
    }

    fn stopped(at: u64) -> SessionEvent {
        SessionEvent::SpeechStopped {
            item_id: "item".into(),
            audio_end_ms: Some(at),
        }
    }

    fn answer() -> SessionEvent {
        SessionEvent::AgentStart {
            agent: "Assistant".into(),
            response_id: None,
        }
    }

    fn turn_end() -> SessionEvent {
        SessionEvent::TurnEnd {
            status: ResponseStatus::Completed,
            reason: None,
        }
    }

    fn turn(events: &[SessionEvent]) -> SpokenTurn {
        let mut turn = SpokenTurn::begin(0);
        events.iter().for_each(|event| turn.note(event));
        turn
    }

    #[test]
    fn a_sentence_is_over_when_it_is_answered() {
        let now = Instant::now();
        let mut turn = SpokenTurn::begin(0);
        turn.note(&started());
        turn.sound_sent(1_000);
        assert!(!turn.needs_no_silence());
        turn.note(&stopped(1_400));
        assert!(turn.needs_no_silence());
        turn.silence_sent(now);
        assert_eq!(turn.next(now), Next::Wait(None));
        turn.note(&answer());
        assert_eq!(turn.next(now), Next::Wait(None));
        turn.note(&turn_end());
        assert_eq!(turn.next(now), Next::Over);
    }

    #[test]
    fn an_answer_within_the_sound_does_not_end_the_turn() {
        let now = Instant::now();
        let mut turn = turn(&[started(), stopped(900), answer(), turn_end()]);
        assert_eq!(turn.next(now), Next::Wait(None), "it is being sent");
        turn.sound_sent(3_000);
        turn.silence_sent(now);
        assert_eq!(
            turn.next(now),
            Next::Wait(Some(now + MOMENT)),
            "there may be more"
        );
        turn.note(&started());
        assert_eq!(turn.next(now + MOMENT), Next::Wait(None));
        turn.note(&stopped(3_500));
        turn.note(&turn_end());
        assert_eq!(
            turn.next(now + MOMENT),
            Next::Wait(None),
            "the end of the one before"
        );
        turn.note(&answer());
        turn.note(&turn_end());
        assert_eq!(turn.next(now), Next::Over);
    }

    #[test]
    fn silence_at_the_end_of_a_file_costs_a_moment() {
        let now = Instant::now();
        let mut turn = turn(&[started(), stopped(900), answer(), turn_end()]);
        turn.sound_sent(3_000);
        turn.silence_sent(now);
        assert_eq!(turn.next(now + MOMENT), Next::Over);
    }

    #[test]
    fn nobody_speaks() {
        let now = Instant::now();
        let mut turn = SpokenTurn::begin(0);
        turn.sound_sent(1_000);
        turn.silence_sent(now);
        assert_eq!(turn.next(now), Next::Wait(Some(now + MOMENT)));
        assert_eq!(turn.next(now + MOMENT), Next::Unheard);
    }

    #[test]
    fn what_is_committed_is_over_when_it_is_answered() {
        let now = Instant::now();
        let mut turn = SpokenTurn::begin(0);
        turn.committed(now);
        turn.note(&answer());
        assert_eq!(turn.next(now), Next::Wait(None));
        turn.note(&turn_end());
        assert_eq!(turn.next(now), Next::Over);
    }

    #[test]
    fn the_silence_is_what_the_session_needs() {
        let server_vad = |silence_duration_ms, create_response| TurnDetection::ServerVad {
            threshold: None,
            prefix_padding_ms: None,
            silence_duration_ms,
            idle_timeout_ms: None,
            create_response,
            interrupt_response: None,
        };
        let semantic = |eagerness| TurnDetection::SemanticVad {
            eagerness,
            create_response: None,
            interrupt_response: None,
        };
        let silence = |millis, answers| TurnEnding::Silence {
            length: Duration::from_millis(millis),
            answers,
        };
        let cases = [
            (None, silence(1_000, true)),
            (
                Some(Some(server_vad(Some(200), Some(false)))),
                silence(1_000, false),
            ),
            (Some(Some(server_vad(Some(1_200), None))), silence(1_700, true)),
            (Some(Some(semantic(None))), silence(4_500, true)),
            (Some(Some(semantic(Some(Eagerness::Low)))), silence(8_500, true)),
            (Some(None), TurnEnding::Commit),
        ];
        for (detection, expected) in cases {
            assert_eq!(TurnEnding::of(detection.as_ref()), expected, "{detection:?}");
        }
    }
}
