use std::str::FromStr;

use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::server::ErrorResponse;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};

use crate::protocol::ApiError;
use crate::simulator::refusal::refusal;

/// A way in which the service does not let a client in (protocol.md section 1.4). Its name is the code of the error, or
/// `http-` and a status: `insufficient_quota`, `http-429`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpeningRefusal {
    /// The key is wrong or expired.
    InvalidApiKey,
    /// The URL names no model.
    MissingModel,
    /// The model cannot do sessions.
    InvalidModel,
    /// The client speaks the beta dialect.
    BetaApiShapeDisabled,
    /// The account has no credit.
    InsufficientQuota,
    /// The handshake itself fails with this status, from 400 to 599.
    Http(u16),
}

/// The refusals that are told in an error event.
const TOLD: [OpeningRefusal; 5] = [
    OpeningRefusal::InvalidApiKey,
    OpeningRefusal::MissingModel,
    OpeningRefusal::InvalidModel,
    OpeningRefusal::BetaApiShapeDisabled,
    OpeningRefusal::InsufficientQuota,
];

impl FromStr for OpeningRefusal {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let status = name.strip_prefix("http-").and_then(|status| status.parse().ok());
        if let Some(status @ 400..=599) = status {
            return Ok(Self::Http(status));
        }
        let told = TOLD.into_iter().find(|refusal| refusal.code() == name);
        told.ok_or_else(|| {
            let names = TOLD.map(Self::code).join(", ");
            format!("expected one of {names}, or a status from http-400 to http-599")
        })
    }
}

impl OpeningRefusal {
    fn code(self) -> &'static str {
        match self {
            Self::InvalidApiKey => "invalid_api_key",
            Self::MissingModel => "missing_model",
            Self::InvalidModel => "invalid_model",
            Self::BetaApiShapeDisabled => "beta_api_shape_disabled",
            Self::InsufficientQuota => "insufficient_quota",
            Self::Http(401) => "missing_api_key",
            Self::Http(404) => "call_id_not_found",
            Self::Http(429) => "rate_limit_exceeded",
            Self::Http(500..) => "server_error",
            Self::Http(_) => "invalid_request",
        }
    }

    fn message(self, key: &str, model: &str) -> String {
        match self {
            Self::InvalidApiKey => format!("Incorrect API key provided: {}.", masked(key)),
            Self::MissingModel => "You must provide a model parameter.".into(),
            Self::InvalidModel => format!("Model '{model}' is not supported in realtime mode."),
            Self::BetaApiShapeDisabled => {
                "The Realtime Beta API is no longer supported. Leave out the 'OpenAI-Beta' header.".into()
            }
            Self::InsufficientQuota => "You exceeded your current quota; check your plan.".into(),
            Self::Http(401) => "You didn't provide an API key.".into(),
            Self::Http(403) => "This account may not use the Realtime API.".into(),
            Self::Http(404) => "There is no such call.".into(),
            Self::Http(429) => "Too many requests; try again later.".into(),
            Self::Http(status) => format!("The simulator refuses with status {status}, as it was told to."),
        }
    }

    /// The error that is told after the socket has opened, and the code it closes with; none for an HTTP status.
    pub(super) fn told(self, key: &str, model: &str) -> Option<(Box<ApiError>, u16)> {
        let close_code = match self {
            Self::Http(_) => return None,
            Self::InvalidApiKey => 3000,
            Self::InsufficientQuota => 1013,
            Self::MissingModel | Self::InvalidModel | Self::BetaApiShapeDisabled => 4000,
        };
        let mut error = refusal(self.code(), self.message(key, model));
        if self == Self::InsufficientQuota {
            error.kind = "insufficient_quota".into();
        }
        Some((error, close_code))
    }

    /// The answer to the handshake, for an HTTP status.
    pub(super) fn http(self) -> Option<ErrorResponse> {
        let Self::Http(status) = self else { return None };
        let error = json!({
            "type": "invalid_request_error", "code": self.code(), "message": self.message("", ""), "param": null,
        });
        let mut response = http_response(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST));
        *response.body_mut() = Some(json!({ "error": error }).to_string());
        if status == 429 {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        Some(response)
    }
}

/// A response without a body.
pub(super) fn http_response(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Enough of a key to know it by, and too little to use it.
fn masked(key: &str) -> String {
    let shown: String = key.chars().take(key.chars().count().min(16) / 4).collect();
    format!("{shown}***")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown_whole() {
        assert_eq!(masked("sk-abcdefghijklmnopq"), "sk-a***");
        assert_eq!(masked("abc"), "***");
    }

    #[test]
    fn refusals_are_known_by_their_codes() {
        for refusal in TOLD {
            assert_eq!(refusal.code().parse(), Ok(refusal));
        }
        assert_eq!("http-429".parse(), Ok(OpeningRefusal::Http(429)));
        for wrong in ["", "http-", "http-200", "http-600", "quota"] {
            let message = wrong.parse::<OpeningRefusal>().unwrap_err();
            assert!(message.contains("insufficient_quota"), "{message}");
        }
    }
}
