//! When a turn is over: when the session has nothing left to do, or the next turn acts on what is under way.

use std::time::Duration;

use tokio::time::Instant;

use super::act::impossible;
use super::stop::Stop;
use super::{Player, after};
use crate::script::{Act, EventKind};
use crate::session::Decision;
use crate::session::spoken::Next;

/// How long is waited for what may come of something that the session does not have to answer.
const ECHO_LIMIT: Duration = Duration::from_secs(2);

/// When a turn is over.
#[derive(Debug, PartialEq, Eq)]
enum Rest {
    Now,
    /// At this time.
    At(Instant),
    /// Not before this time, and perhaps not then.
    NotBefore(Instant),
    /// Not before something happens.
    Later,
    /// The user has spoken, and the server has not heard it.
    Unheard,
}

impl Player<'_> {
    /// Waits until the turn is over.
    pub(super) async fn rest(&mut self, place: usize, deadline: Instant) -> Result<(), Stop> {
        let echo_until = match self.script.turns[place].act {
            Act::Raw(_) | Act::Silence(_) => Instant::now() + ECHO_LIMIT,
            _ => Instant::now(),
        };
        loop {
            self.reject_what_nobody_decides(place, deadline).await?;
            self.ask_for_answer(deadline).await?;
            let until = match self.rest_of(place) {
                Rest::Now if self.has_come(place) || Instant::now() >= echo_until => {
                    return self.catch_up(self.deadline()).await;
                }
                Rest::Now => echo_until,
                Rest::At(at) if Instant::now() >= at => return Ok(()),
                Rest::At(at) | Rest::NotBefore(at) => at,
                Rest::Unheard => {
                    let turn = &self.script.turns[place];
                    let came = "the server heard nobody speak".to_owned();
                    return Err(impossible(turn, "speech that the server hears".to_owned(), came));
                }
                Rest::Later if Instant::now() >= deadline => {
                    return Err(Stop::OutOfTime(String::new()));
                }
                Rest::Later => deadline,
            };
            self.next_event(until).await?;
        }
    }

    fn rest_of(&self, place: usize) -> Rest {
        let observer = &self.observer;
        let is_held = !observer.is_answering() && observer.waiting().next().is_some();
        match (
            self.script.turns.get(place + 1).map(|next| &next.act),
            observer.content_at(),
        ) {
            (Some(Act::InterruptAfter(delay)), Some(content_at)) => {
                Rest::At(after(self.started + content_at, *delay))
            }
            (Some(Act::Approve { tool, .. } | Act::Reject { tool, .. }), _) if is_held => {
                match observer.waiting().any(|(_, own)| is_of(tool.as_deref(), own)) {
                    true => Rest::Now,
                    false => Rest::Later,
                }
            }
            _ if is_held => Rest::Now,
            (next, _) => match self.voice.next() {
                Next::Wait(Some(until)) => Rest::NotBefore(until),
                Next::Wait(None) => Rest::Later,
                Next::Unheard => Rest::Unheard,
                Next::Over if observer.is_busy() => Rest::Later,
                Next::Over => self.until_heard(next),
            },
        }
    }

    /// Who speaks next waits until the answer has been heard: else it would be interrupted.
    fn until_heard(&self, next: Option<&Act>) -> Rest {
        match (next, self.ears.heard_at()) {
            (Some(Act::Speak(_)), Some(until)) if until > Instant::now() => Rest::NotBefore(until),
            _ => Rest::Now,
        }
    }

    /// Whether all that is expected of a turn has happened, as far as its kind tells.
    fn has_come(&self, place: usize) -> bool {
        let turn = &self.script.turns[place];
        let happened = self.observer.happened();
        let came = |kind: EventKind| happened.iter().filter(|own| own.kind == kind).count();
        let wanted = |kind: EventKind| {
            turn.expect
                .iter()
                .filter(|own| own.event == kind && !own.absent)
                .count()
        };
        turn.expect
            .iter()
            .all(|own| !own.absent && came(own.event) >= wanted(own.event))
    }

    /// Rejects the calls that no turn decides while they wait: the session would wait for ever.
    async fn reject_what_nobody_decides(&mut self, place: usize, deadline: Instant) -> Result<(), Stop> {
        if self.observer.is_answering() {
            return Ok(());
        }
        let waiting = self.observer.waiting();
        let undecided = waiting.filter(|(_, tool)| !self.is_decided_later(place, tool));
        let undecided: Vec<_> = undecided
            .map(|(id, tool)| (id.to_owned(), tool.to_owned()))
            .collect();
        for (call_id, tool) in undecided {
            self.observer.is_decided(&call_id);
            self.observer.remark(format!(
                "`{tool}` needs approval, and no turn decides on it: it is rejected"
            ));
            let handle = self.handle.clone();
            // If it is settled meanwhile, or the session is over, an event tells it.
            let _ = self
                .during(handle.decide(call_id, Decision::reject()), deadline)
                .await?;
        }
        Ok(())
    }

    /// Whether one of the turns that follow decides on a call of this tool before the session has to be at rest.
    fn is_decided_later(&self, place: usize, tool: &str) -> bool {
        let following = self.script.turns[place + 1..].iter().map(|turn| &turn.act);
        let mut on_the_way = following.take_while(|act| {
            matches!(
                act,
                Act::Approve { .. } | Act::Reject { .. } | Act::InterruptAfter(_) | Act::Wait(_)
            )
        });
        on_the_way.any(|act| match act {
            Act::Approve { tool: own, .. } | Act::Reject { tool: own, .. } => is_of(own.as_deref(), tool),
            _ => false,
        })
    }
}

/// Whether a turn that names this tool, or none, means calls of that one.
fn is_of(named: Option<&str>, tool: &str) -> bool {
    named.is_none_or(|named| named == tool)
}
