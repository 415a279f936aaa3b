//! Judging the turns that were played, and the trace that they left.

use std::time::Duration;

use super::stop::Stop;
use super::{Player, act, time_is_up};
use crate::script::expect::{self, Ending, Question};
use crate::script::observe::Window;
use crate::script::{EventKind, Expectation, Finding, Met, Ruling, Turn, TurnOutcome};
use crate::trace::{TraceId, TraceTree};

/// A turn that was played and is not judged yet.
pub(super) struct Played<'a> {
    /// Its place in the script, counted from 0.
    pub(super) place: usize,
    pub(super) turn: &'a Turn,
    pub(super) window: Window,
    pub(super) ended_at: Duration,
}

impl Played<'_> {
    /// What came of the turn. An answer that went wrong fails it, unless it is expected to.
    fn outcome(self, mut findings: Vec<Finding>) -> TurnOutcome {
        let Self {
            turn,
            window,
            ended_at,
            ..
        } = self;
        let is_error = |own: &Expectation| own.event == EventKind::Error && !own.absent;
        if !turn.expect.iter().any(is_error) {
            findings.extend(window.faults.first().map(|fault| Finding {
                place: turn.place.clone(),
                expected: "an answer that is complete".to_owned(),
                met: Met::No { came: fault.clone() },
                ruling: None,
            }));
        }
        TurnOutcome {
            place: turn.place.clone(),
            act: act::words(&turn.act),
            began_at: window.began_at,
            duration: ended_at.saturating_sub(window.began_at),
            transcript: window.lines,
            findings,
            first_word: window.first_word,
            first_sound: window.first_sound,
        }
    }
}

impl<'a> Player<'a> {
    /// Judges the turns that are over; those before the last have not been cut short. Tells why not all could be judged.
    pub(super) async fn judge(
        &mut self,
        played: &mut Vec<Played<'a>>,
        ending: Ending,
        outcomes: &mut Vec<TurnOutcome>,
    ) -> Result<(), Stop> {
        let turns = std::mem::take(played);
        let last = turns.len().saturating_sub(1);
        let mut judged = Ok(());
        for (place, played) in turns.into_iter().enumerate() {
            let ending = if place == last { ending } else { Ending::Over };
            let findings = match self.findings(&played, ending).await {
                Ok(findings) => findings,
                Err(stop) => {
                    judged = Err(stop);
                    expect::untold(played.turn)
                }
            };
            outcomes.push(played.outcome(findings));
        }
        judged
    }

    /// What became of what was expected of a turn, after all that a language model had to be asked.
    async fn findings(&mut self, played: &Played<'a>, ending: Ending) -> Result<Vec<Finding>, Stop> {
        loop {
            match expect::findings(played.turn, &played.window.happened, ending, &self.rulings) {
                Ok(findings) => return Ok(findings),
                Err(question) => {
                    let ruling = self.ask(&question, played).await?;
                    self.rulings.insert(question, ruling);
                }
            }
        }
    }

    /// Asks the language model, and goes on listening to the session meanwhile.
    async fn ask(&mut self, question: &Question, played: &Played<'a>) -> Result<Ruling, Stop> {
        let Some(judge) = self.options.judge.clone() else {
            let reason = "the script asks for a judge, and there is none";
            return Err(Stop::Broken(reason.to_owned()));
        };
        let mut time_is_up = std::pin::pin!(time_is_up(self.options.until));
        let mut ruling = std::pin::pin!(judge.judge(&question.claim, &question.words));
        let mut is_open = true;
        loop {
            tokio::select! {
                ruling = &mut ruling => return ruling.map_err(|error| Stop::Broken(error.to_string())),
                () = &mut time_is_up => return Err(Stop::time_is_up(played.place, played.turn)),
                // That it is over is found out by the turn that follows.
                event = self.session.next(), if is_open => is_open = self.note(event).is_ok(),
            }
        }
    }

    /// Holds the trace against what is expected of it, once its spans have ended.
    pub(super) fn check_spans(&self, trace_id: Option<TraceId>) -> Vec<Finding> {
        let memory = self.options.spans.as_ref();
        let tree = memory.zip(trace_id).and_then(|(memory, id)| {
            let trace = memory.traces().into_iter().find(|trace| trace.id == id)?;
            let spans = memory.spans().into_iter();
            Some(TraceTree::new(trace, spans.filter(|span| span.trace_id() == id)))
        });
        match tree {
            Some(tree) => self.script.check_spans(&tree),
            None => self.script.miss_spans(),
        }
    }
}

/// Whether something that was expected did not come.
pub(super) fn has_failed(outcomes: &[TurnOutcome]) -> bool {
    outcomes
        .iter()
        .flat_map(|outcome| &outcome.findings)
        .any(is_unmet)
}

pub(super) fn is_unmet(finding: &Finding) -> bool {
    matches!(finding.met, Met::No { .. })
}
