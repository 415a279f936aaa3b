//! The prompt on a terminal.
//!
//! A thread of its own reads: rustyline blocks. It has two states. Asked for a line, it shows the prompt and edits; the
//! way out keeps back what would garble the line meanwhile. Otherwise it watches the terminal in its usual mode, so
//! that what is typed while an answer streams, such as `/interrupt`, is heard at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Behavior, Config, Editor};
use tokio::sync::mpsc;

use super::output::Output;
use super::turns::Input;

const PROMPT: &str = "> ";
/// Nothing is asked for.
const NEVER: u64 = u64::MAX;

/// A person at a terminal. Dropping it sets the terminal back to how it was and ends the thread: at once while it
/// watches, else with the line that it is reading.
#[derive(Debug)]
pub struct Prompt {
    inputs: mpsc::Receiver<Input>,
    /// How many inputs were taken.
    taken: u64,
    /// The thread shows the prompt once it has sent as many inputs as this: so a question that a line typed ahead has
    /// overtaken is not asked.
    asked_at: Arc<AtomicU64>,
    /// A byte calls the thread away from watching; the end of the stream ends it.
    wake: UnixStream,
    terminal: Terminal,
    output: Output,
}

impl Prompt {
    /// Starts the thread. Fails if stdin is no terminal.
    pub fn start(output: &Output) -> io::Result<Self> {
        let terminal = Terminal::remember()?;
        let (wake, called) = UnixStream::pair()?;
        let (sender, inputs) = mpsc::channel(1);
        let asked_at = Arc::new(AtomicU64::new(NEVER));
        let reader = Reader {
            inputs: sender,
            sent: 0,
            asked_at: Arc::clone(&asked_at),
            called,
            stdin: File::from(io::stdin().as_fd().try_clone_to_owned()?),
            editing: Arc::clone(&terminal.editing),
            output: output.clone(),
        };
        std::thread::Builder::new()
            .name("prompt".into())
            .spawn(move || reader.run())?;
        Ok(Self {
            inputs,
            taken: 0,
            asked_at,
            wake,
            terminal,
            output: output.clone(),
        })
    }

    /// Shows the prompt.
    pub fn ask(&mut self) {
        self.asked_at.store(self.taken, Ordering::SeqCst);
        // If it fails, the thread is gone, and `next` tells so.
        let _ = self.wake.write_all(b"?");
    }

    /// Waits for what is typed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Input {
        let input = self.inputs.recv().await.unwrap_or(Input::End);
        self.taken += 1;
        input
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        self.inputs.close();
        self.terminal.restore();
        self.output.release();
    }
}

/// The terminal as it was before.
#[derive(Debug)]
struct Terminal {
    settings: Termios,
    /// rustyline has changed them right now.
    editing: Arc<AtomicBool>,
}

impl Terminal {
    fn remember() -> io::Result<Self> {
        Ok(Self {
            settings: tcgetattr(io::stdin())?,
            editing: Arc::default(),
        })
    }

    /// Sets it back if the thread is in the middle of a line: nothing can make it return.
    fn restore(&self) {
        if !self.editing.load(Ordering::SeqCst) {
            return;
        }
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.settings);
        if let Ok(mut terminal) = OpenOptions::new().write(true).open("/dev/tty") {
            // Bracketed paste off, and a line of its own for what follows.
            let _ = terminal.write_all(b"\x1b[?2004l\r\n");
        }
    }
}

/// What the thread holds.
struct Reader {
    inputs: mpsc::Sender<Input>,
    sent: u64,
    asked_at: Arc<AtomicU64>,
    called: UnixStream,
    stdin: File,
    editing: Arc<AtomicBool>,
    output: Output,
}

impl Reader {
    fn run(mut self) {
        let config = Config::builder()
            .behavior(Behavior::PreferTerm)
            .auto_add_history(true)
            .build();
        let history = MemHistory::with_config(&config);
        let editor = Editor::<(), _>::with_history(config, history);
        let Ok(mut editor) = editor else {
            let _ = self
                .inputs
                .blocking_send(Input::Unusable("this terminal can't be used".to_owned()));
            return;
        };
        loop {
            let input = if self.asked_at.load(Ordering::SeqCst) == self.sent {
                Some(self.edit(&mut editor))
            } else {
                match self.watch() {
                    Ok(input) => input,
                    Err(_) => return,
                }
            };
            if let Some(input) = input {
                self.sent += 1;
                if self.inputs.blocking_send(input).is_err() {
                    return;
                }
            }
        }
    }

    /// Shows the prompt and reads a line.
    fn edit(&self, editor: &mut Editor<(), MemHistory>) -> Input {
        self.output.hold();
        self.editing.store(true, Ordering::SeqCst);
        if self.inputs.is_closed() {
            self.output.release();
            return Input::End;
        }
        let line = editor.readline(PROMPT);
        self.editing.store(false, Ordering::SeqCst);
        self.output.release();
        match line {
            Ok(line) => Input::typed(&line),
            Err(ReadlineError::Interrupted) => Input::Interrupt,
            Err(ReadlineError::Eof) => Input::End,
            Err(error) => Input::Unusable(format!("the terminal can't be read: {error}")),
        }
    }

    /// Waits until called or something is typed; fails when it is all over.
    fn watch(&mut self) -> io::Result<Option<Input>> {
        let mut ready = [
            PollFd::new(&self.called, PollFlags::IN),
            PollFd::new(&self.stdin, PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let [called, typed] = ready.each_ref().map(is_ready);
        if called {
            // What was typed meanwhile stays in the terminal and comes up in the prompt.
            let read = self.called.read(&mut [0; 16])?;
            return if read == 0 {
                Err(io::ErrorKind::BrokenPipe.into())
            } else {
                Ok(None)
            };
        }
        if !typed {
            return Ok(None);
        }
        // The terminal hands over one line at a time, 4 KiB at most.
        let mut line = [0; 4096];
        let read = self.stdin.read(&mut line)?;
        Ok(Some(match read {
            0 => Input::End,
            _ => Input::typed(String::from_utf8_lossy(&line[..read]).trim_end_matches('\n')),
        }))
    }
}
