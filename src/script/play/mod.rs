//! Holding the conversation of a script, and judging it.
//!
//! A turn lasts until the session has nothing left to do, unless the next one acts on the answer that is under way:
//! `interrupt_after_ms`, `approve`, `reject`, and a wait while a call waits for approval. What is expected of a turn is held
//! against what happens from its beginning to that of the next.
//!
//! The first turn that fails is the last one played, for what follows depends on it. Turns that act on the same answer are
//! judged together, once it is over.

mod act;
mod ears;
mod rest;
mod stop;
mod voice;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::ears::Ears;
use self::stop::Stop;
use self::voice::Voice;
use super::expect::{self, Ending, Question, Rulings};
use super::observe::{Observer, Window};
use super::{
    Act, EventKind, Expectation, Finding, Judge, Met, Outcome, Ruling, Script, Turn, TurnOutcome, Verdict,
};
use crate::protocol::AudioConfig;
use crate::session::{Session, SessionEvent, SessionHandle};
use crate::trace::{MemoryProcessor, TraceId, TraceTree};

/// How a script is played.
#[derive(Clone)]
pub struct PlayOptions {
    /// How long a turn may take, beyond what the user takes to say or do it.
    pub turn_limit: Duration,
    /// The session's settings for sound, which turns that are spoken need.
    pub audio: AudioConfig,
    /// Whether sound goes out, and is heard, in the time that it takes to sound; else as fast as the server takes it, which is
    /// for simulated servers.
    pub realtime: bool,
    /// The language model that rules on what scripts ask it about.
    pub judge: Option<Judge>,
    /// What keeps the session's spans, for what is expected of the trace.
    pub spans: Option<Arc<MemoryProcessor>>,
    /// Told when a turn begins.
    pub on_turn: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
}

/// How far the playing of a script has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The turn that begins, counted from 1.
    pub turn: usize,
    /// How many turns there are.
    pub turns: usize,
}

impl Default for PlayOptions {
    /// Turns of up to a minute, in the time that sound takes, with the settings that servers have by themselves; nothing is
    /// traced.
    fn default() -> Self {
        Self {
            turn_limit: Duration::from_secs(60),
            audio: AudioConfig::default(),
            realtime: true,
            judge: None,
            spans: None,
            on_turn: None,
        }
    }
}

impl std::fmt::Debug for PlayOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlayOptions")
            .field("turn_limit", &self.turn_limit)
            .field("realtime", &self.realtime)
            .finish_non_exhaustive()
    }
}

/// Holds the conversation of a script on a session that was just opened, closes the session, and tells what came of it.
///
/// Dropping the future ends the session.
pub async fn play(script: &Script, session: Session, options: PlayOptions) -> Outcome {
    let trace_id = session.trace_id();
    let mut player = Player::new(script, session, options);
    let (turns, mut verdict) = player.play().await;
    player.close().await;
    let spans = match turns.len() == script.turns.len() {
        true => player.check_spans(trace_id),
        false => Vec::new(),
    };
    if verdict == Verdict::Passed && spans.iter().any(is_unmet) {
        verdict = Verdict::Failed;
    }
    Outcome {
        verdict,
        trace_id: trace_id.map(|id| id.to_string()),
        duration: player.now(),
        turns,
        spans,
        usage: player.observer.usage().clone(),
    }
}

struct Player<'a> {
    script: &'a Script,
    session: Session,
    /// For what is asked of the session while its events are read.
    handle: SessionHandle,
    options: PlayOptions,
    started: Instant,
    observer: Observer,
    ears: Ears,
    voice: Voice,
    rulings: Rulings,
}

/// A turn that was played and is not judged yet.
struct Played<'a> {
    turn: &'a Turn,
    window: Window,
    ended_at: Duration,
}

impl Played<'_> {
    /// What came of the turn. An answer that went wrong fails it, unless it is expected to.
    fn outcome(self, mut findings: Vec<Finding>) -> TurnOutcome {
        let Self {
            turn,
            window,
            ended_at,
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
    fn new(script: &'a Script, session: Session, options: PlayOptions) -> Self {
        Self {
            script,
            handle: session.handle(),
            session,
            ears: Ears::new(&options),
            voice: Voice::new(&options),
            options,
            started: Instant::now(),
            observer: Observer::default(),
            rulings: Rulings::new(),
        }
    }

    /// The time since the session was open.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn play(&mut self) -> (Vec<TurnOutcome>, Verdict) {
        let script = self.script;
        let mut outcomes = Vec::new();
        let mut played = Vec::new();
        for (place, turn) in script.turns.iter().enumerate() {
            self.tell_progress(place);
            let stop = self.play_turn(place).await.err();
            let ended_at = self.now();
            let window = self.observer.next_window(ended_at);
            let was_over = window.happened.is_empty();
            played.push(Played {
                turn,
                window,
                ended_at,
            });
            if stop.is_none() && self.goes_on(place) {
                continue;
            }
            let ending = stop.as_ref().map_or(Ending::Over, Stop::ending);
            let judged = self.judge(&mut played, ending, &mut outcomes).await;
            if let Some(stop) = stop {
                let verdict = self.verdict(place + usize::from(!was_over), stop, &mut outcomes);
                return (outcomes, verdict);
            }
            if has_failed(&outcomes) {
                return (outcomes, Verdict::Failed);
            }
            if let Err(reason) = judged {
                return (outcomes, Verdict::Broken { reason });
            }
        }
        (outcomes, Verdict::Passed)
    }

    /// Whether the next turn acts on what is under way, so that it can't wait for a judgement.
    fn goes_on(&self, place: usize) -> bool {
        let next = self.script.turns.get(place + 1);
        next.is_some_and(|next| matches!(next.act, Act::InterruptAfter(_)) || self.observer.is_busy())
    }

    fn tell_progress(&self, place: usize) {
        if let Some(on_turn) = &self.options.on_turn {
            on_turn(Progress {
                turn: place + 1,
                turns: self.script.turns.len(),
            });
        }
    }

    /// Does what the user does in a turn, and waits until it is over.
    async fn play_turn(&mut self, place: usize) -> Result<(), Stop> {
        let turn = &self.script.turns[place];
        let limit = self.options.turn_limit + act::length(&turn.act);
        let deadline = Instant::now() + limit;
        self.observer.begin_turn(self.now());
        let played = match self.act(turn, deadline).await {
            Ok(()) => self.rest(place, Instant::now() + self.options.turn_limit).await,
            Err(stop) => Err(stop),
        };
        self.voice.end_turn();
        played.map_err(|stop| stop.in_turn(place, turn, limit))
    }

    /// Waits for something while the session's events are read.
    async fn during<T>(&mut self, work: impl Future<Output = T>, deadline: Instant) -> Result<T, Stop> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                event = self.session.next() => self.note(event)?,
                result = &mut work => return Ok(result),
                () = sleep_until(deadline) => return Err(Stop::OutOfTime(String::new())),
            }
        }
    }

    /// Waits for the next event, no longer than until `until`; tells whether there was one.
    async fn next_event(&mut self, until: Instant) -> Result<bool, Stop> {
        tokio::select! {
            biased;
            event = self.session.next() => self.note(event).map(|()| true),
            () = sleep_until(until) => Ok(false),
        }
    }

    fn note(&mut self, event: Option<SessionEvent>) -> Result<(), Stop> {
        let at = self.now();
        if let Some(event) = &event {
            self.observer.note(at, event);
            self.ears.note(event, Instant::now());
            self.voice.note(event);
        }
        match (event, self.observer.end()) {
            (_, Some(reason)) => Err(Stop::of_end(reason)),
            (None, None) => Err(Stop::Broken("the session broke off".to_owned())),
            (Some(_), None) => Ok(()),
        }
    }

    /// Judges the turns that are over; those before the last have not been cut short. Tells why not all could be judged.
    async fn judge(
        &mut self,
        played: &mut Vec<Played<'a>>,
        ending: Ending,
        outcomes: &mut Vec<TurnOutcome>,
    ) -> Result<(), String> {
        let turns = std::mem::take(played);
        let last = turns.len().saturating_sub(1);
        let mut judged = Ok(());
        for (place, played) in turns.into_iter().enumerate() {
            let ending = if place == last { ending } else { Ending::Over };
            let findings = match self.findings(&played, ending).await {
                Ok(findings) => findings,
                Err(reason) => {
                    judged = Err(reason);
                    expect::untold(played.turn)
                }
            };
            outcomes.push(played.outcome(findings));
        }
        judged
    }

    /// What became of what was expected of a turn, after all that a language model had to be asked.
    async fn findings(&mut self, played: &Played<'a>, ending: Ending) -> Result<Vec<Finding>, String> {
        loop {
            match expect::findings(played.turn, &played.window.happened, ending, &self.rulings) {
                Ok(findings) => return Ok(findings),
                Err(question) => {
                    let ruling = self.ask(&question).await?;
                    self.rulings.insert(question, ruling);
                }
            }
        }
    }

    /// Asks the language model, and goes on listening to the session meanwhile.
    async fn ask(&mut self, question: &Question) -> Result<Ruling, String> {
        let Some(judge) = self.options.judge.clone() else {
            return Err("the script asks for a judge, and there is none".to_owned());
        };
        let mut ruling = std::pin::pin!(judge.judge(&question.claim, &question.words));
        let mut is_open = true;
        loop {
            tokio::select! {
                ruling = &mut ruling => return ruling.map_err(|error| error.to_string()),
                // That it is over is found out by the turn that follows.
                event = self.session.next(), if is_open => is_open = self.note(event).is_ok(),
            }
        }
    }

    /// What it means for the script that it was not played on: the turn at `next` had nothing from the session.
    fn verdict(&self, next: usize, stop: Stop, outcomes: &mut [TurnOutcome]) -> Verdict {
        let finding = match stop {
            Stop::OutOfTime(reason) => return Verdict::TimedOut { reason },
            Stop::Broken(reason) => return Verdict::Broken { reason },
            Stop::Impossible(finding) => Some(*finding),
            Stop::Over(reason) => self.script.turns.get(next).map(|next| Finding {
                place: next.place.clone(),
                expected: "a session that goes on".to_owned(),
                met: Met::No { came: reason },
                ruling: None,
            }),
        };
        if let (Some(finding), Some(outcome)) = (finding, outcomes.last_mut()) {
            outcome.findings.push(finding);
        }
        match has_failed(outcomes) {
            true => Verdict::Failed,
            false => Verdict::Passed,
        }
    }

    /// Holds the trace against what is expected of it, once its spans have ended.
    fn check_spans(&self, trace_id: Option<TraceId>) -> Vec<Finding> {
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

    /// Closes the session, and takes note of the tokens that it tells of to the end.
    async fn close(&mut self) {
        let handle = self.handle.clone();
        let started = self.started;
        let (session, observer) = (&mut self.session, &mut self.observer);
        let last_events = async {
            while let Some(event) = session.next().await {
                observer.note(started.elapsed(), &event);
            }
        };
        tokio::join!(handle.close(), last_events);
    }
}

/// Whether something that was expected did not come.
fn has_failed(outcomes: &[TurnOutcome]) -> bool {
    outcomes
        .iter()
        .flat_map(|outcome| &outcome.findings)
        .any(is_unmet)
}

fn is_unmet(finding: &Finding) -> bool {
    matches!(finding.met, Met::No { .. })
}
