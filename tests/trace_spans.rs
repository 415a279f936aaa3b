//! The rules of the span lifecycle as far as traces and spans alone can keep them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::trace::{
    Context, MemoryProcessor, Span, SpanData, SpanError, SpanId, SpanProcessor, SpanRecord, Timestamp, Trace,
    Tracer,
};

struct Rig {
    memory: Arc<MemoryProcessor>,
    trace: Trace,
}

fn rig() -> Rig {
    let memory = Arc::new(MemoryProcessor::default());
    let tracer = Tracer::builder().processor(Arc::clone(&memory)).build();
    Rig {
        trace: tracer.trace("test").start(),
        memory,
    }
}

impl Rig {
    fn span(&self, name: &str) -> Arc<SpanRecord> {
        let spans = self.memory.spans();
        let mut found = spans.iter().filter(|span| span.data.label() == name);
        let span = found.next().unwrap_or_else(|| panic!("no span {name}")).clone();
        assert!(found.next().is_none(), "{name} was finished twice");
        span
    }

    fn parent(&self, name: &str) -> Option<SpanId> {
        self.span(name).parent_id
    }
}

/// A span as the application opens one, wherever it is.
fn application_span(name: &str) -> Option<SpanId> {
    let span = Context::current().span(SpanData::custom(name));
    let id = span.id();
    span.finish();
    id
}

#[test]
fn l2_finished_once_by_finish_or_drop() {
    let rig = rig();
    let place = rig.trace.context();
    place.span(SpanData::agent("finished")).finish();
    drop(place.span(SpanData::agent("dropped")));
    place
        .span(SpanData::agent("finished at"))
        .finish_at(Timestamp::now());
    let spans = rig.memory.spans();
    assert_eq!(spans.len(), 3);
    assert!(
        spans
            .iter()
            .all(|span| span.ended_at.is_some_and(|end| end >= span.started_at))
    );
}

#[tokio::test]
async fn l2_finished_once_when_its_task_is_aborted() {
    let rig = rig();
    let span = rig.trace.context().span(SpanData::agent("aborted"));
    let (started, has_started) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let _span = span;
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    has_started.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(rig.span("aborted").ended_at.is_some());
}

#[test]
fn l2_finished_once_when_its_thread_panics() {
    let rig = rig();
    let span = rig.trace.context().span(SpanData::agent("panicked"));
    let thread = std::thread::spawn(move || {
        let _span = span;
        panic!("as intended");
    });
    thread.join().unwrap_err();
    assert!(rig.span("panicked").ended_at.is_some());
}

#[test]
fn a_span_never_ends_before_it_starts() {
    let rig = rig();
    let start = Timestamp::from_micros(1_000_000);
    rig.trace
        .context()
        .span_at(SpanData::agent("early"), start)
        .finish_at(Timestamp::from_micros(1));
    assert_eq!(rig.span("early").ended_at, Some(start));
    assert_eq!(rig.span("early").duration(), Some(Duration::ZERO));
}

#[test]
fn a_span_tells_what_was_last_said() {
    let rig = rig();
    let mut span = rig.trace.context().span(SpanData::function("f"));
    span.update(|data| {
        if let SpanData::Function { output, .. } = data {
            *output = Some("done".into());
        }
    });
    span.set_error(SpanError::new("first"));
    span.set_error(SpanError::new("last").with_data(serde_json::json!({"a": 1})));
    span.finish();
    let span = rig.span("f");
    assert!(matches!(&span.data, SpanData::Function { output: Some(output), .. } if output == "done"));
    assert_eq!(span.error.as_ref().unwrap().message, "last");
}

#[tokio::test]
async fn p1_a_span_is_current_only_where_it_was_made_so() {
    let rig = rig();
    let first = rig.trace.context().span(SpanData::agent("first"));
    rig.trace
        .scope(async {
            assert_eq!(Context::current().span_id(), None);
            let second = Context::current().span(SpanData::agent("second"));
            application_span("beside");
            second.finish();
        })
        .await;
    first.finish();
    assert_eq!(
        (rig.parent("first"), rig.parent("second"), rig.parent("beside")),
        (None, None, None)
    );
    assert!(!Context::current().is_recording());
}

#[tokio::test]
async fn p2_a_scope_ends_with_its_future() {
    let rig = rig();
    let outer = rig.trace.context().span(SpanData::agent("outer"));
    let inner = outer.context().span(SpanData::agent("inner"));
    outer
        .context()
        .scope(async {
            application_span("before");
            inner.context().scope(async { application_span("within") }).await;
            application_span("after");
        })
        .await;
    assert_eq!(rig.parent("before"), outer.id());
    assert_eq!(rig.parent("within"), inner.id());
    assert_eq!(rig.parent("after"), outer.id());
}

#[tokio::test]
async fn p2_scopes_of_concurrent_tasks_do_not_mix() {
    let rig = rig();
    let work = |name: &'static str| {
        let span = rig.trace.context().span(SpanData::agent(name));
        let place = span.context();
        async move {
            let id = span.id();
            place
                .scope(async {
                    for _ in 0..10 {
                        assert_eq!(Context::current().span_id(), id);
                        tokio::task::yield_now().await;
                    }
                })
                .await;
        }
    };
    tokio::join!(work("a"), work("b"), work("c"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_a_tool_sees_its_span_on_whichever_task_or_thread() {
    let rig = rig();
    let tool = rig.trace.context().span(SpanData::function("tool"));
    let place = tool.context();

    tokio::spawn(place.scope(async {
        application_span("on a task");
        tokio::task::yield_now().await;
        application_span("on a task, later");
        let place = Context::current();
        tokio::task::spawn_blocking(move || place.sync_scope(|| application_span("blocking")))
            .await
            .unwrap();
        tokio::spawn(async { application_span("on a task of its own") })
            .await
            .unwrap();
    }))
    .await
    .unwrap();
    let thread = std::thread::spawn({
        let place = place.clone();
        move || place.sync_scope(|| application_span("on a thread"))
    });
    thread.join().unwrap();

    for name in ["on a task", "on a task, later", "blocking", "on a thread"] {
        assert_eq!(rig.parent(name), tool.id(), "{name}");
    }
    let spans = rig.memory.spans();
    assert!(
        !spans
            .iter()
            .any(|span| span.data.label() == "on a task of its own"),
        "nothing is carried over unasked"
    );
}

#[test]
fn p4_a_scope_on_a_plain_thread_ends_with_its_closure_even_by_panic() {
    let rig = rig();
    let place = rig.trace.context();
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| place.sync_scope(|| panic!("as intended"))));
    assert!(panicked.is_err());
    assert!(!Context::current().is_recording());
}

#[test]
fn p3_a_child_may_outlive_its_parent() {
    let rig = rig();
    let parent = rig.trace.context().span(SpanData::agent("parent"));
    let id = parent.id();
    let child = parent.context().span(SpanData::function("child"));
    parent.finish();
    child.finish();
    assert_eq!(rig.parent("child"), id);
}

#[test]
fn n1_a_disabled_tracer_records_nothing() {
    for tracer in [Tracer::disabled(), Tracer::builder().build()] {
        assert!(!tracer.is_enabled());
        let trace = tracer.trace("test").group_id("g").start();
        assert!(!trace.is_recording() && trace.id().is_none());
        assert!(!trace.context().is_recording());
        assert!(tracer.flush(Duration::ZERO));
        assert!(tracer.shutdown(Duration::ZERO).is_empty());
    }
}

#[test]
fn n2_without_a_trace_spans_are_no_ops() {
    let mut span = Context::current().span(SpanData::agent("nowhere"));
    assert!(!span.is_recording() && span.id().is_none() && !span.context().is_recording());
    span.update(|_| panic!("a no-op asks for nothing"));
    span.set_error(SpanError::new("no matter"));
    span.finish();
    Span::noop().finish_at(Timestamp::now());
}

#[tokio::test]
async fn n3_a_noop_never_poisons() {
    let rig = rig();
    let noop = Context::none().span(SpanData::agent("session without a trace"));
    noop.context()
        .scope(async {
            assert!(!Context::current().is_recording());
            rig.trace.scope(async { application_span("real") }).await;
        })
        .await;
    let outer = rig.trace.context().span(SpanData::agent("outer"));
    outer
        .context()
        .scope(async {
            noop.context()
                .scope(async { application_span("through a no-op scope") })
                .await;
            Context::none().sync_scope(|| application_span("through a no-op sync scope"));
            Trace::disabled()
                .scope(async { application_span("through a disabled trace") })
                .await;
        })
        .await;
    assert_eq!(rig.parent("real"), None);
    for name in [
        "through a no-op scope",
        "through a no-op sync scope",
        "through a disabled trace",
    ] {
        assert_eq!(rig.parent(name), outer.id(), "{name}");
    }
}

#[test]
fn a_full_memory_keeps_the_last_and_counts_the_rest() {
    let memory = Arc::new(MemoryProcessor::with_capacity(2));
    let tracer = Tracer::builder().processor(Arc::clone(&memory)).build();
    let place = tracer.trace("test").start().context();
    for name in ["a", "b", "c"] {
        place.span(SpanData::agent(name)).finish();
    }
    let kept: Vec<_> = memory
        .spans()
        .iter()
        .map(|span| span.data.label().into_owned())
        .collect();
    assert_eq!(kept, ["b", "c"]);
    let report = memory.shutdown(Duration::ZERO);
    assert_eq!((report.received, report.sent, report.dropped), (4, 3, 1));
}
