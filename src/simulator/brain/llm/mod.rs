//! A brain that asks a language model: any server with OpenAI's chat completions, which becomes a Realtime server so.
//!
//! In: the prompt of a response, as messages and tools (`messages`). Out: what the model says and calls, as it streams in
//! (`events`, `chunks`). A cancelled response drops the request.

mod chunks;
mod events;
mod messages;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::cause::innermost;
use crate::chat::ChatServer;
use crate::protocol::ApiError;
use crate::{ChatServerError, Secret};

use self::chunks::Chunks;
use self::events::Events;
use super::{Brain, Output, Pen, Prompt, Reply};
use crate::simulator::Options;

/// A language model behind an OpenAI-compatible chat-completions server.
#[derive(Debug, Clone)]
pub struct Llm(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: ChatServer,
    model: String,
    silence: Duration,
}

impl Llm {
    /// The most that a server may be silent, unless told otherwise: local models take their time to load.
    pub const SILENCE: Duration = Duration::from_secs(120);

    /// A model on the server at a base address such as `http://127.0.0.1:11434/v1`. The server may be silent for
    /// `silence`, before its first word and between two.
    ///
    /// # Errors
    /// When the address is no HTTP address, or requests can't be made at all.
    pub fn new(
        base: &str,
        model: impl Into<String>,
        key: Option<Secret>,
        silence: Duration,
    ) -> Result<Self, ChatServerError> {
        Ok(Self(Arc::new(Inner {
            server: ChatServer::new(base, key, silence)?,
            model: model.into(),
            silence,
        })))
    }
}

impl Options {
    /// These options with a server whose answers come from a language model.
    #[must_use]
    pub fn with_llm(mut self, llm: Llm) -> Self {
        self.brain = Arc::new(move || Box::new(llm.clone()));
        self
    }
}

impl Brain for Llm {
    fn answer(&mut self, prompt: &Prompt<'_>) -> Reply {
        let body = messages::request(&self.0.model, prompt);
        let llm = Arc::clone(&self.0);
        Reply::written(move |pen| async move {
            if let Err(error) = llm.ask(&body, &pen).await {
                pen.write(Output::Fail(error.told())).await;
            }
        })
    }
}

impl Inner {
    /// Asks the model, and writes what it answers.
    async fn ask(&self, body: &Value, pen: &Pen) -> Result<(), AskError> {
        let request = self.server.request(body).header("accept", "text/event-stream");
        let mut response = request.send().await.map_err(|error| self.lost(error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(AskError::Refused(
                Some(status),
                self.server.refusal(response).await,
            ));
        }
        let (mut events, mut chunks) = (Events::default(), Chunks::default());
        while let Some(bytes) = response.chunk().await.map_err(|error| self.lost(error))? {
            events.push(&bytes)?;
            while let Some(event) = events.next() {
                for output in chunks.read(&event).map_err(|error| self.scrubbed(error))? {
                    pen.write(output).await;
                }
            }
        }
        for output in chunks.finish()? {
            pen.write(output).await;
        }
        Ok(())
    }

    /// The server cannot be reached, or was lost.
    fn lost(&self, error: reqwest::Error) -> AskError {
        if error.is_timeout() && !error.is_connect() {
            return AskError::Silent(self.silence);
        }
        AskError::Lost(innermost(&error.without_url()))
    }

    /// An error of the server, as it may be told.
    fn scrubbed(&self, error: AskError) -> AskError {
        match error {
            AskError::Refused(status, message) => AskError::Refused(status, self.server.told(message)),
            other => other,
        }
    }
}

/// Why the model has no answer.
#[derive(Debug, PartialEq, Eq)]
enum AskError {
    /// No connection, or it broke.
    Lost(String),
    /// Nothing came for so long.
    Silent(Duration),
    /// The server said so, with a status or within its answer.
    Refused(Option<StatusCode>, String),
    /// What came makes no sense.
    Unreadable(String),
}

impl AskError {
    /// As the client is told.
    fn told(self) -> ApiError {
        let code = match &self {
            Self::Lost(_) => "llm_unreachable",
            Self::Silent(_) => "llm_timeout",
            Self::Refused(Some(StatusCode::TOO_MANY_REQUESTS), _) => "rate_limit_exceeded",
            Self::Refused(..) => "llm_error",
            Self::Unreadable(_) => "llm_unreadable",
        };
        ApiError {
            kind: "server_error".into(),
            code: Some(code.into()),
            message: self.to_string(),
            ..ApiError::default()
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after_colon = |message: &str| match message {
            "" => String::new(),
            message => format!(": {message}"),
        };
        match self {
            Self::Lost(cause) => write!(f, "The language model's server was not reached or lost: {cause}"),
            Self::Silent(time) => write!(f, "The language model was silent for {:?}.", time),
            Self::Refused(Some(status), message) => {
                let status = status.as_u16();
                write!(
                    f,
                    "The language model's server answered with HTTP {status}{}",
                    after_colon(message)
                )
            }
            Self::Refused(None, message) => write!(f, "The language model failed{}", after_colon(message)),
            Self::Unreadable(what) => write!(f, "The language model's answer cannot be read: {what}."),
        }
    }
}
