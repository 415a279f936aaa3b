//! All events of all sessions in one file, for whoever wants to see what went on.
//!
//! Sessions only put copies of their frames into a queue; a thread reads them, takes credentials out and writes. The queue
//! is bounded: what it has no room for is dropped and counted, so that a slow disk holds up no session.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::protocol::Id;
use crate::scrub::Scrub;

/// Bytes of frames that may wait.
const MAX_WAITING_BYTES: usize = 32 << 20;
/// Frames that may wait: small ones keep more in memory than their own bytes.
const MAX_WAITING: usize = 16 << 10;
/// How long the end waits for what is not yet written.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

/// Writes what clients and the server say, one JSON object a line: `time` (RFC 3339), `session`, `from` (`client` or
/// `server`), and `event`, or `text` for what is no JSON object, or `bytes` for the length of a binary frame. A line
/// `{"dropped": 3}` tells where so many are missing. Keys and authorization never get into it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventLog(Arc<Queue>);

/// What became of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Events in the file.
    pub written: u64,
    /// Events that are missing from it.
    pub dropped: u64,
    /// Why the file took no more, if it did not.
    pub error: Option<String>,
}

#[derive(Debug)]
struct Queue {
    /// None once the log is finished.
    rows: Mutex<Option<SyncSender<Row>>>,
    ended: Mutex<Receiver<Logged>>,
    counts: Arc<Counts>,
    /// Bytes that may wait.
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Events written and dropped, all in all.
    written: AtomicU64,
    dropped: AtomicU64,
}

struct Row {
    time: Timestamp,
    session: Option<Id>,
    from: From,
    frame: Frame,
}

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Server,
}

/// What a frame holds.
#[derive(Debug)]
pub(super) enum Frame {
    Text(String),
    /// So many bytes that are no text.
    Binary(usize),
}

impl EventLog {
    /// Makes the file, over one of the same name, and starts the thread that writes it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::over(File::create(path)?, MAX_WAITING_BYTES)
    }

    fn over(output: impl Write + Send + 'static, max_bytes: usize) -> io::Result<Self> {
        let (rows, waiting) = sync_channel(MAX_WAITING);
        let (end, ended) = sync_channel(1);
        let counts = Arc::new(Counts::default());
        let of_thread = Arc::clone(&counts);
        thread::Builder::new().name("event-log".into()).spawn(move || {
            let logged = Writer::new(output, &of_thread).run(&waiting);
            // Nobody may wait for it any more.
            let _ = end.send(logged);
        })?;
        Ok(Self(Arc::new(Queue {
            rows: Mutex::new(Some(rows)),
            ended: Mutex::new(ended),
            counts,
            max_bytes,
        })))
    }

    /// Puts a frame in line, if there is room.
    pub(super) fn record(&self, session: Option<&Id>, from: From, frame: Frame) {
        let Queue {
            rows,
            counts,
            max_bytes,
            ..
        } = &*self.0;
        let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = &*rows else { return };
        let bytes = frame.bytes();
        let row = Row {
            time: Timestamp::now(),
            session: session.cloned(),
            from,
            frame,
        };
        let waiting = counts.waiting.fetch_add(bytes, Ordering::Relaxed);
        if waiting.saturating_add(bytes) > *max_bytes || rows.try_send(row).is_err() {
            counts.waiting.fetch_sub(bytes, Ordering::Relaxed);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the log: waits until all is written, for two seconds at the most. What comes later is not written.
    pub fn finish(&self) -> Logged {
        let Queue {
            rows, ended, counts, ..
        } = &*self.0;
        drop(rows.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(FINISH_LIMIT).unwrap_or_else(|_| Logged {
            error: Some("it could not be written in time".into()),
            ..counts.logged()
        })
    }
}

impl Counts {
    fn logged(&self) -> Logged {
        Logged {
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            error: None,
        }
    }
}

impl Frame {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(_) => 0,
        }
    }
}

/// The thread's side.
struct Writer<'a, W: Write> {
    output: BufWriter<W>,
    counts: &'a Counts,
    /// Dropped events of which a line tells already.
    told: u64,
    error: Option<String>,
}

impl<'a, W: Write> Writer<'a, W> {
    fn new(output: W, counts: &'a Counts) -> Self {
        Self {
            output: BufWriter::new(output),
            counts,
            told: 0,
            error: None,
        }
    }

    fn run(mut self, rows: &Receiver<Row>) -> Logged {
        loop {
            let row = match rows.try_recv() {
                Ok(row) => row,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    // Whoever follows the file sees all there is.
                    let flushed = self.output.flush();
                    self.note(flushed);
                    match rows.recv() {
                        Ok(row) => row,
                        Err(_) => break,
                    }
                }
            };
            self.counts
                .waiting
                .fetch_sub(row.frame.bytes(), Ordering::Relaxed);
            self.tell_dropped();
            let line = row.into_line();
            if self.write(&line) {
                self.counts.written.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.tell_dropped();
        let flushed = self.output.flush();
        self.note(flushed);
        Logged {
            error: self.error,
            ..self.counts.logged()
        }
    }

    fn tell_dropped(&mut self) {
        let dropped = self.counts.dropped.load(Ordering::Relaxed);
        if dropped > self.told {
            let line = json!({"dropped": dropped - self.told});
            self.told = dropped;
            self.write(&line);
        }
    }

    /// Whether it could be written.
    fn write(&mut self, line: &Value) -> bool {
        if self.error.is_some() {
            return false;
        }
        let written = writeln!(self.output, "{line}");
        self.note(written);
        self.error.is_none()
    }

    fn note(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.error.get_or_insert_with(|| error.to_string());
        }
    }
}

impl Row {
    fn into_line(self) -> Value {
        let (key, content) = match self.frame {
            Frame::Binary(bytes) => ("bytes", bytes.into()),
            Frame::Text(text) => match serde_json::from_str::<Map<_, _>>(&text) {
                Ok(mut event) => {
                    Scrub::default().clean_fields(&mut event);
                    ("event", Value::Object(event))
                }
                Err(_) => ("text", Scrub::default().clean_words(&text).into()),
            },
        };
        let from = match self.from {
            From::Client => "client",
            From::Server => "server",
        };
        json!({"time": self.time.to_string(), "session": self.session, "from": from, key: content})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the lines of a test go.
    #[derive(Clone, Default)]
    struct Sheet(Arc<Mutex<Vec<u8>>>);

    impl Write for Sheet {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sheet {
        fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }
    }

    fn text(text: &str) -> Frame {
        Frame::Text(text.to_owned())
    }

    #[test]
    fn both_sides_are_written_without_credentials() {
        let sheet = Sheet::default();
        let log = EventLog::over(sheet.clone(), MAX_WAITING_BYTES).unwrap();
        let session = Id::from("sess_1");
        let update = json!({"type": "session.update", "session": {"tools": [{
            "type": "mcp", "authorization": "planted-1", "headers": {"X-Key": "planted-2"},
        }]}});
        log.record(Some(&session), From::Client, text(&update.to_string()));
        log.record(Some(&session), From::Client, Frame::Binary(7));
        log.record(Some(&session), From::Client, text("no JSON, but sk-planted-3"));
        let error = json!({"type": "error", "error": {"message": "Incorrect API key provided: sk-p***."}});
        log.record(None, From::Server, text(&error.to_string()));
        assert_eq!(
            log.finish(),
            Logged {
                written: 4,
                dropped: 0,
                error: None
            }
        );
        log.record(None, From::Server, text("{}"));

        let lines = sheet.lines();
        assert_eq!(lines.len(), 4, "nothing is written later");
        assert!(!format!("{lines:?}").contains("planted"), "{lines:?}");
        assert_eq!(lines[0]["event"]["type"], "session.update");
        assert_eq!(
            (&lines[0]["session"], &lines[0]["from"]),
            (&json!("sess_1"), &json!("client"))
        );
        assert!(lines[0]["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert_eq!(
            (&lines[1]["bytes"], &lines[2]["text"]),
            (&json!(7), &json!("no JSON, but ***"))
        );
        assert_eq!(lines[3]["session"], Value::Null);
    }

    /// Takes nothing until it may.
    struct Stuck(Receiver<()>, Sheet);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the sender is gone it goes on at once.
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (let_go, stuck) = sync_channel(0);
        let sheet = Sheet::default();
        let log = EventLog::over(Stuck(stuck, sheet.clone()), 32 << 10).unwrap();
        let frame = format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 10));
        for _ in 0..100 {
            log.record(None, From::Client, text(&frame));
        }
        drop(let_go);
        let logged = log.finish();
        assert_eq!(logged.written + logged.dropped, 100, "{logged:?}");
        assert!((60..100).contains(&logged.dropped), "{logged:?}");
        let told = sheet
            .lines()
            .iter()
            .filter_map(|line| line["dropped"].as_u64())
            .sum::<u64>();
        assert_eq!(told, logged.dropped);
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no space"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_that_takes_no_more_is_told() {
        let log = EventLog::over(Full, MAX_WAITING_BYTES).unwrap();
        log.record(None, From::Client, text("{}"));
        assert_eq!(log.finish().error.as_deref(), Some("no space"));
    }
}
