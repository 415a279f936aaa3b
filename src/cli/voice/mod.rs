//! The sound of a run.
//!
//! In: files, raw sound on stdin, and what the server says. Out: the user's sound to the session, in its format and in
//! its time; what was heard of both sides, into files or raw to stdout. A `Cue` becomes a `Source` of chunks, one sender
//! passes them on, and a `SpokenTurn` knows when a turn that is spoken is over; the conversation stays the one loop. All
//! that sounds goes on the `Tape`, for the thread that writes it.

mod cue;
#[cfg(feature = "devices")]
mod devices;
mod files;
mod input;
mod keeper;
#[cfg(not(feature = "devices"))]
mod no_devices;
mod output;
mod tape;
mod timeline;

pub use cue::{Cue, Cues};
#[cfg(feature = "devices")]
pub use devices::{Devices, Key, Levels, MicrophoneLevel, OpenDevices, Panel, SpeakerLevel};
pub use input::{NotSent, Sender};
#[cfg(not(feature = "devices"))]
pub use no_devices::{Devices, OpenDevices, missing};
pub use output::{AudioOut, Stdout};
pub use realtime_run::audio::Source;
pub use realtime_run::session::playout::Playout;
pub use realtime_run::session::spoken::{Next, SpokenTurn, TurnEnding};
pub use tape::Tape;
