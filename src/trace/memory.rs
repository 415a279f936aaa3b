//! A processor that keeps spans for whoever asks in the same process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::processor::{Loss, ShutdownReport, SpanProcessor};
use super::record::{SpanRecord, TraceRecord};

/// Keeps the last traces and finished spans in memory: for the span tree at the end of a run, and for tests.
///
/// When full, the oldest go first and are counted: parents end after their children, so the newest are the ones
/// that hold a tree together.
#[derive(Debug)]
pub struct MemoryProcessor {
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    traces: VecDeque<Arc<TraceRecord>>,
    spans: VecDeque<Arc<SpanRecord>>,
    received: u64,
    dropped: u64,
}

impl MemoryProcessor {
    /// Keeps up to `capacity` finished spans, and as many traces.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity,
            kept: Mutex::default(),
        }
    }

    /// The traces kept, in the order in which they started.
    pub fn traces(&self) -> Vec<Arc<TraceRecord>> {
        self.kept().traces.iter().cloned().collect()
    }

    /// The spans kept, in the order in which they ended.
    pub fn spans(&self) -> Vec<Arc<SpanRecord>> {
        self.kept().spans.iter().cloned().collect()
    }

    /// How many items did not fit.
    pub fn dropped(&self) -> u64 {
        self.kept().dropped
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryProcessor {
    /// Keeps up to 10,000 spans.
    fn default() -> Self {
        Self::with_capacity(10_000)
    }
}

/// Appends `item`, and says how many had to go for it.
fn push<T>(items: &mut VecDeque<T>, item: T, capacity: usize) -> u64 {
    items.push_back(item);
    let surplus = items.len().saturating_sub(capacity);
    items.drain(..surplus);
    surplus as u64
}

impl SpanProcessor for MemoryProcessor {
    fn on_trace_start(&self, trace: &Arc<TraceRecord>) {
        let kept = &mut *self.kept();
        kept.received += 1;
        kept.dropped += push(&mut kept.traces, Arc::clone(trace), self.capacity);
    }

    fn on_span_end(&self, span: Arc<SpanRecord>) {
        let kept = &mut *self.kept();
        kept.received += 1;
        kept.dropped += push(&mut kept.spans, span, self.capacity);
    }

    fn flush(&self, _limit: Duration) -> bool {
        true
    }

    fn shutdown(&self, _limit: Duration) -> ShutdownReport {
        let kept = self.kept();
        let losses = match kept.dropped {
            0 => Vec::new(),
            items => vec![Loss {
                reason: format!("only the last {} are kept", self.capacity),
                items,
            }],
        };
        ShutdownReport {
            destination: "memory".to_owned(),
            received: kept.received,
            sent: kept.received - kept.dropped,
            dropped: kept.dropped,
            losses,
            ..ShutdownReport::default()
        }
    }
}
