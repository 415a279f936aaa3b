//! How a stream is doing, as its device tells.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpal::ErrorKind;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a device may fail without interruption: sound systems report errors while they start or change over.
const PATIENCE: Duration = Duration::from_secs(1);
/// Milliseconds that stand for a device that does not fail.
const WORKS: u64 = u64::MAX;

/// What the device's thread tells the owner of a stream.
#[derive(Debug)]
pub(super) struct Health {
    started: Instant,
    /// The last error.
    error: OnceLock<String>,
    /// The device said that it is gone, whatever comes.
    gone: OnceLock<String>,
    /// When it began to fail, in milliseconds from the start, unless it has worked since.
    fails_since: AtomicU64,
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
            fails_since: AtomicU64::new(WORKS),
            xruns: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    /// The device gave or took sound.
    pub(super) fn on_sound(&self) {
        self.fails_since.store(WORKS, Ordering::Relaxed);
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
                self.fails_since.fetch_min(self.millis(), Ordering::Relaxed);
                self.wake();
            }
        }
    }

    /// Why the device does not work any more, if so.
    pub(super) fn lost(&self) -> Option<&str> {
        let fails_since = self.fails_since.load(Ordering::Relaxed);
        let fails = self.millis().saturating_sub(fails_since) >= PATIENCE.as_millis() as u64;
        let error = self.error.get().filter(|_| fails);
        self.gone.get().or(error).map(String::as_str)
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
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(WORKS)
    }
}
