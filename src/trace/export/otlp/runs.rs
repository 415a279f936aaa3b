//! What is known of traces as a whole, from the spans that have ended so far.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::trace::{SpanData, SpanError, SpanRecord, Timestamp, TraceId, TraceRecord};

/// Traces that are followed at a time; of more, the one begun first is taken to have ended.
const MAX_RUNS: usize = 256;
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
    /// Who handed over last, by agent.
    came_from: HashMap<String, String>,
}

impl Runs {
    /// Takes note of a span. Gives a trace that there is no room for any more.
    pub(super) fn note(&mut self, span: &SpanRecord) -> Option<Run> {
        let id = span.trace_id();
        let mut oldest = None;
        if !self.runs.contains_key(&id) {
            if self.runs.len() == MAX_RUNS {
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

    /// All of them, in order: there are no more spans to come.
    pub(super) fn take(&mut self) -> Vec<Run> {
        let runs = &mut self.runs;
        self.order.drain(..).filter_map(|id| runs.remove(&id)).collect()
    }
}

impl Run {
    fn new(span: &SpanRecord) -> Self {
        Self {
            trace: Arc::clone(&span.trace),
            started_at: span.started_at,
            ended_at: span.started_at,
            error: None,
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
