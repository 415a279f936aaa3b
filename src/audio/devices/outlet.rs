//! The stream of a speaker, which is opened again where it got stuck.
//!
//! ALSA's plugin for PulseAudio may answer with nothing but I/O errors once it was short of sound (alsa-plugins, issue 65):
//! a new stream gets over that.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cpal::{SampleFormat, StreamConfig};

use super::health::Health;
use super::player::Output;
use super::stream::{Opening, Running};

/// How long it may take to end a stream and open the next.
const LIMIT: Duration = Duration::from_secs(6);
/// Streams in a row that get stuck before they take any sound.
const ATTEMPTS: u32 = 5;

/// How a stream is opened, and what it plays.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) device: cpal::Device,
    pub(super) config: StreamConfig,
    pub(super) samples: SampleFormat,
    pub(super) output: Arc<Mutex<Output>>,
}

impl Source {
    fn open(&self) -> Result<(Running, Arc<Health>), cpal::Error> {
        let health = Arc::new(Health::new());
        let opening = Opening {
            device: &self.device,
            config: self.config,
            samples: self.samples,
            health: &health,
        };
        let output = Arc::clone(&self.output);
        // Nobody else has it, unless a stream that was given up still moves: then that one plays.
        let stream = opening.output(move |out, at| match output.try_lock() {
            Ok(mut output) => output.fill(out, at),
            Err(_) => out.fill(0.0),
        })?;
        Ok((stream, health))
    }
}

/// A stream that plays as long as this is here.
pub(super) struct Outlet {
    source: Source,
    state: State,
    /// Streams in a row that got stuck before they took any sound.
    stuck: u32,
    /// Gaps that former streams told of.
    xruns: u64,
}

enum State {
    Running(Option<Running>, Arc<Health>),
    Opening {
        since: Instant,
        /// Why the last stream was given up.
        cause: String,
        opened: Receiver<Result<(Running, Arc<Health>), cpal::Error>>,
    },
}

impl Outlet {
    /// Blocks until the device is open.
    pub(super) fn open(source: Source) -> Result<Self, cpal::Error> {
        let (stream, health) = source.open()?;
        Ok(Self {
            source,
            state: State::Running(Some(stream), health),
            stuck: 0,
            xruns: 0,
        })
    }

    /// Looks after the stream.
    ///
    /// # Errors
    /// Why the device does not work any more.
    pub(super) fn advance(&mut self) -> Result<(), String> {
        match &mut self.state {
            State::Running(stream, health) => {
                let Some(cause) = health.lost().map(str::to_owned) else {
                    return Ok(());
                };
                self.stuck = if health.has_worked() { 0 } else { self.stuck + 1 };
                if !health.is_stuck() || self.stuck >= ATTEMPTS {
                    return Err(cause);
                }
                self.xruns += health.xruns();
                let stream = stream.take();
                self.open_again(stream, cause)
            }
            State::Opening { since, cause, opened } => match opened.try_recv() {
                Ok(Ok((stream, health))) => {
                    self.state = State::Running(Some(stream), health);
                    Ok(())
                }
                Err(TryRecvError::Empty) if since.elapsed() < LIMIT => Ok(()),
                _ => Err(cause.clone()),
            },
        }
    }

    /// Elsewhere, as it may take long.
    fn open_again(&mut self, stuck: Option<Running>, cause: String) -> Result<(), String> {
        let (sender, opened) = sync_channel(1);
        let source = self.source.clone();
        let opening = std::thread::Builder::new()
            .name("device-open".into())
            .spawn(move || {
                drop(stuck);
                let _ = sender.send(source.open());
            });
        if opening.is_err() {
            return Err(cause);
        }
        self.state = State::Opening {
            since: Instant::now(),
            cause,
            opened,
        };
        Ok(())
    }

    pub(super) fn xruns(&self) -> u64 {
        match &self.state {
            State::Running(_, health) => self.xruns + health.xruns(),
            State::Opening { .. } => self.xruns,
        }
    }
}
