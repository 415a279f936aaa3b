//! How a stream is doing, as its device tells.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cpal::ErrorKind;
use tokio::sync::Notify;

/// What the device's thread tells the owner of a stream.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the device does not work any more.
    lost: OnceLock<String>,
    /// Times at which the device had to be waited for, or the other way round.
    xruns: AtomicU64,
    /// Wakes the owner, if it waits.
    wake: Notify,
}

impl Health {
    pub(super) fn on_error(&self, error: &cpal::Error) {
        match error.kind() {
            ErrorKind::Xrun => {
                self.xruns.fetch_add(1, Ordering::Relaxed);
            }
            // The stream goes on: elsewhere, or without priority.
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            _ => {
                let _ = self.lost.set(error.to_string());
                self.wake();
            }
        }
    }

    /// Why the device does not work any more, if so.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    pub(super) fn xruns(&self) -> u64 {
        self.xruns.load(Ordering::Relaxed)
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}
