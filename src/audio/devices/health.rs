//! How a stream is doing, as its device tells.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpal::ErrorKind;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a device may neither give nor take sound after an error: sound systems report some while they start.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it may do so without one: libpulse hangs when its server was killed.
const SILENCE: Duration = Duration::from_secs(5);

/// What the device's thread tells the owner of a stream.
#[derive(Debug)]
pub(super) struct Health {
    started: Instant,
    /// The first error that may pass.
    error: OnceLock<String>,
    /// The device said that it is gone, whatever comes.
    gone: OnceLock<String>,
    /// When it last gave or took sound, in milliseconds from the start.
    worked_at: AtomicU64,
    /// Times at which the device had to be waited for, or the other way round.
    xruns: AtomicU64,
    /// Wakes the owner, if it waits.
    wake: Notify,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            error: OnceLock::new(),
            gone: OnceLock::new(),
            worked_at: AtomicU64::new(0),
            xruns: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    /// The device gave or took sound.
    pub(super) fn on_sound(&self) {
        self.worked_at.store(self.millis(), Ordering::Relaxed);
    }

    pub(super) fn on_error(&self, error: &cpal::Error) {
        match error.kind() {
            ErrorKind::Xrun => {
                self.xruns.fetch_add(1, Ordering::Relaxed);
            }
            // The stream goes on: elsewhere, or without priority.
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated => {
                let _ = self.gone.set(error.to_string());
                self.wake();
            }
            _ => {
                let _ = self.error.set(error.to_string());
                self.wake();
            }
        }
    }

    /// Why the device does not work any more, if so.
    pub(super) fn lost(&self) -> Option<&str> {
        let worked_at = Duration::from_millis(self.worked_at.load(Ordering::Relaxed));
        let silence = self.started.elapsed().saturating_sub(worked_at);
        let error = self.error.get().filter(|_| silence >= PATIENCE);
        let hangs = (silence >= SILENCE).then_some("the sound system does not answer any more");
        self.gone.get().or(error).map(String::as_str).or(hangs)
    }

    /// Whether it gave up after an error, though the device never said that it is gone.
    pub(super) fn is_stuck(&self) -> bool {
        self.gone.get().is_none() && self.error.get().is_some()
    }

    /// Whether it ever gave or took sound.
    pub(super) fn has_worked(&self) -> bool {
        self.worked_at.load(Ordering::Relaxed) > 0
    }

    pub(super) fn xruns(&self) -> u64 {
        self.xruns.load(Ordering::Relaxed)
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something to look at, or it is time to look.
    pub(super) async fn woken(&self) {
        let _ = timeout(PATIENCE, self.wake.notified()).await;
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
