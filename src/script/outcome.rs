//! What came of playing a script.

use std::time::Duration;

use super::Place;
use crate::protocol::Usage;

/// What came of playing a script once.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// Its trace, if there is one.
    pub trace_id: Option<String>,
    /// How long it took, from opening the session to its end.
    pub duration: Duration,
    /// The turns that were begun.
    pub turns: Vec<TurnOutcome>,
    /// What became of what was expected of the trace; empty if it did not come to that.
    pub spans: Vec<Finding>,
    /// Tokens of all answers.
    pub usage: Usage,
}

/// How the playing of a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct TurnOutcome {
    /// Where it stands.
    pub place: Place,
    /// What the user said or did, in words for people.
    pub act: String,
    /// When it began, since the session was open.
    pub began_at: Duration,
    /// How long it took until the next one, or the end.
    pub duration: Duration,
    /// What was said and done, in its order.
    pub transcript: Vec<Line>,
    /// What became of what was expected, in the order of the file.
    pub findings: Vec<Finding>,
    /// From the end of what the user said to the first word of the answer.
    pub first_word: Option<Duration>,
    /// From the end of what the user said to the first sound of the answer.
    pub first_sound: Option<Duration>,
}

/// A line of what was said and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose it is.
    pub speaker: Speaker,
    /// The words; of a tool, its call and what it answered.
    pub text: String,
}

/// Whose a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Where the expectation stands.
    pub place: Place,
    /// What was expected, in words for people.
    pub expected: String,
    /// Whether it came.
    pub met: Met,
    /// What a language model found, where one was asked.
    pub ruling: Option<Ruling>,
}

/// Whether something that was expected came.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Whether the claim is true of the answer.
    pub holds: bool,
    /// Why.
    pub reason: String,
}
