//! What the user says and does in a turn.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::Player;
use super::stop::Stop;
use crate::script::expect::{quote, time};
use crate::script::{Act, Finding, Met, Turn};
use crate::session::{Decision, SessionError};

/// What the user says or does, in words for people.
pub(super) fn words(act: &Act) -> String {
    match act {
        Act::Say(text) => format!("says {}", quote(text)),
        Act::Speak(path) => format!("says what is in {}", path.display()),
        Act::Silence(length) => format!("says nothing for {}", time(*length)),
        Act::SwitchAgent(agent) => format!("puts `{agent}` in charge"),
        Act::InterruptAfter(delay) => format!("interrupts {} into the answer", time(*delay)),
        Act::Approve { tool, always } => {
            let always = if *always { "always " } else { "" };
            format!("{always}approves {}", a_call(tool.as_deref()))
        }
        Act::Reject { tool, .. } => format!("rejects {}", a_call(tool.as_deref())),
        Act::Wait(length) => format!("waits for {}", time(*length)),
        Act::Raw(event) => format!("sends a raw `{}`", kind(event)),
    }
}

fn a_call(tool: Option<&str>) -> String {
    tool.map_or("a call".to_owned(), |tool| format!("a call of `{tool}`"))
}

fn kind(event: &Map<String, Value>) -> &str {
    event.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// How long the user takes.
pub(super) fn length(act: &Act) -> Duration {
    match act {
        Act::Silence(length) | Act::Wait(length) => *length,
        _ => Duration::ZERO,
    }
}

impl Player<'_> {
    /// Says or does it.
    pub(super) async fn act(&mut self, turn: &Turn, deadline: Instant) -> Result<(), Stop> {
        match &turn.act {
            Act::Say(text) => self.say(text, deadline).await?,
            Act::Speak(path) => self.speak(path).await?,
            Act::Silence(length) => self.be_silent(*length).await?,
            Act::SwitchAgent(agent) => self.switch_agent(turn, agent, deadline).await?,
            Act::InterruptAfter(delay) => {
                self.ears.have_heard(&self.handle, *delay);
                self.interrupt(deadline).await?;
            }
            Act::Approve { tool, always } => {
                let decision = Decision::approve();
                let decision = if *always { decision.always() } else { decision };
                self.decide(turn, tool.as_deref(), decision, deadline).await?;
            }
            Act::Reject { tool, message } => {
                let decision = Decision::reject();
                let decision = match message {
                    Some(message) => decision.message(message),
                    None => decision,
                };
                self.decide(turn, tool.as_deref(), decision, deadline).await?;
            }
            Act::Wait(length) => self.during(sleep(*length), deadline).await?,
            Act::Raw(event) => self.send_raw(event, deadline).await?,
        }
        Ok(())
    }

    async fn say(&mut self, text: &str, deadline: Instant) -> Result<(), Stop> {
        self.ears.have_heard_all(&self.handle);
        self.observer.user_begins(text);
        self.observer.is_due();
        let handle = self.handle.clone();
        let sent = self.during(handle.send_message(text), deadline).await?;
        self.observer.user_ended(self.now());
        self.check(sent, deadline).await
    }

    async fn switch_agent(&mut self, turn: &Turn, agent: &str, deadline: Instant) -> Result<(), Stop> {
        self.observer.is_due();
        let handle = self.handle.clone();
        match self.during(handle.update_agent(agent), deadline).await? {
            Err(error @ SessionError::Switch { .. }) => {
                let expected = format!("that `{agent}` can take charge");
                Err(impossible(turn, expected, error.to_string()))
            }
            result => self.check(result, deadline).await,
        }
    }

    async fn interrupt(&mut self, deadline: Instant) -> Result<(), Stop> {
        let handle = self.handle.clone();
        let sent = self.during(handle.interrupt(), deadline).await?;
        self.check(sent, deadline).await?;
        self.catch_up(deadline).await
    }

    async fn decide(
        &mut self,
        turn: &Turn,
        tool: Option<&str>,
        decision: Decision,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let call_id = {
            let mut waiting = self.observer.waiting();
            let call = waiting.find(|(_, own)| tool.is_none_or(|tool| tool == *own));
            call.map(|(id, _)| id.to_owned())
        };
        let Some(call_id) = call_id else {
            let expected = format!("{} that waits for approval", a_call(tool));
            return Err(impossible(
                turn,
                expected,
                "no such call waits for approval".to_owned(),
            ));
        };
        self.observer.is_decided(&call_id);
        let handle = self.handle.clone();
        match self.during(handle.decide(call_id, decision), deadline).await? {
            Err(error @ SessionError::NotWaiting { .. }) => {
                let expected = format!("{} that waits for approval", a_call(tool));
                Err(impossible(turn, expected, error.to_string()))
            }
            result => self.check(result, deadline).await,
        }
    }

    async fn send_raw(&mut self, event: &Map<String, Value>, deadline: Instant) -> Result<(), Stop> {
        if kind(event) == "response.create" {
            self.observer.is_due();
        }
        let handle = self.handle.clone();
        let sent = self
            .during(handle.send_raw(event.clone().into()), deadline)
            .await?;
        self.check(sent, deadline).await
    }

    /// Waits until the session has done what was asked of it, and all that it told meanwhile is read.
    pub(super) async fn catch_up(&mut self, deadline: Instant) -> Result<(), Stop> {
        let handle = self.handle.clone();
        let done = self.during(handle.history(), deadline).await?;
        self.check(done.map(|_| ()), deadline).await?;
        while self.next_event(Instant::now()).await? {}
        Ok(())
    }

    /// A session that takes no more is over; its last event tells why.
    pub(super) async fn check(
        &mut self,
        result: Result<(), SessionError>,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let Err(error) = result else { return Ok(()) };
        while let SessionError::Ended = error
            && self.next_event(deadline).await?
        {}
        Err(Stop::Broken(error.to_string()))
    }
}

/// What the user does in a turn is not possible.
pub(super) fn impossible(turn: &Turn, expected: String, came: String) -> Stop {
    Stop::Impossible(Box::new(Finding {
        place: turn.place.clone(),
        expected,
        met: Met::No { came },
        ruling: None,
    }))
}
