//! What the server answers when it will not do what it is asked (protocol.md section 5.11).

use crate::protocol::ApiError;

/// A refusal of one client event; nothing of the event took effect.
pub(super) type Refused<T> = Result<T, Box<ApiError>>;

/// A refusal that names no parameter.
pub(super) fn refusal(code: &str, message: impl Into<String>) -> Box<ApiError> {
    Box::new(ApiError {
        kind: "invalid_request_error".into(),
        code: Some(code.into()),
        message: message.into(),
        param: None,
        event_id: None,
    })
}

/// A refusal because of the parameter at a dotted path.
pub(super) fn refusal_at(code: &str, path: &str, message: impl Into<String>) -> Box<ApiError> {
    let mut refusal = refusal(code, message);
    refusal.param = Some(path.into());
    refusal
}

pub(super) fn missing(path: &str) -> Box<ApiError> {
    refusal_at(
        "missing_required_parameter",
        path,
        format!("Missing required parameter: '{path}'."),
    )
}

pub(super) fn unknown(path: &str) -> Box<ApiError> {
    refusal_at("unknown_parameter", path, format!("Unknown parameter: '{path}'."))
}

pub(super) fn invalid_value(path: &str, value: &str, supported: &[&str]) -> Box<ApiError> {
    let message = match supported.split_last() {
        Some((last, [])) => format!("Invalid value: '{value}'. The supported value is '{last}'."),
        Some((last, others)) => format!(
            "Invalid value: '{value}'. Supported values are: '{}' and '{last}'.",
            others.join("', '")
        ),
        None => format!("Invalid value: '{value}'."),
    };
    refusal_at("invalid_value", path, message)
}
