//! A terminal that is looked at: what stands where, after all that was drawn.
//!
//! Use it with `#[path = "support/terminal.rs"] mod terminal;`, beside `cli`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use nix::sys::signal::Signal;
use rexpect::process::{PtyProcess, WaitStatus};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::{Callbacks, Parser, Screen};

use crate::cli::LIMIT;

const ROWS: NonZeroU16 = NonZeroU16::new(40).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(110).unwrap();

/// A program at a terminal.
pub struct Terminal {
    process: PtyProcess,
    device: File,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

struct Seen {
    parser: Parser<Replies>,
    is_over: bool,
}

/// What a terminal says of itself when it is asked: it is a plain one, or one that tells when keys are let go of.
struct Replies {
    device: File,
    tells_releases: bool,
}

impl Callbacks for Replies {
    fn unhandled_csi(&mut self, _: &mut Screen, mark: Option<u8>, _: Option<u8>, _: &[&[u16]], kind: char) {
        let reply = match (mark, kind) {
            (Some(b'?'), 'u') if self.tells_releases => "\x1b[?0u",
            (None, 'c') => "\x1b[?62c",
            _ => return,
        };
        let _ = self.device.write_all(reply.as_bytes());
    }
}

impl Terminal {
    pub fn start(command: Command) -> Self {
        Self::start_as(command, false)
    }

    /// A terminal that tells when keys are let go of.
    pub fn that_tells_releases(command: Command) -> Self {
        Self::start_as(command, true)
    }

    fn start_as(mut command: Command, tells_releases: bool) -> Self {
        command.stdin(Stdio::inherit()).env("TERM", "xterm-256color");
        let process = PtyProcess::new(command).unwrap();
        let device = process.get_file_handle().unwrap();
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&device, size).unwrap();
        let replies = Replies {
            device: device.try_clone().unwrap(),
            tells_releases,
        };
        let seen = Seen {
            parser: Parser::new_with_callbacks(ROWS, COLUMNS, 0, replies),
            is_over: false,
        };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let follower = Arc::clone(&seen);
        let mut drawn = device.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            loop {
                // When the program has ended, this is an error.
                let read = drawn.read(&mut buffer).unwrap_or(0);
                let mut seen = follower.0.lock().unwrap();
                seen.parser.process(&buffer[..read]);
                seen.is_over = read == 0;
                follower.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self {
            process,
            device,
            seen,
        }
    }

    /// Waits until what is shown is as it should be, and gives that.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        self.wait(what, |seen| is_so(&seen.parser.screen().contents()))
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Seen) -> bool) -> String {
        let (seen, changed) = &*self.seen;
        let waiting = changed.wait_timeout_while(seen.lock().unwrap(), LIMIT, |seen| !is_so(seen));
        let (seen, timeout) = waiting.unwrap();
        let shown = seen.parser.screen().contents();
        drop(seen);
        assert!(!timeout.timed_out(), "waited in vain for {what}; shown:\n{shown}");
        shown
    }

    /// Waits until some line holds `text`.
    pub fn shows(&self, text: &str) -> String {
        self.wait_until(text, |shown| shown.contains(text))
    }

    /// Waits until a line that holds `name` holds `text` too.
    pub fn shows_beside(&self, name: &str, text: &str) {
        let is_so = |line: &str| line.contains(name) && line.contains(text);
        self.wait_until(&format!("`{text}` beside `{name}`"), |shown| {
            shown.lines().any(is_so)
        });
    }

    pub fn press(&mut self, keys: &str) {
        self.device.write_all(keys.as_bytes()).unwrap();
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    pub fn has_a_full_screen(&self) -> bool {
        self.seen.0.lock().unwrap().parser.screen().alternate_screen()
    }

    /// Waits for the end of the program, which has to leave the terminal as it was. Gives its exit code and what is shown.
    pub fn end(self) -> (i32, String) {
        let shown = self.wait("the end", |seen| seen.is_over);
        let status = self.process.wait().unwrap();
        let WaitStatus::Exited(_, code) = status else {
            panic!("{status:?}\n{shown}");
        };
        let seen = self.seen.0.lock().unwrap();
        let screen = seen.parser.screen();
        assert!(!screen.alternate_screen(), "the full screen was not left");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        let modes = tcgetattr(&self.device).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ISIG), "{modes:?}");
        (code, shown)
    }
}
