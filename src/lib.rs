//! Run voice and text agents on the OpenAI Realtime API, and leave a true trace of every session.
//!
//! The rooms, from the ground up; each uses only the ones before it:
//!
//! | room | holds |
//! | --- | --- |
//! | [`protocol`] | the wire types of the Realtime API |
//! | [`recording`] | the file format of recorded sessions |
//! | [`transport`] | opening the WebSocket, credentials, refusals, close reasons, recording |
//! | [`trace`] | traces, spans, their scope, batching and export |
//! | [`mod@file`] | TOML files that people write, and every mistake in them |
//! | [`context`] | what a run knows, and the templates and conditions over it |
//! | [`tool`] | what a model can call: the [`tool::Tool`] trait and its kinds |
//! | [`agent`] | agents, agent files and their diagnostics, [`agent::ResolvedAgent`] |
//! | [`session`] | the state machine, its driver, the public handle |
//! | [`audio`] | audio files, sample rates and formats, tones; microphones and speakers with the feature `devices` |
//! | [`simulator`] | a local Realtime server that speaks the same protocol |
//! | [`script`] | smoke tests: conversations to hold with agents, and what is expected of them |
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// No input may make the library panic, and only the command line prints or exits.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo)]
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::exit, clippy::dbg_macro)]

pub mod agent;
pub mod audio;
mod cause;
mod chat;
pub mod context;
pub mod file;
pub mod protocol;
pub mod recording;
pub mod script;
mod scrub;
mod secret;
pub mod session;
pub mod simulator;
mod tls;
pub mod tool;
pub mod trace;
pub mod transport;

pub use chat::ChatServerError;
pub use secret::Secret;
