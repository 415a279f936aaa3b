//! Writes down what goes over a connection, in a thread of its own.
//!
//! The connection only puts its frames, which it shares and does not copy, into a queue. Reading them, taking credentials
//! out and writing is the thread's work. The queue is bounded: frames for which it has no room are dropped and counted,
//! and a row says where they are missing.

mod queue;
mod tap;

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::queue::{Queue, Waiting, What};
pub(super) use self::tap::Tap;
use super::Endpoint;
use crate::recording::{Entry, Row};

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
struct Owner(Arc<Queue>);

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

impl Recorder {
    /// Makes the file, for its owner only, or writes over one of the same name; and starts the thread that writes it. Without `audio`, sound is
    /// replaced by a note of its length.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn create(path: impl AsRef<Path>, audio: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        Self::over(file, audio)
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
        let queue = Arc::new(Queue::default());
        let of_thread = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || of_thread.run(&mut output, audio))?;
        Ok(Self(Arc::new(Owner(queue))))
    }

    /// Ends the recording: waits until all is written, for two seconds at the most.
    pub fn finish(&self) -> Recorded {
        self.queue().end();
        self.queue().finished(FINISH_LIMIT)
    }

    fn queue(&self) -> &Queue {
        &self.0.0
    }

    /// Begins to record a connection, which is open now.
    pub(super) fn tap(&self, endpoint: &Endpoint, model: &str) -> Tap {
        Tap::new(self.clone(), endpoint, model)
    }

    /// Writes down that no connection came about.
    pub(super) fn failed(&self, endpoint: &Endpoint, reason: &str) {
        let scrub = endpoint.scrubber();
        let entry = Entry::Failed {
            reason: scrub.clean_words(reason),
        };
        self.queue().push(Waiting {
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

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::queue::{MAX_WAITING, MAX_WAITING_BYTES};
    use super::*;
    use crate::recording::{Ending, Side};
    use crate::transport::CloseReason;
    use std::sync::{Mutex, mpsc};
    use tokio_tungstenite::tungstenite::Bytes;

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
        assert_eq!(recorder.queue().finished(Duration::ZERO).dropped, 3);
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
