//! What is in the folder of a trace store: for whom, for how long, and what of it can be read.

#[path = "support/sink.rs"]
mod sink;
#[path = "support/store.rs"]
mod store;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use realtime_run::Secret;
use realtime_run::trace::{ClearOptions, Removed, SpanData, StoreLimits, StoreProcessor};
use sink::{Answer, LIMIT, Sink};
use store::{PATH, Rig, Run, arrived, exporter, prompt, to};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn only_its_owner_can_read_it() {
    let rig = Rig::new();
    rig.run(to(&Sink::always(200)), 1);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(rig.store.dir()), 0o700);
    assert_eq!(
        files(rig.store.dir())
            .iter()
            .map(|file| mode(file))
            .collect::<Vec<_>>(),
        [0o600]
    );
}

#[test]
fn no_key_is_in_it() {
    const KEYS: [&str; 3] = ["sk-Planted-exporter", "sk-Planted-trace", "Planted-query"];
    let (rig, sink) = (Rig::new(), Sink::always(401));
    let url = format!("{}?token={}", sink.url(PATH), KEYS[2]);
    let exporter = exporter(&url).api_key(Secret::new(KEYS[0]));
    let run = Run::start(rig.builder().to_with(exporter, prompt()).build());
    let trace = run
        .tracer
        .trace("own key")
        .api_key(Secret::new(KEYS[1]).unwrap())
        .start();
    trace.context().span(SpanData::agent("a")).finish();
    let run = run.end(LIMIT);
    assert_eq!(run.lane().kept, 3);
    let sent: String = sink
        .requests()
        .iter()
        .map(|request| format!("{request:?}"))
        .collect();
    assert!(KEYS.iter().all(|key| sent.contains(key)), "they are in use");
    for file in files(rig.store.dir()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("own key"));
        for key in KEYS {
            assert!(!text.contains(key), "{}: {text}", file.display());
        }
    }
}

#[test]
fn a_trace_with_a_key_of_its_own_is_sent_with_it_by_its_run_and_with_the_exporters_later() {
    let (rig, sink) = (
        Rig::new(),
        Sink::start(|number, _| Answer::status(if number == 0 { 401 } else { 200 })),
    );
    let key = |number: usize| {
        sink.requests()[number]
            .header("authorization")
            .unwrap()
            .to_owned()
    };
    let processor = rig.builder().to_with(to(&sink), prompt()).build();
    let tracer = realtime_run::trace::Tracer::builder()
        .processor(processor)
        .build();
    let own = Secret::new("sk-own").unwrap();
    tracer.trace("T").api_key(own).start();
    tracer.shutdown(LIMIT);
    assert_eq!(key(0), "Bearer sk-own");
    rig.run(to(&sink), 0);
    sink.wait_for(3);
    assert_eq!(key(1), "Bearer sk-test");
    assert_eq!(key(2), "Bearer sk-test");
}

#[test]
fn torn_foreign_and_other_versions_files_are_told_and_left_alone() {
    let (rig, down, sink) = (Rig::new(), Sink::always(401), Sink::always(200));
    let run = rig.run(to(&down), 3);
    let torn = files(rig.store.dir()).remove(0);
    let mut file = File::options().append(true).open(&torn).unwrap();
    file.write_all(b"garbage\n{\"object\":\"trace.span\",\"id\":\"span_0")
        .unwrap();
    let whole = fs::read_to_string(&torn).unwrap();
    let name = |second: u32, digits: &str| {
        let time = format!("2020-01-01T00-00-0{second}.000000Z");
        rig.store
            .dir()
            .join(format!("{time}_{}.jsonl", digits.repeat(32)))
    };
    let (newer, empty) = (name(1, "a"), name(2, "b"));
    fs::write(&newer, whole.replace("\"version\":1", "\"version\":7")).unwrap();
    fs::write(&empty, "{\"format\":\"realtime").unwrap();
    fs::write(rig.store.dir().join("notes.jsonl"), "{}\n").unwrap();
    fs::write(rig.store.dir().join("notes.txt"), "mine").unwrap();

    let (runs, unreadable) = rig.store.listing().unwrap();
    assert_eq!(runs.len(), 1);
    let reasons: Vec<_> = unreadable.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "a newer realtime-run wrote it (format 7)",
            "its first line is missing or torn",
            "it is no file of realtime-run's trace store"
        ]
    );
    let content = runs[0].read().unwrap();
    assert_eq!(content.items.len(), 4);
    assert_eq!(content.damage.len(), 2, "{:?}", content.damage);
    assert!(
        content.damage[0].starts_with("line 6: it is no JSON"),
        "{:?}",
        content.damage
    );

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let resent = runtime.block_on(runs[0].resend(&std::sync::Arc::new(to(&sink)), std::future::pending()));
    let resent = resent.unwrap().unwrap();
    assert_eq!((resent.sent, resent.dropped), (4, 1), "{resent}");
    assert!(
        arrived(&sink).keys().eq(run.truth.ids().iter()),
        "{:?}",
        arrived(&sink)
    );
    let content = runs[0].read().unwrap();
    assert_eq!(content.damage.len(), 1, "the torn line was cut off");

    let removed = rig.store.clear(ClearOptions::default()).unwrap();
    assert_eq!(removed.runs, 3, "what bears the name of a run goes");
    let left: Vec<_> = files(rig.store.dir())
        .iter()
        .map(|file| file.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(left, ["notes.jsonl", "notes.txt"], "what is others' stays");
}

#[test]
fn marks_that_make_no_sense_do_no_harm() {
    let (rig, down) = (Rig::new(), Sink::always(401));
    rig.run(to(&down), 3);
    let path = files(rig.store.dir()).remove(0);
    let to = format!("{{\"exporter\":\"openai\",\"endpoint\":\"{}\"}}", down.url(PATH));
    let mut file = File::options().append(true).open(&path).unwrap();
    for items in ["[[2,18446744073709551615]]", "[[9,1]]", "[[1,0]]"] {
        writeln!(file, "{{\"mark\":\"sent\",\"to\":{to},\"items\":{items}}}").unwrap();
    }
    writeln!(file, "{{\"mark\":\"of the future\"}}").unwrap();
    let delivery = rig.delivery();
    assert_eq!((delivery.sent, delivery.pending), (2, 2));
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_the_rest_goes_on() {
    let (rig, sink) = (Rig::new(), Sink::always(200));
    fs::write(rig.store.dir(), "a file").unwrap();
    let run = rig.run(to(&sink), 500);
    let trouble = run.report.trouble.as_deref().unwrap();
    assert!(
        trouble.contains("File exists") || trouble.contains("Not a directory"),
        "{trouble}"
    );
    assert!(run.lane().is_complete(), "{}", run.lane());
    assert!(arrived(&sink).keys().eq(run.truth.ids().iter()));
    assert_eq!((run.own.sent, run.own.dropped), (0, 501));
}

#[test]
fn a_run_that_outgrows_the_store_goes_on_in_memory() {
    let (rig, sink) = (Rig::new(), Sink::always(200));
    let limits = StoreLimits {
        size: 20_000,
        ..StoreLimits::default()
    };
    let store = rig.store.clone().limits(limits);
    let run = Run::start(
        StoreProcessor::builder(store)
            .to_with(to(&sink), prompt())
            .build(),
    );
    for _ in 0..40 {
        run.record(5);
        assert!(run.tracer.flush(LIMIT));
    }
    let run = run.end(LIMIT);
    assert!(
        run.report
            .trouble
            .as_deref()
            .unwrap()
            .contains("over its limit of 20000 bytes")
    );
    assert!(run.lane().is_complete(), "{}", run.lane());
    assert!(arrived(&sink).keys().eq(run.truth.ids().iter()));
    let size = files(rig.store.dir())[0].metadata().unwrap().len();
    assert!((15_000..22_000).contains(&size), "{size}");
}

#[test]
fn the_oldest_runs_go_first_and_what_they_had_not_delivered_is_counted() {
    let (rig, down) = (Rig::new(), Sink::always(401));
    for _ in 0..4 {
        rig.run(to(&down), 20);
    }
    let before = files(rig.store.dir());
    let size: u64 = before.iter().map(|file| file.metadata().unwrap().len()).sum();
    let held = File::open(&before[0]).unwrap();
    held.try_lock().unwrap();
    let limits = StoreLimits {
        size: size / 2,
        ..StoreLimits::default()
    };
    let run = Run::start(StoreProcessor::builder(rig.store.clone().limits(limits)).build());
    run.record(1);
    let run = run.end(LIMIT);
    let Removed {
        runs, undelivered, ..
    } = run.report.removed;
    let after = files(rig.store.dir());
    assert_eq!((runs, undelivered), (3, 3 * 21));
    assert_eq!(after[0], before[0], "what is in use stays");
    assert_eq!(after.len(), 2);
    drop(held);

    let week_ago = SystemTime::now() - Duration::from_secs(8 * 86_400);
    let file = File::options().append(true).open(&after[0]).unwrap();
    file.set_modified(week_ago).unwrap();
    let run = rig.run(to(&Sink::always(200)), 1);
    assert_eq!(run.report.removed.runs, 1, "for its age");
    assert!(!after[0].exists() && after[1].exists());
}

#[test]
fn clearing_can_spare_what_is_young_or_not_delivered() {
    let (rig, down, up) = (Rig::new(), Sink::always(401), Sink::always(200));
    rig.run(to(&down), 1);
    rig.run(to(&up), 1);
    let options = ClearOptions {
        older_than: Some(Duration::from_secs(3600)),
        delivered: false,
    };
    assert_eq!(rig.store.clear(options).unwrap(), Removed::default());
    let options = ClearOptions {
        delivered: true,
        older_than: None,
    };
    assert_eq!(rig.store.clear(options).unwrap().runs, 1);
    assert_eq!(rig.delivery().pending, 2);
    let run = Run::start(rig.builder().build());
    run.record(1);
    assert!(run.tracer.flush(LIMIT));
    let all = rig.store.clear(ClearOptions::default()).unwrap();
    assert_eq!((all.runs, all.undelivered, all.in_use), (1, 2, 1));
    run.end(LIMIT);
}

#[test]
fn a_run_that_is_not_to_be_kept_leaves_nothing_once_it_is_delivered() {
    let (rig, up) = (
        Rig::new(),
        Sink::start(|number, _| Answer::status(if number == 0 { 401 } else { 200 })),
    );
    let passing = || rig.builder().keep(false).to_with(to(&up), prompt()).build();
    let run = Run::start(passing());
    run.record(1);
    assert_eq!(run.end(LIMIT).lane().kept, 2);
    assert_eq!(rig.runs().len(), 1, "it waits");
    let run = Run::start(passing());
    run.record(1);
    up.wait_for(3);
    run.end(LIMIT);
    assert_eq!(rig.runs().len(), 0);
}
