//! What a report tells, in the form that programs read. Fields are only ever added; a change of another kind is a new
//! version.
//!
//! Whatever is not known is null. Times are in milliseconds.

use std::path::Path;
use std::time::Duration;

use realtime_run::protocol::Usage;
use realtime_run::script::{self, Finding, Met, Outcome, Speaker, TurnOutcome, Verdict};
use realtime_run::trace::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::smoke::percentiles::Percentiles;
use crate::cli::smoke::results::{self, Results, ScriptResult, Standing};

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
    first_word: Option<Latency>,
    /// How long users waited for the first sound of an answer.
    first_sound: Option<Latency>,
    tokens: Tokens,
}

/// Percentiles, by the nearest rank.
#[derive(Debug, Serialize, JsonSchema)]
struct Latency {
    /// How many were measured.
    count: usize,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
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

/// How a script, a run or an attempt stands in the end.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All that was expected came.
    Passed,
    /// It passed, but not each time.
    Flaky,
    /// Something that was expected did not come.
    Failed,
    /// A session could not be opened, or it broke.
    Broken,
    /// Time ran out.
    TimedOut,
    /// It was not played, or not often enough to tell.
    NotRun,
}

/// What came of one script.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Script<A> {
    name: String,
    /// Its file.
    path: String,
    /// The agent file that it was played with.
    agent: String,
    pub status: Status,
    /// How often it was to be played.
    planned_runs: usize,
    /// The share of runs that have to pass, from 0 to 1.
    min_pass_rate: f64,
    /// The share of its runs that passed, from 0 to 1.
    pass_rate: Option<f64>,
    first_word: Option<Latency>,
    first_sound: Option<Latency>,
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
    status: Status,
    /// In their order; the last one counts.
    pub attempts: Vec<A>,
}

/// An attempt to play a script.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Attempt {
    pub status: Status,
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

impl<A> Report<A> {
    /// The report of all scripts, with `attempt` telling of each attempt.
    pub fn new<'a>(results: &'a Results, mut attempt: impl FnMut(&'a results::Attempt) -> A) -> Self {
        Self {
            version: VERSION,
            program: Program {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
            },
            started_at: results.started_at,
            duration_ms: millis(results.duration),
            interrupted: results.is_interrupted,
            totals: Totals::of(&results.scripts),
            scripts: results
                .scripts
                .iter()
                .map(|script| Script::new(script, &mut attempt))
                .collect(),
        }
    }
}

impl Totals {
    fn of(scripts: &[ScriptResult]) -> Self {
        let mut totals = Self {
            scripts: scripts.len(),
            attempts: scripts.iter().flat_map(ScriptResult::attempts).count(),
            first_word: Latency::of(scripts.iter().flat_map(ScriptResult::first_words).collect()),
            first_sound: Latency::of(scripts.iter().flat_map(ScriptResult::first_sounds).collect()),
            ..Self::default()
        };
        let mut usage = Usage::default();
        for script in scripts {
            usage.add(&script.usage());
            *match script.standing() {
                Standing::Passed => &mut totals.passed,
                Standing::Flaky => &mut totals.flaky,
                Standing::Failed => &mut totals.failed,
                Standing::Broken => &mut totals.broken,
                Standing::TimedOut => &mut totals.timed_out,
                Standing::NotRun => &mut totals.not_run,
            } += 1;
        }
        totals.tokens = Tokens::of(&usage);
        totals
    }
}

impl Latency {
    fn of(measured: Vec<Duration>) -> Option<Self> {
        let percentiles = Percentiles::of(measured)?;
        Some(Self {
            count: percentiles.count,
            p50_ms: millis(percentiles.p50),
            p90_ms: millis(percentiles.p90),
            p99_ms: millis(percentiles.p99),
            max_ms: millis(percentiles.max),
        })
    }
}

impl Tokens {
    fn of(usage: &Usage) -> Self {
        let (input, output) = (&usage.input_token_details, &usage.output_token_details);
        Self {
            total: usage.total(),
            input: usage.input_tokens,
            input_text: input.text_tokens,
            input_audio: input.audio_tokens,
            input_image: input.image_tokens,
            input_cached: input.cached_tokens,
            output: usage.output_tokens,
            output_text: output.text_tokens,
            output_audio: output.audio_tokens,
        }
    }
}

impl From<Standing> for Status {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Passed => Self::Passed,
            Standing::Flaky => Self::Flaky,
            Standing::Failed => Self::Failed,
            Standing::Broken => Self::Broken,
            Standing::TimedOut => Self::TimedOut,
            Standing::NotRun => Self::NotRun,
        }
    }
}

impl<A> Script<A> {
    fn new<'a>(script: &'a ScriptResult, attempt: &mut impl FnMut(&'a results::Attempt) -> A) -> Self {
        let mut run = |run: &'a results::Run| Run {
            number: run.number,
            status: run.standing().into(),
            attempts: run.attempts.iter().map(&mut *attempt).collect(),
        };
        let text = |path: &Path| path.display().to_string();
        Self {
            name: script.name.clone(),
            path: text(&script.path),
            agent: text(&script.agent),
            status: script.standing().into(),
            planned_runs: script.planned,
            min_pass_rate: script.min_pass_rate,
            pass_rate: script.pass_rate(),
            first_word: Latency::of(script.first_words()),
            first_sound: Latency::of(script.first_sounds()),
            tokens: Tokens::of(&script.usage()),
            rerun: script.rerun.clone(),
            runs: script.runs.iter().map(&mut run).collect(),
        }
    }
}

impl Attempt {
    pub fn new(attempt: &results::Attempt) -> Self {
        let Outcome {
            verdict,
            trace_id,
            duration,
            turns,
            spans,
            usage,
        } = &attempt.outcome;
        Self {
            status: Standing::from(verdict).into(),
            reason: match verdict {
                Verdict::Passed | Verdict::Failed => None,
                Verdict::Broken { reason } | Verdict::TimedOut { reason } => Some(reason.clone()),
            },
            started_at: attempt.started_at,
            duration_ms: millis(*duration),
            trace_id: trace_id.clone(),
            tokens: Tokens::of(usage),
            turns: turns.iter().map(Turn::new).collect(),
            spans: spans.iter().map(Expectation::new).collect(),
        }
    }
}

impl Turn {
    fn new(turn: &TurnOutcome) -> Self {
        Self {
            file: turn.place.file.clone(),
            line: turn.place.line,
            act: turn.act.clone(),
            began_at_ms: millis(turn.began_at),
            duration_ms: millis(turn.duration),
            first_word_ms: turn.first_word.map(millis),
            first_sound_ms: turn.first_sound.map(millis),
            transcript: turn.transcript.iter().map(Line::new).collect(),
            expectations: turn.findings.iter().map(Expectation::new).collect(),
        }
    }
}

impl Line {
    fn new(line: &script::Line) -> Self {
        let (from, name) = match &line.speaker {
            Speaker::User => (Source::User, None),
            Speaker::Agent(name) => (Source::Agent, Some(name.clone())),
            Speaker::Tool(name) => (Source::Tool, Some(name.clone())),
            Speaker::Note => (Source::Note, None),
        };
        Self {
            from,
            name,
            text: line.text.clone(),
        }
    }
}

impl Expectation {
    fn new(finding: &Finding) -> Self {
        let (met, came) = match &finding.met {
            Met::Yes => (Some(true), None),
            Met::No { came } => (Some(false), Some(came.clone())),
            Met::Untold => (None, None),
        };
        Self {
            file: finding.place.file.clone(),
            line: finding.place.line,
            expected: finding.expected.clone(),
            met,
            came,
            ruling: finding.ruling.as_ref().map(|ruling| Ruling {
                holds: ruling.holds,
                reason: ruling.reason.clone(),
            }),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
