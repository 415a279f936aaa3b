//! Which agent is in charge, its span, and how the charge passes to another (span rules L1 to L6, M1 to M3).
//!
//! A change of agent is one thing, whether the model asks for it or the application: the new agent is resolved, its
//! settings are sent, and when the server has taken them the old span ends and the new one starts. Until then the
//! old agent goes on, and if anything fails it simply keeps going (L6). Changes happen one at a time, in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::calls::UNFINISHED;
use super::preparation::{OnHandoff, PREPARE_LIMIT, Preparation};
use super::{Core, CoreOptions, Output, Phase};
use crate::agent::{ResolveError, ResolvedAgent};
use crate::protocol::{ApiError, ClientEvent, Id};
use crate::session::{SessionError, SessionEvent};
use crate::trace::{Context, Span, SpanData, SpanError, Timestamp};

/// How long the server may take to accept settings. One that says nothing is taken to have accepted: not all
/// servers answer.
pub(super) const SETTINGS_LIMIT: Duration = Duration::from_secs(5);
/// How long another agent may take to be resolved, beside what its MCP servers may take to start.
const RESOLVE_LIMIT: Duration = Duration::from_secs(30);
/// Changes of agent that may wait at once.
const MAX_WAITING: usize = 32;

#[derive(Debug)]
pub(super) struct Charge {
    /// The agent in charge; none until the first is resolved.
    agent: Option<Arc<ResolvedAgent>>,
    name: String,
    span: Span,
    /// Where every agent span of the session hangs (span rule P1).
    scope: Context,
    /// The change under way.
    stage: Stage,
    waiting: VecDeque<Change>,
    /// Settings sent and not yet answered, in order: answers bear no id when they are good.
    unanswered: VecDeque<Update>,
    /// Whether this server answers settings at all.
    answers: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    Settled,
    /// The input of the handoff is being taken.
    Preparing(Preparation),
    /// The new agent is being resolved, for which it has until then.
    Resolving(Change, Timestamp),
    /// The settings are sent; the server has until then to answer.
    Sent(Change, Arc<ResolvedAgent>, Timestamp),
}

/// A change of agent that is wanted.
#[derive(Debug)]
pub(super) struct Change {
    to: String,
    cause: Cause,
    /// The handoff's span, under the agent that was in charge when it was asked for (span rule P3).
    span: Span,
}

#[derive(Debug)]
pub(super) enum Cause {
    /// The model called a handoff.
    Call {
        call_id: String,
        item_id: Id,
        /// The answer that called.
        response_id: Option<Id>,
        /// The agent as it was when that answer began. Each activation resolves anew, so it tells them apart.
        asked_by: Arc<ResolvedAgent>,
        /// What is to run before, with the model's input.
        on_handoff: Option<Box<OnHandoff>>,
    },
    /// The application asked (span rule L5).
    Application { ticket: u64 },
}

#[derive(Debug)]
struct Update {
    event_id: String,
    /// Whether it is an agent's settings, or written by the application.
    is_agent: bool,
}

impl Change {
    fn take_on_handoff(&mut self) -> Option<OnHandoff> {
        match &mut self.cause {
            Cause::Call { on_handoff, .. } => on_handoff.take().map(|on_handoff| *on_handoff),
            Cause::Application { .. } => None,
        }
    }
}

impl Charge {
    pub(super) fn begin(now: Timestamp, options: &CoreOptions) -> Self {
        Self {
            agent: None,
            name: options.agent.clone(),
            span: agent_span(&options.scope, &options.agent, now),
            scope: options.scope.clone(),
            stage: Stage::Settled,
            waiting: VecDeque::new(),
            unanswered: VecDeque::new(),
            answers: true,
        }
    }

    pub(super) fn agent(&self) -> Option<&Arc<ResolvedAgent>> {
        self.agent.as_ref()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The place under the span of the agent in charge.
    pub(super) fn context(&self) -> Context {
        self.span.context()
    }

    pub(super) fn is_changing(&self) -> bool {
        !matches!(self.stage, Stage::Settled) || !self.waiting.is_empty()
    }

    pub(super) fn runs_tools_in_background(&self) -> bool {
        self.agent
            .as_ref()
            .is_none_or(|agent| agent.settings.async_tool_calls)
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Preparing(preparation) => Some(preparation.until),
            Stage::Resolving(_, until) | Stage::Sent(_, _, until) => Some(*until),
            Stage::Settled => None,
        }
    }

    /// Settings were sent: an agent's, or the application's own.
    pub(super) fn expect_answer(&mut self, event_id: String, is_agent: bool) {
        if self.answers {
            self.unanswered.push_back(Update { event_id, is_agent });
        }
    }

    /// Takes the charge at entry, with the settings about to be sent (span rule M1).
    pub(super) fn take(&mut self, agent: Arc<ResolvedAgent>) {
        self.span.update(|data| describe(data, &agent));
        self.agent = Some(agent);
    }

    /// The server has not answered settings in time: later changes need not wait for it, until it does answer.
    pub(super) fn expect_no_answers(&mut self) {
        self.answers = false;
        self.unanswered.clear();
    }

    /// Ends all spans, open handoffs included: the session is over.
    pub(super) fn finish(&mut self, now: Timestamp, error: Option<SpanError>) {
        let under_way = match std::mem::replace(&mut self.stage, Stage::Settled) {
            Stage::Settled => None,
            Stage::Preparing(preparation) => Some(preparation.give_up(now, UNFINISHED)),
            Stage::Resolving(change, _) | Stage::Sent(change, ..) => Some(change),
        };
        for mut change in under_way.into_iter().chain(self.waiting.drain(..)) {
            change
                .span
                .set_error(SpanError::new("The session ended before the handoff was done"));
            change.span.finish_at(now);
        }
        let mut span = std::mem::replace(&mut self.span, Span::noop());
        if let Some(error) = error {
            span.set_error(error);
        }
        span.finish_at(now);
    }

    /// Whether what runs under this call comes before a handoff.
    pub(super) fn is_preparing(&self, id: &str) -> bool {
        matches!(&self.stage, Stage::Preparing(preparation) if preparation.is_for(id))
    }

    pub(super) fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    pub(super) fn take_preparation(&mut self) -> Option<Preparation> {
        match std::mem::replace(&mut self.stage, Stage::Settled) {
            Stage::Preparing(preparation) => Some(preparation),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Whether a handoff was asked for by an agent that is no longer in charge.
    fn is_stale(&self, change: &Change) -> bool {
        match (&change.cause, &self.agent) {
            (Cause::Call { asked_by, .. }, Some(agent)) => !Arc::ptr_eq(asked_by, agent),
            _ => false,
        }
    }

    /// Which settings a good answer of the server is about.
    fn accepted(&mut self) -> Option<Update> {
        self.answers = true;
        self.unanswered.pop_front()
    }

    /// Which settings an error is about, if any.
    fn refused(&mut self, error: &ApiError) -> Option<Update> {
        let place = match &error.event_id {
            Some(id) => self.unanswered.iter().position(|update| update.event_id == *id)?,
            None if error
                .param
                .as_deref()
                .is_some_and(|param| param.starts_with("session.")) =>
            {
                0
            }
            None => return None,
        };
        self.unanswered.remove(place)
    }
}

/// Starts an agent's span, at no cost where nothing is recorded.
fn agent_span(scope: &Context, name: &str, now: Timestamp) -> Span {
    if scope.is_recording() {
        scope.span_at(SpanData::agent(name), now)
    } else {
        Span::noop()
    }
}

/// Tells what the model really got (span rules M1 and M3).
fn describe(data: &mut SpanData, agent: &ResolvedAgent) {
    if let SpanData::Agent { tools, handoffs, .. } = data {
        *tools = Some(agent.tool_names());
        *handoffs = Some(agent.handoff_names());
    }
}

impl Core {
    /// Has an agent resolved; what that takes shows under the agent in charge.
    pub(super) fn resolve(&mut self, agent: String) {
        let scope = self.charge.context();
        self.outputs.push_back(Output::Resolve { agent, scope });
    }

    fn resolve_limit(&self) -> Duration {
        RESOLVE_LIMIT + self.options.slowest_server
    }

    /// Tells what the agent now in charge has to do without.
    pub(super) fn warn_of_what_is_missing(&mut self) {
        let warnings = self.charge.agent().map(|agent| agent.warnings.clone());
        for message in warnings.into_iter().flatten() {
            self.emit(SessionEvent::Warning { message });
        }
    }

    /// The application wants another agent in charge.
    pub(super) fn update_agent(&mut self, to: String, ticket: u64) {
        let from = self.charge.name().to_owned();
        self.want_change(&from, to, Cause::Application { ticket });
    }

    /// Another agent is wanted in charge: by the application, or by the model, which called a handoff.
    pub(super) fn want_change(&mut self, from: &str, to: String, cause: Cause) {
        let scope = self.charge.context();
        let span = match scope.is_recording() {
            true => scope.span_at(SpanData::handoff(from, &to), self.now),
            false => Span::noop(),
        };
        let change = Change { to, cause, span };
        if self.charge.waiting.len() >= MAX_WAITING {
            return self.change_failed(change, "too many changes of agent are waiting");
        }
        self.charge.waiting.push_back(change);
        self.start_next_change();
    }

    pub(super) fn start_next_change(&mut self) {
        while matches!(self.charge.stage, Stage::Settled) {
            let Some(mut change) = self.charge.waiting.pop_front() else {
                return self.sequencer.hold(false);
            };
            if self.charge.is_stale(&change) {
                self.change_failed(change, "the agent that asked for it is no longer in charge");
                continue;
            }
            self.sequencer.hold(true);
            match change.take_on_handoff() {
                Some(on_handoff) => self.prepare(change, on_handoff),
                None => self.resolve_next(change),
            }
        }
    }

    pub(super) fn resolve_next(&mut self, change: Change) {
        self.resolve(change.to.clone());
        self.charge.stage = Stage::Resolving(change, self.now + self.resolve_limit());
    }

    pub(super) fn on_resolved(&mut self, result: Result<Arc<ResolvedAgent>, ResolveError>) {
        if matches!(self.phase, Phase::Resolving { .. }) {
            return self.on_first_resolved(result);
        }
        let Stage::Resolving(change, _) = std::mem::replace(&mut self.charge.stage, Stage::Settled) else {
            return;
        };
        match result {
            Ok(agent) => {
                self.send_settings(&agent);
                self.charge.stage = Stage::Sent(change, agent, self.now + SETTINGS_LIMIT);
                if !self.charge.answers {
                    self.change_agent();
                }
            }
            Err(error) => {
                self.change_failed(change, &error.to_string());
                self.start_next_change();
            }
        }
    }

    /// Sends all settings of an agent.
    pub(super) fn send_settings(&mut self, agent: &ResolvedAgent) {
        let mut config = agent.session_config();
        if !self.options.server_tracing {
            config.tracing = None;
        }
        let event_id = self.send(
            "update",
            ClientEvent::SessionUpdate {
                session: Box::new(config),
            },
        );
        self.charge.expect_answer(event_id, true);
    }

    pub(super) fn on_settings_accepted(&mut self) {
        if self.charge.accepted().is_some_and(|update| update.is_agent) {
            self.change_agent();
        }
    }

    /// Handles an error about settings that were sent. Says whether it was one.
    pub(super) fn on_settings_refused(&mut self, error: &ApiError) -> bool {
        let Some(update) = self.charge.refused(error) else {
            return false;
        };
        if !update.is_agent {
            return false;
        }
        match std::mem::replace(&mut self.charge.stage, Stage::Settled) {
            Stage::Sent(change, ..) => {
                self.change_failed(change, &format!("the server refused its settings: {error}"));
                self.start_next_change();
            }
            other => self.charge.stage = other,
        }
        true
    }

    pub(super) fn on_change_time(&mut self) {
        if self.charge.deadline().is_none_or(|until| self.now < until) {
            return;
        }
        match std::mem::replace(&mut self.charge.stage, Stage::Settled) {
            Stage::Preparing(preparation) => {
                let limit = PREPARE_LIMIT.as_secs();
                let change = preparation.give_up(self.now, &format!("It took longer than {limit} s"));
                self.change_failed(change, &format!("its input was not taken within {limit} s"));
                self.start_next_change();
            }
            Stage::Resolving(change, _) => {
                let limit = self.resolve_limit().as_secs();
                self.change_failed(change, &format!("it was not ready within {limit} s"));
                self.start_next_change();
            }
            sent => {
                self.charge.stage = sent;
                self.charge.expect_no_answers();
                self.change_agent();
            }
        }
    }

    /// The charge passes (span rule L4): one span ends and the next starts, at the same moment.
    fn change_agent(&mut self) {
        let Stage::Sent(change, agent, _) = std::mem::replace(&mut self.charge.stage, Stage::Settled) else {
            return;
        };
        let Change { to, cause, span, .. } = change;
        self.withdraw_approvals(&to);
        span.finish_at(self.now);
        let mut incoming = agent_span(&self.charge.scope, &to, self.now);
        incoming.update(|data| describe(data, &agent));
        std::mem::replace(&mut self.charge.span, incoming).finish_at(self.now);
        let from = std::mem::replace(&mut self.charge.name, to.clone());
        self.charge.agent = Some(agent);
        self.emit(SessionEvent::Handoff { from, to: to.clone() });
        self.warn_of_what_is_missing();
        match cause {
            Cause::Call {
                call_id,
                item_id,
                response_id,
                ..
            } => {
                self.answer_call(
                    call_id,
                    &item_id,
                    serde_json::json!({"assistant": to}).to_string(),
                );
                self.calls.serve(response_id);
            }
            Cause::Application { ticket } => self.outputs.push_back(Output::Reply {
                ticket,
                result: Ok(()),
            }),
        }
        self.start_next_change();
    }

    /// The old agent keeps the charge (span rule L6).
    pub(super) fn change_failed(&mut self, change: Change, reason: &str) {
        let Change {
            to, cause, mut span, ..
        } = change;
        span.set_error(SpanError::new(format!("Handoff failed: {reason}")));
        span.finish_at(self.now);
        match cause {
            Cause::Call {
                call_id,
                item_id,
                response_id,
                ..
            } => {
                self.answer_call(call_id, &item_id, format!("The handoff to {to} failed: {reason}"));
                self.calls.serve(response_id);
                self.complain("handoff_failed", format!("the handoff to {to} failed: {reason}"));
            }
            Cause::Application { ticket } => {
                let result = Err(SessionError::Switch {
                    agent: to,
                    reason: reason.to_owned(),
                });
                self.outputs.push_back(Output::Reply { ticket, result });
            }
        }
    }
}
