use std::time::Duration;

use crate::agent::ResolveError;
use crate::protocol::ApiError;
use crate::transport::{CloseReason, ConnectError, EndpointError, advice};

/// Why a session could not be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The agent could not be put before a model.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It is not clear which server to open, or with what key.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused the session after the handshake (protocol.md section 1.4).
    #[error("the server refused the session: {error}")]
    Refused {
        /// What it said.
        error: ApiError,
    },
    /// The server did not take the agent's settings, so the model would not be this agent.
    #[error("the server refused the agent's settings: {error}")]
    Settings {
        /// What it said.
        error: ApiError,
    },
    /// The connection ended before the session could be used.
    #[error("the connection ended before the session could be used ({0})")]
    Closed(CloseReason),
    /// The session could not be used in time.
    #[error("the server did not open a session within {} s", .0.as_secs_f64().ceil())]
    Timeout(Duration),
    /// The session is over.
    #[error("the session is over")]
    Ended,
    /// The agent in charge could not be changed; the one before goes on.
    #[error("agent `{agent}` could not take over: {reason}")]
    Switch {
        /// The agent that should have taken over.
        agent: String,
        /// What went wrong.
        reason: String,
    },
    /// There is no such call, or it is settled already.
    #[error("no call `{call_id}` waits for approval")]
    NotWaiting {
        /// The call that was decided on.
        call_id: String,
    },
    /// A raw event must be an object with a `type`.
    #[error("a raw event must be a JSON object with a `type`")]
    RawEvent,
}

impl SessionError {
    /// What the user can do about it.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Connect(error) => error.advice(),
            Self::Refused { error } | Self::Settings { error } => advice(error.code()),
            Self::Closed(close) if close.code == 3000 => advice("invalid_api_key"),
            Self::Closed(close) => close.reason.rsplit('.').next().and_then(advice),
            Self::Timeout(_) => Some("check that a Realtime server listens there (--url, OPENAI_BASE_URL)"),
            _ => None,
        }
    }
}
