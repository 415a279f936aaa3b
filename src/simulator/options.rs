use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{
    AutoBrain, Brain, EventLog, Faults, OpeningRefusal, Replay, SpeechCommand, Stopwatch, Transcriber,
};

/// Makes the brain of each new session.
pub type MakeBrain = Arc<dyn Fn() -> Box<dyn Brain> + Send + Sync>;

/// How a [`Simulator`](super::Simulator) behaves. The default takes any key, and sends as fast as the client reads.
#[derive(Clone)]
pub struct Options {
    /// The API key that clients must show; none lets everyone in.
    pub required_key: Option<String>,
    /// How every client is refused; none lets them in.
    pub refuse: Option<OpeningRefusal>,
    /// How long a session may last, after which it is ended with `session_expired`; no longer than a year.
    pub max_session: Duration,
    /// How fast answers come.
    pub pace: Pace,
    /// What makes up the answers; [`AutoBrain`] unless set.
    pub brain: MakeBrain,
    /// A recording to play instead; then neither brain nor key are asked for.
    pub replay: Option<Replay>,
    /// The program that speaks; each word is a tone of its own unless set.
    pub voice: Option<SpeechCommand>,
    /// What makes words of the user's audio, unless the brain [hears](Brain::hear) them itself; tells its length unless
    /// set.
    pub transcriber: Arc<dyn Transcriber>,
    /// Where all events are written, if they are to be.
    pub event_log: Option<EventLog>,
    /// What is wrong with the server, for tests of clients; nothing unless set.
    pub faults: Faults,
    /// What one simulator may use.
    pub limits: Limits,
}

impl Options {
    /// How long a session may last. No clock counts as far as a duration does.
    pub(super) fn lifetime(&self) -> Duration {
        self.max_session.min(Duration::from_secs(365 * 24 * 60 * 60))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            required_key: None,
            refuse: None,
            // protocol.md section 1.5
            max_session: Duration::from_secs(60 * 60),
            pace: Pace::default(),
            brain: Arc::new(|| Box::new(AutoBrain)),
            replay: None,
            voice: None,
            transcriber: Arc::new(Stopwatch),
            event_log: None,
            faults: Faults::default(),
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("required_key", &self.required_key.as_ref().map(|_| "(hidden)"))
            .field("refuse", &self.refuse)
            .field("max_session", &self.max_session)
            .field("pace", &self.pace)
            .field("replay", &self.replay)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How fast the deltas of an answer follow one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the client reads, as the service does with audio.
    #[default]
    Fast,
    /// Sound in the time that it takes to play; words without a wait.
    Realtime,
    /// One delta each time that so much has passed.
    Every(Duration),
}

impl Pace {
    /// How long to wait after a delta that sounds so long.
    pub(super) fn pause_after(self, sounds: Duration) -> Duration {
        match self {
            Self::Fast => Duration::ZERO,
            Self::Realtime => sounds,
            Self::Every(interval) => interval,
        }
    }
}

/// The bounds of a [`Simulator`](super::Simulator); each keeps one client from harming the others or the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; the next one is refused with HTTP status 503.
    pub max_connections: usize,
    /// Bytes in one WebSocket message from a client. One append may hold 15 MiB of audio, which is 20 MiB of base64
    /// (protocol.md section 1.5).
    pub max_message_bytes: usize,
    /// Bytes of text, images and audio that one conversation keeps; items beyond that are refused.
    pub max_conversation_bytes: usize,
    /// How long the WebSocket handshake may take.
    pub handshake_timeout: Duration,
    /// How long a client may leave frames for it unread before it is dropped.
    pub write_timeout: Duration,
    /// How long [`shutdown`](super::Simulator::shutdown) waits for clients to take their leave.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 4_096,
            max_message_bytes: 24 << 20,
            max_conversation_bytes: 64 << 20,
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_not_shown() {
        let options = Options {
            required_key: Some("sk-secret".into()),
            ..Options::default()
        };
        assert!(!format!("{options:?}").contains("sk-secret"));
    }
}
