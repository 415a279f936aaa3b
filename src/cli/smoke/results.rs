//! What came of smoke tests: of all scripts, each as often as it was played.

use std::path::PathBuf;
use std::time::Duration;

use realtime_run::protocol::Usage;
use realtime_run::script::{Outcome, Verdict};
use realtime_run::trace::{Timestamp, TraceTree};
use schemars::JsonSchema;
use serde::Serialize;

use super::MinPassRate;

/// Attempts of a script that went wrong whose traces are kept, at the most.
const WRONG_TRACES: usize = 8;

/// What came of all scripts.
#[derive(Debug)]
pub struct Results {
    /// When the first one began.
    pub started_at: Timestamp,
    /// How long all of them took together.
    pub duration: Duration,
    /// Whether a signal ended it before all was done.
    pub is_interrupted: bool,
    /// In the order in which they were asked for.
    pub scripts: Vec<ScriptResult>,
}

/// What came of one script.
#[derive(Debug)]
pub struct ScriptResult {
    /// What people know it by.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The agent file that it was played with.
    pub agent: PathBuf,
    /// How often it was to be played.
    pub planned: usize,
    /// The share of runs that have to pass.
    pub min_pass_rate: MinPassRate,
    /// The runs that came to their end, by their numbers.
    pub runs: Vec<Run>,
    /// The command that runs this script again, by itself.
    pub rerun: String,
}

/// One of the times that a script was played; more than one attempt if the first did not pass.
#[derive(Debug)]
pub struct Run {
    /// From 1 up to how often the script was to be played.
    pub number: usize,
    /// All attempts in their order, at least one; the last one counts.
    pub attempts: Vec<Attempt>,
}

/// An attempt to play a script.
#[derive(Debug)]
pub struct Attempt {
    /// When it began.
    pub started_at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// Its trace, if there is one and something wants to show it.
    pub tree: Option<TraceTree>,
}

/// How a script, a run or an attempt stands in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Status")]
pub enum Standing {
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

impl Standing {
    /// Its name for programs and people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Flaky => "flaky",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::TimedOut => "timed_out",
            Self::NotRun => "not_run",
        }
    }

    /// Whether nothing is wrong.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Passed | Self::Flaky)
    }
}

impl From<&Verdict> for Standing {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Failed => Self::Failed,
            Verdict::Broken { .. } => Self::Broken,
            Verdict::TimedOut { .. } => Self::TimedOut,
        }
    }
}

impl Attempt {
    /// Whether all that was expected came.
    pub fn has_passed(&self) -> bool {
        self.outcome.verdict == Verdict::Passed
    }
}

impl Run {
    /// How it stands: as its last attempt, but flaky if that passed and one before did not.
    pub fn standing(&self) -> Standing {
        match self
            .attempts
            .last()
            .map(|last| Standing::from(&last.outcome.verdict))
        {
            None => Standing::NotRun,
            Some(Standing::Passed) if self.attempts.len() > 1 => Standing::Flaky,
            Some(standing) => standing,
        }
    }
}

impl ScriptResult {
    /// How it stands: by the share of its runs that passed. If that is too small, by the worst of them.
    pub fn standing(&self) -> Standing {
        let standings = || self.runs.iter().map(Run::standing);
        if !self.can_pass() {
            let worst = [Standing::Failed, Standing::Broken, Standing::TimedOut];
            let is_there = |bad: &Standing| standings().any(|standing| standing == *bad);
            return worst.into_iter().find(is_there).unwrap_or(Standing::NotRun);
        }
        if self.runs.len() < self.planned {
            Standing::NotRun
        } else if standings().all(|standing| standing == Standing::Passed) {
            Standing::Passed
        } else {
            Standing::Flaky
        }
    }

    /// The share of its runs that passed, from 0 to 1; `None` if there was none.
    pub fn pass_rate(&self) -> Option<f64> {
        (!self.runs.is_empty()).then(|| self.passed() as f64 / self.runs.len() as f64)
    }

    /// The same in percent, in whole ones: 100 only if all passed, and 0 only if none did.
    pub fn pass_percent(&self) -> Option<usize> {
        let (passed, runs) = (self.passed(), self.runs.len());
        let rounded = (200 * passed + runs).checked_div(2 * runs)?;
        Some(match passed {
            0 => 0,
            all if all == runs => 100,
            _ => rounded.clamp(1, 99),
        })
    }

    /// How many of its runs passed, at once or not.
    pub fn passed(&self) -> usize {
        self.runs.iter().filter(|run| run.standing().is_good()).count()
    }

    /// Whether enough of its runs would pass if all that are left did.
    pub fn can_pass(&self) -> bool {
        let lost = self.runs.len() - self.passed();
        self.planned - lost >= self.min_pass_rate.of(self.planned)
    }

    /// A run has come to its end, with these attempts.
    pub fn add(&mut self, number: usize, attempts: Vec<Attempt>) {
        let place = self.runs.len();
        self.runs.push(Run {
            number,
            attempts: Vec::with_capacity(attempts.len()),
        });
        for mut attempt in attempts {
            if !self.wants_trace_of(&attempt) {
                attempt.tree = None;
            }
            self.runs[place].attempts.push(attempt);
        }
    }

    /// Whether the trace of another attempt is worth keeping for a report: of the first that passes, and of the first
    /// that do not.
    fn wants_trace_of(&self, attempt: &Attempt) -> bool {
        let passed = attempt.has_passed();
        let most = if passed { 1 } else { WRONG_TRACES };
        let alike = self.attempts().filter(|other| other.has_passed() == passed);
        alike.take(most).count() < most
    }

    /// Every attempt of every run.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.runs.iter().flat_map(|run| &run.attempts)
    }

    /// How long users waited for the first word of each answer.
    pub fn first_words(&self) -> Vec<Duration> {
        let turns = self.attempts().flat_map(|attempt| &attempt.outcome.turns);
        turns.filter_map(|turn| turn.first_word).collect()
    }

    /// How long users waited for the first sound of each answer.
    pub fn first_sounds(&self) -> Vec<Duration> {
        let turns = self.attempts().flat_map(|attempt| &attempt.outcome.turns);
        turns.filter_map(|turn| turn.first_sound).collect()
    }

    /// Tokens of all its attempts.
    pub fn usage(&self) -> Usage {
        let mut sum = Usage::default();
        self.attempts()
            .for_each(|attempt| sum.add(&attempt.outcome.usage));
        sum
    }
}

impl Results {
    /// How many scripts stand so.
    pub fn count(&self, standing: Standing) -> usize {
        let alike = |script: &&ScriptResult| script.standing() == standing;
        self.scripts.iter().filter(alike).count()
    }
}

#[cfg(test)]
mod tests {
    use realtime_run::script::Met;

    use super::*;
    use crate::cli::smoke::report::samples::{attempt, script};

    #[test]
    fn the_traces_of_the_first_that_passed_and_of_some_that_did_not_are_kept() {
        let passed = || attempt(Verdict::Passed, vec![Met::Yes], None);
        let failed = || attempt(Verdict::Failed, vec![Met::Untold], None);
        let mut played = script("Weather", vec![]);
        played.add(1, vec![failed()]);
        played.add(2, vec![failed(), passed()]);
        played.add(3, vec![passed()]);
        played.add(4, (0..WRONG_TRACES).map(|_| failed()).collect());
        let kept = |passed: bool| {
            let kept = played.attempts().filter(|attempt| attempt.tree.is_some());
            kept.filter(|attempt| attempt.has_passed() == passed).count()
        };
        assert_eq!((kept(true), kept(false)), (1, WRONG_TRACES));
        assert_eq!(played.attempts().count(), 4 + WRONG_TRACES);
    }

    #[test]
    fn a_percentage_is_whole_only_where_all_or_none_passed() {
        let percent = |passed: usize, runs: usize| {
            let attempts = (0..runs).map(|run| match run < passed {
                true => vec![attempt(Verdict::Passed, vec![], None)],
                false => vec![attempt(Verdict::Failed, vec![], None)],
            });
            script("Weather", attempts.collect()).pass_percent()
        };
        assert_eq!(percent(499, 500), Some(99));
        assert_eq!(percent(1, 500), Some(1));
        assert_eq!([percent(500, 500), percent(0, 500)], [Some(100), Some(0)]);
        assert_eq!([percent(2, 3), percent(1, 3)], [Some(67), Some(33)]);
        assert_eq!(percent(0, 0), None);
    }
}
