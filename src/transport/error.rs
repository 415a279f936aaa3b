use std::time::Duration;

/// Why no connection came about. Messages name the host, never the whole URL: its query can hold a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server answered the handshake with an HTTP status.
    #[error("{host} refused the connection with HTTP {status}{}{}", after_colon(message), retry(*retry_after))]
    Refused {
        /// The server.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The server's error code, or the empty string.
        code: String,
        /// The server's words, or the empty string.
        message: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// No connection to the host, or it broke during the handshake.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// The server.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// The handshake took too long.
    #[error("{host} did not complete the handshake within {} s", limit.as_secs_f64().ceil())]
    Timeout {
        /// The server.
        host: String,
        /// The time allowed.
        limit: Duration,
    },
    /// A header can't be sent.
    #[error("the header `{name}` has a name or value that HTTP does not allow")]
    BadHeader {
        /// The header's name.
        name: String,
    },
}

impl ConnectError {
    /// What the user can do about it.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Refused { status, code, .. } => advice(code).or_else(|| status_advice(*status)),
            Self::Unreachable { .. } => Some("check the network and the address (--url, OPENAI_BASE_URL)"),
            Self::Timeout { .. } => {
                Some("check that a Realtime server listens there (--url, OPENAI_BASE_URL)")
            }
            Self::BadHeader { .. } => Some("write it as `--header 'Name: value'`"),
        }
    }
}

/// What to do about an error code with which servers refuse a session (protocol.md section 1.4).
pub fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid_api_key" => "check the key: OPENAI_API_KEY, or the variable that --api-key-env names",
        "insufficient_quota" => "the account has no credit left: add credit, or use another key",
        "missing_model" => "name a model: --model, or `model` under [session]",
        "invalid_model" | "model_not_found" => {
            "name a realtime model that this account may use: --model, or `model` under [session]"
        }
        "beta_api_shape_disabled" => "leave out the `OpenAI-Beta` header",
        "session_expired" => "start a new session: the server ends each one after its maximum length",
        "rate_limit_exceeded" => "wait a little and try again",
        "call_id_not_found" => "the call has ended or never was: check the call_id in --url",
        "DeploymentNotFound" => "name the Azure deployment as the model: --model",
        "OpperationNotSupported" => "the deployment's model does not do realtime: name another with --model",
        "unknown_parameter" => "the server does not know this setting: take it out of the agent file",
        _ => return None,
    })
}

fn status_advice(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "no key or a wrong one: set OPENAI_API_KEY, or name the key's variable with --api-key-env",
        403 => "the account may not use this: check the key, its project and its permissions",
        404 => "nothing answers at this path: check --url, the model's name and the call_id",
        429 => "too many requests or no quota left: wait, or check the account's limits",
        300..=399 => "the server sends clients elsewhere: give the final address with --url",
        500..=599 => "the server has trouble: try again later",
        _ => return None,
    })
}

fn after_colon(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

fn retry(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |wait| {
        format!(" (it asks to wait {} s)", wait.as_secs())
    })
}
