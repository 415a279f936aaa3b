//! The way out: everything that is printed goes through one queue to a thread that writes it.
//!
//! The queue keeps stdout and stderr in the order in which they were written to, and keeps the run from hanging on
//! a reader that does not read: signals and time limits hold all the same. It is bounded: [`Output::room`] waits while
//! it is full, and log lines are dropped and counted. [`Output::finish`] ends the thread.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

/// Bytes that may wait before nothing more is asked for.
const FULL: usize = 256 << 10;
/// Bytes that may wait before lines of the log are dropped: less, so that they never hold up the run.
const FULL_FOR_LOGS: usize = FULL / 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn write(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
        }
    }

    pub fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }

    /// How many columns the terminal has, if it is one and says so.
    pub fn columns(self) -> Option<usize> {
        let size = match self {
            Self::Stdout => rustix::termios::tcgetwinsize(io::stdout()),
            Self::Stderr => rustix::termios::tcgetwinsize(io::stderr()),
        };
        size.ok()
            .map(|size| size.ws_col.into())
            .filter(|columns| *columns > 0)
    }
}

/// The way out; one for the whole program. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Output(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Calls the thread.
    wake: Condvar,
    /// Tells whoever waits that something was written.
    written: Condvar,
    /// The same for those who wait in async code.
    progress: watch::Sender<Progress>,
    /// Both streams end up in the same place, such as one terminal, so that a line left open on one is in the way of
    /// the other.
    same_place: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Piece>,
    bytes: usize,
    /// What the thread is writing right now.
    writing: Option<Stream>,
    /// The stream whose last line is not finished.
    open_line: Option<Stream>,
    /// A prompt has the terminal; what goes there waits.
    held: bool,
    dropped_logs: u64,
    over: bool,
}

#[derive(Debug)]
struct Piece {
    stream: Stream,
    text: Vec<u8>,
}

#[derive(Debug, Default)]
struct Progress {
    full: bool,
    /// Why stdout takes no more.
    stdout_gone: Option<io::ErrorKind>,
}

impl Output {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let output = Self(Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            written: Condvar::new(),
            progress: watch::Sender::default(),
            same_place: same_place(),
            thread: Mutex::default(),
        }));
        let writer = output.clone();
        let thread = std::thread::Builder::new()
            .name("output".into())
            .spawn(move || writer.run())?;
        *lock(&output.0.thread) = Some(thread);
        Ok(output)
    }

    /// Writes whole lines; `text` ends with a line break.
    pub fn lines(&self, stream: Stream, text: &str) {
        self.push_lines(&mut self.state(), stream, text);
    }

    /// Writes a part of a line.
    pub fn part(&self, stream: Stream, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut state = self.state();
        state.open_line = (!text.ends_with('\n')).then_some(stream);
        self.push(&mut state, stream, text.as_bytes());
    }

    /// Writes bytes that are no text.
    pub fn bytes(&self, stream: Stream, bytes: &[u8]) {
        self.push(&mut self.state(), stream, bytes);
    }

    /// Draws on stderr, and leaves it to whoever draws that lines which come between are whole.
    pub fn draw(&self, drawing: &str) {
        if !drawing.is_empty() {
            self.push(&mut self.state(), Stream::Stderr, drawing.as_bytes());
        }
    }

    /// Ends the line that parts were written of, if it is not ended yet.
    pub fn end_line(&self, stream: Stream) {
        let mut state = self.state();
        if state.open_line == Some(stream) {
            state.open_line = None;
            self.push(&mut state, stream, b"\n");
        }
    }

    /// Writes a line of the log, unless too much is waiting already.
    pub fn log(&self, text: &str) {
        let mut state = self.state();
        if state.bytes >= FULL_FOR_LOGS {
            state.dropped_logs += 1;
        } else {
            self.push_lines(&mut state, Stream::Stderr, text);
        }
    }

    /// Waits while the queue is full.
    pub async fn room(&self) {
        let mut progress = self.0.progress.subscribe();
        let _ = progress.wait_for(|progress| !progress.full).await;
    }

    /// Waits until stdout takes no more, and says why.
    pub async fn stdout_gone(&self) -> io::ErrorKind {
        let mut progress = self.0.progress.subscribe();
        let gone = progress.wait_for(|progress| progress.stdout_gone.is_some()).await;
        match gone.ok().and_then(|progress| progress.stdout_gone) {
            Some(kind) => kind,
            None => std::future::pending().await,
        }
    }

    /// Tells that stdout takes no more, for those who write to it by another way.
    pub fn lose_stdout(&self, kind: io::ErrorKind) {
        self.0.progress.send_modify(|progress| {
            progress.stdout_gone.get_or_insert(kind);
        });
    }

    /// Why stdout takes no more, if so.
    pub fn stdout_error(&self) -> Option<io::ErrorKind> {
        self.0.progress.borrow().stdout_gone
    }

    /// Waits until everything is written, however long that takes.
    pub fn drain(&self) {
        drop(self.idle());
    }

    /// Waits until all that goes to the terminal is there, then keeps back what comes later, until
    /// [`release`](Self::release): someone is typing there.
    pub fn hold(&self) {
        let mut state = self.idle();
        state.held = !state.over;
        state.open_line = None;
    }

    /// Lets everything go to the terminal again.
    pub fn release(&self) {
        self.state().held = false;
        self.0.wake.notify_one();
    }

    /// Waits until everything is written, for `limit` at most, and ends the thread. Returns how many lines of the log
    /// were dropped on the way.
    pub fn finish(&self, limit: Duration) -> u64 {
        let mut state = self.state();
        state.held = false;
        self.0.wake.notify_one();
        let busy = |state: &mut State| !state.is_idle();
        let (mut state, _) = self
            .0
            .written
            .wait_timeout_while(state, limit, busy)
            .unwrap_or_else(PoisonError::into_inner);
        state.over = true;
        let left = std::mem::take(&mut state.waiting);
        let stuck = state.writing;
        let dropped = state.dropped_logs;
        drop(state);
        self.0.wake.notify_one();
        self.0.written.notify_all();
        match stuck {
            None => {
                let thread = lock(&self.0.thread).take();
                let _ = thread.map(JoinHandle::join);
            }
            // Nobody reads stdout; what was to be said on stderr can still be said. The thread goes with the process.
            Some(Stream::Stdout) => {
                for piece in left.into_iter().filter(|piece| piece.stream == Stream::Stderr) {
                    let _ = Stream::Stderr.write(&piece.text);
                }
            }
            Some(Stream::Stderr) => {}
        }
        dropped
    }

    /// The state once everything is written.
    fn idle(&self) -> MutexGuard<'_, State> {
        let busy = |state: &mut State| !state.over && !state.is_idle();
        let written = self.0.written.wait_while(self.state(), busy);
        written.unwrap_or_else(PoisonError::into_inner)
    }

    fn push_lines(&self, state: &mut State, stream: Stream, text: &str) {
        let in_the_way = state
            .open_line
            .is_some_and(|open| open == stream || self.0.same_place);
        if in_the_way {
            state.open_line = None;
            self.push(state, stream, b"\n");
        }
        self.push(state, stream, text.as_bytes());
    }

    fn push(&self, state: &mut State, stream: Stream, text: &[u8]) {
        if state.over {
            // After `finish`: there is no thread any more, or it is stuck.
            if state.writing != Some(stream) {
                let _ = stream.write(text);
            }
            return;
        }
        state.bytes += text.len();
        match state.waiting.back_mut() {
            Some(piece) if piece.stream == stream => piece.text.extend_from_slice(text),
            _ => state.waiting.push_back(Piece {
                stream,
                text: text.to_vec(),
            }),
        }
        self.report(state);
        self.0.wake.notify_one();
    }

    fn report(&self, state: &State) {
        self.0.progress.send_if_modified(|progress| {
            let full = state.bytes >= FULL;
            std::mem::replace(&mut progress.full, full) != full
        });
    }

    fn run(&self) {
        while let Some(piece) = self.next() {
            let result = piece.stream.write(&piece.text);
            let mut state = self.state();
            state.bytes -= piece.text.len();
            state.writing = None;
            if let (Stream::Stdout, Err(error)) = (piece.stream, result) {
                self.lose_stdout(error.kind());
            }
            self.report(&state);
            drop(state);
            self.0.written.notify_all();
        }
    }

    /// The next piece to write; `None` when it is over.
    fn next(&self) -> Option<Piece> {
        let mut state = self.state();
        loop {
            if state.over {
                return None;
            }
            if let Some(piece) = state.take() {
                state.writing = Some(piece.stream);
                return Some(piece);
            }
            state = self.0.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl State {
    fn take(&mut self) -> Option<Piece> {
        let held = self.held;
        let may_go = |piece: &Piece| !(held && piece.stream.is_terminal());
        let place = self.waiting.iter().position(may_go)?;
        self.waiting.remove(place)
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_none()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether stdout and stderr are the same file, terminal or pipe.
fn same_place() -> bool {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    let place = |fd: std::os::fd::BorrowedFd<'_>| {
        let file = File::from(fd.try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok()?;
        Some((metadata.dev(), metadata.ino(), metadata.rdev()))
    };
    let stdout = place(io::stdout().as_fd());
    stdout.is_some() && stdout == place(io::stderr().as_fd())
}
