//! Turns that are spoken: sound, and then silence or a commit, by which the server knows that they are over.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::stop::Stop;
use super::{PlayOptions, Player, after};
use crate::audio::{self, AudioReader};
use crate::protocol::AudioFormat;
use crate::script::expect::time;
use crate::session::SessionEvent;
use crate::session::playout::length;
use crate::session::spoken::{Next, SpokenTurn, TurnEnding};

/// How much sound is sent at once.
const CHUNK: Duration = Duration::from_millis(20);
/// Chunks of a file that may wait to be sent.
const WAITING: usize = 16;

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

    fn needs_no_silence(&self) -> bool {
        self.turn.as_ref().is_none_or(SpokenTurn::needs_no_silence)
    }

    /// Samples in so much sound.
    fn samples(&self, length: Duration) -> u64 {
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        millis.saturating_mul(audio::sample_rate(self.format).into()) / 1_000
    }

    fn silence(&self, samples: u64) -> Bytes {
        audio::encode((0..samples).map(|_| 0), self.format).into()
    }
}

impl Player<'_> {
    /// Says what is in a file, and waits until the server needs no more to know that it is over.
    pub(super) async fn speak(&mut self, path: &Path) -> Result<(), Stop> {
        self.ears.have_heard_all(&self.handle);
        self.observer
            .user_begins(format!("(what is in {})", path.display()));
        self.voice.turn = Some(SpokenTurn::begin(self.voice.format.millis(self.voice.sent)));
        let mut chunks = read(path, self.voice.format);
        let mut pace = Pace::new(self.options.realtime);
        while let Some(chunk) = self.during(chunks.recv(), self.deadline()).await? {
            let chunk = chunk.map_err(Stop::Broken)?;
            self.send_sound(chunk, &mut pace).await?;
            self.ask_for_answer(self.deadline()).await?;
        }
        self.observer.user_ended(self.now());
        let sent_ms = self.voice.format.millis(self.voice.sent);
        match self.voice.ending {
            TurnEnding::Silence { length, .. } => {
                self.with_turn(|turn| turn.sound_sent(sent_ms));
                self.send_silence(length, &mut pace).await?;
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
        let mut pace = Pace::new(self.options.realtime);
        self.send_silence(length, &mut pace).await
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

    /// Sends so much silence; less, if the server has heard a spoken turn end before.
    async fn send_silence(&mut self, length: Duration, pace: &mut Pace) -> Result<(), Stop> {
        let most = self.voice.samples(CHUNK).max(1);
        let mut left = self.voice.samples(length);
        let is_after_speech = self.voice.turn.is_some();
        while left > 0 && !(is_after_speech && self.voice.needs_no_silence()) {
            let samples = most.min(left);
            left -= samples;
            self.send_sound(self.voice.silence(samples), pace).await?;
            self.ask_for_answer(self.deadline()).await?;
        }
        Ok(())
    }

    async fn send_sound(&mut self, chunk: Bytes, pace: &mut Pace) -> Result<(), Stop> {
        let bytes = chunk.len() as u64;
        if let Some(due) = pace.due(length(bytes, self.voice.format)) {
            self.during(sleep_until(due), after(due, self.options.turn_limit))
                .await?;
        }
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

/// When pieces of sound are sent.
struct Pace {
    realtime: bool,
    started: Instant,
    sounded: Duration,
}

impl Pace {
    fn new(realtime: bool) -> Self {
        Self {
            realtime,
            started: Instant::now(),
            sounded: Duration::ZERO,
        }
    }

    /// When the next piece is sent: as a microphone has it, when its last sample has sounded. Counted from the start, so
    /// that nothing adds up.
    fn due(&mut self, length: Duration) -> Option<Instant> {
        self.sounded += length;
        self.realtime.then(|| self.started + self.sounded)
    }
}

/// What is in a file, piece by piece, read by a thread that ends when nobody takes it any more.
fn read(path: &Path, format: AudioFormat) -> mpsc::Receiver<Result<Bytes, String>> {
    let (sender, chunks) = mpsc::channel(WAITING);
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut reader = match AudioReader::open(&path, format) {
            Ok(reader) => reader,
            Err(error) => return drop(sender.blocking_send(Err(error.to_string()))),
        };
        while let Some(chunk) = reader.next_chunk(CHUNK).transpose() {
            let chunk = chunk.map_err(|error| error.to_string());
            let is_last = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || is_last {
                return;
            }
        }
    });
    chunks
}
