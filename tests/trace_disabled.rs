//! Rule N1 in a process of its own, where every thread can be accounted for.

use realtime_run::trace::{
    BatchProcessor, Context, ExportDeadline, ExportError, Item, SpanData, SpanExporter, Tracer,
};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);

struct Exporter;

impl SpanExporter for Exporter {
    fn name(&self) -> &str {
        "test"
    }

    async fn export(&self, _batch: Vec<Item>, _deadline: ExportDeadline) -> Result<(), ExportError> {
        Ok(())
    }
}

fn export_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads
        .map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|name| name.starts_with("trace-export")).count()
}

/// A new thread has its name, and an ended one is gone from the list, only a moment later.
fn until(count: usize) {
    let begun = Instant::now();
    while export_threads() != count {
        assert!(
            begun.elapsed() < LIMIT,
            "{} export threads, not {count}",
            export_threads()
        );
        std::thread::yield_now();
    }
}

#[test]
fn n1_disabled_means_no_thread() {
    if !std::path::Path::new("/proc/self/task").exists() {
        eprintln!("skipped: this system does not list threads in /proc/self/task");
        return;
    }
    let disabled = Tracer::disabled();
    disabled
        .trace("T")
        .start()
        .context()
        .span(SpanData::agent("A"))
        .finish();
    assert_eq!(export_threads(), 0);

    let idle = Tracer::builder().processor(BatchProcessor::new(Exporter)).build();
    Context::current().span(SpanData::agent("A")).finish();
    assert_eq!(
        export_threads(),
        0,
        "a processor without items has no thread either"
    );
    assert_eq!(idle.shutdown(LIMIT).remove(0).received, 0);

    let busy = Tracer::builder().processor(BatchProcessor::new(Exporter)).build();
    busy.trace("T").start();
    until(1); // the first item starts it
    busy.shutdown(LIMIT);
    until(0); // shutdown ends it
}
