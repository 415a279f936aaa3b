//! Agents: who they are, the files they are written in, and what a session gets of them.
//!
//! In: agents built in Rust ([`Agents::new`]) or read from an agent file. Out: a
//! [`ResolvedAgent`] per activation, the one value that the session update, the tool dispatch and the agent
//! span are all made from, so that they cannot disagree.
//!
//! Nothing here knows of sockets or the terminal.

mod agents;
mod definition;
mod file;
mod mcp;
mod names;
mod resolve;
mod resolved;
mod settings;

pub use agents::{Agents, UnknownAgent, UnknownTool};
pub use definition::{Agent, Handoff};
pub use file::{AgentFile, TracingSettings};
pub use resolve::ResolveError;
pub use resolved::{Callable, ResolvedAgent, ResolvedHandoff};
pub use settings::SessionSettings;
