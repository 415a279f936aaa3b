//! A recording as the server: it sends what the recorded server sent, when the client has sent what the recorded client
//! sent before.
//!
//! A `Script` is what a recording asks for: what to send, and for what each frame has to wait. A `Player` goes through it
//! with one client, without I/O. In strict replays it compares each event of the client with the recorded one and tells
//! where they differ. What never differs: ids that the client makes itself, and time. So sound is not compared, since how
//! it is cut into events is a matter of time, and outputs of tools may come in any order.
//!
//! A frame waits for all that the client sent before it, with one exception: within a response only what comes before
//! the response counts, unless it was cut off. When a client acts on a call, or sends its next event, while a response is
//! still under way is its own choice, and it may need the rest of the response first.

mod compare;
mod deviation;
mod ids;
mod player;
mod script;
mod serve;
mod speed;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use deviation::{Deviation, Difference};
pub(super) use serve::run;
pub use speed::Speed;

use self::script::Script;
use crate::recording::Recording;

/// How closely a client has to follow a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplayMode {
    /// Its events must have the same types in the same order; settings, items and requests for responses the same
    /// content. It is told of the first event out of order, and the connection is closed; other content is told, and the
    /// replay goes on.
    #[default]
    Strict,
    /// For a run of recorded events of one type it has to send one event of that type. All else is passed over.
    Lenient,
}

/// A recording to be played to every client, each from the start. Cheap to clone.
///
/// ```
/// # use realtime_run::recording::Recording;
/// # use realtime_run::simulator::{Options, Replay, ReplayMode, Simulator, Speed};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("session.jsonl");
/// # std::fs::write(&path, r#"{"from": "server", "event": {"type": "session.created"}}"#)?;
/// let recording = Recording::load(&path)?;
/// let replay = Replay::new(&recording, ReplayMode::Strict)
///     .speed(Speed::MAX)
///     .on_deviation(|deviation| eprintln!("{deviation}"));
/// let options = Options { replay: Some(replay), ..Options::default() };
/// let simulator = Simulator::bind_with(("127.0.0.1", 0), options).await?;
/// # simulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Replay {
    script: Arc<Script>,
    mode: ReplayMode,
    speed: Speed,
    report: Arc<dyn Fn(&Deviation) + Send + Sync>,
    /// Clients so far.
    clients: Arc<AtomicU64>,
}

impl Replay {
    /// Plays a recording at the speed at which it was recorded.
    pub fn new(recording: &Recording, mode: ReplayMode) -> Self {
        Self {
            script: Arc::new(Script::new(recording, mode)),
            mode,
            speed: Speed::default(),
            report: Arc::new(|_| {}),
            clients: Arc::default(),
        }
    }

    /// Plays it faster or slower.
    #[must_use]
    pub fn speed(mut self, speed: Speed) -> Self {
        self.speed = speed;
        self
    }

    /// Who is told where clients deviate, besides the clients. Only strict replays have deviations. It is called in the
    /// task of a connection and must not block.
    #[must_use]
    pub fn on_deviation(mut self, report: impl Fn(&Deviation) + Send + Sync + 'static) -> Self {
        self.report = Arc::new(report);
        self
    }

    /// How many clients it was played to so far.
    pub fn clients(&self) -> u64 {
        self.clients.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("mode", &self.mode)
            .field("speed", &self.speed)
            .finish_non_exhaustive()
    }
}
