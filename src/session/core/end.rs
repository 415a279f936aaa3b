//! The end of a session, in whatever way it comes (span rule L2): every span is finished, nothing is waited for.

use std::time::Duration;

use super::{Core, Output, Phase};
use crate::protocol::ApiError;
use crate::session::{EndReason, SessionError, SessionEvent};
use crate::trace::SpanError;
use crate::transport::CloseReason;

/// How long after a fatal error the server's close is awaited: it tells more.
pub(super) const FATAL_GRACE: Duration = Duration::from_secs(2);

impl Core {
    /// The application ends the session.
    pub(super) fn close(&mut self) {
        match self.phase {
            Phase::Open => self.end(EndReason::Closed),
            _ => self.fail_entry(SessionError::Ended),
        }
    }

    /// The session's task is being stopped.
    pub(super) fn abort(&mut self) {
        match self.phase {
            Phase::Open => self.end(EndReason::Aborted),
            _ => self.fail_entry(SessionError::Ended),
        }
    }

    /// The server ended it with an error.
    pub(super) fn fail(&mut self, error: ApiError) {
        self.end(EndReason::Failed {
            error: Box::new(error),
        });
    }

    pub(super) fn on_closed(&mut self, close: CloseReason) {
        if self.phase != Phase::Open {
            return self.on_closed_early(close);
        }
        match self.fatal.take() {
            Some((error, _)) => self.fail(error),
            None if close.is_normal() => self.end(EndReason::ServerClosed { close }),
            None => self.end(EndReason::Lost { close }),
        }
    }

    /// The session could not be opened (span rule L3): the error goes to the span and, unchanged, to the caller.
    pub(super) fn fail_entry(&mut self, error: SessionError) {
        self.finish_spans(Some(SpanError::new(error.to_string())));
        self.outputs.push_back(Output::Failed(error));
        self.outputs.push_back(Output::Ended);
    }

    pub(super) fn end(&mut self, reason: EndReason) {
        let error = match &reason {
            EndReason::Closed | EndReason::ServerClosed { .. } => None,
            broken => Some(SpanError::new(broken.to_string())),
        };
        self.tell_latency();
        self.finish_spans(error);
        let duration = self.now.saturating_duration_since(self.opened_at);
        let usage = Box::new(std::mem::take(&mut self.usage));
        let transcription_usage = Box::new(std::mem::take(&mut self.transcription_usage));
        let latency = Box::new(self.latencies.take_summary());
        self.emit(SessionEvent::SessionEnd {
            reason,
            usage,
            transcription_usage,
            latency,
            duration,
        });
        self.outputs.push_back(Output::Ended);
    }

    fn finish_spans(&mut self, error: Option<SpanError>) {
        self.phase = Phase::Ended;
        self.calls.give_up(self.now);
        self.give_up_generations();
        self.give_up_transcriptions();
        self.give_up_speeches();
        self.give_up_watch();
        self.charge.finish(self.now, error);
    }
}
