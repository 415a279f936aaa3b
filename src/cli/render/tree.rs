//! The spans of a run as a tree: what was done under what, for how long, and what went wrong.

use realtime_run::trace::TraceTree;

use super::node::{self, Branches, Remark, SHOWN};
use crate::cli::duration;
use crate::cli::glyphs::Glyphs;
use crate::cli::style::Paint;

/// Levels that are drawn.
const LEVELS: usize = 16;

/// The tree of a trace, a line for each span, siblings in the order in which they started.
pub fn tree(tree: &TraceTree, glyphs: Glyphs, paint: Paint) -> String {
    let trace = tree.trace();
    let mut text = format!(
        "{} {}",
        paint.dim(&trace.id.to_string()),
        paint.bold(&node::words(&trace.workflow_name, glyphs)),
    );
    if let Some((start, end)) = tree.started_at().zip(tree.ended_at()) {
        let whole = duration::show(end.saturating_duration_since(start));
        text += &format!("  {}", paint.dim(&glyphs.spell(&whole)));
    }
    text.push('\n');
    let mut branches = Branches::new(glyphs, LEVELS);
    for node in tree.nodes() {
        text += &format!(
            "{}{} {}  {}",
            branches.before(node),
            node::kind(node),
            paint.name(&node::name(node, glyphs)),
            paint.dim(&node::took(node, glyphs)),
        );
        for remark in Remark::of(node) {
            text += &format!("  {}", remark.show(SHOWN, glyphs, paint));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use realtime_run::trace::{MemoryProcessor, SpanData, SpanError, Timestamp, Tracer};

    use super::*;

    #[test]
    fn spans_hang_under_their_parents_in_the_order_in_which_they_started() {
        let memory = Arc::new(MemoryProcessor::default());
        let id = format!("trace_{}", "0".repeat(32)).parse().unwrap();
        let trace = Tracer::builder()
            .processor(Arc::clone(&memory))
            .build()
            .trace("Concierge")
            .id(id)
            .start();
        let at = |ms: u64| Timestamp::from_micros(1_000 * ms);
        let triage = trace.context().span_at(SpanData::agent("Triage"), at(0));
        let mut failed = triage.context().span_at(SpanData::function("look\x1bup"), at(20));
        failed.set_error(SpanError::new("no such\ninvoice"));
        failed.finish_at(at(30));
        triage
            .context()
            .span_at(SpanData::function("early"), at(10))
            .finish_at(at(40));
        let mut guardrail = triage.context().span_at(SpanData::guardrail("polite"), at(40));
        guardrail.update(|data| {
            if let SpanData::Guardrail { triggered, .. } = data {
                *triggered = true;
            }
        });
        guardrail.finish_at(at(45));
        triage.finish_at(at(50));
        trace
            .context()
            .span_at(SpanData::agent("Billing"), at(50))
            .finish_at(at(1_250));
        let spans = TraceTree::new(Arc::clone(&memory.traces()[0]), memory.spans());
        let text = tree(&spans, Glyphs::of_locale_named(None), Paint::new(false));
        insta::assert_snapshot!(text, @r"
        trace_00000000000000000000000000000000 Concierge  1.25 s
        ├─ agent Triage  50 ms
        │  ├─ function early  30 ms
        │  ├─ function look�up  10 ms  error: no such invoice
        │  └─ guardrail polite  5 ms  triggered
        └─ agent Billing  1.20 s
        ");
    }
}
