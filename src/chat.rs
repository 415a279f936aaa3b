//! Servers with OpenAI's chat completions: their address, requests to them, and what they say when they refuse one.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use url::Url;

use crate::{Secret, tls};

/// How long the server may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an error's body is read, in bytes, and told, in characters.
const ERROR_READ: usize = 64 << 10;
const ERROR_TOLD: usize = 300;

/// Why a language model cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ChatServerError {
    /// The address is none of a server.
    #[error("`{0}` is no address of a chat-completions server; write its base, as http://127.0.0.1:11434/v1")]
    Address(String),
    /// Requests can't be made at all.
    #[error("requests to a language model can't be made: {0}")]
    Client(reqwest::Error),
}

/// A server with chat completions.
#[derive(Debug)]
pub(crate) struct ChatServer {
    client: Client,
    url: Url,
    key: Option<Secret>,
}

impl ChatServer {
    /// The server at a base address such as `http://127.0.0.1:11434/v1`, which may be silent for so long.
    ///
    /// # Errors
    /// When the address is no HTTP address, or requests can't be made at all.
    pub fn new(base: &str, key: Option<Secret>, silence: Duration) -> Result<Self, ChatServerError> {
        const PATH: &str = "/chat/completions";
        let bad = || ChatServerError::Address(base.to_owned());
        let mut url = Url::parse(base).map_err(|_| bad())?;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || has_credentials {
            // What may be a password is not repeated.
            return Err(ChatServerError::Address(url.scheme().to_owned() + "://…"));
        }
        let path = url.path().trim_end_matches('/');
        if !path.ends_with(PATH) {
            let path = format!("{path}{PATH}");
            url.set_path(&path);
        }
        tls::choose_provider();
        let client = Client::builder()
            .user_agent(concat!("realtime-run/", env!("CARGO_PKG_VERSION")))
            // A redirect could take the key elsewhere.
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(silence)
            .build()
            .map_err(ChatServerError::Client)?;
        Ok(Self { client, url, key })
    }

    /// A request with this body.
    pub fn request(&self, body: &Value) -> RequestBuilder {
        let request = self.client.post(self.url.clone());
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        };
        request
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// What the server says in place of an answer.
    pub async fn refusal(&self, mut response: Response) -> String {
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = response.chunk().await
            && body.len() < ERROR_READ
        {
            body.extend_from_slice(&bytes);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        self.told(message_of(&value))
    }

    /// Words of the server as they may be told: not too long, and without the key.
    pub fn told(&self, text: String) -> String {
        self.scrubbed(text).trim().chars().take(ERROR_TOLD).collect()
    }

    /// Words of the server without the key, which it may repeat.
    pub fn scrubbed(&self, text: String) -> String {
        match &self.key {
            Some(key) => text.replace(key.expose(), "***"),
            None => text,
        }
    }
}

/// What an error says, whichever of the usual shapes it has.
pub(crate) fn message_of(body: &Value) -> String {
    let error = body.get("error").unwrap_or(body);
    let message = error
        .get("message")
        .or_else(|| error.get("detail"))
        .unwrap_or(error);
    match message {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
