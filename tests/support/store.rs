//! Trace stores in temporary folders, and what is needed to fill and to look into them.
//!
//! Use it with `#[path = "support/store.rs"] mod store;`, beside `mod sink;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_run::Secret;
use realtime_run::trace::{
    BatchConfig, Context, Delivery, OpenAiExporter, RetryPolicy, ShutdownReport, SpanData, SpanProcessor,
    SpanRecord, StoreProcessor, StoreProcessorBuilder, StoreReport, StoredRun, TraceRecord, TraceStore,
    Tracer,
};

use crate::sink::{LIMIT, Sink};

pub const PATH: &str = "/v1/traces/ingest";

/// A store in a folder that goes with it.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub store: TraceStore,
}

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let store = TraceStore::new(dir.path().join("store"));
        Self { dir, store }
    }

    pub fn builder(&self) -> StoreProcessorBuilder {
        StoreProcessor::builder(self.store.clone())
    }

    /// Records a run with `spans` spans for a sink, to its end.
    pub fn run(&self, exporter: OpenAiExporter, spans: usize) -> Run {
        let run = Run::start(self.builder().to_with(exporter, prompt()).build());
        run.record(spans);
        run.end(LIMIT)
    }

    pub fn runs(&self) -> Vec<StoredRun> {
        self.store.runs().unwrap()
    }

    /// What became of the items of the only run.
    pub fn delivery(&self) -> Delivery {
        let runs = self.runs();
        assert_eq!(runs.len(), 1);
        runs[0].read().unwrap().deliveries.remove(0)
    }
}

/// Batches that do not wait for company.
pub fn prompt() -> BatchConfig {
    BatchConfig {
        delay: Duration::from_millis(1),
        ..BatchConfig::default()
    }
}

/// Short waits in the place of seconds.
pub fn quick() -> RetryPolicy {
    RetryPolicy {
        tries: 3,
        first_delay: Duration::from_millis(5),
        max_delay: Duration::from_millis(20),
    }
}

pub fn exporter(url: &str) -> OpenAiExporter {
    OpenAiExporter::new(Some(url))
        .unwrap()
        .api_key(Secret::new("sk-test"))
        .retry(quick())
}

pub fn to(sink: &Sink) -> OpenAiExporter {
    exporter(&sink.url(PATH))
}

/// Knows the ids of everything that was recorded.
#[derive(Clone, Default)]
pub struct Truth(Arc<Mutex<Vec<String>>>);

impl Truth {
    pub fn ids(&self) -> Vec<String> {
        let mut ids = self.0.lock().unwrap().clone();
        ids.sort();
        ids
    }
}

impl SpanProcessor for Truth {
    fn on_trace_start(&self, trace: &Arc<TraceRecord>) {
        self.0.lock().unwrap().push(trace.id.to_string());
    }

    fn on_span_end(&self, span: Arc<SpanRecord>) {
        self.0.lock().unwrap().push(span.id.to_string());
    }

    fn flush(&self, _limit: Duration) -> bool {
        true
    }

    fn shutdown(&self, _limit: Duration) -> ShutdownReport {
        ShutdownReport::default()
    }
}

/// One run of a program, as far as traces are concerned.
pub struct Run {
    pub tracer: Tracer,
    pub processor: Arc<StoreProcessor>,
    pub truth: Truth,
    pub place: Context,
    pub report: StoreReport,
    pub own: ShutdownReport,
}

impl Run {
    pub fn start(processor: StoreProcessor) -> Self {
        let (processor, truth) = (Arc::new(processor), Truth::default());
        let tracer = Tracer::builder()
            .processor(truth.clone())
            .processor(Arc::clone(&processor))
            .build();
        Self {
            place: tracer.trace("T").start().context(),
            tracer,
            processor,
            truth,
            report: StoreReport::default(),
            own: ShutdownReport::default(),
        }
    }

    pub fn record(&self, spans: usize) {
        for number in 0..spans {
            self.place.span(SpanData::custom(number.to_string())).finish();
        }
    }

    /// Ends it, and has its accounts add up.
    pub fn end(mut self, limit: Duration) -> Self {
        self.own = self.processor.shutdown(limit);
        self.report = self.processor.report();
        let recorded = self.truth.ids().len() as u64;
        assert_eq!(self.own.received, recorded);
        assert_eq!(
            self.own.received,
            self.own.sent + self.own.dropped,
            "{}",
            self.own
        );
        for lane in self.report.lanes.iter().map(|lane| &lane.own) {
            assert_eq!(lane.received, recorded, "{lane}");
            assert_eq!(lane.received, lane.sent + lane.kept + lane.dropped, "{lane}");
            let sum =
                |losses: &[realtime_run::trace::Loss]| losses.iter().map(|loss| loss.items).sum::<u64>();
            assert_eq!(lane.dropped, sum(&lane.losses), "{lane}");
            assert_eq!(lane.kept, sum(&lane.postponements), "{lane}");
        }
        self
    }

    /// What became of its items at its only destination.
    pub fn lane(&self) -> &ShutdownReport {
        &self.report.lanes[0].own
    }
}

/// The ids that came to a sink, each with how often.
pub fn arrived(sink: &Sink) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for request in sink.requests() {
        for item in request.items() {
            *ids.entry(item["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    ids
}
