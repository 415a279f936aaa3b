//! Where traces and spans go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::record::{SpanRecord, TraceRecord};

/// Receives every trace and span of a [`Tracer`](super::Tracer).
///
/// The contract:
/// - The `on_` methods are called on whatever thread or task the work runs, several at a time, also from `Drop`
///   and while a panic unwinds. They never block, never panic, and do no I/O.
/// - `on_trace_start` comes before anything about spans of that trace.
/// - Each span comes to `on_span_end` exactly once (rule L2), its children in any order before or after it.
/// - `flush` and `shutdown` may block, never longer than `limit` and a moment.
pub trait SpanProcessor: Send + Sync {
    /// A trace has started. This is the only time it is told.
    fn on_trace_start(&self, trace: &Arc<TraceRecord>);

    /// A span has started.
    fn on_span_start(&self, _span: &SpanRecord) {}

    /// A span has ended; `ended_at` is set.
    fn on_span_end(&self, span: Arc<SpanRecord>);

    /// Waits until everything received before the call is settled, for `limit` at most. Says whether it is.
    fn flush(&self, limit: Duration) -> bool;

    /// Settles what it can within `limit`, then stops for good: what comes later is dropped and counted. A second
    /// call reports the same again.
    fn shutdown(&self, limit: Duration) -> ShutdownReport;
}

impl<P: SpanProcessor + ?Sized> SpanProcessor for Arc<P> {
    fn on_trace_start(&self, trace: &Arc<TraceRecord>) {
        (**self).on_trace_start(trace);
    }

    fn on_span_start(&self, span: &SpanRecord) {
        (**self).on_span_start(span);
    }

    fn on_span_end(&self, span: Arc<SpanRecord>) {
        (**self).on_span_end(span);
    }

    fn flush(&self, limit: Duration) -> bool {
        (**self).flush(limit)
    }

    fn shutdown(&self, limit: Duration) -> ShutdownReport {
        (**self).shutdown(limit)
    }
}

/// What became of everything a processor received. An item is a trace or a finished span.
///
/// `received == sent + kept + dropped`; `dropped` is the sum over `losses`, and `kept` over `postponements`. `Display`
/// gives one line for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Where the processor sends, as `openai`.
    pub destination: String,
    /// Items received.
    pub received: u64,
    /// Items delivered.
    pub sent: u64,
    /// Items that could not be delivered, and are kept in the store to be sent later.
    pub kept: u64,
    /// Items lost.
    pub dropped: u64,
    /// Why items were lost.
    pub losses: Vec<Loss>,
    /// Why items are kept for later.
    pub postponements: Vec<Loss>,
    /// How many batches the delivered items went in.
    pub batches: u64,
    /// How many of the delivered items are spans.
    pub sent_spans: u64,
}

/// Items that were lost, or are kept for later, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why, and what to do about it.
    pub reason: String,
    /// How many.
    pub items: u64,
}

impl ShutdownReport {
    /// Whether everything received was delivered.
    pub fn is_complete(&self) -> bool {
        self.dropped == 0 && self.kept == 0
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            destination,
            received,
            sent,
            kept,
            dropped,
            losses,
            postponements,
            ..
        } = self;
        write!(f, "{destination}: {sent} of {received} trace items sent")?;
        if *kept > 0 {
            write!(f, ", {kept} kept for later")?;
        }
        if *dropped > 0 {
            write!(f, ", {dropped} lost")?;
        }
        for (number, Loss { reason, items }) in postponements.iter().chain(losses).enumerate() {
            write!(f, "{} {items}: {reason}", if number == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_one_line() {
        let loss = |reason: &str, items| Loss {
            reason: reason.into(),
            items,
        };
        let mut report = ShutdownReport {
            destination: "openai".into(),
            received: 5,
            sent: 5,
            ..ShutdownReport::default()
        };
        assert_eq!(report.to_string(), "openai: 5 of 5 trace items sent");
        assert!(report.is_complete());
        report = ShutdownReport {
            sent: 2,
            dropped: 3,
            losses: vec![loss("a", 1), loss("b", 2)],
            ..report
        };
        assert_eq!(
            report.to_string(),
            "openai: 2 of 5 trace items sent, 3 lost: 1: a; 2: b"
        );
        assert!(!report.is_complete());
        report = ShutdownReport {
            kept: 1,
            dropped: 2,
            losses: vec![loss("b", 2)],
            postponements: vec![loss("a", 1)],
            ..report
        };
        assert_eq!(
            report.to_string(),
            "openai: 2 of 5 trace items sent, 1 kept for later, 2 lost: 1: a; 2: b"
        );
    }
}
