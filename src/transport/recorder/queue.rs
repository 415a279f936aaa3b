use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_tungstenite::tungstenite::Bytes;

use super::Recorded;
use crate::recording::{Entry, Frame, Row, Side, leave_out_audio};
use crate::scrub::Scrub;

/// Bytes of frames that may wait.
pub(super) const MAX_WAITING_BYTES: usize = 32 << 20;
/// Frames that may wait: small ones may keep more in memory than their own bytes.
pub(super) const MAX_WAITING: usize = 16 << 10;
/// The way from connections to the thread that writes.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Calls the thread.
    wake: Condvar,
    /// Tells that the thread has ended.
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Bytes of the frames that wait or are being written.
    bytes: usize,
    frames: u64,
    dropped: u64,
    /// Of those, the ones of which no row tells yet.
    gap: u64,
    error: Option<String>,
    /// Nothing more comes.
    over: bool,
    /// The thread has ended.
    done: bool,
}

/// What is to become a row.
pub(super) struct Waiting {
    pub(super) at: Duration,
    pub(super) what: What,
    /// Takes the connection's credentials out.
    pub(super) scrub: Arc<Scrub>,
}

pub(super) enum What {
    /// A frame, not looked at yet.
    Frame(Side, Bytes),
    /// What the recorder itself says.
    Own(Entry),
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in line, if there is room; never waits for the file.
    pub(super) fn push(&self, waiting: Waiting) {
        let mut state = self.state();
        let size = waiting.size();
        let is_full =
            state.waiting.len() >= MAX_WAITING || (state.bytes > 0 && state.bytes + size > MAX_WAITING_BYTES);
        // Of the recorder's own there is little, and nothing else tells it.
        let has_room = !is_full || matches!(waiting.what, What::Own(_));
        if state.over || state.error.is_some() || !has_room {
            return state.lose(waiting.frames());
        }
        if state.gap > 0 {
            let gap = state.take_gap(&waiting);
            state.waiting.push_back(gap);
        }
        state.bytes += size;
        state.waiting.push_back(waiting);
        self.wake.notify_one();
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        self.state().over = true;
        self.wake.notify_one();
    }

    /// Waits until all is written, but not for ever.
    pub(super) fn finished(&self, limit: Duration) -> Recorded {
        let (state, _) = self
            .done
            .wait_timeout_while(self.state(), limit, |state| !state.done)
            .unwrap_or_else(PoisonError::into_inner);
        let too_late = || "it is not written in time".to_owned();
        Recorded {
            frames: state.frames,
            dropped: state.dropped,
            error: state.error.clone().or_else(|| (!state.done).then(too_late)),
        }
    }

    /// Writes what comes until the end.
    pub(super) fn run(&self, output: &mut impl Write, audio: bool) {
        loop {
            let batch = self.next_batch();
            if batch.is_empty() {
                break;
            }
            let (bytes, frames) = batch.iter().fold((0, 0), |(bytes, frames), waiting| {
                (bytes + waiting.size(), frames + waiting.frames())
            });
            let mut lines = Vec::new();
            for waiting in batch {
                lines.extend_from_slice(waiting.into_row(audio).to_line().as_bytes());
                lines.push(b'\n');
            }
            // Lines leave whole, and nothing is kept back: whatever ends the program, the file can be read.
            let written = output.write_all(&lines).and_then(|()| output.flush());
            let mut state = self.state();
            state.bytes -= bytes;
            match written {
                Ok(()) => state.frames += frames,
                Err(error) => {
                    tracing::warn!(%error, "the recording ends: its file takes no more");
                    state.error = Some(error.to_string());
                    let left: u64 = state.waiting.drain(..).map(|waiting| waiting.frames()).sum();
                    state.lose(frames + left);
                    break;
                }
            }
        }
        self.state().done = true;
        self.done.notify_all();
    }

    /// Waits for what comes; empty at the end.
    fn next_batch(&self) -> VecDeque<Waiting> {
        let is_idle = |state: &mut State| state.waiting.is_empty() && !state.over;
        let mut state = self
            .wake
            .wait_while(self.state(), is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.waiting)
    }
}

impl State {
    fn lose(&mut self, frames: u64) {
        self.dropped += frames;
        self.gap += frames;
    }

    /// The row that tells of frames lost before this one.
    fn take_gap(&mut self, next: &Waiting) -> Waiting {
        Waiting {
            at: next.at,
            what: What::Own(Entry::Gap {
                frames: std::mem::take(&mut self.gap),
            }),
            scrub: Arc::clone(&next.scrub),
        }
    }
}

impl Waiting {
    fn size(&self) -> usize {
        match &self.what {
            What::Frame(_, payload) => payload.len(),
            What::Own(_) => 0,
        }
    }

    fn frames(&self) -> u64 {
        match self.what {
            What::Frame(..) => 1,
            What::Own(_) => 0,
        }
    }

    fn into_row(self, audio: bool) -> Row {
        let entry = match self.what {
            What::Own(entry) => entry,
            What::Frame(from, payload) => Entry::Frame {
                from,
                frame: clean(Frame::read(&payload), &self.scrub, audio),
            },
        };
        Row {
            at: Some(self.at),
            entry,
        }
    }
}

/// A frame as it may be kept.
fn clean(frame: Frame, scrub: &Scrub, audio: bool) -> Frame {
    match frame {
        Frame::Event(mut event) => {
            scrub.clean_fields(&mut event);
            if !audio {
                leave_out_audio(&mut event);
            }
            Frame::Event(event)
        }
        Frame::Text(text) => Frame::Text(scrub.clean_words(&text)),
        Frame::Binary(bytes) => match String::from_utf8_lossy(&bytes) {
            // Nothing else can be taken out of what is no text.
            text if scrub.is_quoted_in(&text) => Frame::Text(scrub.clean_words(&text)),
            _ => Frame::Binary(bytes),
        },
    }
}
