//! The OpenAI exporter over real loopback HTTP: requests, retries, losses, secrets.

#[path = "support/sink.rs"]
mod sink;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use realtime_run::Secret;
use realtime_run::trace::{
    BatchConfig, BatchProcessor, Context, OpenAiExporter, RetryPolicy, ShutdownReport, SpanData,
    SpanProcessor, Tracer,
};
use serde_json::{Value, json};
use sink::{Answer, Gate, LIMIT, Sink};

const PATH: &str = "/v1/traces/ingest";
const KEY: &str = "sk-Planted-9f8e7d6c5b4a";

/// Short waits in the place of seconds: 20 ms, then 40 ms, at most 60 ms.
fn quick() -> RetryPolicy {
    RetryPolicy {
        tries: 3,
        first_delay: Duration::from_millis(20),
        max_delay: Duration::from_millis(60),
    }
}

fn exporter(url: &str) -> OpenAiExporter {
    OpenAiExporter::new(Some(url))
        .unwrap()
        .api_key(Secret::new(KEY))
        .retry(quick())
}

/// Records a trace with `spans` spans through `exporter`, and shuts down.
fn run(exporter: OpenAiExporter, spans: usize) -> ShutdownReport {
    let tracer = Tracer::builder().processor(BatchProcessor::new(exporter)).build();
    record(&tracer.trace("T").start().context(), spans);
    tracer.shutdown(LIMIT).remove(0)
}

fn record(place: &Context, spans: usize) {
    for number in 0..spans {
        place.span(SpanData::custom(number.to_string())).finish();
    }
}

/// The one reason for losses in a report.
fn reason(report: &ShutdownReport) -> &str {
    assert_eq!(report.losses.len(), 1, "{report}");
    assert_eq!(report.losses[0].items, report.dropped);
    &report.losses[0].reason
}

#[test]
fn the_request_is_the_one_the_endpoint_knows() {
    let sink = Sink::always(200);
    let exporter = exporter(&sink.url(PATH))
        .organization(Some("org-1".into()))
        .project(Some("proj_1".into()));
    let report = run(exporter, 1);
    assert!(report.is_complete(), "{report}");
    let requests = sink.requests();
    let [request] = &requests[..] else {
        panic!("{} requests", requests.len())
    };
    assert_eq!(request.line, format!("POST {PATH} HTTP/1.1"));
    let expected = [
        ("authorization", format!("Bearer {KEY}")),
        ("content-type", "application/json".to_owned()),
        ("openai-beta", "traces=v1".to_owned()),
        ("openai-organization", "org-1".to_owned()),
        ("openai-project", "proj_1".to_owned()),
        (
            "user-agent",
            format!("realtime-run/{}", env!("CARGO_PKG_VERSION")),
        ),
    ];
    for (name, value) in expected {
        assert_eq!(request.header(name), Some(&*value), "{name}");
    }
    assert!(
        request
            .body
            .starts_with(br#"{"data":[{"object":"trace","id":"trace_"#)
    );
    let items = request.items();
    assert_eq!(items[1]["object"], "trace.span");
    assert_eq!(items[1]["trace_id"], items[0]["id"]);
    assert!(items[1]["ended_at"].as_str().unwrap().ends_with("+00:00"));
}

#[test]
fn no_header_without_organization_and_project() {
    let sink = Sink::always(200);
    run(exporter(&sink.url(PATH)), 0);
    let request = &sink.requests()[0];
    assert_eq!(
        (
            request.header("openai-organization"),
            request.header("openai-project")
        ),
        (None, None)
    );
    let trace = &request.items()[0];
    assert_eq!(
        (&trace["group_id"], &trace["metadata"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn three_hundred_items_are_three_batches() {
    let sink = Sink::always(200);
    let report = run(exporter(&sink.url(PATH)), 299);
    assert_eq!((report.received, report.sent), (300, 300));
    let mut sizes: Vec<usize> = sink
        .requests()
        .iter()
        .map(|request| request.items().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [44, 128, 128]);
}

#[test]
fn traces_with_keys_of_their_own_go_in_requests_of_their_own() {
    let sink = Sink::always(200);
    let tracer = Tracer::builder()
        .processor(BatchProcessor::new(exporter(&sink.url(PATH))))
        .build();
    for key in [Some("sk-A"), Some("sk-B"), None, Some("sk-A")] {
        let mut trace = tracer.trace(key.unwrap_or("default"));
        if let Some(key) = key {
            trace = trace.api_key(Secret::new(key).unwrap());
        }
        record(&trace.start().context(), 1);
    }
    tracer.shutdown(LIMIT);
    let requests = sink.requests();
    let keys: Vec<_> = requests
        .iter()
        .map(|request| request.header("authorization").unwrap())
        .collect();
    assert_eq!(keys, ["Bearer sk-A", "Bearer sk-B", &format!("Bearer {KEY}")]);
    let sizes: Vec<_> = requests.iter().map(|request| request.items().len()).collect();
    assert_eq!(sizes, [4, 2, 2]);
}

#[test]
fn a_failure_that_passes_is_retried_with_the_same_body() {
    for first in [408, 409, 429, 500, 502, 503, 504] {
        let sink = Sink::sequence(vec![
            Answer::status(first),
            Answer::status(first),
            Answer::status(200),
        ]);
        let report = run(exporter(&sink.url(PATH)), 1);
        assert!(report.is_complete(), "{first}: {report}");
        let requests = sink.requests();
        assert_eq!(requests.len(), 3, "{first}");
        assert!(requests.iter().all(|request| request.body == requests[0].body));
        let waits = [requests[1].at - requests[0].at, requests[2].at - requests[1].at];
        assert!(
            waits[0] >= Duration::from_millis(20) && waits[1] >= Duration::from_millis(40),
            "{waits:?}"
        );
    }
}

#[test]
fn a_failure_that_stays_is_given_up_after_three_tries_and_reported_once() {
    for status in [408, 409, 429, 500] {
        let sink = Sink::always(status);
        let report = run(exporter(&sink.url(PATH)), 299);
        assert_eq!(
            (report.received, report.sent, report.dropped),
            (300, 0, 300),
            "{status}"
        );
        assert!(reason(&report).contains(&status.to_string()), "{report}");
        assert!(reason(&report).ends_with("after 3 tries"), "{report}");
        assert_eq!(sink.requests().len(), 9, "{status}");
    }
}

#[test]
fn a_refusal_is_final() {
    for status in [400, 401, 403, 404, 413, 422] {
        let sink = Sink::always(status);
        let report = run(exporter(&sink.url(PATH)), 1);
        assert_eq!((report.sent, report.dropped), (0, 2), "{status}");
        assert!(
            reason(&report).contains(&format!("answered {status}")),
            "{report}"
        );
        assert_eq!(sink.requests().len(), 1, "{status}");
    }
}

#[test]
fn a_refusal_says_what_to_check() {
    let body = json!({"error": {"message": format!("bad key {KEY}"), "code": "invalid_api_key"}}).to_string();
    let sink = Sink::start(move |_, _| Answer::status(401).body(body.clone()));
    let report = run(exporter(&sink.url(PATH)), 1);
    let expected = format!(
        "{} answered 401 Unauthorized, invalid_api_key: check the API key",
        sink.host()
    );
    assert_eq!(reason(&report), expected);
}

#[test]
fn a_refused_batch_does_not_take_the_others_with_it() {
    let sink = Sink::start(|_, request| {
        let first = request.items()[0]["object"] == "trace";
        Answer::status(if first { 400 } else { 200 })
    });
    let report = run(exporter(&sink.url(PATH)), 299);
    assert_eq!((report.sent, report.dropped), (172, 128), "{report}");
}

#[test]
fn the_server_may_forbid_another_try() {
    for status in [429, 500] {
        let sink = Sink::start(move |_, _| Answer::status(status).header("x-should-retry", "false"));
        let report = run(exporter(&sink.url(PATH)), 1);
        assert_eq!(report.dropped, 2);
        assert_eq!(sink.requests().len(), 1, "{status}");
    }
}

/// How long the exporter waits when the first answer is this one, waits being limited to `max` ms.
fn wait_after(first: Answer, max: u64) -> Duration {
    let sink = Sink::sequence(vec![first, Answer::status(200)]);
    let retry = RetryPolicy {
        max_delay: Duration::from_millis(max),
        ..quick()
    };
    assert!(run(exporter(&sink.url(PATH)).retry(retry), 1).is_complete());
    let requests = sink.requests();
    requests[1].at - requests[0].at
}

#[test]
fn the_server_may_say_how_long_to_wait_also_with_503() {
    for status in [429, 503] {
        let answer = Answer::status(status).header("retry-after-ms", "150");
        assert!(wait_after(answer, 5000) >= Duration::from_millis(150));
        let answer = Answer::status(status).header("retry-after", "0.15");
        assert!(wait_after(answer, 5000) >= Duration::from_millis(150));
        let answer = Answer::status(status).header("retry-after", "40");
        let waited = wait_after(answer, 150);
        assert!(
            waited >= Duration::from_millis(150) && waited < LIMIT,
            "{waited:?}"
        );
    }
    let date = jiff::Timestamp::try_from(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let waited = wait_after(Answer::status(503).header("retry-after", date), 150);
    assert!(waited >= Duration::from_millis(150), "{waited:?}");
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Sink::always(200);
    let target = elsewhere.url(PATH);
    let sink = Sink::start(move |_, _| Answer::status(307).header("location", target.clone()));
    let report = run(exporter(&sink.url(PATH)), 1);
    assert_eq!(report.dropped, 2);
    assert!(reason(&report).contains("redirects are not followed"), "{report}");
    assert_eq!((sink.requests().len(), elsewhere.requests().len()), (1, 0));
}

#[test]
fn no_content_is_fine() {
    let sink = Sink::always(204);
    assert!(run(exporter(&sink.url(PATH)), 1).is_complete());
}

#[test]
fn a_server_that_is_not_there_is_tried_three_times() {
    let gone = Sink::always(200);
    let (url, host) = (gone.url(PATH), gone.host());
    drop(gone);
    let report = run(exporter(&url), 1);
    assert_eq!(report.dropped, 2);
    assert!(
        reason(&report).starts_with(&format!("{host} could not be reached")),
        "{report}"
    );
    assert!(reason(&report).ends_with("after 3 tries"), "{report}");
}

#[test]
fn a_server_that_does_not_speak_tls_is_a_counted_loss() {
    let sink = Sink::always(200);
    let report = run(exporter(&format!("https://{}{PATH}", sink.host())), 1);
    assert_eq!(report.dropped, 2);
    assert!(
        reason(&report).starts_with(&format!("{} could not be reached", sink.host())),
        "{report}"
    );
}

#[test]
fn a_server_that_is_slow_times_out_and_is_tried_again() {
    let gate = Gate::default();
    let slow = gate.clone();
    let sink = Sink::start(move |number, _| match number {
        0 => Answer::status(200).after(&slow),
        _ => Answer::status(200),
    });
    let report = run(exporter(&sink.url(PATH)).timeout(Duration::from_secs(1)), 1);
    gate.open();
    assert!(report.is_complete(), "{report}");
    assert!(sink.requests().len() >= 2);
}

#[test]
fn shutdown_ends_a_wait_it_cannot_outlast() {
    let sink = Sink::start(|_, _| Answer::status(503).header("retry-after", "25"));
    let patient = RetryPolicy::default();
    let tracer = Tracer::builder()
        .processor(BatchProcessor::new(exporter(&sink.url(PATH)).retry(patient)))
        .build();
    record(&tracer.trace("T").start().context(), 1);
    let begun = Instant::now();
    let report = tracer.shutdown(Duration::from_secs(15)).remove(0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!((report.received, report.sent, report.dropped), (2, 0, 2));
    assert!(reason(&report).contains("503"), "{report}");
    assert!(reason(&report).contains("shutdown left no time"), "{report}");
}

#[test]
fn shutdown_in_the_middle_of_retries_keeps_the_accounts() {
    let sink = Sink::always(500);
    let retry = RetryPolicy {
        tries: 1000,
        ..quick()
    };
    let config = BatchConfig {
        delay: Duration::ZERO,
        ..BatchConfig::default()
    };
    let processor = Arc::new(BatchProcessor::with_config(
        exporter(&sink.url(PATH)).retry(retry),
        config,
    ));
    let tracer = Tracer::builder().processor(Arc::clone(&processor)).build();
    record(&tracer.trace("T").start().context(), 500);
    sink.wait_for(5);
    let report = tracer.shutdown(Duration::from_millis(200)).remove(0);
    assert_eq!((report.received, report.sent, report.dropped), (501, 0, 501));
    assert_eq!(processor.counts().queued, 0);
}

#[test]
fn without_a_key_it_is_said_once_and_counted() {
    let sink = Sink::always(200);
    let exporter = OpenAiExporter::new(Some(&sink.url(PATH))).unwrap().api_key(None);
    let report = run(exporter, 299);
    assert_eq!(report.dropped, 300);
    assert!(
        reason(&report).starts_with("no API key: set OPENAI_API_KEY"),
        "{report}"
    );
    assert!(sink.requests().is_empty());
}

#[test]
fn an_endpoint_that_is_none_is_refused_with_an_example() {
    for (endpoint, why) in [
        ("", "relative URL"),
        ("traces.example.com", "relative URL"),
        ("ftp://example.com/x", "`ftp:` is not"),
        ("https://user:sk-secret@example.com/", "user name or password"),
    ] {
        let message = OpenAiExporter::new(Some(endpoint)).unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
        assert!(
            message.contains("https://api.openai.com/v1/traces/ingest"),
            "{message}"
        );
        assert!(!message.contains("sk-secret"), "{message}");
    }
}

/// Collects what is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_key_is_in_no_debug_output_log_or_error() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
    let mut seen = String::new();
    let body = json!({"error": {"message": KEY, "code": KEY, "type": KEY}}).to_string();
    let answers = [
        Answer::status(500),
        Answer::status(302).header("location", format!("/{KEY}")),
        Answer::status(401),
    ];
    for answer in answers.map(|answer| answer.body(body.clone())) {
        let sink = Sink::start(move |_, _| answer.clone());
        let exporter = exporter(&sink.url(&format!("{PATH}?token={KEY}")));
        seen += &format!("{exporter:?}");
        let processor = Arc::new(BatchProcessor::new(exporter));
        let tracer = Tracer::builder().processor(Arc::clone(&processor)).build();
        let trace = tracer.trace("T").api_key(Secret::new(KEY).unwrap());
        seen += &format!("{trace:?}");
        let trace = trace.start();
        let span = trace.context().span(SpanData::agent("A"));
        seen += &format!("{trace:?} {span:?} {tracer:?} {processor:?} {:?}", span.context());
        span.finish();
        seen += &format!("{:?} {0}", processor.shutdown(LIMIT));
    }
    let broken = OpenAiExporter::new(None)
        .unwrap()
        .api_key(Secret::new(format!("{KEY}\u{7}")));
    seen += &format!("{broken:?}");
    let report = run(broken, 1);
    assert!(
        report.to_string().contains("characters in it that no key has"),
        "{report}"
    );
    seen += &report.to_string();
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("trace items are not delivered"),
        "the log was recorded"
    );
    assert!(!seen.contains(KEY), "{seen}");
    assert!(!logged.contains(KEY), "{logged}");
}
