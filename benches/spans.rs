//! What a span costs: created and finished with a batch processor attached whose exporter does nothing, beside
//! opentelemetry's batch span processor with an exporter that does nothing.
//!
//! Both sides get the same queue and batch size, the same number of spans in interleaved rounds, and a flush at the
//! end of each round, so that neither gets cheaper by dropping. Measured is CPU time: of the calling thread, which is
//! what the application pays while it works, and of the whole process, with forming batches and flushing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cpu_time::{ProcessTime, ThreadTime};
use opentelemetry::trace::{Span as _, SpanBuilder, TraceContextExt, Tracer as _, TracerProvider};
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace as otel;
use realtime_run::trace as ours;

/// Spans in a round: below the share of the queue (0.7 of 8192) that would call our exporter early.
const SPANS: u32 = 5000;
const ROUNDS: usize = 100;
const WARM_UP: usize = 10;
const QUEUE: usize = 8192;
const BATCH: usize = 128;
const LIMIT: Duration = Duration::from_secs(5);

const INPUT: &str = r#"{"city":"Tokyo","unit":"celsius"}"#;
const OUTPUT: &str = "sunny, 23 degrees, wind from the south";

/// Counts what it is given, and drops it.
#[derive(Clone, Debug, Default)]
struct Nowhere(Arc<AtomicU64>);

impl ours::SpanExporter for Nowhere {
    fn name(&self) -> &str {
        "nowhere"
    }

    async fn export(
        &self,
        batch: Vec<ours::Item>,
        _deadline: ours::ExportDeadline,
    ) -> Result<(), ours::ExportError> {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl otel::SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<otel::SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// The two things measured.
#[derive(Clone, Copy)]
enum Work {
    /// A span with a name.
    Bare,
    /// A tool call: a name, arguments, and a result that comes later.
    Tool,
}

fn our_span(place: &ours::Context, work: Work) {
    match work {
        Work::Bare => place.span(ours::SpanData::agent("Triage")).finish(),
        Work::Tool => {
            let mut span = place.span(ours::SpanData::Function {
                name: "get_weather".into(),
                input: Some(INPUT.into()),
                output: None,
                mcp_data: None,
            });
            span.update(|data| {
                if let ours::SpanData::Function { output, .. } = data {
                    *output = Some(OUTPUT.into());
                }
            });
            span.finish();
        }
    }
}

fn their_span(tracer: &otel::SdkTracer, parent: &OtelContext, work: Work) {
    match work {
        // A name known only at run time, as ours: an owned string.
        Work::Bare => {
            tracer
                .build_with_context(SpanBuilder::from_name("Triage".to_owned()), parent)
                .end();
        }
        Work::Tool => {
            let attributes = [KeyValue::new("input", INPUT.to_owned())];
            let builder = SpanBuilder::from_name("get_weather".to_owned()).with_attributes(attributes);
            let mut span = tracer.build_with_context(builder, parent);
            span.set_attribute(KeyValue::new("output", OUTPUT.to_owned()));
            span.end();
        }
    }
}

/// CPU time per span in nanoseconds.
#[derive(Default)]
struct Cost {
    caller: Vec<f64>,
    process: Vec<f64>,
}

impl Cost {
    fn round(&mut self, mut span: impl FnMut(), flush: impl FnOnce()) {
        let (process, caller) = (ProcessTime::now(), ThreadTime::now());
        (0..SPANS).for_each(|_| span());
        let caller = caller.elapsed();
        flush();
        let per_span = |time: Duration| time.as_nanos() as f64 / f64::from(SPANS);
        self.caller.push(per_span(caller));
        self.process.push(per_span(process.elapsed()));
    }
}

fn median(rounds: &[f64]) -> f64 {
    let mut rounds = rounds[WARM_UP..].to_vec();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn compare(title: &str, work: Work) {
    let our_sink = Nowhere::default();
    let config = ours::BatchConfig {
        queue_size: QUEUE,
        batch_size: BATCH,
        ..ours::BatchConfig::default()
    };
    let tracer = ours::Tracer::builder()
        .processor(ours::BatchProcessor::with_config(our_sink.clone(), config))
        .build();
    let place = tracer.trace("bench").start().context();

    let their_sink = Nowhere::default();
    let config = otel::BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .build();
    let processor = otel::BatchSpanProcessor::builder(their_sink.clone())
        .with_batch_config(config)
        .build();
    let provider = otel::SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    let their_tracer = provider.tracer("bench");
    let parent = OtelContext::new().with_span(their_tracer.start("parent"));

    let (mut our_cost, mut their_cost) = (Cost::default(), Cost::default());
    for round in 0..2 * (WARM_UP + ROUNDS) {
        // One, other; other, one; and so on: neither always finds the heap as the other left it.
        if matches!(round % 4, 0 | 3) {
            our_cost.round(|| our_span(&place, work), || assert!(tracer.flush(LIMIT)));
        } else {
            their_cost.round(
                || their_span(&their_tracer, &parent, work),
                || provider.force_flush().expect("opentelemetry flushes"),
            );
        }
    }

    let created = u64::from(SPANS) * (WARM_UP + ROUNDS) as u64;
    let our_drops = created + 1 - our_sink.0.load(Ordering::Relaxed); // and the trace
    let their_drops = created - their_sink.0.load(Ordering::Relaxed);
    println!("{title}");
    for (what, ours, theirs) in [
        ("calling thread", &our_cost.caller, &their_cost.caller),
        ("whole process", &our_cost.process, &their_cost.process),
    ] {
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "  {what:<15} ours {ours:>5.0} ns  opentelemetry {theirs:>5.0} ns  ratio {:.2}",
            ours / theirs
        );
    }
    println!(
        "  dropped         ours {our_drops:>5} of {created}  opentelemetry {their_drops:>5} of {created}"
    );
}

fn main() {
    println!("CPU time per span, median of {ROUNDS} interleaved rounds of {SPANS} spans");
    compare("a span with a name", Work::Bare);
    compare("a tool call with arguments and result", Work::Tool);
}
