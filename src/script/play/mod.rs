//! Holding the conversation of a script, and judging it.

mod act;
mod ears;
mod judging;
mod rest;
mod stop;
mod voice;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::ears::Ears;
use self::judging::{Played, has_failed, is_unmet};
use self::stop::Stop;
use self::voice::Voice;
use super::expect::{Ending, Rulings};
use super::observe::Observer;
use super::{Act, Finding, Judge, Met, Outcome, Script, TurnOutcome, Verdict};
use crate::protocol::AudioConfig;
use crate::session::{Session, SessionEvent, SessionHandle};
use crate::trace::MemoryProcessor;

/// How a script is played.
#[derive(Clone)]
pub struct PlayOptions {
    /// How long a turn may take, beyond what the user takes to say or do it.
    pub turn_limit: Duration,
    /// When the whole of it has to be over, beyond the orderly end of the session.
    pub until: Option<Instant>,
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
            until: None,
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
            .field("until", &self.until)
            .field("realtime", &self.realtime)
            .finish_non_exhaustive()
    }
}

/// Holds the conversation of a script on a session that was just opened, closes the session, and tells what came of it.
/// Dropping the future ends the session.
///
/// A turn lasts until the session has nothing left to do, and what is expected of it is held against what happens until the
/// next one begins. Three kinds of turn act on what is under way instead of waiting for its end: an interruption, so long
/// after the first word or sound; an approval or a rejection, as soon as such a call waits for it; and a wait, while a
/// call waits that a turn behind it decides. A call that no turn decides is rejected, and the transcript says so. After
/// silence and raw events, which need not come to anything, up to two seconds are waited for what is expected of them. Whoever
/// speaks aloud after a spoken answer hears it to its end first.
///
/// Times count from the end of what the user said: of a message, when it was sent; of speech, where the server heard it end;
/// of anything else, from its beginning.
///
/// The first turn that fails is the last one played, for what follows depends on it; turns that act on the same answer are
/// judged together, once it is over. An answer that failed or is incomplete fails its turn, unless an error is expected of
/// it. The session may end by the agent's own doing (`end_session`, a guardrail) in the last turn, not before. When the time
/// of the whole is up, what happened until then is judged, as far as that takes no more time.
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

    /// Until when what begins now has to be over.
    fn deadline(&self) -> Instant {
        after(Instant::now(), self.options.turn_limit)
    }

    async fn play(&mut self) -> (Vec<TurnOutcome>, Verdict) {
        let script = self.script;
        let mut outcomes = Vec::new();
        let mut played = Vec::new();
        for (place, turn) in script.turns.iter().enumerate() {
            self.tell_progress(place);
            let stop = self.play_turn_in_time(place).await.err();
            let ended_at = self.now();
            let window = self.observer.next_window(ended_at);
            let was_over = window.happened.is_empty();
            played.push(Played {
                place,
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
            if let Err(stop) = judged {
                let verdict = self.verdict(place + 1, stop, &mut outcomes);
                return (outcomes, verdict);
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

    /// Plays a turn, unless the time of the whole is up before.
    async fn play_turn_in_time(&mut self, place: usize) -> Result<(), Stop> {
        let until = self.options.until;
        let played = tokio::select! {
            biased;
            played = self.play_turn(place) => Some(played),
            () = time_is_up(until) => None,
        };
        self.voice.end_turn();
        let turn = &self.script.turns[place];
        played.unwrap_or_else(|| Err(Stop::time_is_up(place, turn)))
    }

    /// Does what the user does in a turn, and waits until it is over.
    async fn play_turn(&mut self, place: usize) -> Result<(), Stop> {
        let turn = &self.script.turns[place];
        let limit = self.options.turn_limit.saturating_add(act::length(&turn.act));
        let deadline = after(Instant::now(), limit);
        self.observer.begin_turn(self.now());
        let played = match self.act(turn, deadline).await {
            Ok(()) => self.rest(place, self.deadline()).await,
            Err(stop) => Err(stop),
        };
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

/// Waits until then; for ever if that is never.
async fn time_is_up(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// So long after; no clock counts as far as a duration does.
fn after(start: Instant, length: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    start + length.min(FAR)
}
