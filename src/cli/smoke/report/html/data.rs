//! What the page is told.

use serde::Serialize;
use serde_json::Value;

use crate::cli::page::Spans;
use crate::cli::smoke::report::wire::{self, Report};
use crate::cli::smoke::results::{Attempt, Results, ScriptResult};

/// How much is told of attempts in full.
pub const ROOM: Room = Room {
    page: 24 << 20,
    trace: 2 << 20,
};

/// Bytes of JSON.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// For all attempts.
    pub page: usize,
    /// For a trace.
    pub trace: usize,
}

/// An attempt as the page shows it: as reports tell of it, with its trace.
#[derive(Debug, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    attempt: Value,
    /// Whether it is told in full; if not, it has neither turns nor expectations nor a trace.
    whole: bool,
    trace: Option<Value>,
    /// Whether there is a trace for which there was no room.
    trace_left_out: bool,
}

/// The report, in which some attempts are told in full.
pub fn page(results: &Results, room: Room) -> serde_json::Result<Report<Shown>> {
    let attempts: Vec<&Attempt> = results.scripts.iter().flat_map(ScriptResult::attempts).collect();
    let mut shown: Vec<Option<Shown>> = attempts.iter().map(|_| None).collect();
    let mut left = room.page;
    for place in worth_telling(results) {
        let whole = Shown::whole(attempts[place], room.trace)?;
        let size = serde_json::to_string(&whole)?.len();
        if size <= left {
            left -= size;
            shown[place] = Some(whole);
        }
    }
    let shown: Result<Vec<_>, _> = shown
        .into_iter()
        .zip(attempts)
        .map(|(whole, attempt)| whole.map_or_else(|| Shown::brief(attempt), Ok))
        .collect();
    Ok(Report::new(results, shown?))
}

/// The places of the attempts that are told in full, the ones that matter most first: of each script the first that went
/// wrong, then of each script the first that passed, then all others that went wrong.
fn worth_telling(results: &Results) -> Vec<usize> {
    let (mut wrong, mut right, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut place = 0;
    for script in &results.scripts {
        let (mut any_wrong, mut any_right) = (false, false);
        for attempt in script.attempts() {
            match attempt.has_passed() {
                true if !std::mem::replace(&mut any_right, true) => right.push(place),
                true => {}
                false if !std::mem::replace(&mut any_wrong, true) => wrong.push(place),
                false => others.push(place),
            }
            place += 1;
        }
    }
    [wrong, right, others].concat()
}

impl Shown {
    fn whole(attempt: &Attempt, room: usize) -> serde_json::Result<Self> {
        let trace = attempt.tree.as_ref().map(Spans::new);
        let trace = trace.map(serde_json::to_value).transpose()?;
        let fits = |trace: &Value| trace.to_string().len() <= room;
        Ok(Self {
            attempt: serde_json::to_value(wire::Attempt::new(attempt))?,
            whole: true,
            trace_left_out: trace.as_ref().is_some_and(|trace| !fits(trace)),
            trace: trace.filter(fits),
        })
    }

    fn brief(attempt: &Attempt) -> serde_json::Result<Self> {
        Ok(Self {
            attempt: serde_json::to_value(wire::Attempt::new(attempt).without_details())?,
            whole: false,
            trace: None,
            trace_left_out: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use realtime_run::script::{Met, Verdict};

    use super::*;
    use crate::cli::smoke::report::samples::{self, attempt, no, script};

    fn passed() -> Attempt {
        attempt(Verdict::Passed, vec![Met::Yes], None)
    }

    fn failed() -> Attempt {
        attempt(Verdict::Failed, vec![no("nothing")], None)
    }

    /// Two scripts: of the first, the second and the third run failed.
    fn results() -> Results {
        let runs = [passed(), failed(), failed(), passed()].map(|attempt| vec![attempt]);
        Results {
            scripts: vec![script("A", runs.into()), script("B", vec![vec![passed()]])],
            ..samples::results()
        }
    }

    /// The attempts, each by whether it is told in full.
    fn whole(room: Room) -> Vec<bool> {
        let page = serde_json::to_value(page(&results(), room).unwrap()).unwrap();
        let scripts = page["scripts"].as_array().unwrap().iter();
        let runs = scripts.flat_map(|script| script["runs"].as_array().unwrap());
        let attempts = runs.flat_map(|run| run["attempts"].as_array().unwrap());
        attempts
            .map(|attempt| {
                assert_eq!(attempt["turns"] != serde_json::json!([]), attempt["whole"]);
                assert_eq!(attempt["trace"].is_object(), attempt["whole"] == true);
                attempt["whole"] == true
            })
            .collect()
    }

    #[test]
    fn what_went_wrong_and_what_passed_first_is_told_in_full() {
        assert_eq!(whole(ROOM), [true, true, true, false, true]);
    }

    #[test]
    fn where_room_is_short_the_first_that_went_wrong_comes_first() {
        let one = serde_json::to_string(&Shown::whole(&failed(), ROOM.trace).unwrap()).unwrap();
        let room = |attempts: usize| Room {
            page: attempts * one.len() + 100,
            ..ROOM
        };
        assert_eq!(whole(room(1)), [false, true, false, false, false]);
        assert_eq!(whole(room(3)), [true, true, false, false, true]);
    }

    #[test]
    fn a_trace_that_is_too_long_leaves_the_rest() {
        let shown = Shown::whole(&failed(), 1_000).unwrap();
        assert!(shown.whole && shown.trace_left_out && shown.trace.is_none());
        let shown = Shown::whole(&failed(), ROOM.trace).unwrap();
        assert!(!shown.trace_left_out && shown.trace.is_some());
    }
}
