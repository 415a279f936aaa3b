//! A local Realtime server: for runs without a key or network, for tests, and for other clients of the protocol.
//!
//! In: WebSocket connections on a port of this machine. Out: the server's side of the Realtime protocol, in the
//! orders that were recorded from the real service (protocol.md section 5). It shares nothing with the client's
//! session but the wire types and the audio formats.

mod connection;
mod handle;
mod listener;
mod options;

pub use handle::Simulator;
pub use options::{Limits, Options};
