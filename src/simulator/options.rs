use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{AutoBrain, Brain, Stopwatch, Transcriber};

/// Makes the brain of each new session.
pub type MakeBrain = Arc<dyn Fn() -> Box<dyn Brain> + Send + Sync>;

/// How a [`Simulator`](super::Simulator) behaves. The default takes any key, and sends as fast as the client reads.
#[derive(Clone)]
pub struct Options {
    /// The API key that clients must show; none lets everyone in.
    pub required_key: Option<String>,
    /// The time between two deltas of an answer; zero sends as fast as the client reads.
    pub delta_interval: Duration,
    /// What makes up the answers; [`AutoBrain`] unless set.
    pub brain: MakeBrain,
    /// What makes words of the user's audio, unless the brain [hears](Brain::hear) them itself; tells its length unless
    /// set.
    pub transcriber: Arc<dyn Transcriber>,
    /// What one simulator may use.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            required_key: None,
            delta_interval: Duration::ZERO,
            brain: Arc::new(|| Box::new(AutoBrain)),
            transcriber: Arc::new(Stopwatch),
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("required_key", &self.required_key.as_ref().map(|_| "(hidden)"))
            .field("delta_interval", &self.delta_interval)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
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
            max_connections: 1_024,
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
