//! Agent files.
//!
//! In: TOML. Out: an [`AgentFile`], or [`Diagnostics`] with every mistake. The text becomes a tree; its shape is held
//! against a schema (`schema`, `session`, `hints`), its sense is checked (`checks`, `tools`, `mcp`, `guardrails`,
//! `parameters`, `templates`), and agents are made of it (`build`).

mod build;
mod checks;
mod guardrails;
mod hints;
mod mcp;
mod parameters;
mod schema;
mod session;
mod templates;
mod tools;

use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use self::schema::FileContent;
use super::Agents;
use crate::file::{self, Diagnostic, Diagnostics, Environment, Form, Hints, Node};
use crate::trace::Redaction;

/// What an agent file holds.
#[derive(Debug, Clone)]
pub struct AgentFile {
    /// The agents, the one that starts, and what they share.
    pub agents: Agents,
    /// How a run is named in its trace.
    pub tracing: TracingSettings,
}

/// How a run is named in its trace, as far as the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TracingSettings {
    /// What the run is part of.
    pub workflow_name: Option<String>,
    /// What ties several runs together.
    pub group_id: Option<String>,
    /// Anything else to keep with the trace.
    pub metadata: Map<String, Value>,
    /// What is taken out of its spans.
    pub redact: Redaction,
}

impl AgentFile {
    /// Reads the agent file at `path`, with values from the environment of this process. Paths in it count from
    /// its own directory.
    ///
    /// # Errors
    /// All mistakes of the file, or why it can't be read at all.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Diagnostics> {
        file::load(path.as_ref(), Self::parse)
    }

    /// Reads an agent file that is already in memory, with values from the environment of this process.
    /// `source_name` is what diagnostics call it; paths in it count from `directory`.
    ///
    /// # Errors
    /// All mistakes of the file.
    pub fn parse(source_name: &str, text: &str, directory: &Path) -> Result<Self, Diagnostics> {
        Self::parse_with(source_name, text, directory, &|name| std::env::var(name).ok())
    }

    /// The JSON Schema of agent files, by which editors complete and check them.
    pub fn schema() -> Value {
        file::json_schema::<FileContent>()
    }

    fn parse_with(
        source_name: &str,
        text: &str,
        directory: &Path,
        environment: &Environment<'_>,
    ) -> Result<Self, Diagnostics> {
        let mut mistakes = Vec::new();
        let read = read(text, directory, environment, &mut mistakes);
        match read {
            Some(file) if mistakes.is_empty() => Ok(file),
            _ => Err(Diagnostics::new(source_name, text, mistakes)),
        }
    }
}

/// The file, or none and at least one mistake.
fn read(
    text: &str,
    directory: &Path,
    environment: &Environment<'_>,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<AgentFile> {
    let root = Node::parse(text, environment, mistakes)?;
    mistakes.extend(file::check_shape(&FORM, &root));
    let findings = checks::check(&root, directory);
    mistakes.extend(findings.mistakes);
    mistakes.extend(guardrails::check(&root, text));
    mistakes.extend(templates::check(&root, text, &findings.texts));
    if !mistakes.is_empty() {
        return None;
    }
    let content = FileContent::deserialize(root.to_json());
    let built = content
        .map_err(Into::into)
        .and_then(|content| build::build(content, &findings.texts, directory));
    // What serde says could quote a value, so it is not shown.
    built
        .inspect_err(|_| {
            mistakes.push(Diagnostic::overlooked());
        })
        .ok()
}

static FORM: LazyLock<Result<Form, String>> = LazyLock::new(|| {
    let hints = Hints {
        unknown_key: hints::unknown_key,
        example: hints::example,
    };
    Form::new(AgentFile::schema(), hints)
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every string of these may be replaced by one that comes from the environment.
    const FILES: [&str; 2] = [
        include_str!("../../../tests/agent_files/valid/everything.toml"),
        include_str!("../../../tests/agent_files/invalid/parameters_bad_schema.toml"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_from_the_environment_are_never_shown(
            file in prop::sample::select(FILES.as_slice()),
            places in prop::collection::vec(0..10_000_usize, 1..4),
        ) {
            let mut pieces: Vec<String> = file.split('"').map(str::to_owned).collect();
            for place in places {
                let strings = pieces.len() / 2;
                pieces[place % strings * 2 + 1] = "${SECRET}".to_owned();
            }
            let text = pieces.join("\"");
            let secret = |name: &str| (name == "SECRET" || name == "CARGO_PKG_NAME").then(|| "s3cret".to_owned());
            let read = AgentFile::parse_with("file.toml", &text, Path::new("tests/agent_files/valid"), &secret);
            if let Err(mistakes) = read {
                let shown = format!("{mistakes:?} {}", mistakes.render(true));
                prop_assert!(!shown.contains("s3cret"), "{}", shown);
            }
        }
    }

    #[test]
    fn the_schema_of_agent_files_is_a_good_one() {
        assert!(FORM.is_ok(), "{:?}", FORM.as_ref().err());
    }

    #[test]
    fn what_the_validator_says_of_a_useless_schema_is_not_shown_either() {
        let text = r#"
            [agents.A]
            instructions = "Be helpful."
            [tools.t]
            description = "Does it."
            output = "done"
            parameters = { type = "object", "$id" = "${SECRET}" }
        "#;
        let bad_uri = |_: &str| Some("http://[s3cret".to_owned());
        let mistakes = AgentFile::parse_with("file.toml", text, Path::new("."), &bad_uri).unwrap_err();
        assert!(
            mistakes.to_string().contains("this JSON schema is of no use"),
            "{mistakes}"
        );
        assert!(!mistakes.to_string().contains("s3cret"), "{mistakes}");
    }

    #[test]
    fn values_from_the_environment_reach_the_agents() {
        let text =
            "[agents.A]\ninstructions = \"Hi ${NAME}, $${NAME} {{ name }}\"\n[context]\nname = \"${NAME}\"";
        let ada = |name: &str| (name == "NAME").then(|| "Ada".to_owned());
        let file = AgentFile::parse_with("file.toml", text, Path::new("."), &ada).unwrap();
        assert_eq!(
            file.agents.get("A").unwrap().instructions.source(),
            "Hi Ada, ${NAME} {{ name }}"
        );
        assert_eq!(file.agents.context["name"], "Ada");
    }
}
