//! How the program ends, and what it says when that is badly.

use std::process::ExitCode;

use realtime_run::agent::UnknownAgent;
use realtime_run::file::Diagnostics;
use realtime_run::session::SessionError;
use realtime_run::transport::{ConnectError, EndpointError};

/// How the program ended, as the shell is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It worked.
    Success = 0,
    /// Something went otherwise than was expected of it: an agent in a script, a client of a recording.
    Unexpected = 1,
    /// The command line or a file is wrong.
    Usage = 2,
    /// The connection, the server or a turn failed.
    Failure = 3,
    /// Time ran out.
    Timeout = 4,
    /// A signal ended it.
    Interrupted = 130,
}

impl ExitStatus {
    /// This, unless it worked; then `other`.
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Success => other,
            status => status,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command could not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// An agent file is wrong.
    AgentFile(Diagnostics),
    /// Anything else.
    Other {
        /// How the program ends for it.
        status: ExitStatus,
        /// What failed, with what.
        error: anyhow::Error,
        /// What to do about it.
        advice: Option<&'static str>,
    },
}

impl Failure {
    /// Something the command line asks for makes no sense.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::other(ExitStatus::Usage, error)
    }

    /// Something the program needs did not work.
    pub fn broken(error: impl Into<anyhow::Error>) -> Self {
        Self::other(ExitStatus::Failure, error)
    }

    /// The exit status for it.
    pub fn status(&self) -> ExitStatus {
        match self {
            Self::AgentFile(_) => ExitStatus::Usage,
            Self::Other { status, .. } => *status,
        }
    }

    fn other(status: ExitStatus, error: impl Into<anyhow::Error>) -> Self {
        Self::Other {
            status,
            error: error.into(),
            advice: None,
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::AgentFile(diagnostics)
    }
}

impl From<UnknownAgent> for Failure {
    fn from(error: UnknownAgent) -> Self {
        Self::usage(error)
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        Self::usage(error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let status = match &error {
            SessionError::Resolve(_)
            | SessionError::Endpoint(_)
            | SessionError::Connect(ConnectError::BadHeader { .. }) => ExitStatus::Usage,
            _ => ExitStatus::Failure,
        };
        Self::Other {
            status,
            advice: error.advice(),
            error: error.into(),
        }
    }
}
