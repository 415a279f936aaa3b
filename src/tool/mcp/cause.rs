//! Why a server could not be spoken to, in a few words. The library's own words name its types, and addresses, which may
//! hold credentials.

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::StreamableHttpError;

use crate::cause::innermost;

/// Why a server could not be introduced to this client.
pub(super) fn of_start(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => of_transport(error),
        error => error.to_string(),
    }
}

/// Why a request came to nothing.
pub(super) fn of_request(error: &ServiceError) -> String {
    match error {
        ServiceError::TransportClosed => "the server has ended".to_owned(),
        ServiceError::TransportSend(error) => of_transport(error),
        ServiceError::McpError(error) => error.message.to_string(),
        error => error.to_string(),
    }
}

fn of_transport(error: &DynamicTransportError) -> String {
    match error.error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        Some(StreamableHttpError::Client(error)) => innermost(error),
        Some(StreamableHttpError::AuthRequired(_)) => "it wants a token (`bearer_token_env_var`)".to_owned(),
        Some(StreamableHttpError::InsufficientScope(_)) => "the token does not allow it".to_owned(),
        _ => innermost(error.error.as_ref()),
    }
}
