//! How turns, and with them the run, end.

use realtime_run::protocol::ResponseStatus;
use realtime_run::session::EndReason;
use realtime_run::transport::advice;

use super::{Conversation, Voice};
use crate::cli::exit::ExitStatus;

impl Conversation {
    pub(super) fn out_of_time(&self, message: &str, flag: &str) -> Option<ExitStatus> {
        self.printer.end_words();
        self.printer
            .error(message, Some(&format!("{flag} sets the limit")));
        Some(ExitStatus::Timeout)
    }

    pub(super) fn on_turn_end(&mut self, status: ResponseStatus, reason: Option<&str>) -> Option<ExitStatus> {
        tracing::info!(status = status.as_str(), reason, "the turn is over");
        // A change of agent at the prompt ends like a turn, though nothing was said.
        let was_awaited = self.turn_until.is_some() || self.is_speaking();
        // Whoever spoke into an answer has another one coming.
        if !self.voice.as_ref().is_some_and(Voice::is_answer_due) {
            self.turn_until = None;
        }
        if !was_awaited {
            return None;
        }
        let what = match status {
            ResponseStatus::Failed => Some("the turn failed"),
            ResponseStatus::Incomplete => Some("the answer is incomplete"),
            _ => None,
        };
        if let Some(what) = what {
            self.tell_failure(what, reason);
            self.failed = true;
            if !self.turns.are_typed() {
                return Some(ExitStatus::Failure);
            }
        }
        self.ask();
        None
    }

    fn tell_failure(&mut self, what: &str, reason: Option<&str>) {
        let told = self.told.take();
        let message = match reason {
            Some(reason) if told.as_deref() == Some(reason) => format!("{what} because of this"),
            Some(reason) => format!("{what}: {reason}"),
            None => format!("{what}; the server does not say why"),
        };
        self.printer.error(&message, reason.and_then(incomplete_advice));
    }

    pub(super) fn on_session_end(&mut self, reason: &EndReason) -> ExitStatus {
        tracing::info!(%reason, "the session is over");
        let is_unfinished = !self.is_users_turn() || self.turns.are_left();
        match reason {
            EndReason::ServerClosed { .. } if !is_unfinished => {
                self.printer.note(&self.printer.paint().dim(&reason.to_string()));
                self.status()
            }
            EndReason::Failed { error } if self.told == Some(error.to_string()) => {
                self.printer
                    .error("the server ended the session because of this", None);
                ExitStatus::Failure
            }
            EndReason::Failed { error } => {
                self.printer.error(&reason.to_string(), advice(error.code()));
                ExitStatus::Failure
            }
            _ => {
                self.printer.error(&reason.to_string(), None);
                ExitStatus::Failure
            }
        }
    }

    pub(super) fn on_end_of_input(&self) -> ExitStatus {
        if !self.has_spoken && !self.turns.are_typed() {
            let advice = "say something with -m or --audio-in, or in lines on stdin";
            self.printer.warning("nothing was said", Some(advice));
        }
        self.status()
    }

    pub(super) fn status(&self) -> ExitStatus {
        if self.failed {
            ExitStatus::Failure
        } else {
            ExitStatus::Success
        }
    }
}

/// What to do about the reasons for which servers leave an answer incomplete.
fn incomplete_advice(reason: &str) -> Option<&'static str> {
    match reason {
        "max_output_tokens" => Some("raise `max_output_tokens` under [session]"),
        "content_filter" => Some("the provider's filter stopped it: say it in other words"),
        _ => None,
    }
}
