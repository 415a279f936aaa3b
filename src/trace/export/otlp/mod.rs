//! OpenTelemetry's protocol, over HTTP or gRPC, as collectors and most trace back ends take it.
//!
//! A span goes out with the attributes of two conventions, since back ends read one or the other: [`gen_ai`] and
//! [`openinference`]. Both tell only what the span tells; [`spans`] puts them together.
//!
//! A trace has no span of its own here, but back ends want one: the root, under which the topmost spans hang. Its id is
//! made from the trace's, so that it is the same whenever it is told. Since nobody tells when a trace has ended, it is
//! told last, with the first start and the last end of all spans; see [`runs`].

mod attributes;
mod config;
mod gen_ai;
mod grpc;
mod http;
mod messages;
mod openinference;
mod runs;
mod spans;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData as OtelSpan;

use super::retry::{RetryPolicy, Undelivered};
use super::{ExportDeadline, ExportError, Item, SpanExporter};
use crate::trace::TraceId;
use config::Protocol;
pub use config::{InvalidOtlpConfig, OtlpConfig};
use grpc::Grpc;
use http::Http;
use runs::Runs;

/// Sends spans to an OpenTelemetry collector, or whatever else speaks OTLP.
///
/// - Connection failures, timeouts and the statuses that the specification names (429, 502, 503, 504) are tried again, after
///   as long as the server asks for or with growing waits. Redirects are not followed.
/// - The trace's id is its 32 digits, a span's the first 16 of its 24. Of a trace that hangs under a span of another
///   system ([`TraceBuilder::parent`](crate::trace::TraceBuilder::parent)) the id is that system's.
/// - Audio in spans is not sent.
/// - The root of a trace is sent when the processor shuts down, or when more than 256 traces have begun after it. Of what
///   an earlier run has left it tells when the first of the spans left began.
pub struct OtlpExporter {
    config: OtlpConfig,
    resource: Resource,
    retry: RetryPolicy,
    way: Way,
    runs: Mutex<Runs>,
}

enum Way {
    Http(Http),
    Grpc(Box<Grpc>),
}

impl OtlpExporter {
    /// An exporter; it connects with the first batch.
    pub fn new(config: OtlpConfig) -> Self {
        let attributes = config.resource.iter();
        let attributes = attributes.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        let way = match config.protocol {
            Protocol::Http => Way::Http(Http::default()),
            Protocol::Grpc => Way::Grpc(Box::default()),
        };
        Self {
            config,
            resource,
            retry: RetryPolicy::default(),
            way,
            runs: Mutex::default(),
        }
    }

    /// Sets how often and when failed requests are tried again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spans of a batch in OpenTelemetry's form, and the roots of traces that are followed no longer.
    fn convert(&self, batch: &[Item]) -> Vec<OtelSpan> {
        let mut runs = self.runs();
        let mut converted = Vec::with_capacity(batch.len());
        for item in batch {
            let Item::Span(span) = item else { continue };
            let gone = runs.note(span);
            converted.extend(gone.as_ref().map(spans::root));
            converted.push(spans::span(span, runs.came_from(span)));
        }
        converted
    }

    /// Sends spans; `items` is how many items are lost with them.
    async fn send(
        &self,
        spans: Vec<OtelSpan>,
        items: usize,
        deadline: ExportDeadline,
    ) -> Result<(), ExportError> {
        if spans.is_empty() {
            return Ok(());
        }
        let Self {
            config,
            resource,
            retry,
            ..
        } = self;
        let sent = match &self.way {
            Way::Http(http) => http.send(spans, resource, config, retry, deadline).await,
            Way::Grpc(grpc) => grpc.send(spans, resource, config, retry).await.map(|()| 0),
        };
        match sent {
            Ok(0) => Ok(()),
            Ok(rejected) => {
                let rejected = usize::try_from(rejected).unwrap_or(items).min(items);
                let reason = format!("{} took a part of them only", config.host());
                Err(ExportError::refused(reason, rejected))
            }
            Err(Undelivered { reason, is_refused }) => Err(ExportError {
                is_final: is_refused,
                ..ExportError::new(reason, items)
            }),
        }
    }
}

impl SpanExporter for OtlpExporter {
    fn name(&self) -> &str {
        "otlp"
    }

    fn endpoint(&self) -> Option<String> {
        Some(self.config.endpoint[..url::Position::AfterPath].to_owned())
    }

    async fn export(&self, batch: Vec<Item>, deadline: ExportDeadline) -> Result<(), ExportError> {
        let spans = self.convert(&batch);
        self.send(spans, batch.len(), deadline).await?;
        self.runs().arrived(&batch);
        Ok(())
    }

    async fn finish(&self, traces: Vec<TraceId>, deadline: ExportDeadline) -> Result<(), ExportError> {
        // Where nothing has arrived there is nothing to stand above; what a store keeps of it is finished when it is sent.
        let mut runs = self.runs().take(&traces);
        runs.retain(|run| run.has_arrived);
        let roots: Vec<OtelSpan> = runs.iter().map(spans::root).collect();
        let count = roots.len();
        self.send(roots, count, deadline).await
    }
}

impl fmt::Debug for OtlpExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpExporter")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
