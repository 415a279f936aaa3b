//! What is known of traces as a whole, from the spans that have ended so far.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::trace::export::{Item, MAX_TRACES};
use crate::trace::{SpanData, SpanError, SpanRecord, Timestamp, TraceId, TraceRecord};

/// Handoffs to different agents that are remembered of one trace.
const MAX_AGENTS: usize = 256;

/// Traces whose roots are still to be told.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: HashMap<TraceId, Run>,
    /// In the order in which they began.
    order: VecDeque<TraceId>,
}

/// A trace, as far as it is known.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) trace: Arc<TraceRecord>,
    /// When its first span began.
    pub(super) started_at: Timestamp,
    /// When the last of its spans so far ended.
    pub(super) ended_at: Timestamp,
    /// What went wrong in the last of its topmost spans.
    pub(super) error: Option<Box<SpanError>>,
    /// Whether any of its spans was delivered.
    pub(super) has_arrived: bool,
    /// Who handed over last, by agent.
    came_from: HashMap<String, String>,
}

impl Runs {
    /// Takes note of a span. Gives a trace that there is no room for any more.
    pub(super) fn note(&mut self, span: &SpanRecord) -> Option<Run> {
        let id = span.trace_id();
        let mut oldest = None;
        if !self.runs.contains_key(&id) {
            // Of more, the one begun first is taken to have ended.
            if self.runs.len() == MAX_TRACES {
                oldest = self.order.pop_front().and_then(|id| self.runs.remove(&id));
            }
            self.order.push_back(id);
        }
        self.runs.entry(id).or_insert_with(|| Run::new(span)).note(span);
        oldest
    }

    /// Who handed over to the agent of an agent span, if anybody did.
    pub(super) fn came_from(&self, span: &SpanRecord) -> Option<&str> {
        let SpanData::Agent { name, .. } = &span.data else {
            return None;
        };
        let run = self.runs.get(&span.trace_id())?;
        run.came_from.get(name).map(String::as_str)
    }

    /// Takes note that a batch was delivered.
    pub(super) fn arrived(&mut self, batch: &[Item]) {
        for item in batch {
            if let (Item::Span(_), Some(run)) = (item, self.runs.get_mut(&item.trace_id())) {
                run.has_arrived = true;
            }
        }
    }

    /// These, in order: no more spans of them will come.
    pub(super) fn take(&mut self, traces: &[TraceId]) -> Vec<Run> {
        self.order.retain(|id| !traces.contains(id));
        traces.iter().filter_map(|id| self.runs.remove(id)).collect()
    }
}

impl Run {
    fn new(span: &SpanRecord) -> Self {
        Self {
            trace: Arc::clone(&span.trace),
            started_at: span.started_at,
            ended_at: span.started_at,
            error: None,
            has_arrived: false,
            came_from: HashMap::new(),
        }
    }

    fn note(&mut self, span: &SpanRecord) {
        self.started_at = self.started_at.min(span.started_at);
        self.ended_at = self.ended_at.max(span.ended_at.unwrap_or(span.started_at));
        if span.parent_id.is_none() {
            self.error.clone_from(&span.error);
        }
        if let SpanData::Handoff {
            from_agent: Some(from),
            to_agent: Some(to),
        } = &span.data
            && span.error.is_none()
            && (self.came_from.len() < MAX_AGENTS || self.came_from.contains_key(to))
        {
            self.came_from.insert(to.clone(), from.clone());
        }
    }
}
