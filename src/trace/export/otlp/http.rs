//! OTLP over HTTP: the library makes the body, and our client sends it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Compression, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData as OtelSpan, SpanExporter as _};
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use reqwest::{Certificate, Client};
use tokio::sync::OnceCell;

use super::config::OtlpConfig;
use crate::cause::innermost;
use crate::trace::export::ExportDeadline;
use crate::trace::export::http;
use crate::trace::export::retry::{self, Failure, RetryPolicy, Undelivered};

const USER_AGENT_VALUE: &str = concat!("realtime-run/", env!("CARGO_PKG_VERSION"));
/// How much of an answer is read: it tells how many spans were rejected, and no more that matters.
const ANSWER_BYTES: usize = 64 * 1024;

/// The way to an endpoint over HTTP.
#[derive(Debug, Default)]
pub(super) struct Http {
    /// Made with the first request: loading certificates takes time that a run without traces need not spend.
    client: OnceCell<Client>,
}

impl Http {
    /// Sends spans and says how many of them the endpoint rejected, or why they could not be sent.
    pub(super) async fn send(
        &self,
        spans: Vec<OtelSpan>,
        resource: &Resource,
        config: &OtlpConfig,
        retry: &RetryPolicy,
        deadline: ExportDeadline,
    ) -> Result<u64, Undelivered> {
        let client = self.client.get_or_try_init(|| async { client(config) }).await?;
        let sender = Arc::new(Sender {
            client: client.clone(),
            config: config.clone(),
            retry: retry.clone(),
            deadline,
            result: Mutex::new(Ok(0)),
        });
        let exporter = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(Arc::clone(&sender) as Arc<dyn HttpClient>)
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(config.endpoint.as_str())
            .with_timeout(config.timeout)
            .with_retry_policy(opentelemetry_otlp::RetryPolicy::disabled());
        let exporter = match config.gzip {
            true => exporter.with_compression(Compression::Gzip),
            false => exporter,
        };
        let mut exporter = exporter.build().map_err(|error| error.to_string())?;
        exporter.set_resource(resource);
        let exported = exporter.export(spans).await;
        let result = std::mem::replace(&mut *sender.result(), Ok(0));
        // What the sender says is told in our words; the library has a say only where nothing was sent.
        result.and_then(|rejected| {
            let exported = exported.map_err(|error| Undelivered::from(error.to_string()));
            exported.map(|()| rejected)
        })
    }
}

/// Sends the one request of a batch, as often as it takes.
struct Sender {
    client: Client,
    config: OtlpConfig,
    retry: RetryPolicy,
    deadline: ExportDeadline,
    /// How many spans were rejected, or why it failed: the library passes neither on.
    result: Mutex<Result<u64, Undelivered>>,
}

impl Sender {
    fn result(&self) -> MutexGuard<'_, Result<u64, Undelivered>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: Request<Bytes>) -> Result<u64, Undelivered> {
        let mut headers = self.config.headers.clone();
        headers
            .entry(USER_AGENT)
            .or_insert(reqwest::header::HeaderValue::from_static(USER_AGENT_VALUE));
        // Of the library's own headers no more than what is true of the body: it reads the environment on its own.
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            if let Some(value) = request.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let body = request.into_body();
        let attempt = || {
            let request = self.client.post(self.config.endpoint.clone());
            self.attempt(request.headers(headers.clone()).body(body.clone()))
        };
        self.retry.run(&mut self.deadline.clone(), attempt).await
    }

    async fn attempt(&self, request: reqwest::RequestBuilder) -> Result<u64, Failure> {
        let host = self.config.host();
        let response = request.send().await;
        let mut response = response.map_err(|error| http::no_answer(host, self.config.timeout, &error))?;
        let status = response.status();
        let retry = match retry::judge(
            status,
            response.headers(),
            retry::passes_at_otlp,
            SystemTime::now(),
        ) {
            retry::Verdict::Delivered => {
                let mut answer = Vec::new();
                while answer.len() < ANSWER_BYTES
                    && let Ok(Some(chunk)) = response.chunk().await
                {
                    answer.extend_from_slice(&chunk);
                }
                return Ok(rejected(&answer));
            }
            retry::Verdict::Retry(asked) => Some(asked),
            retry::Verdict::Final => None,
        };
        let advice = match status.as_u16() {
            300..=399 => ": redirects are not followed, check OTEL_EXPORTER_OTLP_ENDPOINT",
            401 | 403 => ": check OTEL_EXPORTER_OTLP_HEADERS",
            404 | 405 => ": check OTEL_EXPORTER_OTLP_ENDPOINT",
            _ => "",
        };
        let reason = format!("{host} answered {status}{advice}");
        Err(Failure {
            reason,
            is_refused: retry::is_refusal(status),
            retry,
        })
    }
}

impl HttpClient for Sender {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let result = self.send(request).await;
            let answer = match &result {
                Ok(_) => Ok(Response::new(Bytes::new())),
                Err(Undelivered { reason, .. }) => Err(HttpError::from(reason.as_str())),
            };
            *self.result() = result;
            answer
        })
    }
}

/// The request has headers.
impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// How many spans an endpoint took none of ("Partial Success"); it does not want them again.
fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    u64::try_from(rejected).unwrap_or(0)
}

fn client(config: &OtlpConfig) -> Result<Client, String> {
    let certificate = config
        .certificate
        .as_deref()
        .map(Certificate::from_pem)
        .transpose();
    let certificate = certificate.map_err(|error| {
        format!(
            "OTEL_EXPORTER_OTLP_CERTIFICATE is no certificate in PEM: {}",
            innermost(&error)
        )
    })?;
    let client = http::client(config.timeout, certificate);
    client.map_err(|error| format!("no HTTP client: {}", innermost(&error)))
}
