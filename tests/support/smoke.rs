//! A folder with agents and scripts, and the program that plays them.
//!
//! Use it with `#[path = "support/smoke.rs"] mod smoke;` beside `mod cli`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use tempfile::TempDir;

use crate::cli::{Outcome, WEATHER, program, run};

/// Asks for the weather, and is right about what comes.
pub const RIGHT: &str = r#"
agent = "agent.toml"
[[turns]]
user = "What is the weather in Oslo?"
expect = [{ event = "tool_call", name = "get_weather" }, { event = "response", text_contains = "clear" }]
"#;

/// Asks for the weather, and expects another.
pub const WRONG: &str = r#"
agent = "agent.toml"
[[turns]]
user = "What is the weather in Oslo?"
expect = [{ event = "response", text_contains = "thunder" }]
"#;

/// A folder with the agent file `agent.toml`, in which the program runs.
pub struct Folder(TempDir);

impl Folder {
    /// With these files beside the usual agent's.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write("agent.toml", WEATHER);
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// The program about to run here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.current_dir(self.path()).args(arguments);
        command.env("REALTIME_RUN_SPOOL", self.store());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments))
    }
}

/// What was said, with `…` for what is different each time, times and ids, and without the spaces that even that out.
pub fn settled(text: &str) -> String {
    let times = Regex::new(r"\d+(\.\d+)? (µs|ms|s|min)\b").unwrap();
    let ids = Regex::new("trace_[0-9a-f]{32}").unwrap();
    let text = ids.replace_all(text, "trace_…");
    let text = times.replace_all(&text, "… $2").replace("… µs", "… ms");
    let spaces = Regex::new(r"(\S)   +").unwrap();
    spaces.replace_all(&text, "$1  ").into_owned()
}
