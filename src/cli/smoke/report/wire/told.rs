//! How results become what a report tells.

use std::path::Path;
use std::time::Duration;

use realtime_run::protocol::Usage;
use realtime_run::script::{self, Finding, Met, Outcome, Speaker, TurnOutcome, Verdict};
use realtime_run::session::Percentiles;

use super::{
    Attempt, Expectation, Line, Program, Report, Ruling, Run, Script, Source, Tokens, Totals, Turn, VERSION,
};
use crate::cli::smoke::results::{self, Results, ScriptResult, Standing};

impl<A> Report<A> {
    /// The report of all scripts; `attempts` tell of each attempt, in their order.
    pub fn new(results: &Results, attempts: impl IntoIterator<Item = A>) -> Self {
        let mut attempts = attempts.into_iter();
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
                .map(|script| Script::new(script, &mut attempts))
                .collect(),
        }
    }
}

impl Totals {
    fn of(scripts: &[ScriptResult]) -> Self {
        let mut totals = Self {
            scripts: scripts.len(),
            attempts: scripts.iter().flat_map(ScriptResult::attempts).count(),
            first_word: Percentiles::of(scripts.iter().flat_map(ScriptResult::first_words).collect()),
            first_sound: Percentiles::of(scripts.iter().flat_map(ScriptResult::first_sounds).collect()),
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

impl<A> Script<A> {
    fn new(script: &ScriptResult, attempts: &mut impl Iterator<Item = A>) -> Self {
        let mut run = |run: &results::Run| Run {
            number: run.number,
            status: run.standing(),
            attempts: attempts.by_ref().take(run.attempts.len()).collect(),
        };
        let text = |path: &Path| path.display().to_string();
        Self {
            name: script.name.clone(),
            path: text(&script.path),
            agent: text(&script.agent),
            status: script.standing(),
            planned_runs: script.planned,
            min_pass_rate: script.min_pass_rate.share(),
            pass_rate: script.pass_rate(),
            first_word: Percentiles::of(script.first_words()),
            first_sound: Percentiles::of(script.first_sounds()),
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
            status: Standing::from(verdict),
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

    /// It without what was said and what came of what was expected.
    pub fn without_details(self) -> Self {
        Self {
            turns: Vec::new(),
            spans: Vec::new(),
            ..self
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
