//! Scripts: smoke tests that hold a conversation with agents, and judge it.
//!
//! In: a [`Script`], which says what the user says and does and what is expected of the agents; an open session. Out: an
//! [`Outcome`], which tells turn by turn what came, and of each expectation whether it was met. Nothing here opens
//! sessions, prints, or knows how many scripts there are.

mod definition;
mod draft;
mod expect;
mod file;
mod happening;
mod judge;
mod mentions;
mod mock;
mod observe;
mod outcome;
mod play;
mod spans;

pub use definition::{
    Act, Conditions, EventKind, Expectation, Mock, MockAnswer, Place, Script, SimulatedServer,
    SpanExpectation, Turn,
};
pub use draft::draft;
pub use judge::{Judge, JudgeError};
pub use mentions::Mentions;
pub use outcome::{Finding, Line, Met, Outcome, Ruling, Speaker, TurnOutcome, Verdict};
pub use play::{PlayOptions, Progress, play};
