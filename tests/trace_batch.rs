//! The batch processor: when it exports what, in which order, and that its accounts always add up.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use realtime_run::trace::{
    BatchConfig, BatchProcessor, Context, ExportDeadline, ExportError, Item, JsonLinesExporter,
    ShutdownReport, SpanData, SpanExporter, SpanProcessor, Trace, TraceId, Tracer,
};
use tokio::sync::oneshot;

/// How long a test waits for what must come.
const LIMIT: Duration = Duration::from_secs(20);

/// A delay that no test sees the end of.
const NEVER: Duration = Duration::from_secs(86_400);

type Outcome = Result<(), ExportError>;

/// A batch that the test settles when and as it likes; dropped, it is delivered.
struct Call {
    items: Vec<Item>,
    reply: oneshot::Sender<Outcome>,
}

impl Call {
    fn labels(&self) -> Vec<String> {
        self.items.iter().map(label).collect()
    }

    fn settle(self, outcome: Outcome) {
        self.reply.send(outcome).unwrap();
    }

    fn fail(self, reason: &str) {
        let items = self.items.len();
        self.settle(Err(ExportError::new(reason, items)));
    }
}

fn label(item: &Item) -> String {
    match item {
        Item::Trace(trace) => trace.workflow_name.clone(),
        Item::Span(span) => span.data.label().into_owned(),
    }
}

/// Hands every batch to the test.
struct Manual(mpsc::Sender<Call>);

impl SpanExporter for Manual {
    fn name(&self) -> &str {
        "manual"
    }

    async fn export(&self, items: Vec<Item>, _deadline: ExportDeadline) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let _ = self.0.send(Call { items, reply });
        outcome.await.unwrap_or(Ok(()))
    }
}

struct Rig {
    /// First, so that at the end of a test nothing waits for answers any more.
    calls: mpsc::Receiver<Call>,
    processor: Arc<BatchProcessor>,
    tracer: Tracer,
}

fn rig(config: BatchConfig) -> Rig {
    let (sender, calls) = mpsc::channel();
    let processor = Arc::new(BatchProcessor::with_config(Manual(sender), config));
    Rig {
        tracer: Tracer::builder().processor(Arc::clone(&processor)).build(),
        processor,
        calls,
    }
}

/// Small, and exporting only when asked.
fn small() -> BatchConfig {
    BatchConfig {
        batch_size: 2,
        delay: NEVER,
        ..BatchConfig::default()
    }
}

impl Rig {
    fn trace(&self, name: &str) -> Trace {
        self.tracer.trace(name).start()
    }

    fn next(&self) -> Call {
        self.calls.recv_timeout(LIMIT).expect("a batch comes")
    }

    /// Asks for everything to be exported, without waiting for it.
    fn ask(&self) {
        assert!(!self.tracer.flush(Duration::ZERO), "something is waiting");
    }

    fn shutdown(&self, limit: Duration) -> ShutdownReport {
        let report = self.processor.shutdown(limit);
        assert_adds_up(&self.processor, &report);
        report
    }
}

fn assert_adds_up(processor: &BatchProcessor, report: &ShutdownReport) {
    let counts = processor.counts();
    assert_eq!(
        report.received,
        report.sent + report.kept + report.dropped,
        "{report}"
    );
    assert_eq!(
        report.dropped,
        report.losses.iter().map(|loss| loss.items).sum::<u64>(),
        "{report}"
    );
    assert_eq!(
        (counts.received, counts.sent, counts.queued),
        (report.received, report.sent, 0),
        "{report}"
    );
}

fn spans(place: &Context, names: &[&str]) {
    for name in names {
        place.span(SpanData::agent(*name)).finish();
    }
}

/// Says whether `done` becomes true within the limit.
fn becomes(done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > LIMIT {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn three_hundred_items_are_batches_of_128_128_and_44() {
    let rig = rig(BatchConfig {
        delay: NEVER,
        in_flight: 1,
        ..BatchConfig::default()
    });
    let place = rig.trace("T").context();
    (0..299).for_each(|_| spans(&place, &["s"]));
    rig.ask();
    let sizes: Vec<usize> = (0..3).map(|_| rig.next().items.len()).collect();
    assert_eq!(sizes, [128, 128, 44]);
    assert!(rig.shutdown(LIMIT).is_complete());
}

#[test]
fn nothing_waits_longer_than_the_delay() {
    let rig = rig(BatchConfig {
        delay: Duration::from_millis(10),
        ..BatchConfig::default()
    });
    let trace = rig.trace("T");
    assert_eq!(rig.next().labels(), ["T"]);
    spans(&trace.context(), &["a"]);
    assert_eq!(rig.next().labels(), ["a"], "the delay begins anew");
}

#[test]
fn a_queue_filling_up_is_exported_early() {
    let rig = rig(BatchConfig {
        queue_size: 10,
        delay: NEVER,
        ..BatchConfig::default()
    });
    spans(&rig.trace("T").context(), &["1", "2", "3", "4", "5", "6"]);
    assert_eq!(
        rig.next().labels(),
        ["T", "1", "2", "3", "4", "5", "6"],
        "at seven of ten, not before"
    );
}

#[test]
fn a_full_queue_blocks_nobody_and_counts() {
    let rig = rig(BatchConfig {
        queue_size: 10,
        batch_size: 1,
        in_flight: 1,
        ..small()
    });
    let place = rig.trace("T").context();
    rig.ask();
    let held = rig.next();
    (0..100).for_each(|_| spans(&place, &["s"]));
    let counts = rig.processor.counts();
    assert_eq!(
        (counts.received, counts.dropped, counts.queued),
        (101, 90, 11),
        "ten wait, one is on its way"
    );
    held.settle(Ok(()));
    (0..10).for_each(|_| rig.next().settle(Ok(())));
    let report = rig.shutdown(LIMIT);
    assert_eq!((report.sent, report.dropped), (11, 90));
    assert_eq!(report.losses[0].reason, "the queue of 10 was full");
}

#[test]
fn a_trace_is_never_sent_after_one_of_its_spans() {
    let rig = rig(small());
    let (first, second) = (rig.trace("T1"), rig.trace("T2"));
    spans(&first.context(), &["1a"]);
    spans(&second.context(), &["2a"]);
    spans(&first.context(), &["1b", "1c"]);
    rig.ask();
    let both_traces = rig.next();
    assert_eq!(both_traces.labels(), ["T1", "T2"]);
    let third = rig.trace("T3");
    spans(&third.context(), &["3a"]);
    rig.ask();
    let other = rig.next();
    assert_eq!(other.labels(), ["T3", "3a"], "what waits for no trace passes");
    both_traces.fail("lost");
    assert_eq!(
        rig.next().labels(),
        ["1a", "2a"],
        "and the rest comes in order, even if its trace was lost"
    );
    assert_eq!(rig.next().labels(), ["1b", "1c"]);
    drop(other);
    assert_eq!(rig.shutdown(LIMIT).dropped, 2);
}

#[test]
fn a_batch_that_waits_for_its_retry_holds_up_no_other() {
    let rig = rig(small());
    let place = rig.trace("T").context();
    rig.ask();
    rig.next().settle(Ok(()));
    spans(&place, &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    rig.ask();
    let waiting = rig.next();
    assert_eq!(waiting.labels(), ["1", "2"]);
    for expected in [["3", "4"], ["5", "6"], ["7", "8"], ["9", "10"]] {
        let call = rig.next();
        assert_eq!(call.labels(), expected);
        call.settle(Ok(()));
    }
    assert!(becomes(|| rig.processor.counts().sent == 9));
    assert!(
        !rig.tracer.flush(Duration::ZERO),
        "flush waits for exactly what came before it"
    );
    waiting.settle(Ok(()));
    assert!(rig.tracer.flush(LIMIT));
}

#[test]
fn few_batches_are_on_their_way_at_a_time() {
    let rig = rig(BatchConfig {
        batch_size: 1,
        in_flight: 3,
        ..small()
    });
    let place = rig.trace("T").context();
    rig.ask();
    rig.next().settle(Ok(()));
    spans(&place, &["1", "2", "3", "4"]);
    rig.ask();
    let held: Vec<Call> = (0..3).map(|_| rig.next()).collect();
    assert_eq!(
        held.iter().flat_map(Call::labels).collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    assert!(rig.calls.try_recv().is_err());
    drop(held);
    assert_eq!(rig.next().labels(), ["4"]);
}

#[test]
fn flush_waits_for_what_came_before_it_and_no_more() {
    let rig = rig(small());
    let place = rig.trace("T").context();
    std::thread::scope(|threads| {
        let flushing = threads.spawn(|| rig.tracer.flush(LIMIT));
        let first = rig.next();
        spans(&place, &["later"]);
        first.settle(Ok(()));
        assert!(flushing.join().unwrap());
    });
    assert_eq!(rig.processor.counts().queued, 1);
    assert!(rig.processor.counts().sent == 1);
}

#[test]
fn shutdown_keeps_its_limit_and_says_what_was_not_sent() {
    let rig = rig(BatchConfig {
        in_flight: 2,
        ..small()
    });
    let (first, second) = (rig.trace("T1"), rig.trace("T2"));
    spans(&first.context(), &["1", "2", "3", "4", "5"]);
    drop((first, second));
    let begun = Instant::now();
    let report = rig.shutdown(Duration::from_millis(100));
    assert!(begun.elapsed() >= Duration::from_millis(100) && begun.elapsed() < Duration::from_secs(10));
    assert_eq!((report.received, report.sent, report.dropped), (7, 0, 7));
    assert_eq!(report.losses[0].reason, "shutdown ran out of time");
}

/// Blocks its thread until told, against the contract.
struct Blocking {
    release: Mutex<mpsc::Receiver<()>>,
    /// Shared with the test, which sees by it when the export thread has gone.
    _alive: Arc<()>,
}

impl SpanExporter for Blocking {
    fn name(&self) -> &str {
        "blocking"
    }

    async fn export(&self, _batch: Vec<Item>, _deadline: ExportDeadline) -> Outcome {
        let _ = self.release.lock().unwrap().recv_timeout(LIMIT);
        Ok(())
    }
}

#[test]
fn shutdown_keeps_its_limit_even_if_the_exporter_blocks_its_thread() {
    let ((release, blocked), alive) = (mpsc::channel(), Arc::new(()));
    let exporter = Blocking {
        release: Mutex::new(blocked),
        _alive: Arc::clone(&alive),
    };
    let processor = Arc::new(BatchProcessor::new(exporter));
    let tracer = Tracer::builder().processor(Arc::clone(&processor)).build();
    spans(&tracer.trace("T").start().context(), &["1", "2"]);
    let begun = Instant::now();
    let report = processor.shutdown(Duration::from_millis(50));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((report.received, report.dropped), (3, 3));
    assert_adds_up(&processor, &report);
    release.send(()).unwrap();
    assert!(becomes(|| Arc::strong_count(&alive) == 1));
    assert_eq!(
        processor.shutdown(LIMIT),
        report,
        "what comes to light later changes nothing"
    );
}

#[test]
fn shutdown_is_idempotent_and_may_come_from_several_threads() {
    let rig = rig(small());
    spans(&rig.trace("T").context(), &["1", "2"]);
    let reports = std::thread::scope(|threads| {
        let shutdowns: Vec<_> = (0..4)
            .map(|_| threads.spawn(|| rig.processor.shutdown(LIMIT)))
            .collect();
        for _ in 0..2 {
            rig.next().settle(Ok(()));
        }
        shutdowns
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(
        reports
            .iter()
            .all(|report| *report == reports[0] && report.is_complete())
    );
    assert_eq!(rig.shutdown(Duration::ZERO), reports[0]);
}

#[test]
fn what_comes_after_shutdown_is_dropped_and_counted() {
    let rig = rig(small());
    let place = rig.trace("T").context();
    drop(std::thread::scope(|threads| {
        let shutdown = threads.spawn(|| rig.processor.shutdown(LIMIT));
        rig.next().settle(Ok(()));
        shutdown.join().unwrap()
    }));
    spans(&place, &["late"]);
    let report = rig.shutdown(LIMIT);
    assert_eq!((report.received, report.sent, report.dropped), (2, 1, 1));
    assert_eq!(report.losses[0].reason, "they came after shutdown");
    assert!(rig.tracer.flush(Duration::ZERO));
}

/// Delivers everything, and keeps it.
#[derive(Clone, Default)]
struct Collecting(Arc<Mutex<Vec<Item>>>);

impl SpanExporter for Collecting {
    fn name(&self) -> &str {
        "collecting"
    }

    async fn export(&self, batch: Vec<Item>, _deadline: ExportDeadline) -> Outcome {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

#[test]
fn the_application_runtime_may_end_first() {
    let exporter = Collecting::default();
    let tracer = Tracer::builder()
        .processor(BatchProcessor::new(exporter.clone()))
        .build();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let trace = tracer.trace("T").start();
    let (started, has_started) = mpsc::channel();
    runtime.spawn(trace.scope(async move {
        let _never_finished = Context::current().span(SpanData::agent("cut off"));
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    }));
    has_started.recv_timeout(LIMIT).unwrap();
    drop(runtime);
    assert!(tracer.shutdown(LIMIT)[0].is_complete());
    assert_eq!(
        exporter.0.lock().unwrap().iter().map(label).collect::<Vec<_>>(),
        ["T", "cut off"]
    );
}

#[test]
fn the_last_handle_to_go_flushes() {
    let exporter = Collecting::default();
    let tracer = Tracer::builder()
        .processor(BatchProcessor::new(exporter.clone()))
        .build();
    let trace = tracer.trace("T").start();
    let span = trace.context().span(SpanData::agent("last"));
    drop((tracer, trace));
    drop(span);
    assert_eq!(exporter.0.lock().unwrap().len(), 2);
}

#[test]
fn processors_do_not_hold_each_other_up() {
    let fast = Collecting::default();
    let (sender, calls) = mpsc::channel();
    let slow = BatchProcessor::with_config(
        Manual(sender),
        BatchConfig {
            queue_size: 3,
            ..small()
        },
    );
    let quick = BatchConfig {
        delay: Duration::ZERO,
        ..BatchConfig::default()
    };
    let fast_processor = BatchProcessor::with_config(fast.clone(), quick);
    let tracer = Tracer::builder()
        .processor(slow)
        .processor(fast_processor)
        .build();
    let place = tracer.trace("T").start().context();
    (0..1000).for_each(|_| spans(&place, &["s"]));
    assert!(becomes(|| fast.0.lock().unwrap().len() == 1001));
    let reports = tracer.shutdown(Duration::from_millis(200));
    assert_eq!((reports[0].received, reports[1].received), (1001, 1001));
    assert!(!reports[0].is_complete() && reports[1].is_complete());
    drop(calls); // Until now, nothing the slow one sent was answered.
}

struct Panicking;

impl SpanExporter for Panicking {
    fn name(&self) -> &str {
        "panicking"
    }

    async fn export(&self, batch: Vec<Item>, _deadline: ExportDeadline) -> Outcome {
        assert!(batch.is_empty(), "as intended");
        Ok(())
    }
}

#[test]
fn an_exporter_that_panics_loses_its_batch_and_nothing_else() {
    let processor = Arc::new(BatchProcessor::with_config(Panicking, small()));
    let tracer = Tracer::builder().processor(Arc::clone(&processor)).build();
    spans(&tracer.trace("T").start().context(), &["1", "2"]);
    let report = processor.shutdown(LIMIT);
    assert_eq!(report.losses[0].reason, "the exporter panicked");
    assert_eq!(report.dropped, 3);
    assert_adds_up(&processor, &report);
}

#[test]
fn ever_new_reasons_do_not_make_the_report_grow() {
    let rig = rig(BatchConfig {
        batch_size: 1,
        in_flight: 1,
        ..small()
    });
    spans(&rig.trace("T").context(), &["s"; 50]);
    rig.ask();
    (0..51).for_each(|number| rig.next().fail(&format!("reason {number}")));
    let report = rig.shutdown(LIMIT);
    assert_eq!(report.dropped, 51);
    assert_eq!(report.losses.len(), 8);
    assert_eq!(report.losses[7].reason, "various reasons");
}

/// A writer the test can read.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn stdout_gets_one_complete_object_per_line() {
    let buffer = Buffer::default();
    let tracer = Tracer::builder()
        .processor(BatchProcessor::new(JsonLinesExporter::new(
            "stdout",
            buffer.clone(),
        )))
        .build();
    let long = "x".repeat(200_000) + "\n";
    let trace = tracer.trace("T").start();
    let mut span = trace.context().span(SpanData::function("f"));
    span.update(|data| {
        if let SpanData::Function { output, .. } = data {
            *output = Some(long.clone());
        }
    });
    span.finish();
    assert!(tracer.shutdown(LIMIT)[0].is_complete());
    let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["object"], "trace");
    assert_eq!(lines[1]["span_data"]["output"], long.as_str());
}

struct Broken;

impl std::io::Write for Broken {
    fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_is_a_counted_loss() {
    let tracer = Tracer::builder()
        .processor(BatchProcessor::new(JsonLinesExporter::new("stdout", Broken)))
        .build();
    spans(&tracer.trace("T").start().context(), &["1"]);
    let report = tracer.shutdown(LIMIT).remove(0);
    assert_eq!(
        report.to_string(),
        "stdout: 0 of 2 trace items sent, 2 lost: 2: cannot write: broken pipe"
    );
}

/// Takes its time, fails, loses some, panics or never returns, by chance.
struct Fickle {
    delivered: Arc<AtomicU64>,
    /// The traces that were begun to be sent; a span of another one is out of order.
    seen: Mutex<HashSet<TraceId>>,
    out_of_order: Arc<AtomicBool>,
    /// Of a hundred batches, how many end badly.
    bad: u32,
}

impl SpanExporter for Fickle {
    fn name(&self) -> &str {
        "fickle"
    }

    async fn export(&self, batch: Vec<Item>, mut deadline: ExportDeadline) -> Outcome {
        let chance = fastrand::u32(..100);
        if fastrand::bool() {
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..2000))).await;
        }
        for item in &batch {
            match item {
                Item::Trace(trace) => _ = self.seen.lock().unwrap().insert(trace.id),
                Item::Span(span) if self.seen.lock().unwrap().contains(&span.trace_id()) => {}
                Item::Span(_) => self.out_of_order.store(true, Ordering::SeqCst),
            }
        }
        let items = batch.len() as u64;
        if chance >= self.bad {
            self.delivered.fetch_add(items, Ordering::SeqCst);
            return Ok(());
        }
        match chance % 5 {
            0 => panic!("as intended"),
            1 => {
                self.delivered.fetch_add(items - 1, Ordering::SeqCst);
                Err(ExportError::new("one lost", 1))
            }
            2 => {
                deadline.sleep(NEVER).await;
                Err(ExportError::new("interrupted", batch.len()))
            }
            3 => std::future::pending().await,
            _ => Err(ExportError::new("more than there was", usize::MAX)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn received_is_always_sent_plus_dropped_plus_queued(
        queue_size in 1usize..300,
        batch_size in 1usize..40,
        in_flight in 1usize..5,
        bad in prop_oneof![Just(0u32), 1u32..60],
        threads in 1usize..5,
        traces in 1usize..20,
        spans_each in 0usize..60,
        shutdown_early in any::<bool>(),
    ) {
        let (delivered, out_of_order) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let exporter = Fickle {
            delivered: Arc::clone(&delivered),
            seen: Mutex::default(),
            out_of_order: Arc::clone(&out_of_order),
            bad,
        };
        let config = BatchConfig { queue_size, batch_size, in_flight, delay: Duration::from_millis(1), early_export: 0.7 };
        let processor = Arc::new(BatchProcessor::with_config(exporter, config));
        let tracer = Tracer::builder().processor(Arc::clone(&processor)).build();
        let working = AtomicBool::new(true);
        let limit = if bad == 0 { LIMIT } else { Duration::from_millis(30) };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| {
                for _ in 0..traces {
                    let place = tracer.trace("T").start().context();
                    (0..spans_each).for_each(|_| spans(&place, &["s"]));
                }
            })).collect();
            scope.spawn(|| while working.load(Ordering::SeqCst) {
                let counts = processor.counts();
                assert_eq!(counts.received, counts.sent + counts.dropped + counts.queued, "{counts:?}");
            });
            if shutdown_early {
                processor.shutdown(limit);
            }
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            working.store(false, Ordering::SeqCst);
        });
        let report = processor.shutdown(limit);
        assert_adds_up(&processor, &report);
        prop_assert_eq!(report.received, (threads * traces * (1 + spans_each)) as u64);
        let delivered = delivered.load(Ordering::SeqCst);
        let cut_off = report.losses.iter().any(|loss| loss.reason.contains("ran out of time"));
        prop_assert!(report.sent == delivered || (cut_off && report.sent < delivered), "{delivered} {report}");
        let queue_full = report.losses.iter().any(|loss| loss.reason.contains("was full"));
        if !queue_full && !shutdown_early {
            prop_assert!(!out_of_order.load(Ordering::SeqCst));
            prop_assert!(bad > 0 || report.is_complete(), "{}", report);
        }
    }
}
