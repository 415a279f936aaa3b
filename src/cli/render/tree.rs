//! The spans of a run as a tree: what was done under what, for how long, and what went wrong.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use realtime_run::trace::{SpanData, SpanId, SpanRecord, TraceRecord};

use crate::cli::duration;
use crate::cli::style::{Paint, in_one_line};

/// Characters of a name or an error that are shown.
const SHOWN: usize = 120;

/// The tree of a trace, a line for each span, siblings in the order in which they started.
pub fn tree(trace: &TraceRecord, spans: &[Arc<SpanRecord>], paint: Paint) -> String {
    let mut tree = Tree {
        children: children(spans),
        paint,
        text: String::new(),
    };
    let first = spans.iter().map(|span| span.started_at).min();
    let last = spans.iter().filter_map(|span| span.ended_at).max();
    let whole = first
        .zip(last)
        .map(|(first, last)| last.saturating_duration_since(first));
    tree.text += &format!(
        "{} {}{}\n",
        paint.dim(&trace.id.to_string()),
        paint.bold(&in_one_line(&trace.workflow_name, SHOWN)),
        whole.map_or_else(String::new, |whole| format!(
            "  {}",
            paint.dim(&duration::show(whole))
        )),
    );
    tree.branch(None, "");
    tree.text
}

struct Tree<'a> {
    children: HashMap<Option<SpanId>, Vec<&'a SpanRecord>>,
    paint: Paint,
    text: String,
}

/// Spans by their parents. One whose parent is not there hangs under the trace.
fn children(spans: &[Arc<SpanRecord>]) -> HashMap<Option<SpanId>, Vec<&SpanRecord>> {
    let known: HashSet<SpanId> = spans.iter().map(|span| span.id).collect();
    let mut children: HashMap<_, Vec<&SpanRecord>> = HashMap::new();
    for span in spans {
        let parent = span.parent_id.filter(|parent| known.contains(parent));
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| span.started_at);
    }
    children
}

impl Tree<'_> {
    fn branch(&mut self, parent: Option<SpanId>, indent: &str) {
        let spans = self.children.remove(&parent).unwrap_or_default();
        let last = spans.len().saturating_sub(1);
        for (number, span) in spans.into_iter().enumerate() {
            let (fork, below) = if number == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let line = self.line(span);
            self.text += &format!("{indent}{fork}{line}\n");
            self.branch(Some(span.id), &format!("{indent}{below}"));
        }
    }

    fn line(&self, span: &SpanRecord) -> String {
        let name = self.paint.name(&in_one_line(&span.data.label(), SHOWN));
        let duration = span.duration().map_or_else(String::new, duration::show);
        let error = span.error.as_ref().map_or_else(String::new, |error| {
            format!(
                "  {} {}",
                self.paint.error("error:"),
                in_one_line(&error.message, SHOWN)
            )
        });
        let triggered = match span.data {
            SpanData::Guardrail { triggered: true, .. } => format!("  {}", self.paint.error("triggered")),
            _ => String::new(),
        };
        format!(
            "{} {name}  {}{triggered}{error}",
            span.data.kind(),
            self.paint.dim(&duration)
        )
    }
}

#[cfg(test)]
mod tests {
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
        let text = tree(&memory.traces()[0], &memory.spans(), Paint::new(false));
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
