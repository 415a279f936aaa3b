//! Turns that are spoken: how they begin, what ends them, and what comes of it.

use bytes::Bytes;
use realtime_run::protocol::{AudioFormat, Id};
use realtime_run::session::{SessionEvent, SessionHandle};
use serde_json::json;
use tokio::time::Instant;

use super::{Conversation, Limits, until};
use crate::cli::args::Pace;
use crate::cli::exit::ExitStatus;
use crate::cli::voice::{Cue, Next, NotSent, Playout, Sender, Source, SpokenTurn, Tape, TurnEnding};

/// What a conversation with spoken turns has beside one in writing.
#[derive(Debug)]
pub struct Voice {
    sender: Sender,
    ending: TurnEnding,
    playout: Playout,
    /// The user's input format.
    format: AudioFormat,
    /// The turn that is being spoken.
    speaking: Option<SpokenTurn>,
    /// The pace of the turn spoken last.
    pace: Pace,
    /// Whether what comes counts as heard, and the part that came last with its bytes.
    hears_at_once: bool,
    heard: Option<(Id, u32, u64)>,
}

/// The least that can be committed, in milliseconds (protocol.md section 1.5).
const LEAST_MS: u64 = 100;

/// How a turn that is being spoken goes on by itself.
pub(super) enum Progress {
    /// Its sound or the silence after it is sent, or can't be.
    Sent(Result<(), NotSent>),
    Over,
    /// The server heard nobody speak.
    Unheard,
}

impl Voice {
    /// Of a session that takes sound and ends turns like this.
    pub fn new(
        session: SessionHandle,
        (input, output): (AudioFormat, AudioFormat),
        ending: TurnEnding,
        limits: &Limits,
        tape: Tape,
    ) -> Self {
        Self {
            sender: Sender::new(session, input, limits.turn, tape),
            ending,
            playout: Playout::new(output),
            format: input,
            speaking: None,
            pace: Pace::Fast,
            hears_at_once: false,
            heard: None,
        }
    }

    pub(super) fn is_speaking(&self) -> bool {
        self.speaking.is_some()
    }

    /// Whether the server has heard the end of speech and has not begun to answer.
    pub(super) fn is_answer_due(&self) -> bool {
        self.speaking.as_ref().is_some_and(SpokenTurn::is_answer_due)
    }

    /// When the user has heard the answer, and so can speak again; none for at once.
    pub(super) fn heard_at(&self) -> Option<Instant> {
        self.playout.until().filter(|_| self.pace == Pace::Realtime)
    }

    /// The part that an event brings sound of, and its bytes up to now, if they count as heard.
    fn heard(&mut self, event: &SessionEvent) -> Option<(&str, u32, u64)> {
        let SessionEvent::Audio {
            item_id,
            content_index,
            audio,
        } = event
        else {
            return None;
        };
        let before = match self.heard.take() {
            Some((item, index, bytes)) if item == *item_id && index == *content_index => bytes,
            _ => 0,
        };
        let bytes = before + audio.len() as u64;
        let (item_id, ..) = self.heard.insert((item_id.clone(), *content_index, bytes));
        self.hears_at_once.then_some((&*item_id, *content_index, bytes))
    }

    /// Waits until the turn that is being spoken goes on. Dropping the future loses nothing.
    pub(super) async fn progress(&mut self) -> Progress {
        let Some(turn) = &self.speaking else {
            return std::future::pending().await;
        };
        loop {
            let moment = match turn.next(Instant::now()) {
                Next::Wait(moment) => moment,
                Next::Over => return Progress::Over,
                Next::Unheard => return Progress::Unheard,
            };
            tokio::select! {
                result = self.sender.done() => return Progress::Sent(result),
                () = until(moment) => {}
            }
        }
    }
}

impl Conversation {
    /// The user begins to say this.
    pub(super) fn speak(&mut self, cue: Cue) -> Option<ExitStatus> {
        let voice = self.voice.as_mut()?;
        self.renderer.sound(cue.name(), &self.printer);
        tracing::info!(name = cue.name(), "a turn is spoken");
        let pace = cue.pace();
        // Files that are said as fast as they can be leave nobody time to listen. Without this each would cut off the
        // answer to the one before.
        voice.hears_at_once |= pace == Pace::Fast && !cue.is_stdin();
        self.tape.turn(pace == Pace::Fast);
        match cue.start() {
            Ok(source) => voice.sender.start(source),
            Err(error) => {
                self.printer.error(&format!("sound can't be read: {error}"), None);
                return Some(ExitStatus::Failure);
            }
        }
        voice.speaking = Some(SpokenTurn::begin(voice.sender.sent_ms()));
        voice.pace = pace;
        self.has_spoken = true;
        self.told = None;
        None
    }

    /// What the server says may be about a turn that is being spoken.
    pub(super) async fn on_sound_event(&mut self, event: &SessionEvent) {
        let Some(voice) = &mut self.voice else { return };
        voice.playout.note(event, Instant::now());
        // A speaker tells itself what was heard.
        let heard = voice.heard(event).filter(|_| self.devices.is_none());
        if let Some((item_id, content_index, bytes)) = heard {
            self.session.report_played(item_id, content_index, bytes);
        }
        let Some(turn) = &mut voice.speaking else {
            return;
        };
        turn.note(event);
        let is_silence_enough = turn.needs_no_silence();
        match event {
            // While the user speaks, time does not run; but nobody does any more when all was sent.
            SessionEvent::SpeechStarted { .. } if turn.is_sent() => self.await_answer(),
            SessionEvent::SpeechStarted { .. } => self.turn_until = None,
            SessionEvent::SpeechStopped { .. } => {
                if is_silence_enough {
                    turn.silence_sent(Instant::now());
                    voice.sender.stop();
                }
                if voice.ending.leaves_answers_to_us() {
                    // If the session is over, an event tells it.
                    let _ = self.session.send_raw(json!({"type": "response.create"})).await;
                }
                self.await_answer();
            }
            _ => {}
        }
    }

    /// The turn that is being spoken went on by itself.
    pub(super) async fn on_progress(&mut self, progress: Progress) -> Option<ExitStatus> {
        match progress {
            Progress::Sent(Ok(())) => return self.on_sent().await,
            Progress::Sent(Err(NotSent::Unreadable(why))) => {
                self.printer.error(&why, None);
                return Some(ExitStatus::Usage);
            }
            Progress::Sent(Err(NotSent::Stuck(why))) => return self.out_of_time(&why, "--turn-timeout"),
            Progress::Over => self.end_spoken_turn(),
            Progress::Unheard => {
                self.end_spoken_turn();
                let advice = "what it takes for speech is set by `turn_detection` under [session]";
                self.printer.error("the server heard nobody speak", Some(advice));
                return Some(ExitStatus::Failure);
            }
        }
        None
    }

    /// A source is sent to its end.
    async fn on_sent(&mut self) -> Option<ExitStatus> {
        let voice = self.voice.as_mut()?;
        let turn = voice.speaking.as_mut()?;
        let (now, sent_ms) = (Instant::now(), voice.sender.sent_ms());
        match voice.ending {
            TurnEnding::Silence { length, .. } if turn.is_sounding() => {
                turn.sound_sent(sent_ms);
                if !turn.needs_no_silence() {
                    let silence =
                        Source::silence(length, voice.format).in_realtime(voice.pace == Pace::Realtime);
                    voice.sender.start(silence);
                    return None;
                }
                turn.silence_sent(now);
            }
            TurnEnding::Silence { .. } => turn.silence_sent(now),
            TurnEnding::Commit if turn.length_ms(sent_ms) < LEAST_MS => {
                let message = format!("the sound is too short: a turn has {LEAST_MS} ms at least");
                self.printer.error(&message, None);
                return Some(ExitStatus::Usage);
            }
            TurnEnding::Commit => {
                turn.committed(now);
                // If the session is over, an event tells it.
                let _ = self.session.send_audio(Bytes::new(), true).await;
            }
        }
        self.await_answer();
        None
    }

    fn end_spoken_turn(&mut self) {
        self.turn_until = None;
        if let Some(voice) = &mut self.voice {
            voice.speaking = None;
        }
        self.ask();
    }
}
