//! Scenarios: what a simulated server says, and what it does wrong, written in a file.
//!
//! In: TOML. Out: a [`Scenario`], or [`Diagnostics`] with every mistake. The text becomes a tree; its shape is held
//! against a schema (`schema`, `hints`), its sense is checked (`checks`), and steps are made of it (`build`), which a
//! brain of its own takes (`steps`), as far as `chance` lets it.

mod build;
mod chance;
mod checks;
mod hints;
mod schema;
mod steps;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::Value;

use crate::file::{self, Diagnostic, Diagnostics, Environment, Form, Hints, Node};

use self::build::Program;
use self::chance::Chances;
use self::schema::ScenarioContent;
use self::steps::ScenarioBrain;
use super::Options;

/// What a scenario file holds.
#[derive(Debug, Clone)]
pub struct Scenario {
    program: Arc<Program>,
    /// Which time it is that it is played.
    round: u64,
}

impl Scenario {
    /// Reads the scenario file at `path`, with values from the environment of this process.
    ///
    /// # Errors
    /// All mistakes of the file, or why it can't be read at all.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Diagnostics> {
        file::load(path.as_ref(), |name, text, _| Self::parse(name, text))
    }

    /// Reads a scenario file that is already in memory, with values from the environment of this process.
    /// `source_name` is what diagnostics call it.
    ///
    /// # Errors
    /// All mistakes of the file.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut mistakes = Vec::new();
        let read = read(text, &|name| std::env::var(name).ok(), &mut mistakes);
        match read {
            Some(scenario) if mistakes.is_empty() => Ok(scenario),
            _ => Err(Diagnostics::new(source_name, text, mistakes)),
        }
    }

    /// The scenario as it goes the time of this number, where several simulators follow it, one each time: what its seed
    /// leaves to chance goes another way each time, but for each number the same way.
    #[must_use]
    pub fn round(mut self, number: u64) -> Self {
        self.round = number;
        self
    }

    /// The JSON Schema of scenario files, by which editors complete and check them.
    pub fn schema() -> Value {
        file::json_schema::<ScenarioContent>()
    }
}

impl Options {
    /// These options with a server that follows a scenario.
    #[must_use]
    pub fn with_scenario(mut self, scenario: &Scenario) -> Self {
        let program = Arc::clone(&scenario.program);
        let chances = Chances::new(program.seed, scenario.round);
        self.faults = program.faults.clone();
        self.refuse = program.refuse.or(self.refuse);
        self.brain = Arc::new(move || Box::new(ScenarioBrain::new(Arc::clone(&program), chances.next())));
        self
    }
}

/// The scenario, or none and at least one mistake.
fn read(text: &str, environment: &Environment<'_>, mistakes: &mut Vec<Diagnostic>) -> Option<Scenario> {
    let root = Node::parse(text, environment, mistakes)?;
    mistakes.extend(file::check_shape(&FORM, &root));
    mistakes.extend(checks::check(&root, text));
    if !mistakes.is_empty() {
        return None;
    }
    let program = ScenarioContent::deserialize(root.to_json())
        .ok()
        .and_then(|content| Program::of(content).ok());
    if program.is_none() {
        mistakes.push(Diagnostic::overlooked());
    }
    program.map(|program| Scenario {
        program: Arc::new(program),
        round: 0,
    })
}

static FORM: LazyLock<Result<Form, String>> = LazyLock::new(|| {
    let hints = Hints {
        unknown_key: hints::unknown_key,
        example: hints::example,
    };
    Form::new(Scenario::schema(), hints)
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_scenario_files_is_a_good_one() {
        assert!(FORM.is_ok(), "{:?}", FORM.as_ref().err());
    }
}
