//! From the call that opens a session until it can be used (protocol.md section 1.4 to 1.6; span rules L1, L3).

use std::sync::Arc;

use super::charge::SETTINGS_LIMIT;
use super::end::FATAL_GRACE;
use super::{Core, Output};
use crate::agent::{ResolveError, ResolvedAgent};
use crate::protocol::{ApiError, ServerEvent};
use crate::session::{SessionError, SessionEvent};
use crate::trace::Timestamp;
use crate::transport::{CloseReason, ConnectError};

/// How far a session has come.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// The starting agent is being resolved.
    Resolving { until: Timestamp },
    /// The connection is being opened, which has its own limit.
    Connecting,
    /// The first event that is no error is awaited: only that means connected.
    Greeting { until: Timestamp },
    /// The agent's settings are sent, and the server is to take them.
    Settings { until: Timestamp },
    /// It can be used.
    Open,
    /// It is over.
    Ended,
}

impl Phase {
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Resolving { until } | Self::Greeting { until } | Self::Settings { until } => Some(*until),
            Self::Connecting | Self::Open | Self::Ended => None,
        }
    }
}

impl Core {
    pub(super) fn on_first_resolved(&mut self, result: Result<Arc<ResolvedAgent>, ResolveError>) {
        match result {
            Ok(agent) => {
                self.charge.take(agent);
                self.phase = Phase::Connecting;
                let limit = self.open_until.saturating_duration_since(self.now);
                self.outputs.push_back(Output::Connect { limit });
            }
            Err(error) => self.fail_entry(error.into()),
        }
    }

    pub(super) fn on_connected(&mut self, result: Result<(), ConnectError>) {
        match result {
            Ok(()) if self.options.joins_a_call => self.configure(),
            Ok(()) => {
                self.phase = Phase::Greeting {
                    until: self.open_until,
                }
            }
            Err(error) => self.fail_entry(error.into()),
        }
    }

    /// Sends the starting agent's settings.
    fn configure(&mut self) {
        let Some(agent) = self.charge.agent().cloned() else {
            return;
        };
        self.send_settings(&agent);
        self.phase = Phase::Settings {
            until: self.open_until.min(self.now + SETTINGS_LIMIT),
        };
    }

    /// Handles an event that decides whether the session can be used. Says whether that was all there is to it.
    pub(super) fn on_entry_event(&mut self, event: &ServerEvent<'_>) -> bool {
        match (&self.phase, event) {
            (Phase::Greeting { .. }, ServerEvent::Error(error)) => {
                self.doubt(error);
                true
            }
            (Phase::Greeting { .. }, ServerEvent::SessionCreated(info)) => {
                self.learn(info.clone());
                self.configure();
                true
            }
            (Phase::Greeting { .. }, _) => {
                self.configure();
                false
            }
            (Phase::Settings { .. }, ServerEvent::SessionUpdated(info)) => {
                self.learn(info.clone());
                self.on_settings_accepted();
                self.open();
                true
            }
            (Phase::Settings { .. }, ServerEvent::Error(error)) => {
                if self.on_settings_refused(error) {
                    self.fail_entry(SessionError::Settings { error: error.clone() });
                } else {
                    self.doubt(error);
                }
                true
            }
            _ => false,
        }
    }

    /// Keeps what the server says is wrong: the close that follows tells that it means it. After a fatal error it
    /// is not waited for long.
    fn doubt(&mut self, error: &ApiError) {
        self.refusal = Some(error.clone());
        if let (true, Phase::Greeting { until } | Phase::Settings { until }) =
            (error.is_fatal(), &mut self.phase)
        {
            *until = (*until).min(self.now + FATAL_GRACE);
        }
    }

    fn open(&mut self) {
        self.phase = Phase::Open;
        self.opened_at = self.now;
        let start = SessionEvent::SessionStart {
            session_id: self.info.id.clone(),
            model: self
                .info
                .model
                .clone()
                .unwrap_or_else(|| self.options.model.clone()),
            agent: self.charge.name().to_owned(),
            trace_id: self.options.scope.trace_id().map(|id| id.to_string()),
        };
        self.emit(start);
        self.warn_of_what_is_missing();
        if let Some(error) = self.refusal.take() {
            self.emit(SessionEvent::Error { error });
        }
        self.outputs.push_back(Output::Opened);
    }

    pub(super) fn on_entry_time(&mut self) {
        if self.phase.deadline().is_none_or(|until| self.now < until) {
            return;
        }
        let is_silent = self.refusal.as_ref().is_none_or(|error| !error.is_fatal());
        if matches!(self.phase, Phase::Settings { .. }) && is_silent {
            self.charge.expect_no_answers();
            return self.open();
        }
        let error = match self.refusal.take() {
            Some(error) => SessionError::Refused { error },
            None => SessionError::Timeout(self.options.open_limit),
        };
        self.fail_entry(error);
    }

    /// The connection ended before the session could be used.
    pub(super) fn on_closed_early(&mut self, close: CloseReason) {
        let error = match self.refusal.take() {
            Some(error) => SessionError::Refused { error },
            None => SessionError::Closed(close),
        };
        self.fail_entry(error);
    }
}
