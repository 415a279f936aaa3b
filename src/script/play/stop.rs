//! Why a script is not played on.

use std::time::Duration;

use super::act;
use crate::script::expect::{Ending, time};
use crate::script::{Finding, Turn};
use crate::session::EndReason;

/// Why a script is not played on after a turn.
#[derive(Debug)]
pub(super) enum Stop {
    /// The turn, or the whole, took too long.
    OutOfTime(String),
    /// The session broke.
    Broken(String),
    /// The session ended in an orderly way.
    Over(String),
    /// What the user does is not possible.
    Impossible(Box<Finding>),
}

impl Stop {
    /// What the end of a session means.
    pub(super) fn of_end(reason: &EndReason) -> Self {
        match reason {
            EndReason::Closed | EndReason::Guardrail { .. } => Self::Over(reason.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }

    /// The time of the whole is up, in this turn.
    pub(super) fn time_is_up(place: usize, turn: &Turn) -> Self {
        let (number, act) = (place + 1, act::words(&turn.act));
        Self::OutOfTime(format!(
            "the time of the whole run was up in turn {number} ({act})"
        ))
    }

    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::OutOfTime(_) => Ending::OutOfTime,
            Self::Over(_) => Ending::Over,
            Self::Broken(_) | Self::Impossible(_) => Ending::BrokenOff,
        }
    }

    /// Names the turn in which it happened.
    pub(super) fn in_turn(self, place: usize, turn: &Turn, limit: Duration) -> Self {
        let number = place + 1;
        match self {
            Self::OutOfTime(why) => {
                let act = act::words(&turn.act);
                let limit = time(limit);
                Self::OutOfTime(format!("turn {number} ({act}) was not over within {limit}{why}"))
            }
            Self::Broken(reason) => Self::Broken(format!("in turn {number}: {reason}")),
            other => other,
        }
    }
}
