//! One attempt to play a script: with a session, a simulated server and a trace of its own.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use realtime_run::protocol::Usage;
use realtime_run::script::{self, Finding, Judge, Met, Outcome, Place, PlayOptions, Verdict};
use realtime_run::session::Session;
use realtime_run::simulator::Deviation;
use realtime_run::trace::{JsonMap, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::plan::{Follows, Planned};
use super::results::Attempt;
use super::{OnTurn, Time};
use crate::cli::args::RunArgs;
use crate::cli::conversation::run_timeout;
use crate::cli::duration;
use crate::cli::exit::Failure;
use crate::cli::replay;
use crate::cli::server::{OpenServer, Server};
use crate::cli::trace::{Destinations, RunTrace};

/// How long the orderly end of a session may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What all attempts share.
pub struct Stage<'a> {
    pub args: &'a RunArgs,
    pub destinations: &'a Destinations,
    /// What judges claims about what agents say, if something does.
    pub judge: Option<Judge>,
    /// Whether something wants to show traces at the end.
    pub keep_trees: bool,
    /// Becomes true when everything is to end.
    pub ending: watch::Receiver<bool>,
}

impl Stage<'_> {
    /// Plays a script once. `None` if everything was to end before it was over.
    pub async fn play(&self, planned: &Planned, time: Time, on_turn: Option<OnTurn>) -> Option<Attempt> {
        let (started_at, started) = (Timestamp::now(), Instant::now());
        let about = about(planned, time);
        let trace = RunTrace::start(self.destinations, &self.args.trace, &planned.tracing, about);
        let mut outcome = match self.hold(planned, time, &trace, on_turn).await {
            Ok(outcome) => outcome,
            Err(Cut::Ending) => return None,
            Err(Cut::Unopened(limit)) => without_turns(Verdict::TimedOut {
                reason: unopened(limit),
            }),
            Err(Cut::Broken(failure)) => without_turns(broken(failure)),
        };
        outcome.trace_id = trace.trace.id().map(|id| id.to_string());
        outcome.duration = started.elapsed();
        Some(Attempt {
            started_at,
            outcome,
            tree: self.keep_trees.then(|| trace.tree()).flatten(),
        })
    }

    /// Opens a server and a session, and plays the script.
    async fn hold(
        &self,
        planned: &Planned,
        time: Time,
        trace: &RunTrace,
        on_turn: Option<OnTurn>,
    ) -> Result<Outcome, Cut> {
        let deviations = Arc::new(Mutex::new(Vec::new()));
        let server = server(planned, time, &deviations).open().await?;
        let outcome = self.converse(planned, &server, trace, on_turn).await;
        server.close().await;
        let mut outcome = outcome?;
        if let Some(Follows::Replay(_, path)) = &planned.follows {
            let deviations = deviations.lock().unwrap_or_else(PoisonError::into_inner);
            note_deviations(&deviations, path, &mut outcome);
        }
        Ok(outcome)
    }

    async fn converse(
        &self,
        planned: &Planned,
        server: &OpenServer,
        trace: &RunTrace,
        on_turn: Option<OnTurn>,
    ) -> Result<Outcome, Cut> {
        let started = Instant::now();
        let limit = self.args.turns.timeout;
        let until = limit.and_then(|limit| Some((started.checked_add(limit)?, limit)));
        let mut ending = self.ending.clone();
        let mut ends = std::pin::pin!(ending.wait_for(|ending| *ending));
        let is_traced = trace.trace.is_recording();
        let mut session = Session::builder(planned.agents.clone()).endpoint(server.endpoint.clone());
        if !is_traced {
            session = session.without_tracing();
        }
        let session = tokio::select! {
            biased;
            _ = &mut ends => return Err(Cut::Ending),
            limit = run_timeout(until) => return Err(Cut::Unopened(limit)),
            session = trace.trace.scope(session.connect()) => session.map_err(Failure::from)?,
        };
        let handle = session.handle();
        let options = PlayOptions {
            turn_limit: self.args.turns.turn_timeout,
            until: until.map(|(until, _)| until),
            spans: is_traced.then(|| trace.memory()),
            on_turn,
            audio: planned.agents.settings.config.audio.clone(),
            // A server inside the program has nobody who listens.
            realtime: matches!(planned.server, Server::At(_)),
            judge: self.judge.clone(),
        };
        tokio::select! {
            biased;
            _ = &mut ends => {}
            outcome = script::play(&planned.script, session, options) => return Ok(outcome),
        }
        // What played it is gone, and with it the session, which ends in order.
        let _ = timeout(CLOSE_LIMIT, handle.closed()).await;
        Err(Cut::Ending)
    }
}

/// Why an attempt did not come to an end of its own.
enum Cut {
    /// Everything ends.
    Ending,
    /// No session opened within this time.
    Unopened(Duration),
    /// There was no session.
    Broken(Failure),
}

impl From<Failure> for Cut {
    fn from(failure: Failure) -> Self {
        Self::Broken(failure)
    }
}

/// The server of one attempt.
fn server(planned: &Planned, time: Time, deviations: &Arc<Mutex<Vec<Deviation>>>) -> Server {
    let mut server = planned.server.clone();
    if let Server::Simulated(options) = &mut server {
        match &planned.follows {
            None => {}
            Some(Follows::Scenario(scenario)) => {
                // Each time goes its own way, also where a seed says which.
                let round = u64::from(time.run) << 32 | u64::from(time.attempt);
                let scenario = scenario.clone().round(round);
                **options = options.as_ref().clone().with_scenario(&scenario);
            }
            Some(Follows::Replay(replay, _)) => {
                let deviations = Arc::clone(deviations);
                let note = move |deviation: &Deviation| {
                    let mut noted = deviations.lock().unwrap_or_else(PoisonError::into_inner);
                    if noted.len() < replay::MOST_TOLD {
                        noted.push(deviation.clone());
                    }
                };
                options.replay = Some(replay.clone().on_deviation(note));
            }
        }
    }
    server
}

/// What the trace tells of the attempt.
fn about(planned: &Planned, time: Time) -> JsonMap {
    let about = [
        ("script", planned.script.name.clone()),
        ("run", time.run.to_string()),
        ("attempt", time.attempt.to_string()),
    ];
    about
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

/// A recording, too, expects something of the client: it is found with the turn that was played last.
fn note_deviations(deviations: &[Deviation], path: &Path, outcome: &mut Outcome) {
    let findings = deviations.iter().map(|deviation| Finding {
        place: Place {
            file: path.display().to_string(),
            line: deviation.line,
        },
        expected: "the client of the recording".to_owned(),
        met: Met::No {
            came: deviation.to_string(),
        },
        ruling: None,
    });
    if let Some(last) = outcome.turns.last_mut() {
        last.findings.extend(findings);
    }
    if outcome.verdict == Verdict::Passed && !deviations.is_empty() {
        outcome.verdict = Verdict::Failed;
    }
}

fn unopened(limit: Duration) -> String {
    let limit = duration::show(limit);
    format!("the session did not open within {limit}: --timeout sets the limit")
}

fn broken(failure: Failure) -> Verdict {
    let Failure::Other { error, advice, .. } = failure else {
        return Verdict::Broken {
            reason: "a file is wrong".to_owned(),
        };
    };
    let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
    Verdict::Broken {
        reason: format!("{error:#}{advice}"),
    }
}

fn without_turns(verdict: Verdict) -> Outcome {
    Outcome {
        verdict,
        trace_id: None,
        duration: Duration::ZERO,
        turns: Vec::new(),
        spans: Vec::new(),
        usage: Usage::default(),
    }
}
