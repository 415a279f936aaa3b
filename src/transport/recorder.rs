//! Writes down what goes over a connection, in a thread of its own.
//!
//! The connection only puts its frames, which it shares and does not copy, into a queue. Reading them, taking credentials
//! out and writing is the thread's work. The queue is bounded: frames for which it has no room are dropped and counted,
//! and a row says where they are missing.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::Bytes;

use super::{CloseReason, Endpoint};
use crate::recording::{Ending, Entry, Frame, Row, Side, leave_out_audio};
use crate::scrub::Scrub;

/// Bytes of frames that may wait.
const MAX_WAITING_BYTES: usize = 32 << 20;
/// Frames that may wait: small ones may keep more in memory than their own bytes.
const MAX_WAITING: usize = 16 << 10;
/// How long the end waits for what is not yet written.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

/// Records one session in a file, in the format of [`crate::recording`]. Cheap to clone; all clones write to the same
/// file. Credentials never get into it.
///
/// ```
/// # use realtime_run::agent::{Agent, Agents};
/// # use realtime_run::session::Session;
/// # use realtime_run::simulator::Simulator;
/// # use realtime_run::transport::{Endpoint, Recorder};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let simulator = Simulator::bind(("127.0.0.1", 0)).await?;
/// # let endpoint = Endpoint::new(&simulator.url())?;
/// # let agents = Agents::new(Agent::new("Assistant"));
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("session.jsonl");
/// let recorder = Recorder::create(&path, true)?;
/// let session = Session::builder(agents).endpoint(endpoint).record(recorder.clone()).connect().await?;
/// session.close().await;
/// let recorded = recorder.finish();
/// assert!(recorded.frames > 0 && recorded.is_complete());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Recorder(Arc<Owner>);

/// What all clones share. The thread does not, so that it ends when they are gone.
struct Owner(Arc<Shared>);

/// What became of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Frames in the file.
    pub frames: u64,
    /// Frames that are missing from it.
    pub dropped: u64,
    /// Why the file took no more, if it did not.
    pub error: Option<String>,
}

impl Recorded {
    /// Whether the file holds all there was.
    pub fn is_complete(&self) -> bool {
        self.dropped == 0 && self.error.is_none()
    }
}

struct Shared {
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

struct Waiting {
    at: Duration,
    what: What,
    /// Takes the connection's credentials out.
    scrub: Arc<Scrub>,
}

enum What {
    /// A frame, not looked at yet.
    Frame(Side, Bytes),
    /// What the recorder itself says.
    Own(Entry),
}

impl Recorder {
    /// Makes the file, over one of the same name, and starts the thread that writes it. Without `audio`, sound is
    /// replaced by a note of its length.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn create(path: impl AsRef<Path>, audio: bool) -> io::Result<Self> {
        Self::over(File::create(path)?, audio)
    }

    fn over(mut output: impl Write + Send + 'static, audio: bool) -> io::Result<Self> {
        let started = Row {
            at: None,
            entry: Entry::Started {
                program: concat!("realtime-run/", env!("CARGO_PKG_VERSION")).to_owned(),
                started_at: jiff::Timestamp::now().to_string(),
                audio,
            },
        };
        output.write_all((started.to_line() + "\n").as_bytes())?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            done: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || of_thread.run(&mut output, audio))?;
        Ok(Self(Arc::new(Owner(shared))))
    }

    /// Ends the recording: waits until all is written, for two seconds at the most.
    pub fn finish(&self) -> Recorded {
        let shared = self.shared();
        shared.end();
        let (mut state, _) = shared
            .done
            .wait_timeout_while(shared.state(), FINISH_LIMIT, |state| !state.done)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.done {
            state
                .error
                .get_or_insert_with(|| "it is not written in time".to_owned());
        }
        Recorded {
            frames: state.frames,
            dropped: state.dropped,
            error: state.error.clone(),
        }
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }

    /// Begins to record a connection, which is open now.
    pub(super) fn tap(&self, endpoint: &Endpoint, model: &str) -> Tap {
        let tap = Tap {
            recorder: self.clone(),
            scrub: Arc::new(endpoint.scrubber()),
            opened: Instant::now(),
            is_over: false,
        };
        tap.own(Entry::Opened {
            host: endpoint.host(),
            model: model.to_owned(),
        });
        tap
    }

    /// Writes down that no connection came about.
    pub(super) fn failed(&self, endpoint: &Endpoint, reason: &str) {
        let scrub = endpoint.scrubber();
        let entry = Entry::Failed {
            reason: scrub.clean_words(reason),
        };
        self.shared().push(Waiting {
            at: Duration::ZERO,
            what: What::Own(entry),
            scrub: Arc::new(scrub),
        });
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Where one connection tells what goes over it.
#[derive(Debug)]
pub(super) struct Tap {
    recorder: Recorder,
    scrub: Arc<Scrub>,
    opened: Instant,
    /// The end has been told; nothing after it counts.
    is_over: bool,
}

impl Tap {
    pub(super) fn frame(&self, from: Side, payload: Bytes) {
        if !self.is_over {
            self.push(What::Frame(from, payload));
        }
    }

    /// Tells how the connection ended, and who ended it; only the first time counts.
    pub(super) fn closed(&mut self, by: Option<Side>, close: &CloseReason) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.own(Entry::Closed(Ending {
                by,
                code: close.code,
                reason: self.scrub.clean_words(&close.reason),
            }));
        }
    }

    fn own(&self, entry: Entry) {
        self.push(What::Own(entry));
    }

    fn push(&self, what: What) {
        self.recorder.shared().push(Waiting {
            at: self.opened.elapsed(),
            what,
            scrub: Arc::clone(&self.scrub),
        });
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let reason = CloseReason::lost("the client left without closing");
        self.closed(Some(Side::Client), &reason);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in line, if there is room; never waits for the file.
    fn push(&self, waiting: Waiting) {
        let mut state = self.state();
        let size = waiting.size();
        let is_full = state.waiting.len() >= MAX_WAITING
            || (state.bytes > 0 && size > 0 && state.bytes + size > MAX_WAITING_BYTES);
        if state.over || state.error.is_some() || (is_full && size > 0) {
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

    fn end(&self) {
        self.state().over = true;
        self.wake.notify_one();
    }

    fn run(&self, output: &mut impl Write, audio: bool) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A file that the test holds up, and reads.
    struct File {
        /// One message lets one write through; when the sender is gone, all go through.
        gate: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
        /// Bytes it takes in all.
        room: usize,
    }

    impl Write for File {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            let mut written = self.written.lock().unwrap();
            let room = (self.room - written.len()).min(bytes.len());
            if room == 0 {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            written.extend_from_slice(&bytes[..room]);
            Ok(room)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A recorder, its tap, what holds up its file, and what is in that.
    fn recording(room: usize) -> (Recorder, Tap, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (sender, gate) = mpsc::channel();
        let written = Arc::default();
        let file = File {
            gate,
            written: Arc::clone(&written),
            room,
        };
        // The first row is written at once.
        sender.send(()).unwrap();
        let recorder = Recorder::over(file, true).unwrap();
        let tap = recorder.tap(&Endpoint::new("ws://h").unwrap(), "m");
        (recorder, tap, sender, written)
    }

    fn entries(written: &Mutex<Vec<u8>>) -> Vec<Entry> {
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        written
            .lines()
            .map(|line| Row::from_line(line).unwrap().entry)
            .collect()
    }

    fn frames(entries: &[Entry]) -> u64 {
        entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Frame { .. }))
            .count() as u64
    }

    #[test]
    fn a_slow_file_holds_up_nobody_and_what_is_missing_is_counted_and_noted() {
        let (recorder, mut tap, gate, written) = recording(usize::MAX);
        let more_than_fits = 3 * MAX_WAITING as u64;
        for _ in 0..more_than_fits {
            tap.frame(Side::Server, Bytes::from_static(b"{}"));
        }
        drop(gate);
        tap.closed(Some(Side::Server), &CloseReason::from_frame(None));
        let recorded = recorder.finish();
        assert!(!recorded.is_complete());
        assert!(recorded.dropped > 0 && recorded.error.is_none(), "{recorded:?}");
        assert_eq!(recorded.frames + recorded.dropped, more_than_fits);
        let entries = entries(&written);
        assert_eq!(frames(&entries), recorded.frames);
        let gaps = entries.iter().filter_map(|entry| match entry {
            Entry::Gap { frames } => Some(*frames),
            _ => None,
        });
        assert_eq!(gaps.sum::<u64>(), recorded.dropped);
        assert!(matches!(entries.last(), Some(Entry::Closed(_))));
    }

    #[test]
    fn large_frames_are_bounded_by_their_bytes() {
        let (recorder, tap, _gate, _) = recording(usize::MAX);
        let large = Bytes::from(vec![b'x'; MAX_WAITING_BYTES / 2]);
        for _ in 0..5 {
            tap.frame(Side::Server, large.clone());
        }
        assert_eq!(recorder.shared().state().dropped, 3);
    }

    #[test]
    fn a_full_disk_ends_the_recording_and_is_told() {
        let (recorder, tap, gate, _) = recording(400);
        drop(gate);
        for _ in 0..100 {
            tap.frame(Side::Client, Bytes::from_static(br#"{"type":"response.create"}"#));
        }
        let recorded = recorder.finish();
        assert_eq!(recorded.frames + recorded.dropped, 100);
        assert!(recorded.error.is_some(), "{recorded:?}");
    }

    #[test]
    fn a_file_that_takes_nothing_is_told_at_once() {
        let (_, gate) = mpsc::channel();
        let file = File {
            gate,
            written: Arc::default(),
            room: 0,
        };
        assert!(Recorder::over(file, true).is_err());
    }

    #[test]
    fn a_connection_that_is_dropped_has_its_end_recorded() {
        let (recorder, tap, gate, written) = recording(usize::MAX);
        drop(gate);
        drop(tap);
        assert!(recorder.finish().is_complete());
        let left = Entry::Closed(Ending {
            by: Some(Side::Client),
            code: 1006,
            reason: "the client left without closing".into(),
        });
        assert_eq!(entries(&written).last(), Some(&left));
    }
}
