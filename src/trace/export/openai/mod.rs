//! The OpenAI traces endpoint, and whatever speaks the same form.

#[cfg(test)]
mod golden;
mod request;
mod sanitize;
mod truncate;

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::Client;
use tokio::sync::OnceCell;
use url::Url;

use super::http;
use super::retry::{self, Failure, RetryPolicy, Undelivered};
use super::{ExportDeadline, ExportError, Item, SpanExporter};
use crate::Secret;
use crate::cause::innermost;
use crate::trace::processor::Loss;
use request::Group;

/// How much of an answer is read, and for how long: enough for the error's code, and for the connection to be used
/// again. What matters is known by the status already.
const ANSWER_BYTES: usize = 64 * 1024;
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Sends batches to the OpenAI traces endpoint, or to another that takes the same form.
///
/// - One request per API key, in the order in which the keys appear: a trace may have a key of its own.
/// - Connection failures, timeouts, 408, 409, 429 and 5xx are tried again, after as long as the server asks for
///   (`retry-after-ms`, `Retry-After`) or with growing waits; `x-should-retry` overrules. Redirects are not followed.
/// - At OpenAI's own endpoint, spans are first made acceptable to it as the reference SDK does: fields over 100,000
///   bytes are cut, usage is brought into the form it knows, reasoning is left out. Elsewhere they go as they are.
/// - What it answers with 400, 413 or 422 is refused for good; all else that fails is worth keeping for later.
/// - Without a key, traces without their own are lost, and counted.
pub struct OpenAiExporter {
    endpoint: Url,
    api_key: Option<Secret>,
    organization: Option<String>,
    project: Option<String>,
    retry: RetryPolicy,
    timeout: Duration,
    /// Made with the first request: loading certificates takes time that a run without traces need not spend.
    client: OnceCell<Client>,
}

/// An endpoint that no traces can be sent to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the trace endpoint is not usable: {0}; expected a URL as {default}", default = OpenAiExporter::ENDPOINT)]
pub struct InvalidEndpoint(String);

impl OpenAiExporter {
    /// OpenAI's own endpoint, the default.
    pub const ENDPOINT: &str = "https://api.openai.com/v1/traces/ingest";

    /// An exporter to an endpoint, by default [`ENDPOINT`](Self::ENDPOINT). It fails if that is no `http` or `https`
    /// URL, or one with a user name or a password: the key is given with [`api_key`](Self::api_key).
    pub fn new(endpoint: Option<&str>) -> Result<Self, InvalidEndpoint> {
        Ok(Self {
            endpoint: http::endpoint(endpoint.unwrap_or(Self::ENDPOINT)).map_err(InvalidEndpoint)?,
            api_key: None,
            organization: None,
            project: None,
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(60),
            client: OnceCell::new(),
        })
    }

    /// Sets the key for traces without their own.
    pub fn api_key(mut self, api_key: Option<Secret>) -> Self {
        self.api_key = api_key;
        self
    }

    /// Sets the organization that the traces are filed under (`OPENAI_ORG_ID`).
    pub fn organization(mut self, organization: Option<String>) -> Self {
        self.organization = organization;
        self
    }

    /// Sets the project that the traces are filed under (`OPENAI_PROJECT_ID`).
    pub fn project(mut self, project: Option<String>) -> Self {
        self.project = project;
        self
    }

    /// Sets how often and when failed requests are tried again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets how long one try may take, 60 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn is_openai(&self) -> bool {
        self.endpoint.as_str().trim_end_matches('/') == Self::ENDPOINT
    }

    fn host(&self) -> &str {
        http::host(&self.endpoint)
    }

    async fn client(&self) -> Result<&Client, String> {
        let build = || async { http::client(self.timeout, None) };
        self.client
            .get_or_try_init(build)
            .await
            .map_err(|error| format!("no HTTP client: {}", innermost(&error)))
    }

    /// Delivers one group, or says why not.
    async fn deliver(&self, group: Group<'_>, deadline: &mut ExportDeadline) -> Result<(), Undelivered> {
        let key = group
            .api_key
            .ok_or_else(|| "no API key: set OPENAI_API_KEY, or trace to somewhere else".to_owned())?;
        let request = request::build(self.client().await?, self, key, &group.items)?;
        let attempt = || {
            let request = request.try_clone();
            async move {
                match request {
                    Some(request) => self.attempt(request, key).await,
                    None => Err(Failure::lasting("the request cannot be sent".to_owned())),
                }
            }
        };
        self.retry.run(deadline, attempt).await
    }

    async fn attempt(&self, request: reqwest::Request, key: &Secret) -> Result<(), Failure> {
        let client = self.client().await.map_err(Failure::lasting)?;
        let response = client
            .execute(request)
            .await
            .map_err(|error| http::no_answer(self.host(), self.timeout, &error))?;
        let status = response.status();
        let verdict = retry::judge(
            status,
            response.headers(),
            retry::passes_at_openai,
            SystemTime::now(),
        );
        let code = request::error_code(response, key).await;
        let retry = match verdict {
            retry::Verdict::Delivered => return Ok(()),
            retry::Verdict::Retry(asked) => Some(asked),
            retry::Verdict::Final => None,
        };
        let code = code.map(|code| format!(", {code}")).unwrap_or_default();
        let advice = match status.as_u16() {
            300..=399 => ": redirects are not followed, check the trace endpoint",
            401 | 403 => ": check the API key",
            404 | 405 => ": check the trace endpoint",
            _ => "",
        };
        Err(Failure {
            reason: format!("{} answered {status}{code}{advice}", self.host()),
            is_refused: retry::is_refusal(status),
            retry,
        })
    }
}

impl fmt::Debug for OpenAiExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiExporter")
            .field("host", &self.host())
            .finish_non_exhaustive()
    }
}

impl SpanExporter for OpenAiExporter {
    fn name(&self) -> &str {
        "openai"
    }

    fn endpoint(&self) -> Option<String> {
        Some(self.endpoint[..url::Position::AfterPath].to_owned())
    }

    async fn export(&self, batch: Vec<Item>, mut deadline: ExportDeadline) -> Result<(), ExportError> {
        let mut losses = Vec::new();
        let mut is_final = true;
        for group in request::group_by_key(&batch, self.api_key.as_ref()) {
            let items = group.items.len() as u64;
            if let Err(Undelivered { reason, is_refused }) = self.deliver(group, &mut deadline).await {
                losses.push(Loss { reason, items });
                is_final &= is_refused;
            }
        }
        if losses.is_empty() {
            Ok(())
        } else {
            Err(ExportError { losses, is_final })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_openai_gets_spans_made_acceptable_to_it() {
        let is_openai = |endpoint| OpenAiExporter::new(endpoint).unwrap().is_openai();
        assert!(is_openai(None));
        assert!(is_openai(Some("https://api.openai.com/v1/traces/ingest/")));
        assert!(is_openai(Some("HTTPS://API.OPENAI.COM:443/v1/traces/ingest")));
        assert!(!is_openai(Some("http://127.0.0.1:4000/v1/traces/ingest")));
    }
}
