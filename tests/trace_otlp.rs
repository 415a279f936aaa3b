//! The OTLP exporter over real loopback HTTP and gRPC: ids, the root, retries, losses, secrets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/sink.rs"]
mod sink;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use collector::{GrpcCollector, Received, decode, gunzip, named, names};
use realtime_run::trace::{
    BatchConfig, BatchProcessor, JsonMap, OtlpConfig, OtlpExporter, RetryPolicy, ShutdownReport, SpanData,
    SpanError, StoreProcessor, Timestamp, Trace, TraceStore, Tracer,
};
use serde_json::json;
use sink::{Answer, LIMIT, Sink};

const SECRET: &str = "Planted-9f8e7d6c5b4a";
const TRACE: &str = "trace_0123456789abcdef0000000000000001";
/// Made from the digits of [`TRACE`].
const ROOT: &str = "0123456789abcdee";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Short waits in the place of seconds.
fn quick() -> RetryPolicy {
    RetryPolicy {
        tries: 3,
        first_delay: Duration::from_millis(20),
        max_delay: Duration::from_millis(60),
    }
}

fn exporter(variables: &[(&str, &str)]) -> OtlpExporter {
    let lookup = |name: &str| {
        let own = variables.iter().find(|(own, _)| *own == name);
        own.map(|(_, value)| (*value).to_owned())
    };
    OtlpExporter::new(OtlpConfig::from_variables(lookup).unwrap()).retry(quick())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_767_323_045_000_000) + Duration::from_secs(seconds)
}

/// Two agents, one with a tool.
fn record(trace: &Trace) {
    let root = trace.context();
    let triage = root.span_at(SpanData::agent("Triage"), at(1));
    let tool = triage.context().span_at(SpanData::function("f"), at(2));
    tool.finish_at(at(3));
    let place = triage.context();
    triage.finish_at(at(4));
    place
        .span_at(SpanData::handoff("Triage", "Billing"), at(3))
        .finish_at(at(4));
    let mut billing = root.span_at(SpanData::agent("Billing"), at(4));
    billing.set_error(SpanError::new("The server left").with_data(json!({"code": "gone"})));
    billing.finish_at(at(9));
}

fn run(exporter: OtlpExporter) -> ShutdownReport {
    let tracer = Tracer::builder().processor(BatchProcessor::new(exporter)).build();
    let trace = tracer.trace("Concierge").id(TRACE.parse().unwrap());
    record(&trace.group_id("chat-7").start());
    tracer.shutdown(LIMIT).remove(0)
}

fn received(sink: &Sink) -> Vec<Received> {
    let requests = sink.requests();
    requests
        .iter()
        .flat_map(|request| decode(&request.body))
        .collect()
}

#[test]
fn spans_arrive_with_our_ids_and_times_under_one_root() {
    let sink = Sink::always(200);
    let report = run(exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url("/base"))]));
    assert!(report.is_complete(), "{report}");
    assert_eq!(
        (report.destination.as_str(), report.received, report.sent),
        ("otlp", 5, 5)
    );
    for request in sink.requests() {
        assert_eq!(request.line, "POST /base/v1/traces HTTP/1.1");
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        let agent = format!("realtime-run/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(request.header("user-agent"), Some(agent.as_str()));
    }
    let spans = received(&sink);
    assert_eq!(
        names(&spans),
        [
            "execute_tool f",
            "invoke_agent Triage",
            "handoff Billing",
            "invoke_agent Billing",
            "Concierge"
        ]
    );
    let [tool, triage, handoff, billing, root] = &spans[..] else {
        panic!()
    };
    assert_eq!((root.id().as_str(), root.parent().as_str()), (ROOT, ""));
    for span in &spans {
        assert_eq!(span.trace_id(), TRACE["trace_".len()..]);
        assert_eq!(span.span.flags & 0xff, 1, "it is recorded");
        assert_eq!(span.resource["service.name"], "realtime-run");
        let attributes = span.attributes();
        assert!(
            attributes["openinference.span.kind"].is_string(),
            "{attributes:?}"
        );
        assert_eq!(attributes["session.id"], "chat-7");
        assert_eq!(attributes["gen_ai.conversation.id"], "chat-7");
    }
    assert_eq!([triage.parent(), billing.parent()], [ROOT, ROOT]);
    assert_eq!([tool.parent(), handoff.parent()], [triage.id(), triage.id()]);
    let nanos = |seconds| at(seconds).as_micros() * 1000;
    let times = |own: &Received| (own.span.start_time_unix_nano, own.span.end_time_unix_nano);
    assert_eq!(times(tool), (nanos(2), nanos(3)));
    assert_eq!(
        times(root),
        (nanos(1), nanos(9)),
        "from the first start to the last end"
    );
    for failed in [billing, root] {
        let status = failed.span.status.clone().unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "The server left"));
        assert_eq!(failed.attributes()["error.type"], "gone");
    }
    assert_eq!(triage.span.status.clone().unwrap().code, 0);
    assert_eq!(billing.attributes()["graph.node.parent_id"], "Triage");
    assert!(!triage.attributes().contains_key("graph.node.parent_id"));
}

#[test]
fn under_a_parent_from_outside_the_trace_is_part_of_that_one() {
    let sink = Sink::always(200);
    let exporter = exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]);
    let tracer = Tracer::builder().processor(BatchProcessor::new(exporter)).build();
    let metadata = JsonMap::from_iter([("site".to_owned(), "north".into())]);
    for number in 1..=2 {
        let id = format!("trace_0123456789abcdef000000000000000{number}");
        let trace = tracer.trace(format!("Run {number}")).id(id.parse().unwrap());
        let trace = trace.parent(PARENT.parse().unwrap(), Some("vendor=1".into()));
        let trace = trace.metadata(metadata.clone()).start();
        let place = trace.context().traceparent().unwrap().to_string();
        assert!(
            place.starts_with("00-0af7651916cd43dd8448eb211c80319c-0123456789abcde"),
            "{place}"
        );
        record(&trace);
    }
    assert!(tracer.shutdown(LIMIT).remove(0).is_complete());
    let spans = received(&sink);
    assert_eq!(spans.len(), 10);
    for span in &spans {
        assert_eq!(span.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.span.trace_state, "vendor=1");
    }
    let roots = [named(&spans, "Run 1"), named(&spans, "Run 2")];
    assert_ne!(roots[0].id(), roots[1].id(), "two runs are two subtrees");
    for root in roots {
        assert_eq!(root.parent(), "b7ad6b7169203331");
        let metadata = root.attributes()["metadata"].to_string();
        assert!(metadata.contains("north"), "{metadata}");
    }
}

#[test]
fn what_is_sent_is_as_the_variables_say() {
    let sink = Sink::always(200);
    let report = run(exporter(&[
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            &sink.url("/ingest?tenant=1"),
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            &format!("Api-Key={SECRET},x-team=blue%20one"),
        ),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_SERVICE_NAME", "desk"),
        ("OTEL_RESOURCE_ATTRIBUTES", "site=north,service.name=other"),
    ]));
    assert!(report.is_complete(), "{report}");
    for request in sink.requests() {
        assert_eq!(request.line, "POST /ingest?tenant=1 HTTP/1.1");
        assert_eq!(request.header("api-key"), Some(SECRET));
        assert_eq!(request.header("x-team"), Some("blue one"));
        assert_eq!(request.header("content-encoding"), Some("gzip"));
        let spans = decode(&gunzip(&request.body));
        assert_eq!(spans[0].resource["service.name"], "desk");
        assert_eq!(spans[0].resource["site"], "north");
    }
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_lost_with_its_reason() {
    let retried = |status| {
        let answers = vec![Answer::status(status), Answer::status(200)];
        let sink = Sink::sequence(answers);
        let report = run(exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]));
        (report, sink.requests())
    };
    for status in [429, 502, 503, 504] {
        let (report, requests) = retried(status);
        assert!(report.is_complete(), "{status}: {report}");
        assert_eq!(requests[0].body, requests[1].body, "the same ids");
        assert_eq!(requests.len(), 3, "{status}: a batch, again, and the root");
    }
    for (status, told) in [
        (400, "answered 400 Bad Request"),
        (401, "check OTEL_EXPORTER_OTLP_HEADERS"),
        (404, "check OTEL_EXPORTER_OTLP_ENDPOINT"),
        (500, "answered 500 Internal Server Error"),
        (307, "redirects are not followed"),
    ] {
        let (report, requests) = retried(status);
        assert_eq!(requests.len(), 1, "{status}: a batch, and no root of nothing");
        assert_eq!((report.sent, report.dropped), (0, 5), "{report}");
        assert!(report.losses[0].reason.contains(told), "{report}");
    }
}

#[test]
fn a_server_says_when_to_come_back() {
    let sink = Sink::sequence(vec![
        Answer::status(429).header("retry-after", "1"),
        Answer::status(200),
    ]);
    let exporter = exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]).retry(RetryPolicy {
        max_delay: Duration::from_secs(5),
        ..quick()
    });
    assert!(run(exporter).is_complete());
    let requests = sink.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
}

#[test]
fn what_a_server_rejects_of_a_batch_is_lost() {
    // `partial_success { rejected_spans: 2 }`, then nothing for the root.
    let partial = Answer::status(200).body("\n\u{2}\u{8}\u{2}");
    let sink = Sink::sequence(vec![partial, Answer::status(200)]);
    let report = run(exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]));
    assert_eq!((report.sent, report.dropped), (3, 2), "{report}");
    assert!(
        report.losses[0].reason.contains("took a part of them only"),
        "{report}"
    );
}

#[test]
fn a_root_that_is_not_delivered_counts_as_lost() {
    let sink = Sink::sequence(vec![Answer::status(200), Answer::status(400)]);
    let report = run(exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]));
    assert_eq!(
        (report.received, report.sent, report.dropped),
        (5, 4, 1),
        "{report}"
    );
}

#[test]
fn credentials_are_in_no_report() {
    let sink = Sink::start(|_, _| Answer::status(401).body(SECRET));
    let gone = "http://127.0.0.1:1";
    for endpoint in [&sink.url(&format!("/{SECRET}?key={SECRET}")), gone] {
        for protocol in ["http/protobuf", "grpc"] {
            let exporter = exporter(&[
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_HEADERS", &format!("api-key={SECRET}")),
            ]);
            let shown = format!("{exporter:?}");
            let report = run(exporter);
            assert!(!report.is_complete());
            let told = format!("{shown} {report} {report:?}");
            assert!(!told.contains(SECRET), "{told}");
            assert!(told.contains("127.0.0.1"), "{told}");
        }
    }
}

#[test]
fn grpc_takes_the_same_spans() {
    let collector = GrpcCollector::start(&[0]);
    let report = run(exporter(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", &format!("api-key={SECRET}")),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ]));
    assert!(report.is_complete(), "{report}");
    let calls = collector.calls();
    for call in &calls {
        assert_eq!(
            call.path,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        assert_eq!(call.headers["api-key"], SECRET);
        assert_eq!(call.headers["grpc-encoding"], "gzip");
        assert!(call.headers.get_all("api-key").iter().count() == 1);
    }
    let spans: Vec<_> = calls.into_iter().flat_map(|call| call.spans).collect();
    assert_eq!(spans.len(), 5);
    assert_eq!(named(&spans, "Concierge").id(), ROOT);
    assert_eq!(spans[0].resource["service.name"], "realtime-run");
}

#[test]
fn over_grpc_what_passes_is_tried_again_too() {
    let config = |collector: &GrpcCollector| {
        exporter(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ])
    };
    let unavailable = GrpcCollector::start(&[14, 0]);
    assert!(run(config(&unavailable)).is_complete());
    assert_eq!(unavailable.calls().len(), 3, "a batch, again, and the root");
    let unauthenticated = GrpcCollector::start(&[16]);
    let report = run(config(&unauthenticated));
    assert_eq!(
        unauthenticated.calls().len(),
        1,
        "a batch, and no root of nothing"
    );
    assert_eq!((report.sent, report.dropped), (0, 5), "{report}");
    let reason = &report.losses[0].reason;
    assert!(
        reason.ends_with("answered Unauthenticated: check OTEL_EXPORTER_OTLP_HEADERS")
            && !reason.contains("Planted"),
        "{reason}"
    );
}

#[test]
fn traces_beyond_those_followed_are_taken_to_have_ended() {
    let sink = Sink::always(200);
    let exporter = exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]);
    let config = BatchConfig {
        in_flight: 1,
        ..BatchConfig::default()
    };
    let processor = BatchProcessor::with_config(exporter, config);
    let tracer = Tracer::builder().processor(processor).build();
    for number in 0..300 {
        let trace = tracer.trace(format!("Run {number}")).start();
        trace.context().span(SpanData::agent("A")).finish();
    }
    assert!(tracer.flush(LIMIT));
    let roots = |spans: &[Received]| spans.iter().filter(|own| own.parent().is_empty()).count();
    let spans = received(&sink);
    assert_eq!(
        (roots(&spans), spans[0].span.name.as_str()),
        (44, "invoke_agent A")
    );
    assert!(tracer.shutdown(LIMIT).remove(0).is_complete());
    let spans = received(&sink);
    assert_eq!((roots(&spans), spans.len()), (300, 600));
    named(&spans, "Run 0");
    named(&spans, "Run 299");
}

#[test]
fn what_a_run_leaves_comes_with_the_next_one_under_the_same_root() {
    let folder = tempfile::tempdir().unwrap();
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let sink = Sink::start(move |_, _| Answer::status(if up.load(Ordering::SeqCst) { 200 } else { 503 }));
    let run = |name: &str| {
        let exporter = exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]);
        let store = StoreProcessor::builder(TraceStore::new(folder.path()))
            .to(exporter)
            .build();
        let store = Arc::new(store);
        let tracer = Tracer::builder().processor(Arc::clone(&store)).build();
        record(&tracer.trace(name).start());
        tracer.shutdown(LIMIT);
        store.report().lanes.remove(0)
    };
    let first = run("First");
    assert_eq!((first.own.sent, first.own.kept), (0, 5));
    let tries = sink.requests().len();
    assert_eq!(tries, 3, "no root is sent for what has not arrived");
    is_up.store(true, Ordering::SeqCst);
    let second = run("Second");
    assert_eq!((second.own.sent, second.earlier.spans), (5, 4));
    let spans: Vec<_> = sink.requests()[tries..]
        .iter()
        .flat_map(|request| decode(&request.body))
        .collect();
    assert_eq!(spans.len(), 10, "{:?}", names(&spans));
    let nanos = |seconds| at(seconds).as_micros() * 1000;
    for name in ["First", "Second"] {
        let root = named(&spans, name);
        let children = spans.iter().filter(|own| own.parent() == root.id()).count();
        assert_eq!(children, 2);
        assert_eq!(root.span.start_time_unix_nano, nanos(1));
        assert_eq!(root.span.end_time_unix_nano, nanos(9));
    }
}

#[test]
fn without_spans_there_is_no_request() {
    let sink = Sink::always(200);
    let exporter = exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url(""))]);
    let tracer = Tracer::builder().processor(BatchProcessor::new(exporter)).build();
    drop(tracer.trace("Empty").start());
    assert!(tracer.shutdown(LIMIT).remove(0).is_complete());
    assert_eq!(sink.requests().len(), 0);
}
