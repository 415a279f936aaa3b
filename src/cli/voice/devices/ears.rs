//! The task that brings what the microphone hears to the session.

use std::time::{Duration, Instant};

use bytes::Bytes;
use realtime_run::audio::devices::{Chunk, DeviceError, Intake, Microphone};
use realtime_run::session::SessionHandle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::mouth::Mouth;
use super::panel::MicrophoneLevel;
use crate::cli::voice::Tape;

/// Presses of a key that may wait for the task.
const WAITING: usize = 8;

/// What a person does to the microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Presses the key of push-to-talk.
    Down,
    /// Lets go of it.
    Up,
    /// Mutes it, or lets it be heard again.
    Mute,
}

/// How the microphone is doing.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    overruns: u64,
    dropped: Duration,
    level: MicrophoneLevel,
}

/// The microphone, for whoever shows and switches it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Switch {
    keys: mpsc::Sender<Key>,
    state: watch::Receiver<State>,
}

impl Switch {
    /// How loud it is; none once it is lost.
    pub(super) fn level(&self) -> Option<MicrophoneLevel> {
        self.state
            .has_changed()
            .is_ok()
            .then(|| self.state.borrow().level)
    }

    /// When the task is that far behind, the press is lost, which the person sees.
    pub(super) fn press(&self, key: Key) {
        let _ = self.keys.try_send(key);
    }
}

/// Tells the task what to do.
#[derive(Debug)]
pub(super) struct Ears {
    keys: mpsc::Sender<Key>,
    /// Whether the key of push-to-talk is pressed, if there is one.
    is_pressed: Option<bool>,
    state: watch::Receiver<State>,
}

impl Ears {
    pub(super) fn start(
        (microphone, intake): (Microphone, Intake),
        mouth: Option<Mouth>,
        (session, tape): (SessionHandle, Tape),
        tasks: &mut JoinSet<Result<(), DeviceError>>,
    ) -> Self {
        let has_key = intake.has_key();
        let (sender, keys) = mpsc::channel(WAITING);
        let (state, receiver) = watch::channel(State::default());
        let listener = Listener {
            microphone,
            intake,
            mouth,
            session,
            tape,
            state,
        };
        tasks.spawn(listener.run(keys));
        Self {
            keys: sender,
            is_pressed: has_key.then_some(false),
            state: receiver,
        }
    }

    /// Presses the key of push-to-talk, or lets go of it; tells which, if there is such a key.
    pub(super) async fn press(&mut self) -> Option<bool> {
        let is_pressed = self.is_pressed.as_mut()?;
        *is_pressed = !*is_pressed;
        let key = if *is_pressed { Key::Down } else { Key::Up };
        // If the device is lost, someone else tells.
        let _ = self.keys.send(key).await;
        Some(*is_pressed)
    }

    pub(super) fn switch(&self) -> Switch {
        Switch {
            keys: self.keys.clone(),
            state: self.state.clone(),
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        let State {
            overruns, dropped, ..
        } = *self.state.borrow();
        if !dropped.is_zero() {
            let ms = dropped.as_millis();
            return Some(format!(
                "{ms} ms of what the microphone heard could not be sent in time"
            ));
        }
        (overruns > 0)
            .then(|| format!("the microphone was not read in time {overruns} times: words may lack"))
    }
}

/// The task's side.
struct Listener {
    microphone: Microphone,
    intake: Intake,
    mouth: Option<Mouth>,
    session: SessionHandle,
    /// On which goes what was sent.
    tape: Tape,
    state: watch::Sender<State>,
}

impl Listener {
    async fn run(mut self, mut keys: mpsc::Receiver<Key>) -> Result<(), DeviceError> {
        // What was heard before there was a session.
        self.microphone.clear();
        loop {
            let is_open = tokio::select! {
                Some(key) = keys.recv() => self.on_key(key).await,
                chunk = self.microphone.next() => self.on_chunk(chunk?).await,
            };
            if !is_open {
                return Ok(());
            }
        }
    }

    /// Tells whether the session goes on.
    async fn on_key(&mut self, key: Key) -> bool {
        match key {
            Key::Down if self.intake.press() => self.barge_in().await,
            Key::Up if self.intake.release() => self.session.send_audio(Bytes::new(), true).await.is_ok(),
            Key::Mute => {
                self.intake.set_muted(!self.intake.is_muted());
                true
            }
            Key::Down | Key::Up => true,
        }
    }

    async fn on_chunk(&mut self, chunk: Chunk) -> bool {
        let played = self.mouth.as_ref().map_or(0.0, Mouth::loudness);
        let level = chunk.level;
        let passed = self.intake.take(Instant::now(), chunk, played);
        if passed.barge_in && !self.barge_in().await {
            return false;
        }
        for audio in passed.audio {
            if self.session.send_audio(audio.clone(), false).await.is_err() {
                return false;
            }
            self.tape.user(&audio);
        }
        self.state.send_replace(State {
            overruns: self.microphone.overruns(),
            dropped: self.microphone.dropped(),
            level: MicrophoneLevel {
                level,
                is_muted: self.intake.is_muted(),
                is_open: self.intake.is_open(),
                has_key: self.intake.has_key(),
            },
        });
        true
    }

    /// The user cuts in on the assistant.
    async fn barge_in(&self) -> bool {
        match &self.mouth {
            Some(mouth) => {
                mouth.barge_in().await;
                true
            }
            None => self.session.interrupt().await.is_ok(),
        }
    }
}
