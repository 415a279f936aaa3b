//! What the user said, in words.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::timeout;

use crate::protocol::{ApiError, AudioFormat, Id};

/// How long a transcription may take. Answers wait for it, since a brain answers what it understood.
const TRANSCRIPTION_TIMEOUT: Duration = Duration::from_secs(30);

/// What a [`Transcriber`] works at: the words of the speech, or why there are none, which the client is told in an
/// `input_audio_transcription.failed`.
pub type Transcription = Pin<Box<dyn Future<Output = Result<String, ApiError>> + Send>>;

/// Makes words of speech, for all sessions of a server.
pub trait Transcriber: Send + Sync {
    /// Starts on the audio of one turn. Must not block; the future is dropped when its session ends, or when it takes
    /// longer than 30 seconds.
    fn transcribe(&self, speech: Speech) -> Transcription;
}

/// The audio of one turn of the user.
#[derive(Debug, Clone)]
pub struct Speech {
    /// Sound in the format.
    pub audio: Bytes,
    /// How the sound is encoded.
    pub format: AudioFormat,
}

impl Speech {
    /// How long it lasts, in whole milliseconds.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.format.millis(self.audio.len() as u64))
    }
}

/// Tells how long the speech was, as it understands nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stopwatch;

impl Transcriber for Stopwatch {
    fn transcribe(&self, speech: Speech) -> Transcription {
        let words = format!("{:.1} seconds of audio", speech.duration().as_secs_f64());
        Box::pin(std::future::ready(Ok(words)))
    }
}

/// Speech that is being made into words, oldest first.
#[derive(Default)]
pub(super) struct Hearings(VecDeque<Hearing>);

struct Hearing {
    heard: Heard,
    work: Transcription,
}

/// What is known of speech before its words are.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// The user's item.
    pub(super) item_id: Id,
    /// How long the speech lasts.
    pub(super) duration: Duration,
    /// Whether the client is told the words, or only the brain.
    pub(super) is_shown: bool,
}

impl Hearings {
    pub(super) fn push(&mut self, heard: Heard, mut work: Transcription) {
        // What is known at once needs no timer.
        let work = match work.as_mut().now_or_never() {
            Some(words) => Box::pin(ready(words)),
            None => within_limit(work),
        };
        self.0.push_back(Hearing { heard, work });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits for the words of the oldest speech; for ever where there is none.
    pub(super) async fn next(&mut self) -> (Heard, Result<String, ApiError>) {
        let Some(oldest) = self.0.front_mut() else {
            return pending().await;
        };
        let words = oldest.work.as_mut().await;
        let heard = oldest.heard.clone();
        self.0.pop_front();
        (heard, words)
    }

    /// The words of the oldest speech, if they are known already.
    pub(super) fn ready(&mut self) -> Option<(Heard, Result<String, ApiError>)> {
        if self.is_empty() {
            return None;
        }
        self.next().now_or_never()
    }
}

fn within_limit(work: Transcription) -> Transcription {
    Box::pin(async {
        timeout(TRANSCRIPTION_TIMEOUT, work).await.unwrap_or_else(|_| {
            Err(ApiError {
                kind: "server_error".into(),
                message: format!(
                    "The transcription took longer than {} s.",
                    TRANSCRIPTION_TIMEOUT.as_secs()
                ),
                ..ApiError::default()
            })
        })
    })
}
