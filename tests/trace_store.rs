//! Nothing is lost on the way from a run to a back end, whatever the back end does.

#[path = "support/sink.rs"]
mod sink;
#[path = "support/store.rs"]
mod store;

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use realtime_run::trace::{
    BatchConfig, ExportDeadline, ExportError, Item, JsonLinesExporter, SpanData, SpanExporter, TraceId,
};
use sink::{Answer, Gate, LIMIT, Sink};
use store::{PATH, Rig, Run, arrived, exporter, prompt, to};

/// Waits until something is so.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// Sends what is left of all runs to a sink.
fn resend(rig: &Rig, sink: &Sink) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let exporter = Arc::new(to(sink));
    for run in rig.runs() {
        runtime
            .block_on(run.resend(&exporter, std::future::pending()))
            .unwrap();
    }
}

#[test]
fn a_span_is_in_the_file_within_100_ms_of_its_end() {
    let rig = Rig::new();
    let run = Run::start(rig.builder().build());
    run.record(1);
    wait_until("the file", || !rig.runs().is_empty());
    let stored = rig.runs().remove(0);
    let seen = || stored.read().unwrap().items.len();
    let mut delays = Vec::new();
    for number in 0..20 {
        wait_until("the span", || seen() == number + 2);
        let ended = Instant::now();
        run.record(1);
        wait_until("the next span", || seen() == number + 3);
        delays.push(ended.elapsed());
    }
    delays.sort();
    // Half of them, so that a busy machine does not matter.
    assert!(delays[10] < Duration::from_millis(100), "{delays:?}");
    assert!(stored.is_held(), "while the run goes on");
    run.end(LIMIT);
    assert!(!stored.is_held());
}

#[test]
fn a_burst_of_100_000_spans_all_arrives() {
    let (rig, sink) = (Rig::new(), Sink::always(200));
    let run = Run::start(rig.builder().to(to(&sink)).build());
    run.record(100_000);
    let run = run.end(Duration::from_secs(300));
    assert!(run.own.is_complete(), "{}", run.own);
    assert!(run.lane().is_complete(), "{}", run.lane());
    assert_eq!(
        (run.lane().sent, run.lane().sent_spans),
        (100_001, 100_000),
        "and nothing twice"
    );
    let arrived = arrived(&sink);
    assert!(arrived.keys().eq(run.truth.ids().iter()));
    assert!(arrived.values().all(|times| *times == 1));
    assert_eq!(rig.delivery().pending, 0);
}

#[test]
fn what_does_not_fit_into_memory_is_read_back_in_order() {
    let gate = Gate::default();
    let sink = Sink::start({
        let gate = gate.clone();
        move |number, _| match number {
            0 => Answer::status(200).after(&gate),
            _ => Answer::status(200),
        }
    });
    let rig = Rig::new();
    let config = BatchConfig {
        queue_size: 16,
        batch_size: 8,
        in_flight: 1,
        ..prompt()
    };
    let run = Run::start(rig.builder().to_with(to(&sink), config).build());
    sink.wait_for(1);
    run.record(5_000);
    wait_until("the file", || rig.runs()[0].read().unwrap().items.len() == 5_001);
    gate.open();
    assert!(run.tracer.flush(LIMIT));
    let items: Vec<_> = sink.requests().iter().flat_map(sink::Request::items).collect();
    assert_eq!(items[0]["object"], "trace");
    assert_eq!(items.len(), 5_001);
    assert!(
        items[1..]
            .iter()
            .enumerate()
            .all(|(number, item)| item["span_data"]["name"].as_str() == Some(&number.to_string()))
    );
    // Having caught up, it goes on through memory.
    run.record(10);
    let run = run.end(LIMIT);
    assert_eq!(run.lane().sent, 5_011);
}

#[test]
fn a_slow_destination_holds_up_no_other_and_loses_nothing() {
    let gate = Gate::default();
    let slow = Sink::start({
        let gate = gate.clone();
        move |_, _| Answer::status(200).after(&gate)
    });
    let (rig, fast) = (Rig::new(), Sink::always(200));
    let small = BatchConfig {
        queue_size: 4,
        batch_size: 2,
        ..prompt()
    };
    let processor = rig
        .builder()
        .to_with(to(&slow), small.clone())
        .to_with(to(&fast), small)
        .build();
    let run = Run::start(processor);
    run.record(500);
    wait_until("the fast one", || arrived(&fast).len() == 501);
    let begun = Instant::now();
    let run = run.end(Duration::from_millis(200));
    assert!(begun.elapsed() < LIMIT / 2, "{:?}", begun.elapsed());
    assert!(run.report.lanes[1].own.is_complete());
    assert_eq!(run.lane().kept, 501, "{}", run.lane());
    assert_eq!(run.lane().postponements[0].reason, "shutdown ran out of time");
    gate.open();
    resend(&rig, &slow);
    assert!(arrived(&slow).keys().eq(run.truth.ids().iter()));
}

#[test]
fn what_a_destination_that_is_down_misses_the_next_run_brings() {
    let (rig, is_up) = (Rig::new(), Arc::new(AtomicUsize::new(0)));
    let sink = Sink::start({
        let is_up = Arc::clone(&is_up);
        move |_, _| {
            Answer::status(if is_up.load(Ordering::SeqCst) == 1 {
                200
            } else {
                500
            })
        }
    });
    let down = rig.run(to(&sink), 300);
    assert_eq!(
        (down.lane().kept, down.lane().dropped),
        (301, 0),
        "{}",
        down.lane()
    );
    assert_eq!(rig.delivery().pending, 301);
    let elsewhere = Sink::always(200);
    let other = rig.run(to(&elsewhere), 1);
    assert_eq!(
        other.report.lanes[0].earlier.runs, 0,
        "it was not meant to go there"
    );

    is_up.store(1, Ordering::SeqCst);
    let before = sink.requests().len();
    let next = Run::start(rig.builder().to_with(to(&sink), prompt()).build());
    next.record(2);
    let items = || {
        let requests = sink.requests();
        let items = requests[before..].iter().flat_map(|request| request.items());
        items.map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    wait_until("what was left", || items().len() >= 304);
    let next = next.end(LIMIT);
    assert!(next.lane().is_complete());
    let earlier = next.report.lanes[0].earlier;
    assert_eq!((earlier.runs, earlier.spans), (1, 300));
    assert_eq!(items().len(), 304, "nothing twice");
    for run in rig.runs() {
        assert_eq!(run.read().unwrap().deliveries[0].pending, 0);
    }
}

#[test]
fn trouble_that_passes_is_sat_out_and_all_arrives() {
    let soon = || Answer::status(429).header("retry-after-ms", "10");
    for (what, sink) in [
        ("429", Sink::sequence(vec![soon(), soon(), Answer::status(200)])),
        (
            "500s",
            Sink::sequence(vec![
                Answer::status(500),
                Answer::status(503),
                Answer::status(200),
            ]),
        ),
        ("cut off mid-body", Sink::always(200).cut(2)),
    ] {
        let rig = Rig::new();
        let run = rig.run(to(&sink), 400);
        assert!(run.lane().is_complete(), "{what}: {}", run.lane());
        assert!(arrived(&sink).keys().eq(run.truth.ids().iter()), "{what}");
    }
}

#[test]
fn trouble_that_stays_keeps_everything_until_it_is_over() {
    for (what, answer) in [
        ("500s", Answer::status(500)),
        ("429", Answer::status(429).header("retry-after", "3600")),
        ("401", Answer::status(401)),
        ("404", Answer::status(404)),
    ] {
        let (rig, over) = (Rig::new(), Arc::new(AtomicUsize::new(0)));
        let sink = Sink::start({
            let over = Arc::clone(&over);
            move |_, _| match over.load(Ordering::SeqCst) {
                0 => answer.clone(),
                _ => Answer::status(200),
            }
        });
        let run = rig.run(to(&sink), 10);
        assert_eq!(
            (run.lane().sent, run.lane().kept),
            (0, 11),
            "{what}: {}",
            run.lane()
        );
        let before = sink.requests().len();
        over.store(1, Ordering::SeqCst);
        resend(&rig, &sink);
        let arrived: BTreeSet<_> = sink.requests()[before..]
            .iter()
            .flat_map(|request| request.items())
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        assert!(arrived.iter().eq(run.truth.ids().iter()), "{what}");
        assert_eq!(rig.delivery().pending, 0, "{what}");
    }
    let nobody = Sink::always(200).url(PATH);
    let rig = Rig::new();
    let run = rig.run(exporter(&nobody), 10);
    assert_eq!(run.lane().kept, 11, "nobody there: {}", run.lane());
}

#[test]
fn what_is_refused_for_good_is_not_sent_again() {
    for status in [400, 413, 422] {
        let (rig, sink) = (Rig::new(), Sink::always(status));
        let run = rig.run(to(&sink), 10);
        assert_eq!((run.lane().kept, run.lane().dropped), (0, 11), "{}", run.lane());
        let delivery = rig.delivery();
        assert_eq!((delivery.refused, delivery.pending), (11, 0));
        let before = sink.requests().len();
        resend(&rig, &sink);
        rig.run(to(&sink), 0);
        assert_eq!(sink.requests().len(), before + 1, "only the new run's own");
    }
}

#[test]
fn what_is_left_is_sent_by_one_of_many_runs_at_a_time() {
    let rig = Rig::new();
    let is_up = Arc::new(AtomicUsize::new(0));
    let sink = Sink::start({
        let is_up = Arc::clone(&is_up);
        move |_, _| {
            Answer::status(if is_up.load(Ordering::SeqCst) == 1 {
                200
            } else {
                500
            })
        }
    });
    let left: Vec<_> = (0..5).map(|_| rig.run(to(&sink), 50)).collect();
    is_up.store(1, Ordering::SeqCst);
    let before = sink.requests().len();
    let ids = || {
        let requests = sink.requests();
        let items = requests[before..].iter().flat_map(|request| request.items());
        items
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let run = Run::start(rig.builder().to_with(to(&sink), prompt()).build());
                wait_until("what was left", || ids().len() >= 5 * 51);
                run.end(LIMIT);
            });
        }
    });
    let mut sent = ids();
    let all = sent.len();
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), all, "nothing was sent twice");
    let truth = left.iter().flat_map(|run| run.truth.ids());
    assert!(
        truth
            .collect::<BTreeSet<_>>()
            .is_subset(&sent.into_iter().collect())
    );
}

#[test]
fn what_is_left_delays_the_end_of_a_run_by_a_second_at_most() {
    let (rig, never, left) = (Rig::new(), Gate::default(), Arc::new(Mutex::new(String::new())));
    let sink = Sink::start({
        let (never, left) = (never.clone(), Arc::clone(&left));
        move |_, request| {
            let left = left.lock().unwrap().clone();
            let body = String::from_utf8_lossy(&request.body).into_owned();
            match left.as_str() {
                "" => Answer::status(401),
                id if body.contains(id) => Answer::status(200).after(&never),
                _ => Answer::status(200),
            }
        }
    });
    let first = rig.run(to(&sink), 1);
    *left.lock().unwrap() = first.place.trace_id().unwrap().to_string();
    let run = Run::start(rig.builder().to_with(to(&sink), prompt()).build());
    sink.wait_for(3);
    let begun = Instant::now();
    let run = run.end(Duration::from_secs(8));
    assert!(run.lane().is_complete());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn places_that_keep_nothing_lose_what_they_do_not_take() {
    struct Broken;
    impl std::io::Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let rig = Rig::new();
    let run = Run::start(rig.builder().to(JsonLinesExporter::new("stdout", Broken)).build());
    run.record(3);
    let run = run.end(LIMIT);
    assert_eq!((run.lane().kept, run.lane().dropped), (0, 4));
    assert_eq!(rig.runs()[0].read().unwrap().deliveries, []);
    assert_eq!(
        rig.runs()[0].read().unwrap().items.len(),
        4,
        "but it is in the store"
    );
}

/// Delivers, postpones, refuses, loses some, panics or never returns, by chance.
struct Fickle {
    delivered: Arc<Mutex<HashSet<String>>>,
    refused: Arc<Mutex<HashSet<String>>>,
    begun: Mutex<HashSet<TraceId>>,
    out_of_order: Arc<AtomicUsize>,
    bad: u32,
}

fn id(item: &Item) -> String {
    match item {
        Item::Trace(trace) => trace.id.to_string(),
        Item::Span(span) => span.id.to_string(),
    }
}

impl SpanExporter for Fickle {
    fn name(&self) -> &str {
        "fickle"
    }

    fn endpoint(&self) -> Option<String> {
        Some("test:".to_owned())
    }

    async fn export(&self, batch: Vec<Item>, mut deadline: ExportDeadline) -> Result<(), ExportError> {
        let chance = fastrand::u32(..100);
        if fastrand::bool() {
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..2000))).await;
        }
        for item in &batch {
            match item {
                Item::Trace(trace) => _ = self.begun.lock().unwrap().insert(trace.id),
                Item::Span(span) if self.begun.lock().unwrap().contains(&span.trace_id()) => {}
                Item::Span(_) => _ = self.out_of_order.fetch_add(1, Ordering::SeqCst),
            }
        }
        let ids = batch.iter().map(id);
        match (chance >= self.bad, chance % 5) {
            (true, _) => self.delivered.lock().unwrap().extend(ids),
            (_, 0) => panic!("as intended"),
            (_, 1) => return Err(ExportError::new("not now", batch.len())),
            (_, 2) => {
                self.refused.lock().unwrap().extend(ids);
                return Err(ExportError::refused("never", batch.len()));
            }
            (_, 3) => {
                deadline.sleep(Duration::from_secs(3600)).await;
                return Err(ExportError::new("interrupted", batch.len()));
            }
            _ => std::future::pending::<()>().await,
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn every_item_is_delivered_or_refused_at_last(
        queue_size in 1usize..100,
        batch_size in 1usize..40,
        in_flight in 1usize..5,
        bad in prop_oneof![Just(0u32), 1u32..60],
        traces in 1usize..10,
        spans_each in 0usize..120,
    ) {
        let rig = Rig::new();
        let (delivered, refused) = (Arc::default(), Arc::default());
        let out_of_order = Arc::new(AtomicUsize::new(0));
        let fickle = |bad| Fickle {
            delivered: Arc::clone(&delivered),
            refused: Arc::clone(&refused),
            begun: Mutex::default(),
            out_of_order: Arc::clone(&out_of_order),
            bad,
        };
        let config = BatchConfig { queue_size, batch_size, in_flight, delay: Duration::from_millis(1), early_export: 0.7 };
        let run = Run::start(rig.builder().to_with(fickle(bad), config).build());
        for _ in 0..traces {
            let place = run.tracer.trace("U").start().context();
            (0..spans_each).for_each(|_| place.span(SpanData::agent("s")).finish());
        }
        let run = run.end(if bad == 0 { LIMIT } else { Duration::from_millis(50) });
        prop_assert!(bad > 0 || run.lane().is_complete(), "{}", run.lane());
        prop_assert_eq!(out_of_order.load(Ordering::SeqCst), 0);
        let stored = rig.runs().remove(0);
        let pending = stored.read().unwrap().deliveries[0].pending;
        prop_assert_eq!(pending, run.lane().kept);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rest = runtime.block_on(stored.resend(&Arc::new(fickle(0)), std::future::pending())).unwrap();
        prop_assert_eq!(rest.map_or(0, |report| report.sent), pending);
        prop_assert_eq!(stored.read().unwrap().deliveries[0].pending, 0);
        let settled: BTreeSet<String> = delivered.lock().unwrap().union(&refused.lock().unwrap()).cloned().collect();
        prop_assert!(settled.iter().eq(run.truth.ids().iter()));
    }
}
