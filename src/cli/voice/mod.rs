//! The sound of a run.
//!
//! In: files, raw sound on stdin, and what the server says. Out: the user's sound to the session, in its format and in
//! its time. Sources give chunks, one sender passes them on, and a `SpokenTurn` knows when a turn that is spoken is over;
//! the conversation stays the one loop.

#[cfg(feature = "devices")]
mod devices;
mod input;
#[cfg(not(feature = "devices"))]
mod no_devices;
mod playout;
mod source;
mod turn;

#[cfg(feature = "devices")]
pub use devices::{Devices, Key, Levels, MicrophoneLevel, OpenDevices, Panel, SpeakerLevel};
pub use input::{NotSent, Sender};
#[cfg(not(feature = "devices"))]
pub use no_devices::{Devices, OpenDevices, missing};
pub use playout::Playout;
pub use source::{Cue, Cues, Source};
pub use turn::{Next, SpokenTurn, TurnEnding};
