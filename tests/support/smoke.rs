//! Smoke tests in a folder of their own, and the reports that a run of them writes.
//!
//! Use it with `#[path = "support/smoke.rs"] mod smoke;`, beside `cli`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::cli::{Outcome, WEATHER, program, run};

/// A script whose answer is there, and one whose is not.
pub const GOOD: &str = r#"
[[turns]]
user = "What is the weather in Rome?"
expect = [
  { event = "tool_call", name = "get_weather" },
  { event = "response", text_contains = "clear" },
]
"#;
pub const BAD: &str = r#"
[[turns]]
user = "Hello"
expect = [{ event = "response" }]

[[turns]]
user = "What is the weather in Oslo?"
expect = [
  { event = "tool_call", name = "get_weather", args = { city = "Rome" } },
  { event = "response" },
]

[[spans]]
type = "function"
name = "get_weather"
error = true
"#;

/// A folder with an agent file and scripts.
pub struct Smoke {
    folder: TempDir,
}

impl Smoke {
    /// With these scripts, by their names; of an agent that tells the weather.
    pub fn new(scripts: &[(&str, &str)]) -> Self {
        Self::of(WEATHER, scripts)
    }

    pub fn of(agent: &str, scripts: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("smoke")).unwrap();
        std::fs::write(folder.path().join("agent.toml"), agent).unwrap();
        for (name, text) in scripts {
            std::fs::write(folder.path().join(format!("smoke/{name}.smoke.toml")), text).unwrap();
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program about to play all of them on a simulator.
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = program();
        command.current_dir(self.folder.path()).args([
            "--agent",
            "agent.toml",
            "--script",
            "smoke",
            "--simulate",
            "--no-store",
        ]);
        command.args(arguments);
        command
    }

    /// Plays all of them.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        run(self.command(arguments))
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn read_json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The names of what is in the folder, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
