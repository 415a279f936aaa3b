//! What the opening handshake asks for, and how it is refused (protocol.md sections 1.1, 1.2, 1.4).

mod refusal;

use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use url::form_urlencoded;

use crate::protocol::ApiError;

use super::Options;
pub use refusal::OpeningRefusal;
use refusal::http_response;

const PATHS: &[&str] = &["/v1/realtime", "/openai/v1/realtime", "/openai/realtime"];
const PROTOCOL: &str = "realtime";
/// What the ids of calls begin with; every such call can be joined.
const CALL_PREFIX: &str = "rtc_";
/// How a browser, which cannot set headers, shows its key.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// A handshake that went through.
#[derive(Debug)]
pub(super) enum Opening {
    /// A session begins.
    Session(Start),
    /// As the service does it: the socket opens, an error comes, and the socket closes with a code.
    Refusal { error: Box<ApiError>, close_code: u16 },
}

/// What a session is opened for.
#[derive(Debug)]
pub(super) enum Start {
    /// A conversation with a model.
    Conversation { model: String },
    /// The conversation of a call whose sound goes elsewhere, over WebRTC or SIP.
    Call,
    /// Making words of speech, without a model that answers.
    Transcription,
}

/// Judges a handshake, and completes the response to it.
///
/// # Errors
/// When the refusal is an HTTP status.
#[expect(clippy::result_large_err, reason = "the WebSocket library asks for this type")]
pub(super) fn judge(
    request: &Request,
    mut response: Response,
    options: &Options,
) -> Result<(Opening, Response), ErrorResponse> {
    if !PATHS.contains(&request.uri().path()) {
        return Err(http_response(StatusCode::NOT_FOUND));
    }
    let query = Query::of(request);
    let key = shown_key(request.headers(), &query);
    let judged = match options.refuse {
        Some(refusal) => Err(refusal),
        None => start(
            request.headers(),
            &query,
            key.as_deref(),
            options.required_key.as_deref(),
        ),
    };
    let opening = match judged {
        Ok(start) => Opening::Session(start),
        Err(refusal) => {
            let model = query.get("model").unwrap_or_default();
            match refusal.told(key.as_deref().unwrap_or_default(), model) {
                Some((error, close_code)) => Opening::Refusal { error, close_code },
                None => {
                    return Err(refusal
                        .http()
                        .unwrap_or_else(|| http_response(StatusCode::BAD_REQUEST)));
                }
            }
        }
    };
    agree_on_protocol(request, &mut response);
    Ok((opening, response))
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

fn start(
    headers: &HeaderMap,
    query: &Query,
    key: Option<&str>,
    required_key: Option<&str>,
) -> Result<Start, OpeningRefusal> {
    match (required_key, key) {
        (Some(_), None) => return Err(OpeningRefusal::Http(401)),
        (Some(required), Some(key)) if key != required => return Err(OpeningRefusal::InvalidApiKey),
        _ => {}
    }
    if headers
        .get("openai-beta")
        .is_some_and(|beta| beta == "realtime=v1")
    {
        return Err(OpeningRefusal::BetaApiShapeDisabled);
    }
    match query.get("call_id") {
        Some(call) if call.starts_with(CALL_PREFIX) => return Ok(Start::Call),
        Some(_) => return Err(OpeningRefusal::Http(404)),
        None => {}
    }
    if query.get("intent") == Some("transcription") {
        return Ok(Start::Transcription);
    }
    match query.get("model").or_else(|| query.get("deployment")) {
        Some(model) if !model.is_empty() => Ok(Start::Conversation {
            model: model.to_owned(),
        }),
        _ => Err(OpeningRefusal::MissingModel),
    }
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
