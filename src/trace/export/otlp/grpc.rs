//! OTLP over gRPC, by the library and its client.

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{Compression, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData as OtelSpan, SpanExporter as _};
use tokio::sync::OnceCell;

use super::config::OtlpConfig;
use crate::trace::export::retry::{RetryPolicy, Undelivered};

/// What comes before the status in the library's errors.
const PREFIX: &str = "gRPC code: ";

/// The way to an endpoint over gRPC.
#[derive(Debug, Default)]
pub(super) struct Grpc {
    /// Made with the first request, on the runtime that it is used on.
    exporter: OnceCell<SpanExporter>,
}

impl Grpc {
    /// Sends spans, or says why they could not be sent. The library tries again by itself: what the specification allows,
    /// and as long as one request may take in all.
    pub(super) async fn send(
        &self,
        spans: Vec<OtelSpan>,
        resource: &Resource,
        config: &OtlpConfig,
        retry: &RetryPolicy,
    ) -> Result<(), Undelivered> {
        let build = || async { build(resource, config, retry) };
        let exporter = self.exporter.get_or_try_init(build).await?;
        let exported = exporter.export(spans).await;
        exported.map_err(|error| explain(config.host(), &error.to_string()))
    }
}

/// Tells an error of the library in our words: a status as the endpoint gave it, or the cause at the bottom of one that
/// was made up here.
fn explain(host: &str, error: &str) -> Undelivered {
    let Some((_, status)) = error.split_once(PREFIX) else {
        return format!("{host} could not be sent to: {error}").into();
    };
    if let Some((_, cause)) = status.rsplit_once(": ") {
        return format!("{host} could not be reached ({cause})").into();
    }
    let advice = match status {
        "Unauthenticated" | "PermissionDenied" => ": check OTEL_EXPORTER_OTLP_HEADERS",
        "Unimplemented" => ": check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL",
        _ => "",
    };
    Undelivered {
        reason: format!("{host} answered {status}{advice}"),
        is_refused: status == "InvalidArgument",
    }
}

fn build(resource: &Resource, config: &OtlpConfig, retry: &RetryPolicy) -> Result<SpanExporter, String> {
    let policy = opentelemetry_otlp::RetryPolicy::recommended()
        .with_max_retries(retry.tries.saturating_sub(1) as usize)
        .with_initial_delay(retry.first_delay)
        .with_max_delay(retry.max_delay);
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(config.endpoint.as_str())
        .with_timeout(config.timeout)
        .with_metadata(MetadataMap::from_headers(config.headers.clone()))
        .with_retry_policy(policy);
    let exporter = match config.gzip {
        true => exporter.with_compression(Compression::Gzip),
        false => exporter,
    };
    let exporter = match config.endpoint.scheme() {
        "https" => exporter.with_tls_config(tls(config)),
        _ => exporter,
    };
    let mut exporter = exporter.build().map_err(|error| error.to_string())?;
    exporter.set_resource(resource);
    Ok(exporter)
}

fn tls(config: &OtlpConfig) -> ClientTlsConfig {
    crate::tls::choose_provider();
    let tls = ClientTlsConfig::new().with_native_roots();
    match &config.certificate {
        Some(certificate) => tls.ca_certificate(Certificate::from_pem(certificate)),
        None => tls,
    }
}
