//! One attempt to play a script: with a session, a simulated server and a trace of its own.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use realtime_run::protocol::Usage;
use realtime_run::script::{self, Finding, Met, Outcome, Place, PlayOptions, Verdict};
use realtime_run::session::{Session, SessionError};
use realtime_run::simulator::Deviation;
use realtime_run::trace::{JsonMap, Timestamp, TraceTree};
use tokio::time::{Instant, timeout, timeout_at};

use super::plan::{Follows, Planned};
use super::results::Attempt;
use crate::cli::args::{RunArgs, TraceArgs};
use crate::cli::duration;
use crate::cli::exit::Failure;
use crate::cli::replay;
use crate::cli::server::Server;
use crate::cli::trace::{Destinations, RunTrace};

/// How long the orderly end of a session may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Which time it is that a script is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Turn {
    /// The script's place among all.
    pub script: usize,
    /// Of its runs, from 1.
    pub run: u32,
    /// Of the run's attempts, from 1.
    pub attempt: u32,
}
