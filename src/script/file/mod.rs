//! Script files.
//!
//! In: TOML, and values for its variables. Out: a [`Script`], or [`Diagnostics`] with every mistake. The text and that of
//! the files it includes become trees (`include`, `source`), whose texts variables are put into (`variables`); their shape
//! is held against a schema (`schema`, `hints`), their sense is checked (`checks`), and a script is made of them (`build`).

mod build;
mod checks;
mod hints;
mod include;
mod schema;
mod source;
mod variables;

use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use self::include::Reader;
use self::schema::ScriptContent;
use super::Script;
use crate::file::{self, Diagnostic, Diagnostics, Environment, Form, Hints, nearest, quoted};

impl Script {
    /// Reads the script file at `path`, with values from the environment of this process. Paths in it count from its own
    /// directory. What `set` gives variables, by their names, goes over their defaults.
    ///
    /// # Errors
    /// All mistakes of the file, of the files that it includes and of `set`, or why it can't be read at all.
    pub fn load(path: impl AsRef<Path>, set: &[(String, String)]) -> Result<Self, Diagnostics> {
        file::load(path.as_ref(), |name, text, directory| {
            Self::parse(name, text, directory, set)
        })
    }

    /// Reads a script file that is already in memory, with values from the environment of this process. `source_name` is
    /// what diagnostics call it; paths in it count from `directory`.
    ///
    /// # Errors
    /// As [`Script::load`].
    pub fn parse(
        source_name: &str,
        text: &str,
        directory: &Path,
        set: &[(String, String)],
    ) -> Result<Self, Diagnostics> {
        Self::parse_with(source_name, text, directory, set, &|name| {
            std::env::var(name).ok()
        })
    }

    /// The names of the variables that the script file at `path` has, and those of the files that it includes, as far as
    /// they can be read.
    pub fn variables(path: impl AsRef<Path>) -> Vec<String> {
        let mut names = Vec::new();
        let read = |name: &str, text: &str, directory: &Path| {
            let environment = |name: &str| std::env::var(name).ok();
            let mut reader = Reader::new(&environment, &[]);
            reader.script(name, text, directory);
            names = reader.variables;
            Ok(())
        };
        // What is wrong with it, `load` tells.
        let _ = file::load(path.as_ref(), read);
        names
    }

    /// The JSON Schema of script files, by which editors complete and check them.
    pub fn schema() -> Value {
        file::json_schema::<ScriptContent>()
    }

    fn parse_with(
        source_name: &str,
        text: &str,
        directory: &Path,
        set: &[(String, String)],
        environment: &Environment<'_>,
    ) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(environment, set);
        let part = reader.script(source_name, text, directory);
        let mut mistakes = reader.mistakes;
        if part.is_some() {
            mistakes.extend(unknown(set, &reader.variables));
        }
        if mistakes.is_empty() {
            match part.map(|part| build::build(&part, text)) {
                Some(Ok(script)) => return Ok(script),
                _ => mistakes.push(Diagnostic::overlooked()),
            }
        }
        Err(Diagnostics::new(source_name, text, mistakes))
    }
}

/// What was set that is no variable of the script.
fn unknown(set: &[(String, String)], variables: &[String]) -> Vec<Diagnostic> {
    let known = || variables.iter().map(String::as_str);
    let mistake = |name: &str| {
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if variables.is_empty() => {
                "the script has no variables; they stand under `[variables]`".to_owned()
            }
            None => format!("its variables are {}", quoted(&known().collect::<Vec<_>>())),
        };
        Diagnostic::whole(format!("there is no variable `{name}` to set")).help(help)
    };
    let unknown = set.iter().filter(|(name, _)| !known().any(|known| known == name));
    unknown.map(|(name, _)| mistake(name)).collect()
}

static FORM: LazyLock<Result<Form, String>> = LazyLock::new(|| {
    let hints = Hints {
        unknown_key: hints::unknown_key,
        example: hints::example,
    };
    Form::new(Script::schema(), hints)
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agent::{Agent, Agents};

    const DIRECTORY: &str = "tests/script_files/valid";
    const EVERYTHING: &str = include_str!("../../../tests/script_files/valid/everything.toml");

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_from_the_environment_are_never_shown(
            places in prop::collection::vec(0..10_000_usize, 1..4),
            secret in prop::sample::select(["s3cret", "s3cret {{ s3cret", "(s3cret"].as_slice()),
        ) {
            let mut pieces: Vec<String> = EVERYTHING.split('"').map(str::to_owned).collect();
            for place in places {
                let strings = pieces.len() / 2;
                pieces[place % strings * 2 + 1] = "${SECRET}".to_owned();
            }
            let environment = |name: &str| (name == "SECRET").then(|| secret.to_owned());
            let text = pieces.join("\"");
            let read = Script::parse_with("file.toml", &text, Path::new(DIRECTORY), &[], &environment);
            let mistakes = match read {
                Err(mistakes) => mistakes,
                Ok(script) => script.check_with(&Agents::new(Agent::new("A"))).unwrap_err(),
            };
            let shown = format!("{mistakes:?} {}", mistakes.render(true));
            prop_assert!(!shown.contains("s3cret"), "{}", shown);
        }
    }

    #[test]
    fn the_schema_of_script_files_is_a_good_one() {
        assert!(FORM.is_ok(), "{:?}", FORM.as_ref().err());
    }
}
