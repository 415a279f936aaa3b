//! A person at a terminal.
//!
//! Use it with `#[path = "support/person.rs"] mod person;` beside `mod cli`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use rexpect::session::{PtySession, spawn_command};

use crate::cli::{self, Agent};

/// The empty prompt, as rustyline draws it.
pub const PROMPT: &str = "> \r\u{1b}[2C";

/// A person at the terminal of a run.
pub struct Person {
    pub terminal: PtySession,
    _agent: Agent,
}

impl Person {
    /// Someone at the prompt of the usual agent.
    pub fn at<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut person = Self::with(Agent::weather(), arguments);
        person.is_greeted();
        person
    }

    /// Someone at the terminal of a run of `agent`.
    pub fn with<'a>(agent: Agent, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = agent.command(arguments);
        command.args(["--color", "never"]);
        command.stdin(std::process::Stdio::inherit()).env("TERM", "xterm");
        let limit = cli::LIMIT.as_millis() as u64;
        Self {
            terminal: spawn_command(command, Some(limit)).unwrap(),
            _agent: agent,
        }
    }

    pub fn is_greeted(&mut self) {
        self.sees("Say something, or /help.");
        self.is_asked();
    }

    /// Sees `text`, in ASCII, and gives what came before it.
    pub fn sees(&mut self, text: &str) -> String {
        self.terminal
            .exp_string(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    pub fn is_asked(&mut self) {
        self.sees(PROMPT);
    }

    pub fn types(&mut self, line: &str) {
        self.terminal.send_line(line).unwrap();
    }

    pub fn presses(&mut self, control: char) {
        self.terminal.send_control(control).unwrap();
    }

    /// Sees the run end.
    pub fn sees_the_end(&mut self, code: i32) {
        self.terminal.exp_eof().unwrap();
        let status = self.terminal.process().wait().unwrap();
        let shown = format!("{status:?}");
        assert!(
            shown.starts_with("Exited") && shown.ends_with(&format!(", {code})")),
            "{shown}"
        );
    }
}
