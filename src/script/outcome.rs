//! What came of playing a script.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::Place;
use crate::protocol::Usage;

/// What came of playing a script once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// Its trace, if there is one.
    pub trace_id: Option<String>,
    /// How long it took, from opening the session to its end; in seconds when serialized.
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    pub duration: Duration,
    /// The turns that were begun.
    pub turns: Vec<TurnOutcome>,
    /// What became of what was expected of the trace; empty if it did not come to that.
    pub spans: Vec<Finding>,
    /// Tokens of all answers.
    pub usage: Usage,
}

/// How the playing of a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// All that was expected came.
    Passed,
    /// Something that was expected did not come; the findings tell what.
    Failed,
    /// The session could not be opened, or it broke.
    Broken {
        /// Why.
        reason: String,
    },
    /// Time ran out.
    TimedOut {
        /// What took too long.
        reason: String,
    },
}

/// What came of one turn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnOutcome {
    /// Where it stands.
    pub place: Place,
    /// What the user said or did, in words for people.
    pub act: String,
    /// When it began, since the session was open; in seconds when serialized.
    #[serde(rename = "began_at_s", serialize_with = "seconds")]
    pub began_at: Duration,
    /// How long it took until the next one, or the end; in seconds when serialized.
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    pub duration: Duration,
    /// What was said and done, in its order.
    pub transcript: Vec<Line>,
    /// What became of what was expected, in the order of the file.
    pub findings: Vec<Finding>,
    /// From the end of what the user said to the first word of the answer; in milliseconds when serialized.
    #[serde(rename = "first_word_ms", serialize_with = "millis")]
    pub first_word: Option<Duration>,
    /// From the end of what the user said to the first sound of the answer; in milliseconds when serialized.
    #[serde(rename = "first_sound_ms", serialize_with = "millis")]
    pub first_sound: Option<Duration>,
}

/// A line of what was said and done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Whose it is.
    #[serde(flatten)]
    pub speaker: Speaker,
    /// The words; of a tool, its call and what it answered.
    pub text: String,
}

/// Whose a line is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", content = "name", rename_all = "snake_case")]
pub enum Speaker {
    /// The user's.
    User,
    /// An agent's.
    Agent(String),
    /// A tool's.
    Tool(String),
    /// About the conversation, such as a handoff.
    Note,
}

/// What became of something that was expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Where the expectation stands.
    pub place: Place,
    /// What was expected, in words for people.
    pub expected: String,
    /// Whether it came.
    #[serde(flatten)]
    pub met: Met,
    /// What a language model found, where one was asked.
    pub ruling: Option<Ruling>,
}

/// Whether something that was expected came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "met", rename_all = "snake_case")]
pub enum Met {
    /// It came.
    Yes,
    /// It did not come.
    No {
        /// What came instead, in words for people.
        came: String,
    },
    /// It could not be told, for the run ended before.
    Untold,
}

/// What a language model found about an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ruling {
    /// Whether the claim is true of the answer.
    pub holds: bool,
    /// Why.
    pub reason: String,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_micros() as f64 / 1e6)
}

fn millis<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_some(&(duration.as_micros() as f64 / 1e3)),
        None => serializer.serialize_none(),
    }
}
