//! Microphones and speakers: the cargo feature `devices`.
//!
//! In: the names of devices, a session's formats, and the sound of its answers. Out: what a microphone hears, in chunks as
//! a session takes them; sound from a speaker; and how much of each part of an answer was really heard. A device's own
//! thread only moves samples through a queue that never blocks; everything else runs where its owner calls it. Dropping a
//! [`Microphone`] or a [`Speaker`] ends its stream. Nothing here knows of sessions.

mod capture;
mod error;
mod gate;
mod health;
mod heard;
mod level;
mod list;
mod microphone;
mod outlet;
mod player;
mod playout;
mod ring;
mod speaker;
mod stream;
mod talk;

pub use capture::Chunk;
pub use error::{DeviceError, Direction};
pub use gate::{Gate, Passed};
pub use list::{DeviceInfo, list};
pub use microphone::Microphone;
pub use player::Played;
pub use speaker::{Loudness, Speaker};
pub use talk::{Intake, Opening, PushToTalk};
