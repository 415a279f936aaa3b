//! What a report tells, in the form that programs read. Fields are only ever added; a change of another kind is a new
//! version.
//!
//! Whatever is not known is null. Times are in milliseconds.

mod told;

use realtime_run::session::Percentiles;
use realtime_run::trace::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::smoke::results::Standing;

/// The version of this form.
const VERSION: u32 = 1;

/// What came of smoke tests.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report<A> {
    /// The version of the form of this report.
    #[schemars(extend("const" = VERSION))]
    version: u32,
    program: Program,
    /// When the first script began, in RFC 3339.
    #[schemars(with = "String", extend("format" = "date-time"))]
    started_at: Timestamp,
    /// How long all of them took together.
    duration_ms: f64,
    /// Whether a signal ended it before all was done.
    interrupted: bool,
    totals: Totals,
    /// In the order in which they were asked for.
    pub scripts: Vec<Script<A>>,
}

/// What made the report.
#[derive(Debug, Serialize, JsonSchema)]
struct Program {
    name: &'static str,
    version: &'static str,
}

/// How many scripts stand how, and what they took.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Totals {
    scripts: usize,
    passed: usize,
    flaky: usize,
    failed: usize,
    broken: usize,
    timed_out: usize,
    not_run: usize,
    /// How often any script was played, attempts included.
    attempts: usize,
    /// How long users waited for the first word of an answer.
    first_word: Option<Percentiles>,
    /// How long users waited for the first sound of an answer.
    first_sound: Option<Percentiles>,
    tokens: Tokens,
}

/// Tokens as the server counted them.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Tokens {
    total: u64,
    input: u64,
    input_text: u64,
    input_audio: u64,
    input_image: u64,
    /// Of the input, what the server had kept.
    input_cached: u64,
    output: u64,
    output_text: u64,
    output_audio: u64,
}

/// What came of one script.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Script<A> {
    name: String,
    /// Its file.
    path: String,
    /// The agent file that it was played with.
    agent: String,
    pub status: Standing,
    /// How often it was to be played.
    planned_runs: usize,
    /// The share of runs that have to pass, from 0 to 1.
    min_pass_rate: f64,
    /// The share of its runs that passed, from 0 to 1.
    pass_rate: Option<f64>,
    first_word: Option<Percentiles>,
    first_sound: Option<Percentiles>,
    tokens: Tokens,
    /// The command that runs this script again, by itself.
    rerun: String,
    pub runs: Vec<Run<A>>,
}

/// One of the times that a script was played.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Run<A> {
    /// From 1 up to how often the script was to be played.
    number: usize,
    status: Standing,
    /// In their order; the last one counts.
    pub attempts: Vec<A>,
}

/// An attempt to play a script.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Attempt {
    pub status: Standing,
    /// Why it broke or ran out of time.
    reason: Option<String>,
    /// In RFC 3339.
    #[schemars(with = "String", extend("format" = "date-time"))]
    started_at: Timestamp,
    /// From opening the session to its end.
    duration_ms: f64,
    trace_id: Option<String>,
    tokens: Tokens,
    /// The turns that were begun.
    pub turns: Vec<Turn>,
    /// What was expected of the trace; none if it did not come to that.
    pub spans: Vec<Expectation>,
}

/// What came of one turn.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Turn {
    /// The file in which it stands.
    file: String,
    line: usize,
    /// What the user said or did.
    act: String,
    /// Since the session was open.
    began_at_ms: f64,
    /// Until the next one, or the end.
    duration_ms: f64,
    /// From the end of what the user said to the first word of the answer.
    first_word_ms: Option<f64>,
    /// From the end of what the user said to the first sound of the answer.
    first_sound_ms: Option<f64>,
    /// What was said and done, in its order.
    transcript: Vec<Line>,
    expectations: Vec<Expectation>,
}

/// A line of what was said and done.
#[derive(Debug, Serialize, JsonSchema)]
struct Line {
    from: Source,
    /// The agent or the tool.
    name: Option<String>,
    text: String,
}

/// Whose a line is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    User,
    Agent,
    Tool,
    /// About the conversation, such as a handoff.
    Note,
}

/// Something that was expected.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Expectation {
    /// The file in which it stands.
    file: String,
    line: usize,
    expected: String,
    /// Whether it came; null if it could not be told, for the run ended before.
    met: Option<bool>,
    /// What came instead.
    came: Option<String>,
    ruling: Option<Ruling>,
}

/// What a language model found about an answer.
#[derive(Debug, Serialize, JsonSchema)]
struct Ruling {
    /// Whether the claim is true of the answer.
    holds: bool,
    /// Why.
    reason: String,
}
