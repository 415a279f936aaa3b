//! What is told at the end of where a run's spans got to.

use realtime_run::trace::{LaneReport, Loss, Removed, ShutdownReport, StoreReport, TraceId};
use serde::Serialize;

use crate::cli::printer::Printer;

/// How to send what was kept for later.
const RESEND: &str =
    "`realtime-run traces resend` sends it, and so does the next run that traces to the same place";

/// What became of a run's spans.
#[derive(Debug)]
pub struct Deliveries {
    trace_id: Option<TraceId>,
    lanes: Vec<LaneReport>,
    /// What went wrong with the store.
    trouble: Option<String>,
    removed: Removed,
}

/// What became of them at one destination, as an event tells it.
#[derive(Debug, Serialize)]
pub struct Delivery<'a> {
    destination: &'a str,
    spans: u64,
    batches: u64,
    /// Items that are kept to be sent later.
    kept: u64,
    /// Items that are lost.
    lost: u64,
    reasons: Vec<&'a str>,
    earlier_runs: u64,
    earlier_spans: u64,
}

impl Deliveries {
    pub fn of_store(trace_id: Option<TraceId>, report: StoreReport) -> Self {
        Self {
            trace_id,
            lanes: report.lanes,
            trouble: report.trouble,
            removed: report.removed,
        }
    }

    /// From the reports of processors that send without a store.
    pub fn direct(trace_id: Option<TraceId>, reports: Vec<ShutdownReport>) -> Self {
        let lane = |own| LaneReport {
            own,
            ..LaneReport::default()
        };
        Self {
            trace_id,
            lanes: reports.into_iter().map(lane).collect(),
            trouble: None,
            removed: Removed::default(),
        }
    }

    /// Whether everything got to where it was to go.
    pub fn are_complete(&self) -> bool {
        self.lanes.iter().all(|lane| lane.own.is_complete())
    }

    /// As an event tells them.
    pub fn list(&self) -> Vec<Delivery<'_>> {
        self.lanes.iter().map(Delivery::new).collect()
    }

    /// Tells what got where.
    pub fn show(&self, printer: &Printer) {
        for lane in &self.lanes {
            if lane.own.sent > 0 || lane.earlier.runs > 0 {
                printer.note(&printer.paint().dim(&self.line(lane)));
            }
        }
    }

    fn line(&self, LaneReport { own, earlier }: &LaneReport) -> String {
        let id = self.trace_id.map(|id| format!("{id}: ")).unwrap_or_default();
        let mut line = format!(
            "{id}{} sent to {} in {}",
            counted(own.sent_spans, "span"),
            own.destination,
            counted_as(own.batches, "batch", "batches"),
        );
        if earlier.runs > 0 {
            line += &format!(
                ", and {} of {}",
                counted(earlier.spans, "span"),
                counted(earlier.runs, "earlier run")
            );
        }
        line
    }

    /// Tells what did not get there, and what happened to the store.
    pub fn warn(&self, printer: &Printer) {
        for LaneReport { own, .. } in &self.lanes {
            let stdout_gone = own.destination == "stdout" && printer.output().stdout_error().is_some();
            if own.dropped > 0 && !stdout_gone {
                let (dropped, received, to) = (own.dropped, own.received, &own.destination);
                let why = reasons(&own.losses);
                printer.warning(
                    &format!("{dropped} of {received} trace items did not get to {to}: {why}"),
                    None,
                );
            }
            if own.kept > 0 {
                let (kept, received, to) = (own.kept, own.received, &own.destination);
                let why = reasons(&own.postponements);
                printer.warning(
                    &format!("{kept} of {received} trace items did not get to {to} yet: {why}"),
                    Some(RESEND),
                );
            }
        }
        if let Some(trouble) = &self.trouble {
            let advice = "--spool names another folder; --no-store does without";
            printer.warning(&format!("this run's trace is not kept: {trouble}"), Some(advice));
        }
        let Removed {
            runs, undelivered, ..
        } = self.removed;
        if undelivered > 0 {
            let advice = "--store-size and --store-age set its limits";
            printer.warning(
                &format!(
                    "the trace store is full: {} went, and with them {} that were not delivered",
                    counted(runs, "old run"),
                    counted(undelivered, "item"),
                ),
                Some(advice),
            );
        }
    }
}

impl<'a> Delivery<'a> {
    fn new(LaneReport { own, earlier }: &'a LaneReport) -> Self {
        let reasons = own.losses.iter().chain(&own.postponements);
        Self {
            destination: &own.destination,
            spans: own.sent_spans,
            batches: own.batches,
            kept: own.kept,
            lost: own.dropped,
            reasons: reasons.map(|loss| loss.reason.as_str()).collect(),
            earlier_runs: earlier.runs,
            earlier_spans: earlier.spans,
        }
    }
}

fn reasons(losses: &[Loss]) -> String {
    let reasons = losses.iter().map(|loss| loss.reason.as_str());
    reasons.collect::<Vec<_>>().join("; ")
}

/// As `1 span` or `14 spans`.
pub fn counted(number: u64, what: &str) -> String {
    counted_as(number, what, &format!("{what}s"))
}

fn counted_as(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use realtime_run::trace::Earlier;

    #[test]
    fn a_line_tells_what_got_where() {
        let own = ShutdownReport {
            destination: "openai".into(),
            received: 15,
            sent: 15,
            batches: 1,
            sent_spans: 14,
            ..ShutdownReport::default()
        };
        let id = format!("trace_{}", "0".repeat(32)).parse().ok();
        let mut deliveries = Deliveries::direct(id, vec![own]);
        let line = deliveries.line(&deliveries.lanes[0]);
        assert_eq!(
            line,
            "trace_00000000000000000000000000000000: 14 spans sent to openai in 1 batch"
        );
        deliveries.lanes[0].earlier = Earlier { runs: 1, spans: 300 };
        let line = deliveries.line(&deliveries.lanes[0]);
        assert!(
            line.ends_with("in 1 batch, and 300 spans of 1 earlier run"),
            "{line}"
        );
    }
}
