//! A local Realtime server: for runs without a key or network, for tests, and for other clients of the protocol.
//!
//! In: WebSocket connections to a port of this machine. Out: the server's side of the Realtime protocol, in the
//! orders that were recorded from the real service (protocol.md section 5). What it says comes from a [`Brain`],
//! which is asked once for each response. It shares nothing with the client's session but the wire types and the
//! audio formats.
//!
//! One connection is one task. Within it a `Peer` is the session as a state machine without I/O: frames of the
//! client go in, frames for the client come out, and an answer advances one delta at a time between them. So an
//! answer can be cut off at any delta, and a client that reads slowly slows down its own answers only. Turns in the
//! user's audio are found by samples, not by the clock; a [`Transcriber`] makes words of them.
//!
//! A [`Replay`] plays a recorded server instead.

mod answer;
mod brain;
mod connection;
mod conversation;
mod event_log;
mod fault;
mod handle;
mod id;
mod input_audio;
mod listener;
mod new_item;
mod observer;
mod opening;
mod options;
mod outbox;
mod output_item;
mod peer;
mod refusal;
mod replay;
mod request;
mod scenario;
mod settings;
mod shape;
mod transcriber;
mod usage;
mod vad;
mod voice;
mod words;

pub use brain::{AutoBrain, Brain, CutOff, Llm, Output, Pen, Prompt, Reply, ToolChoice};
pub use event_log::{EventLog, Logged};
pub use fault::{Fault, Faults};
pub use handle::Simulator;
pub use observer::Tally;
pub use opening::OpeningRefusal;
pub use options::{Limits, MakeBrain, Options, Pace};
pub use replay::{Deviation, Difference, Replay, ReplayMode, Speed};
pub use scenario::Scenario;
pub use transcriber::{Speech, Stopwatch, Transcriber, Transcription};
pub use voice::SpeechCommand;
