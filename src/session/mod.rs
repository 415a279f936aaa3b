//! A Realtime session: one conversation with the agents in charge of it.
//!
//! In: [`Agents`](crate::agent::Agents) and an [`Endpoint`](crate::transport::Endpoint). Out: a [`Session`], which
//! takes messages, sound and wishes, and a stream of [`SessionEvent`]s. Everything that decides is in `core`, a state
//! machine without I/O; the driver around it owns the socket, the tools' tasks and the channels.

mod builder;
mod command;
mod core;
mod decision;
mod driver;
mod error;
mod event;
mod handle;
mod histogram;
mod latency;
mod played;
pub mod playout;
pub mod spoken;
mod tasks;

pub use builder::SessionBuilder;
pub use core::HistoryItem;
pub use decision::Decision;
pub use error::SessionError;
pub use event::{EndReason, SessionEvent};
pub use handle::{Session, SessionHandle};
pub use histogram::{Histogram, Percentiles};
use latency::in_millis;
pub use latency::{FirstPlayed, Latency, LatencySummary, PlayedBy, TurnEndedBy};
