//! The sound of a run.
//!
//! In: files, raw sound on stdin, and what the server says. Out: the user's sound to the session, in its format and in
//! its time; what was heard of both sides, into files or raw to stdout. Sources give chunks, one sender passes them on, and a
//! `SpokenTurn` knows when a turn that is spoken is over; the conversation stays the one loop. An `Ear` takes note of all
//! that sounds for the thread that writes it.

mod files;
mod input;
mod keeper;
mod output;
mod source;
mod timeline;

pub use input::{NotSent, Sender};
pub use output::{AudioOut, Ear, Stdout};
pub use realtime_run::session::playout::{self, Playout};
pub use realtime_run::session::spoken::{Next, SpokenTurn, TurnEnding};
pub use source::{Cue, Cues, Source};
