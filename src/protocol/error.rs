use serde::{Deserialize, Serialize};

use super::lenient;

/// What a server says went wrong, in an `error` event or inside a failed response (protocol.md section 5.11).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiError {
    /// The class of error, such as `invalid_request_error`.
    #[serde(rename = "type", deserialize_with = "lenient::or_default")]
    pub kind: String,
    /// The machine-readable code, where there is one.
    #[serde(deserialize_with = "lenient::or_default")]
    pub code: Option<String>,
    /// The sentence for people.
    #[serde(deserialize_with = "lenient::or_default")]
    pub message: String,
    /// The path of the parameter at fault.
    #[serde(deserialize_with = "lenient::or_default")]
    pub param: Option<String>,
    /// The `event_id` of the client event that caused it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub event_id: Option<String>,
}

impl ApiError {
    /// The code, or the empty string.
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// Whether the session cannot go on (protocol.md section 5.11, the list of fatal codes).
    pub fn is_fatal(&self) -> bool {
        matches!(
            self.code(),
            "invalid_api_key"
                | "insufficient_quota"
                | "session_expired"
                | "missing_model"
                | "invalid_model"
                | "beta_api_shape_disabled"
        )
    }

    /// Whether this is the harmless outcome of a race between client and server (section 5.11).
    pub fn is_benign_race(&self) -> bool {
        matches!(
            self.code(),
            "response_cancel_not_active"
                | "conversation_already_has_active_response"
                | "item_truncate_invalid_item_id"
                | "item_retrieve_invalid_item_id"
                | "item_delete_invalid_item_id"
                | "input_audio_buffer_commit_empty"
        ) || (self.message.contains("already shorter than") && self.message.contains("Audio content"))
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = self.message.trim();
        f.write_str(if message.is_empty() {
            "no message was given"
        } else {
            message
        })?;
        match (&self.code, &self.param) {
            (Some(code), Some(param)) => write!(f, " ({code}, at {param})"),
            (Some(code), None) => write!(f, " ({code})"),
            (None, Some(param)) => write!(f, " (at {param})"),
            (None, None) => Ok(()),
        }
    }
}
