//! What an OpenTelemetry collector makes of a request: spans, decoded by OpenTelemetry's own types.
//!
//! Use it with `#[path = "support/collector.rs"] mod collector;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub span: Span,
    pub resource: BTreeMap<String, Value>,
}

/// The spans in the body of a request.
pub fn decode(body: &[u8]) -> Vec<Received> {
    let request = ExportTraceServiceRequest::decode(body).expect("an OTLP request");
    let mut received = Vec::new();
    for group in request.resource_spans {
        let resource = attributes(&group.resource.unwrap_or_default().attributes);
        let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
        received.extend(spans.map(|span| Received {
            span,
            resource: resource.clone(),
        }));
    }
    received
}

pub fn gunzip(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

impl Received {
    pub fn attributes(&self) -> BTreeMap<String, Value> {
        attributes(&self.span.attributes)
    }

    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }
}

/// The only span of that name.
pub fn named<'a>(spans: &'a [Received], name: &str) -> &'a Received {
    let mut named = spans.iter().filter(|own| own.span.name == name);
    let found = named
        .next()
        .unwrap_or_else(|| panic!("no {name} among {:?}", names(spans)));
    assert!(named.next().is_none(), "more than one {name}");
    found
}

pub fn names(spans: &[Received]) -> Vec<&str> {
    spans.iter().map(|own| own.span.name.as_str()).collect()
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, Value> {
    let mut attributes = BTreeMap::new();
    for own in list {
        let twice = attributes.insert(own.key.clone(), value(own.value.as_ref()));
        assert_eq!(twice, None, "{} is there twice", own.key);
    }
    attributes
}

fn value(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.clone()) {
        Some(any_value::Value::StringValue(text)) => text.into(),
        Some(any_value::Value::IntValue(number)) => number.into(),
        Some(any_value::Value::BoolValue(is)) => is.into(),
        Some(any_value::Value::DoubleValue(number)) => json!(number),
        Some(any_value::Value::ArrayValue(list)) => {
            list.values.iter().map(|item| self::value(Some(item))).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A call over gRPC as it came in.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub headers: http::HeaderMap,
    pub spans: Vec<Received>,
}

/// A collector that is spoken to over gRPC, and answers call after call with these status codes, the last from then on.
pub struct GrpcCollector {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl GrpcCollector {
    pub fn start(statuses: &'static [u8]) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&calls);
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let serve = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream, statuses, Arc::clone(&kept)));
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            calls,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

impl Drop for GrpcCollector {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

async fn serve(stream: tokio::net::TcpStream, statuses: &'static [u8], calls: Arc<Mutex<Vec<Call>>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let calls = Arc::clone(&calls);
        tokio::spawn(async move {
            let (head, mut body) = request.into_parts();
            let mut bytes = Vec::new();
            while let Some(Ok(chunk)) = body.data().await {
                let _ = body.flow_control().release_capacity(chunk.len());
                bytes.extend_from_slice(&chunk);
            }
            // A gRPC message: whether it is compressed, its length, itself.
            let message = match bytes[0] {
                0 => bytes[5..].to_vec(),
                _ => gunzip(&bytes[5..]),
            };
            let status = {
                let mut calls = calls.lock().unwrap();
                calls.push(Call {
                    path: head.uri.path().to_owned(),
                    headers: head.headers,
                    spans: decode(&message),
                });
                statuses[(calls.len() - 1).min(statuses.len() - 1)]
            };
            let response = http::Response::builder()
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            let mut stream = respond.send_response(response, false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.to_string().parse().unwrap());
            if status == 0 {
                stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
            } else {
                trailers.insert("grpc-message", "repeats-Planted-secret".parse().unwrap());
            }
            stream.send_trailers(trailers).unwrap();
        });
    }
}
