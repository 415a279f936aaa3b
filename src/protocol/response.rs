use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ApiError, Id, Item, Usage, lenient};

/// One answer of the model, as `response.created` and `response.done` carry it (protocol.md section 3.3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Response {
    /// The id; some servers leave it out.
    #[serde(deserialize_with = "lenient::id")]
    pub id: Option<Id>,
    /// How far it has come.
    #[serde(deserialize_with = "lenient::or_default")]
    pub status: ResponseStatus,
    /// Why it ended as it did.
    #[serde(deserialize_with = "lenient::or_default")]
    pub status_details: Option<StatusDetails>,
    /// What it holds, without audio.
    #[serde(deserialize_with = "lenient::or_default")]
    pub output: Vec<Item>,
    /// The conversation it writes to: absent where a server does not say, null for a response out of band
    /// (protocol.md section 5.12).
    #[serde(deserialize_with = "lenient::present")]
    pub conversation_id: Option<Option<String>>,
    /// Tokens used; null while it runs.
    #[serde(deserialize_with = "lenient::or_default")]
    pub usage: Option<Usage>,
    /// Text or audio, as the session or the client asked for.
    #[serde(deserialize_with = "lenient::or_default")]
    pub output_modalities: Option<Vec<String>>,
    /// The most tokens it may have: a number or `inf`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub max_output_tokens: Option<Value>,
    /// How its sound is made.
    #[serde(deserialize_with = "lenient::or_default")]
    pub audio: Option<Value>,
    /// What the client attached to it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub metadata: Option<Map<String, Value>>,
}

impl Response {
    /// Whether it stands outside every conversation, as far as the server says.
    pub fn is_out_of_band(&self) -> bool {
        self.conversation_id == Some(None)
    }

    /// The voice that it speaks with, where the server says so: a name or an object.
    pub fn voice(&self) -> Option<&Value> {
        self.audio.as_ref()?.pointer("/output/voice")
    }
}

/// How far a response has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseStatus {
    /// Still running.
    #[default]
    InProgress,
    /// Ended as it should.
    Completed,
    /// Cut off by the client or by the user's speech.
    Cancelled,
    /// Stopped early by a limit or a filter.
    Incomplete,
    /// Failed on the server.
    Failed,
    /// A status this protocol does not name.
    #[serde(other)]
    Other,
}

impl ResponseStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Other => "other",
        }
    }
}

/// Why a response was cancelled, left incomplete or failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusDetails {
    /// `turn_detected`, `client_cancelled`, `max_output_tokens`, `content_filter`, …
    #[serde(deserialize_with = "lenient::or_default")]
    pub reason: Option<String>,
    /// The error of a failed response.
    #[serde(deserialize_with = "lenient::or_default")]
    pub error: Option<ApiError>,
}

impl StatusDetails {
    /// The reason in words: the error's message, else the short reason.
    pub fn describe(&self) -> Option<String> {
        let error = self.error.as_ref().map(ToString::to_string);
        error.or_else(|| self.reason.clone())
    }
}
