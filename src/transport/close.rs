use serde::Serialize;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// How a connection ended (protocol.md section 1.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CloseReason {
    /// The close code; 1005 for a close frame without one, 1006 for an end without a close frame.
    pub code: u16,
    /// The server's words, or what went wrong on the way.
    pub reason: String,
}

impl CloseReason {
    /// The end of a connection that was never closed: cut, reset or timed out.
    pub(crate) fn lost(reason: impl Into<String>) -> Self {
        Self {
            code: 1006,
            reason: reason.into(),
        }
    }

    pub(crate) fn from_frame(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self {
                code: frame.code.into(),
                reason: frame.reason.as_str().to_owned(),
            },
            None => Self {
                code: 1005,
                reason: String::new(),
            },
        }
    }

    /// Whether the server ended the session as agreed. 1001 is no success: it is how a session ends that
    /// reached its maximum length (protocol.md, trap 12).
    pub fn is_normal(&self) -> bool {
        matches!(self.code, 1000 | 1005)
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "close code {}", self.code)?;
        if self.reason.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.reason)
        }
    }
}
