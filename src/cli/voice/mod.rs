//! The sound of a run.
//!
//! In: files, raw sound on stdin, and what the server says. Out: the user's sound to the session, in its format and in
//! its time. Sources give chunks, one sender passes them on, and a `SpokenTurn` knows when a turn that is spoken is over;
//! the conversation stays the one loop.

mod input;
mod source;

pub use input::{NotSent, Sender};
pub use realtime_run::session::playout::{self, Playout};
pub use realtime_run::session::spoken::{Next, SpokenTurn, TurnEnding};
pub use source::{Cue, Cues, Source};
