//! Smoke tests in a folder of their own, and the reports that a run of them writes.
//!
//! Use it with `#[path = "support/reports.rs"] mod reports;` beside `mod cli` and `mod smoke`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::cli::{Outcome, run};
use crate::smoke::Folder;

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

/// A folder with an agent file and the scripts in `smoke/`.
pub struct Smoke(Folder);

impl Smoke {
    /// With these scripts, by their names; of an agent that tells the weather.
    pub fn new(scripts: &[(&str, &str)]) -> Self {
        let folder = Folder::with(&[]);
        for (name, text) in scripts {
            folder.write(&format!("smoke/{name}.smoke.toml"), text);
        }
        Self(folder)
    }

    /// The same, of another agent.
    pub fn of(agent: &str, scripts: &[(&str, &str)]) -> Self {
        let smoke = Self::new(scripts);
        smoke.0.write("agent.toml", agent);
        smoke
    }

    /// The program about to play all of them on a simulator.
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let all = [
            "--agent",
            "agent.toml",
            "--script",
            "smoke",
            "--simulate",
            "--no-store",
        ];
        let mut command = self.0.command(&all);
        command.args(arguments);
        command
    }

    /// Plays all of them.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        run(self.command(arguments))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        self.0.read(name)
    }

    pub fn read_json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The names of what is in the folder beside the store, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "store").collect();
        names.sort();
        names
    }
}
