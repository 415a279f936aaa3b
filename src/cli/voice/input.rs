//! The one way of the user's sound to the session: a task that sends what a source gives, so that the conversation can wait for
//! other things.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use realtime_run::audio::Source;
use realtime_run::protocol::AudioFormat;
use realtime_run::session::SessionHandle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::tape::Tape;
use crate::cli::duration;

/// Sends one source at a time; dropping it ends the task.
#[derive(Debug)]
pub struct Sender {
    session: SessionHandle,
    format: AudioFormat,
    /// On which goes what is sent.
    tape: Tape,
    /// How long the server may keep a chunk waiting.
    patience: Duration,
    /// Bytes of all sources up to now.
    sent: Arc<AtomicU64>,
    task: Option<JoinHandle<Result<(), NotSent>>>,
}

/// Why a source was not sent to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It can't be read on; why.
    Unreadable(String),
    /// The server takes nothing more.
    Stuck(String),
}

impl Sender {
    pub fn new(session: SessionHandle, format: AudioFormat, patience: Duration, tape: Tape) -> Self {
        Self {
            session,
            format,
            tape,
            patience,
            sent: Arc::default(),
            task: None,
        }
    }

    /// Sends this source from now on, instead of what it was sending.
    pub fn start(&mut self, source: Source) {
        self.stop();
        let out = Outlet {
            session: self.session.clone(),
            tape: self.tape.clone(),
            patience: self.patience,
            sent: Arc::clone(&self.sent),
        };
        self.task = Some(tokio::spawn(out.send(source)));
    }

    /// Sends nothing more of what it was sending.
    pub fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// Waits until the source is sent to its end; for ever when nothing is being sent. Dropping the future loses nothing.
    pub async fn done(&mut self) -> Result<(), NotSent> {
        let Some(task) = &mut self.task else {
            return std::future::pending().await;
        };
        let result = task.await;
        self.task = None;
        // It is not stopped while someone waits for it.
        result.unwrap_or(Ok(()))
    }

    /// How much was sent up to now, as the server counts it.
    pub fn sent_ms(&self) -> u64 {
        self.format.millis(self.sent.load(Ordering::Relaxed))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The task's side.
struct Outlet {
    session: SessionHandle,
    tape: Tape,
    patience: Duration,
    sent: Arc<AtomicU64>,
}

impl Outlet {
    async fn send(self, mut source: Source) -> Result<(), NotSent> {
        while let Some(chunk) = source.next().await {
            let chunk = chunk.map_err(|error| NotSent::Unreadable(error.to_string()))?;
            match timeout(self.patience, self.session.send_audio(chunk.clone(), false)).await {
                Ok(Ok(())) => {
                    self.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    self.tape.user(&chunk);
                }
                // The session is over, which an event tells.
                Ok(Err(_)) => return Ok(()),
                Err(_) => {
                    let patience = duration::show(self.patience);
                    return Err(NotSent::Stuck(format!("the server took no sound for {patience}")));
                }
            }
        }
        Ok(())
    }
}
