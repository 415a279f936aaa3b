//! What the opening handshake asks for, and how it is refused (protocol.md sections 1.1, 1.2, 1.4).

use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use url::form_urlencoded;

use crate::protocol::ApiError;

use super::refusal::refusal;

const PATHS: &[&str] = &["/v1/realtime", "/openai/v1/realtime", "/openai/realtime"];
const PROTOCOL: &str = "realtime";
/// How a browser, which cannot set headers, shows its key.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// A handshake that went through.
#[derive(Debug)]
pub(super) enum Opening {
    /// A session with this model.
    Session { model: String },
    /// As the service does it: the socket opens, an error comes, and the socket closes with a code.
    Refusal { error: Box<ApiError>, close_code: u16 },
}

/// Judges a handshake, and completes the response to it.
///
/// # Errors
/// When the refusal is an HTTP status.
#[expect(clippy::result_large_err, reason = "the WebSocket library asks for this type")]
pub(super) fn judge(
    request: &Request,
    mut response: Response,
    required_key: Option<&str>,
) -> Result<(Opening, Response), ErrorResponse> {
    if !PATHS.contains(&request.uri().path()) {
        return Err(http_refusal(StatusCode::NOT_FOUND, None));
    }
    let query = Query::of(request);
    if query.get("call_id").is_some() {
        let message = "The simulator has no calls to join.";
        return Err(http_refusal(
            StatusCode::NOT_FOUND,
            Some(("call_id_not_found", message)),
        ));
    }
    let key = shown_key(request.headers(), &query);
    if required_key.is_some() && key.is_none() {
        let message = "You didn't provide an API key.";
        return Err(http_refusal(
            StatusCode::UNAUTHORIZED,
            Some(("missing_api_key", message)),
        ));
    }
    agree_on_protocol(request, &mut response);
    Ok((
        opening(request.headers(), &query, key.as_deref(), required_key),
        response,
    ))
}

/// Takes the subprotocol that browsers ask for.
pub(super) fn agree_on_protocol(request: &Request, response: &mut Response) {
    if protocols(request.headers()).any(|protocol| protocol == PROTOCOL) {
        let header = HeaderValue::from_static(PROTOCOL);
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, header);
    }
}

fn opening(headers: &HeaderMap, query: &Query, key: Option<&str>, required_key: Option<&str>) -> Opening {
    if required_key.is_some() && key != required_key {
        let message = format!("Incorrect API key provided: {}.", masked(key.unwrap_or_default()));
        return closing(refusal("invalid_api_key", message), 3000);
    }
    if headers
        .get("openai-beta")
        .is_some_and(|beta| beta == "realtime=v1")
    {
        let message = "The Realtime Beta API is no longer supported. Leave out the 'OpenAI-Beta' header.";
        return closing(refusal("beta_api_shape_disabled", message), 4000);
    }
    match query.get("model").or_else(|| query.get("deployment")) {
        Some(model) if !model.is_empty() => Opening::Session {
            model: model.to_owned(),
        },
        _ => closing(
            refusal("missing_model", "You must provide a model parameter."),
            4000,
        ),
    }
}

fn closing(error: Box<ApiError>, close_code: u16) -> Opening {
    Opening::Refusal { error, close_code }
}

/// Enough of a key to know it by, and too little to use it.
fn masked(key: &str) -> String {
    let shown: String = key.chars().take(key.chars().count().min(16) / 4).collect();
    format!("{shown}***")
}

fn shown_key(headers: &HeaderMap, query: &Query) -> Option<String> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let in_protocol = || protocols(headers).find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL));
    let key = bearer.or_else(|| header("api-key")).or_else(in_protocol);
    key.or_else(|| query.get("api-key"))
        .map(|key| key.trim().to_owned())
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The parameters of the URL.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Request) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

fn http_refusal(status: StatusCode, error: Option<(&str, &str)>) -> ErrorResponse {
    let body = error.map(|(code, message)| {
        let error = json!({"type": "invalid_request_error", "code": code, "message": message, "param": null});
        json!({ "error": error }).to_string()
    });
    let mut response = ErrorResponse::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown_whole() {
        assert_eq!(masked("sk-abcdefghijklmnopq"), "sk-a***");
        assert_eq!(masked("abc"), "***");
    }
}
