//! What a session's trace came to: every span's start and end, in order.
//!
//! Use it with `#[path = "support/spans.rs"] mod spans;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_run::trace::{
    Context, ShutdownReport, SpanData, SpanId, SpanProcessor, SpanRecord, Trace, TraceRecord, Tracer,
};
use tokio::sync::watch;

/// How long a test waits for a span to end.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Recorder {
    started: Mutex<Vec<SpanId>>,
    ended: watch::Sender<Vec<Arc<SpanRecord>>>,
}

impl SpanProcessor for Recorder {
    fn on_trace_start(&self, _trace: &Arc<TraceRecord>) {}

    fn on_span_start(&self, span: &SpanRecord) {
        self.started.lock().unwrap().push(span.id);
    }

    fn on_span_end(&self, span: Arc<SpanRecord>) {
        self.ended.send_modify(|ended| ended.push(span));
    }

    fn flush(&self, _limit: Duration) -> bool {
        true
    }

    fn shutdown(&self, _limit: Duration) -> ShutdownReport {
        unreachable!("no test shuts it down")
    }
}

/// A trace and all that is recorded in it.
pub struct Traced {
    recorder: Arc<Recorder>,
    pub trace: Trace,
}

pub fn traced() -> Traced {
    let recorder = Arc::new(Recorder::default());
    let tracer = Tracer::builder().processor(Arc::clone(&recorder)).build();
    Traced {
        trace: tracer.trace("test").start(),
        recorder,
    }
}

impl Traced {
    /// How many spans have started.
    pub fn started(&self) -> usize {
        self.recorder.started.lock().unwrap().len()
    }

    /// The finished spans, in the order of their ends.
    pub fn ended(&self) -> Vec<Arc<SpanRecord>> {
        self.recorder.ended.borrow().clone()
    }

    /// The finished spans of that name.
    pub fn named(&self, name: &str) -> Vec<Arc<SpanRecord>> {
        let mut spans = self.ended();
        spans.retain(|span| span.data.label() == name);
        spans
    }

    /// The only finished span of that name.
    pub fn span(&self, name: &str) -> Arc<SpanRecord> {
        let spans = self.named(name);
        assert_eq!(spans.len(), 1, "finished spans named {name}");
        spans[0].clone()
    }

    pub fn parent(&self, name: &str) -> Option<SpanId> {
        self.span(name).parent_id
    }

    /// What went wrong in the only finished span of that name.
    pub fn error(&self, name: &str) -> Option<String> {
        self.span(name).error.as_ref().map(|error| error.message.clone())
    }

    /// Waits until a span of that name has ended.
    pub async fn wait_for(&self, name: &str) -> Arc<SpanRecord> {
        let mut ended = self.recorder.ended.subscribe();
        let found = ended.wait_for(|spans| spans.iter().any(|span| span.data.label() == name));
        if tokio::time::timeout(LIMIT, found).await.is_err() {
            panic!("no span {name} has ended");
        }
        self.span(name)
    }

    /// Checks that every span that started has ended, and once (span rule L2).
    pub fn check_all_ended_once(&self) {
        let mut started = self.recorder.started.lock().unwrap().clone();
        let mut ended: Vec<_> = self.ended().iter().map(|span| span.id).collect();
        started.sort_unstable();
        ended.sort_unstable();
        assert_eq!(started, ended);
        assert!(
            self.ended()
                .iter()
                .all(|span| span.ended_at >= Some(span.started_at))
        );
    }
}

/// A span as an application opens one wherever it is.
pub fn application_span(name: &str) {
    Context::current().span(SpanData::custom(name)).finish();
}
