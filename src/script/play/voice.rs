//! Turns that are spoken: sound, and then silence or a commit, by which the server knows that they are over.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use super::stop::Stop;
use super::{PlayOptions, Player};
use crate::audio::{AudioReader, Source};
use crate::protocol::AudioFormat;
use crate::script::expect::time;
use crate::session::SessionEvent;
use crate::session::spoken::{Next, SpokenTurn, TurnEnding};

/// The user's voice.
#[derive(Debug)]
pub(super) struct Voice {
    format: AudioFormat,
    ending: TurnEnding,
    /// Bytes that were sent up to now.
    sent: u64,
    /// The turn that is being spoken.
    turn: Option<SpokenTurn>,
    /// Whether the server has heard the end of a turn, and leaves it to us to ask for an answer.
    is_to_ask: bool,
}

impl Voice {
    pub(super) fn new(options: &PlayOptions) -> Self {
        let input = &options.audio.input;
        Self {
            format: input.format.unwrap_or_default(),
            ending: TurnEnding::of(input.turn_detection.as_ref()),
            sent: 0,
            turn: None,
            is_to_ask: false,
        }
    }

    pub(super) fn note(&mut self, event: &SessionEvent) {
        if let Some(turn) = &mut self.turn {
            turn.note(event);
            if let SessionEvent::SpeechStopped { .. } = event {
                self.is_to_ask = self.ending.leaves_answers_to_us();
            }
        }
    }

    pub(super) fn end_turn(&mut self) {
        self.turn = None;
        self.is_to_ask = false;
    }

    /// What there is to wait for, as far as what is spoken goes.
    pub(super) fn next(&self) -> Next {
        self.turn
            .as_ref()
            .map_or(Next::Over, |turn| turn.next(Instant::now()))
    }

    /// Whether the server has heard a spoken turn end, so that more silence would tell it nothing.
    fn needs_no_silence(&self) -> bool {
        self.turn.as_ref().is_some_and(SpokenTurn::needs_no_silence)
    }
}

impl Player<'_> {
    /// Says what is in a file, and waits until the server needs no more to know that it is over.
    pub(super) async fn speak(&mut self, path: &Path) -> Result<(), Stop> {
        self.ears.have_heard_all(&self.handle);
        self.observer
            .user_begins(format!("(what is in {})", path.display()));
        self.voice.turn = Some(SpokenTurn::begin(self.voice.format.millis(self.voice.sent)));
        let (file, format) = (path.to_owned(), self.voice.format);
        let sound = Source::read(move || AudioReader::open(&file, format), format);
        let sound = sound.map_err(|error| Stop::Broken(format!("sound can't be read: {error}")))?;
        self.send(sound).await?;
        self.observer.user_ended(self.now());
        let sent_ms = self.voice.format.millis(self.voice.sent);
        match self.voice.ending {
            TurnEnding::Silence { length, .. } => {
                self.with_turn(|turn| turn.sound_sent(sent_ms));
                self.send(Source::silence(length, self.voice.format)).await?;
                self.with_turn(|turn| turn.silence_sent(Instant::now()));
            }
            TurnEnding::Commit => {
                self.with_turn(|turn| turn.committed(Instant::now()));
                let handle = self.handle.clone();
                let committed = handle.send_audio(Bytes::new(), true);
                let sent = self.during(committed, self.deadline()).await?;
                self.check(sent, self.deadline()).await?;
            }
        }
        Ok(())
    }

    /// Says nothing, with the microphone open.
    pub(super) async fn be_silent(&mut self, length: Duration) -> Result<(), Stop> {
        self.ears.have_heard_all(&self.handle);
        self.observer
            .user_begins(format!("(nothing for {})", time(length)));
        self.send(Source::silence(length, self.voice.format)).await
    }

    /// Asks for an answer, where the server only tells where turns end.
    pub(super) async fn ask_for_answer(&mut self, deadline: Instant) -> Result<(), Stop> {
        if !std::mem::take(&mut self.voice.is_to_ask) {
            return Ok(());
        }
        let handle = self.handle.clone();
        let asked = handle.send_raw(json!({"type": "response.create"}));
        let sent = self.during(asked, deadline).await?;
        self.check(sent, deadline).await
    }

    /// Sends sound to its end; silence after speech only until the server has heard the turn end. Not in a task of its own:
    /// between two chunks it is known what the server has heard.
    async fn send(&mut self, sound: Source) -> Result<(), Stop> {
        let mut sound = sound.in_realtime(self.options.realtime);
        while !self.voice.needs_no_silence() {
            let Some(chunk) = self.during(sound.next(), self.deadline()).await? else {
                break;
            };
            let chunk = chunk.map_err(|error| Stop::Broken(error.to_string()))?;
            self.send_chunk(chunk).await?;
            self.ask_for_answer(self.deadline()).await?;
        }
        Ok(())
    }

    async fn send_chunk(&mut self, chunk: Bytes) -> Result<(), Stop> {
        let bytes = chunk.len() as u64;
        let handle = self.handle.clone();
        let sent = self
            .during(handle.send_audio(chunk, false), self.deadline())
            .await?;
        self.voice.sent += bytes;
        self.check(sent, self.deadline()).await
    }

    fn with_turn(&mut self, change: impl FnOnce(&mut SpokenTurn)) {
        if let Some(turn) = &mut self.voice.turn {
            change(turn);
        }
    }
}
