//! Guardrails in agent files: the table under `[guardrails.NAME]`, what makes sense in it, and the guardrail that is made
//! of it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::build::Overlooked;
use super::tools;
use crate::context::Template;
use crate::file::{Content, Diagnostic, Node, check_pattern, misspelt};
use crate::tool::{
    AskingGuardrail, CommandTool, Debounce, Guardrail, HttpTool, ManagedGuardrail, OnTrip, PatternGuardrail,
    ToolGuardrails, ToolSpec,
};

/// One guardrail: a regular expression (`pattern`), a program (`command`) or a request (`http`) that is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GuardrailSection {
    /// It objects to whatever this regular expression is found in: words, arguments as JSON, a tool's answer.
    pub pattern: Option<String>,
    /// A program and its arguments, run without a shell in the directory of the agent file. It gets on stdin, as JSON,
    /// `where` it looks (`output`, `tool_input`, `tool_output`), the `agent`, the `context`, and `text`, or `tool` with
    /// `arguments` and `output`. It objects by writing `{"triggered": true}`, with a `message` if it likes.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// A request over HTTP: the same JSON is posted, and answered in the same way.
    pub http: Option<GuardrailHttpSection>,
    /// The seconds that the program or the request may take; 10 if absent. One that takes longer can't tell:
    /// words are then let through, calls and tools' answers are not.
    #[schemars(range(min = 0.1, max = 3600.0))]
    pub timeout_sec: Option<f64>,
    /// What follows when it objects. `reject`, if absent: an answer is interrupted, a call not made, a tool's answer
    /// withheld, and the model told. `stop`: the run ends.
    pub on_trip: Option<OnTripWord>,
    /// What the model is told when it objects, unless it has words of its own.
    pub message: Option<String>,
    /// Whether it looks at a tool's calls before a person is asked to approve them, rather than after that.
    #[serde(default)]
    pub before_approval: bool,
}

/// A request over HTTP that is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GuardrailHttpSection {
    /// The address: a template that knows the context. What it puts in is percent-encoded; the host must be spelt out.
    pub url: String,
    /// Headers by name. Credentials come from the environment, as in `"Bearer ${API_KEY}"`, and are shown nowhere.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: IndexMap<String, String>,
}

/// What follows when a guardrail objects.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnTripWord {
    Reject,
    Stop,
}

/// When guardrails look at an answer that goes on.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum DebounceEntry {
    /// Each time that so many characters have come.
    Characters(u32),
    /// Only at its end.
    Word(DebounceWord),
}

/// Only at the end of an answer.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DebounceWord {
    End,
}

impl From<DebounceEntry> for Debounce {
    fn from(entry: DebounceEntry) -> Self {
        match entry {
            DebounceEntry::Characters(count) => Self::Characters(count),
            DebounceEntry::Word(DebounceWord::End) => Self::End,
        }
    }
}

impl GuardrailSection {
    /// The guardrail, whose program runs in `directory`.
    fn into_guardrail(self, name: &str, directory: &Path) -> Result<ManagedGuardrail, Overlooked> {
        let mut managed = ManagedGuardrail::new(match (self.pattern, self.http, self.command) {
            (Some(pattern), ..) => Arc::new(PatternGuardrail::new(name, &pattern)?) as _,
            (None, Some(request), _) => Arc::new(AskingGuardrail::new(request.into_tool(name)?)) as _,
            (None, None, command) => {
                let mut command = command.unwrap_or_default().into_iter();
                let program = command.next().ok_or("a guardrail looks at nothing")?;
                let tool = CommandTool::new(spec(name), program, command).current_dir(directory);
                Arc::new(AskingGuardrail::new(tool.timeout(NO_LIMIT))) as _
            }
        });
        managed = managed.on_trip(match self.on_trip {
            Some(OnTripWord::Stop) => OnTrip::Stop,
            Some(OnTripWord::Reject) | None => OnTrip::Reject,
        });
        if let Some(message) = self.message {
            managed = managed.message(message);
        }
        if self.before_approval {
            managed = managed.before_approval();
        }
        if let Some(seconds) = self.timeout_sec {
            managed = managed.timeout(Duration::try_from_secs_f64(seconds)?);
        }
        Ok(managed)
    }
}

/// The tools that guardrails ask have no limit of their own: every guardrail has one.
const NO_LIMIT: Duration = Duration::MAX;

impl GuardrailHttpSection {
    fn into_tool(self, name: &str) -> Result<HttpTool, Overlooked> {
        let mut tool = HttpTool::new(spec(name), "POST", Template::new(self.url)?)?.timeout(NO_LIMIT);
        for (name, value) in &self.headers {
            tool = tool.header(name, value)?;
        }
        Ok(tool)
    }
}

fn spec(name: &str) -> ToolSpec {
    ToolSpec::new(name, "")
}

/// The guardrails of a file.
pub(super) struct Guardrails(HashMap<String, Arc<dyn Guardrail>>);

impl Guardrails {
    /// Makes them; programs run in `directory`.
    ///
    /// # Errors
    /// What was overlooked when the file was checked.
    pub fn new(sections: IndexMap<String, GuardrailSection>, directory: &Path) -> Result<Self, Overlooked> {
        let made = sections.into_iter().map(|(name, section)| {
            let guardrail = section.into_guardrail(&name, directory)?;
            Ok((name, Arc::new(guardrail) as _))
        });
        Ok(Self(made.collect::<Result<_, Overlooked>>()?))
    }

    /// Those of the names.
    ///
    /// # Errors
    /// When there is none of one of them.
    pub fn get(&self, names: &[String]) -> Result<Vec<Arc<dyn Guardrail>>, Overlooked> {
        let one = |name: &String| {
            let guardrail = self.0.get(name).cloned();
            guardrail.ok_or_else(|| format!("there is no guardrail `{name}`").into())
        };
        names.iter().map(one).collect()
    }

    /// Those of the names, over the calls and the answers of a tool.
    ///
    /// # Errors
    /// When there is none of one of them.
    pub fn of_tool(&self, input: &[String], output: &[String]) -> Result<ToolGuardrails, Overlooked> {
        Ok(ToolGuardrails {
            input: self.get(input)?,
            output: self.get(output)?,
        })
    }
}

/// The keys of which a guardrail has one: how it looks.
const KINDS: [&str; 3] = ["pattern", "command", "http"];

/// All that is wrong with the guardrails of the file `root`, which was written as `source`.
pub(super) fn check(root: &Node, source: &str) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    for (name, guardrail) in root.get("guardrails").into_iter().flat_map(Node::entries) {
        mistakes.extend(kind(name, guardrail));
        mistakes.extend(
            guardrail
                .get("pattern")
                .and_then(|node| check_pattern(source, node)),
        );
        mistakes.extend(guardrail.get("command").and_then(tools::command));
        mistakes.extend(guardrail.get("http").into_iter().flat_map(tools::http));
    }
    mistakes
}

/// A guardrail looks in one way.
fn kind(name: &str, guardrail: &Node) -> Option<Diagnostic> {
    let given: Vec<(&str, &Node)> = KINDS
        .into_iter()
        .filter_map(|key| Some((key, guardrail.get(key)?)))
        .collect();
    match given.as_slice() {
        [] if matches!(guardrail.content, Content::Table(_))
            && !KINDS.iter().any(|key| misspelt(guardrail, key)) =>
        {
            let message = format!("guardrail `{name}` looks at nothing");
            Some(Diagnostic::at(guardrail.key_span.clone(), message).help(
                "add `pattern = '…'` for a regular expression, `command = [\"program\", \"argument\"]` to ask a program, \
                 or `http = { url = \"https://…\" }` to ask a server",
            ))
        }
        [(one, _), (other, node), ..] => {
            let message = format!("both `{one}` and `{other}` are given");
            Some(Diagnostic::at(node.key_span.clone(), message).help("keep one of them"))
        }
        [("pattern", _)] => guardrail.get("timeout_sec").map(|timeout| {
            Diagnostic::at(timeout.key_span.clone(), "a pattern takes no time")
                .help("`timeout_sec` goes with `command` and `http`; leave it out")
        }),
        _ => None,
    }
}
