//! What a run's sound is noted on: a queue to the thread that writes it, which never makes anybody wait.
//!
//! What waits in it, and what has come and is not heard yet, is bounded; beyond that sound is left out, counted and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use bytes::Bytes;
use realtime_run::protocol::Id;
use realtime_run::session::SessionEvent;

use crate::cli::output::{Output, Stream};

/// The most sound that waits to be written or heard, in bytes: more than twenty minutes at 24 kHz.
const MOST: u64 = 64 << 20;

/// Takes note of what sounds, if that is wanted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    /// The thread that writes files, if any are wanted.
    keeper: Option<mpsc::Sender<Heard>>,
    /// Bytes that are on their way to a file.
    waiting: Arc<AtomicU64>,
    /// Bytes that there was no room for.
    left_out: Arc<AtomicU64>,
    /// Where raw sound goes, if it is wanted.
    stdout: Option<Output>,
}

/// What happened, and when.
#[derive(Debug)]
pub struct Heard {
    pub at: Instant,
    pub what: Sound,
}

#[derive(Debug)]
pub enum Sound {
    /// The session can be used: time begins.
    Begin,
    /// The user says or writes something new; `fast` sound does not wait until the answers before have been heard.
    Turn { fast: bool },
    /// Sound of the user, sent.
    User(Bytes),
    /// The server heard the user begin to speak.
    Speech { start_ms: Option<u64> },
    /// The assistant answers.
    Answer,
    /// Sound of an answer, received.
    Assistant {
        item_id: Id,
        content_index: u32,
        audio: Bytes,
    },
    /// An answer is cut off.
    Cut {
        item_id: Id,
        content_index: u32,
        played_ms: u64,
    },
    /// Nothing more comes.
    End,
}

impl Tape {
    /// For the thread that takes off `waiting` what it has written, and for stdout.
    pub fn new(keeper: Option<mpsc::Sender<Heard>>, waiting: Arc<AtomicU64>, stdout: Option<Output>) -> Self {
        Self {
            keeper,
            waiting,
            left_out: Arc::default(),
            stdout,
        }
    }

    /// The session has told of something.
    pub fn event(&self, event: &SessionEvent) {
        let what = match event {
            SessionEvent::SessionStart { .. } => Sound::Begin,
            SessionEvent::SpeechStarted { audio_start_ms, .. } => Sound::Speech {
                start_ms: *audio_start_ms,
            },
            SessionEvent::AgentStart { .. } => Sound::Answer,
            SessionEvent::Audio {
                item_id,
                content_index,
                audio,
            } => {
                if let Some(stdout) = &self.stdout {
                    stdout.bytes(Stream::Stdout, audio);
                }
                Sound::Assistant {
                    item_id: item_id.clone(),
                    content_index: *content_index,
                    audio: audio.clone(),
                }
            }
            SessionEvent::AudioInterrupted {
                item_id,
                content_index,
                played_ms,
            } => Sound::Cut {
                item_id: item_id.clone(),
                content_index: *content_index,
                played_ms: *played_ms,
            },
            _ => return,
        };
        self.note(what);
    }

    /// The user says or writes something new from now on. Sound that is sent as fast as the server takes it does not wait
    /// until the answers before have been heard; on the time line it does.
    pub fn turn(&self, fast: bool) {
        self.note(Sound::Turn { fast });
    }

    /// A chunk of the user's sound was sent right now.
    pub fn user(&self, audio: &Bytes) {
        self.note(Sound::User(audio.clone()));
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.note(Sound::End);
    }

    /// Bytes that there was no room for up to now.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    fn note(&self, what: Sound) {
        let Some(keeper) = &self.keeper else { return };
        let bytes = what.bytes();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        if bytes > 0 && waiting + bytes > MOST {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.left_out.fetch_add(bytes, Ordering::Relaxed);
            return;
        }
        let at = Instant::now();
        // The thread ends after this side does.
        let _ = keeper.send(Heard { at, what });
    }
}

impl Sound {
    /// How much it holds.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::User(audio) | Self::Assistant { audio, .. } => audio.len() as u64,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_left_out_and_counted() {
        let (keeper, notes) = mpsc::channel();
        let tape = Tape {
            keeper: Some(keeper),
            ..Tape::default()
        };
        let megabyte = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..67 {
            tape.user(&megabyte);
        }
        assert_eq!(tape.left_out(), 3 << 20);
        tape.turn(false);
        assert_eq!(
            notes.try_iter().count(),
            64 + 1,
            "what is no sound always has room"
        );
    }
}
