//! Kills a recording process at random moments, a hundred times: every span that had ended arrives at least once, and none
//! that never was.

#[path = "support/sink.rs"]
mod sink;
#[path = "support/store.rs"]
mod store;

use std::collections::{BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use realtime_run::trace::{SpanData, StoreProcessor, TraceStore, Tracer};
use sink::Sink;
use store::{Rig, arrived, prompt, to};

/// How long a span that has ended may take to be safe.
const SAFE_AFTER: Duration = Duration::from_millis(100);
const KILLS: u64 = 100;

/// Tells the process that is to be killed what it is, and where to.
const DIR: &str = "REALTIME_RUN_TEST_STORE";
const URL: &str = "REALTIME_RUN_TEST_SINK";

/// Not a test: the process that is killed. It says what it is about to record, and what it has recorded.
#[test]
#[ignore = "run by the test below, as a process of its own"]
fn records_until_it_is_killed() {
    let (Ok(dir), Ok(url)) = (std::env::var(DIR), std::env::var(URL)) else {
        return;
    };
    let builder = StoreProcessor::builder(TraceStore::new(dir));
    let processor = builder.to_with(store::exporter(&url), prompt()).build();
    let tracer = Tracer::builder().processor(processor).build();
    let mut stdout = std::io::stdout().lock();
    let trace = tracer.trace("killed").start();
    writeln!(stdout, "begin {}", trace.id().unwrap()).unwrap();
    loop {
        let span = trace.context().span(SpanData::agent("x"));
        let id = span.id().unwrap();
        writeln!(stdout, "begin {id}").unwrap();
        span.finish();
        writeln!(stdout, "end {id}").unwrap();
        std::thread::sleep(Duration::from_micros(fastrand::u64(..2000)));
    }
}

/// What a killed process had said.
struct Told {
    /// Everything that it can have recorded.
    begun: HashSet<String>,
    /// What it had recorded long enough before it was killed.
    safe: Vec<String>,
}

fn kill_one(rig: &Rig, sink: &Sink, lives: Duration) -> Told {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "records_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(DIR, rig.store.dir())
        .env(URL, sink.url(store::PATH))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (first, has_begun) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in stdout.lines().map_while(Result::ok) {
            lines.push((Instant::now(), line));
            let _ = first.send(());
        }
        lines
    });
    has_begun.recv_timeout(sink::LIMIT).unwrap();
    // The moment is what the test is about.
    std::thread::sleep(lives);
    let killed = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut told = Told {
        begun: HashSet::new(),
        safe: Vec::new(),
    };
    for (at, line) in reader.join().unwrap() {
        match line.split_once(' ') {
            Some(("begin", id)) => _ = told.begun.insert(id.to_owned()),
            Some(("end", id)) if at + SAFE_AFTER < killed => told.safe.push(id.to_owned()),
            _ => {}
        }
    }
    told
}

#[test]
fn what_ended_before_a_kill_arrives_at_least_once_and_nothing_is_invented() {
    let (rig, sink) = (Rig::new(), Sink::always(200));
    let mut random = fastrand::Rng::with_seed(20_260_102);
    let told: Vec<Told> = (0..KILLS)
        .map(|_| kill_one(&rig, &sink, Duration::from_millis(random.u64(..400))))
        .collect();
    let by_the_way = arrived(&sink).len();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let exporter = Arc::new(to(&sink));
    for run in rig.runs() {
        let report = runtime
            .block_on(run.resend(&exporter, std::future::pending()))
            .unwrap();
        assert!(report.is_none_or(|report| report.is_complete()));
    }
    let arrived: BTreeSet<String> = arrived(&sink).into_keys().collect();
    let safe: Vec<&String> = told.iter().flat_map(|told| &told.safe).collect();
    let begun: HashSet<&String> = told.iter().flat_map(|told| &told.begun).collect();
    assert!(safe.len() > 1000, "only {} spans", safe.len());
    let lost: Vec<_> = safe.iter().filter(|id| !arrived.contains(**id)).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), safe.len());
    let invented: Vec<_> = arrived.iter().filter(|id| !begun.contains(id)).collect();
    assert!(invented.is_empty(), "{invented:?}");
    println!(
        "{KILLS} kills: {} spans arrived, {by_the_way} of them before any resend; {} had to",
        arrived.len(),
        safe.len()
    );
}
