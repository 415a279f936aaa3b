//! The spans of a trace as a tree.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::id::SpanId;
use super::record::{SpanRecord, TraceRecord};
use super::time::Timestamp;

/// The spans of one trace, each under its parent, siblings in the order in which they started.
///
/// It holds whatever was recorded, also of a run that was cut off: a span that others name as their parent and that is
/// not there has a node of its own; spans whose parents lead in a circle hang under the trace. Of a span that was
/// recorded twice, as delivery at least once may have it, the record that has an end is taken.
///
/// ```
/// use std::sync::Arc;
/// use realtime_run::trace::{MemoryProcessor, SpanData, TraceTree, Tracer};
///
/// let memory = Arc::new(MemoryProcessor::default());
/// let tracer = Tracer::builder().processor(memory.clone()).build();
/// let trace = tracer.trace("Concierge").start();
/// let agent = trace.context().span(SpanData::agent("Triage"));
/// agent.context().span(SpanData::function("get_weather")).finish();
/// agent.finish();
///
/// let tree = TraceTree::new(memory.traces()[0].clone(), memory.spans());
/// let lines = tree.nodes().iter().map(|node| (node.depth, node.record().unwrap().data.kind()));
/// assert_eq!(lines.collect::<Vec<_>>(), [(0, "agent"), (1, "function")]);
/// ```
#[derive(Clone, Debug)]
pub struct TraceTree {
    trace: Arc<TraceRecord>,
    nodes: Vec<TreeNode>,
}

/// A span and its place in the tree.
#[derive(Clone, Debug)]
pub struct TreeNode {
    /// The span.
    pub span: TreeSpan,
    /// The place of the node it hangs under in [`TraceTree::nodes`]; `None` under the trace itself.
    pub parent: Option<usize>,
    /// How many nodes it hangs under.
    pub depth: usize,
    /// Whether it is the last under its parent.
    pub is_last: bool,
}

/// What is known of a span.
#[derive(Clone, Debug)]
pub enum TreeSpan {
    /// It was recorded.
    Recorded(Arc<SpanRecord>),
    /// It was recorded, but its parent hangs under it; so it is shown under the trace.
    Circular(Arc<SpanRecord>),
    /// Others name it as their parent, and it was not recorded: it had not ended, or it was lost.
    Missing {
        /// Its id.
        id: SpanId,
        /// When the first span under it started.
        since: Timestamp,
    },
}

impl TraceTree {
    /// The tree of these spans of a trace, which may come in any order.
    pub fn new(trace: Arc<TraceRecord>, spans: impl IntoIterator<Item = Arc<SpanRecord>>) -> Self {
        let nodes = Growth::new(spans).grow();
        Self { trace, nodes }
    }

    /// The trace.
    pub fn trace(&self) -> &TraceRecord {
        &self.trace
    }

    /// The nodes, each followed by those under it.
    pub fn nodes(&self) -> &[TreeNode] {
        &self.nodes
    }

    /// When the first span started; `None` without spans.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.nodes.iter().map(TreeNode::started_at).min()
    }

    /// The last moment that a span tells of; `None` without spans.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let latest = |node: &TreeNode| node.ended_at().unwrap_or_else(|| node.started_at());
        self.nodes.iter().map(latest).max()
    }
}

impl TreeNode {
    /// What was recorded of the span, if anything.
    pub fn record(&self) -> Option<&SpanRecord> {
        match &self.span {
            TreeSpan::Recorded(record) | TreeSpan::Circular(record) => Some(record),
            TreeSpan::Missing { .. } => None,
        }
    }

    /// The span's id.
    pub fn id(&self) -> SpanId {
        match &self.span {
            TreeSpan::Recorded(record) | TreeSpan::Circular(record) => record.id,
            TreeSpan::Missing { id, .. } => *id,
        }
    }

    /// When the span started, as far as is known.
    pub fn started_at(&self) -> Timestamp {
        match &self.span {
            TreeSpan::Recorded(record) | TreeSpan::Circular(record) => record.started_at,
            TreeSpan::Missing { since, .. } => *since,
        }
    }

    /// When the span ended; `None` if it went on, or that is not known.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.record().and_then(|record| record.ended_at)
    }
}

/// The spans while they become a tree. No step calls itself: spans may be nested as deep as they like.
struct Growth {
    spans: Vec<TreeSpan>,
    parents: Vec<Option<usize>>,
    /// By parent, the last to start first, as a stack of work wants them.
    children: Vec<Vec<usize>>,
    placed: Vec<bool>,
    nodes: Vec<TreeNode>,
}

impl Growth {
    fn new(records: impl IntoIterator<Item = Arc<SpanRecord>>) -> Self {
        let mut places: HashMap<SpanId, usize> = HashMap::new();
        let mut spans: Vec<Arc<SpanRecord>> = Vec::new();
        for record in records {
            match places.get(&record.id) {
                None => {
                    places.insert(record.id, spans.len());
                    spans.push(record);
                }
                Some(&place) if spans[place].ended_at.is_none() => spans[place] = record,
                Some(_) => {}
            }
        }
        let named: Vec<_> = spans
            .iter()
            .map(|span| (span.parent_id, span.started_at))
            .collect();
        let mut spans: Vec<_> = spans.into_iter().map(TreeSpan::Recorded).collect();
        let mut parents: Vec<_> = Vec::with_capacity(spans.len());
        for (parent_id, started_at) in named {
            parents.push(parent_id.map(|id| {
                *places.entry(id).or_insert_with(|| {
                    spans.push(TreeSpan::Missing {
                        id,
                        since: started_at,
                    });
                    spans.len() - 1
                })
            }));
            if let Some(TreeSpan::Missing { since, .. }) =
                parents.last().and_then(|own| spans.get_mut((*own)?))
            {
                *since = started_at.min(*since);
            }
        }
        parents.resize(spans.len(), None);
        Self {
            children: vec![Vec::new(); spans.len()],
            placed: vec![false; spans.len()],
            nodes: Vec::with_capacity(spans.len()),
            parents,
            spans,
        }
    }

    fn grow(mut self) -> Vec<TreeNode> {
        let mut order: Vec<usize> = (0..self.spans.len()).collect();
        order.sort_by_key(|&place| (Reverse(self.started_at(place)), Reverse(place)));
        let mut roots = Vec::new();
        for &place in &order {
            match self.parents[place] {
                Some(parent) => self.children[parent].push(place),
                None => roots.push(place),
            }
        }
        self.place(roots);
        for &place in order.iter().rev() {
            if !self.placed[place] {
                let root = self.open_circle(place);
                self.place(vec![root]);
            }
        }
        self.mark_last();
        self.nodes
    }

    fn started_at(&self, place: usize) -> Timestamp {
        match &self.spans[place] {
            TreeSpan::Recorded(record) | TreeSpan::Circular(record) => record.started_at,
            TreeSpan::Missing { since, .. } => *since,
        }
    }

    /// Places these under the trace, and what is under them.
    fn place(&mut self, roots: Vec<usize>) {
        let mut stack: Vec<_> = roots.into_iter().map(|place| (place, None, 0)).collect();
        while let Some((place, parent, depth)) = stack.pop() {
            if std::mem::replace(&mut self.placed[place], true) {
                continue;
            }
            let own = self.nodes.len();
            self.nodes.push(TreeNode {
                span: self.spans[place].clone(),
                parent,
                depth,
                is_last: false,
            });
            let children = std::mem::take(&mut self.children[place]);
            stack.extend(children.into_iter().map(|child| (child, Some(own), depth + 1)));
        }
    }

    /// Of a span whose parents lead into a circle, the first of that circle.
    fn open_circle(&mut self, from: usize) -> usize {
        let mut seen = HashSet::new();
        let mut place = from;
        while let (true, Some(parent)) = (seen.insert(place), self.parents[place]) {
            place = parent;
        }
        if let TreeSpan::Recorded(record) = &self.spans[place] {
            self.spans[place] = TreeSpan::Circular(Arc::clone(record));
        }
        place
    }

    fn mark_last(&mut self) {
        let mut last: HashMap<Option<usize>, usize> = HashMap::new();
        for (place, node) in self.nodes.iter().enumerate() {
            last.insert(node.parent, place);
        }
        for place in last.into_values() {
            self.nodes[place].is_last = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{SpanData, TraceId};

    fn trace() -> Arc<TraceRecord> {
        Arc::new(TraceRecord {
            id: TraceId::random(),
            workflow_name: "Test".into(),
            group_id: None,
            metadata: None,
            api_key: None,
        })
    }

    fn id(number: usize) -> SpanId {
        format!("span_{number:024x}").parse().unwrap()
    }

    /// A span of one second.
    fn span(number: usize, parent: Option<usize>, started_at: u64) -> Arc<SpanRecord> {
        let at = |seconds| Timestamp::from_micros(1_000_000 * seconds);
        Arc::new(SpanRecord {
            id: id(number),
            trace: trace(),
            parent_id: parent.map(id),
            started_at: at(started_at),
            ended_at: Some(at(started_at + 1)),
            data: SpanData::custom(number.to_string()),
            error: None,
            metadata: None,
        })
    }

    /// The tree, a word for each node: its depth in dots, what it is, and `.` if it is the last.
    fn words(spans: impl IntoIterator<Item = Arc<SpanRecord>>) -> Vec<String> {
        let tree = TraceTree::new(trace(), spans);
        let word = |(place, node): (usize, &TreeNode)| {
            let name = match &node.span {
                TreeSpan::Recorded(record) => record.data.label().into_owned(),
                TreeSpan::Circular(record) => format!("circular {}", record.data.label()),
                TreeSpan::Missing { id, .. } => format!("missing {}", id.as_bytes()[11]),
            };
            let parent_depth = node.parent.map_or(0, |parent| tree.nodes()[parent].depth + 1);
            assert_eq!(node.depth, parent_depth);
            assert!(node.parent.is_none_or(|parent| parent < place));
            let end = if node.is_last { "." } else { "" };
            format!("{}{name}{end}", "-".repeat(node.depth))
        };
        tree.nodes().iter().enumerate().map(word).collect()
    }

    #[test]
    fn spans_hang_under_their_parents_in_the_order_in_which_they_started() {
        let spans = [
            span(4, Some(1), 5),
            span(3, Some(2), 3),
            span(2, Some(1), 2),
            span(1, None, 1),
            span(5, None, 9),
            span(6, Some(1), 5),
        ];
        assert_eq!(words(spans), ["1", "-2", "--3.", "-4", "-6.", "5."]);
    }

    #[test]
    fn a_parent_that_was_not_recorded_has_a_node_of_its_own() {
        let spans = [span(1, None, 4), span(2, Some(7), 6), span(3, Some(7), 2)];
        assert_eq!(words(spans.clone()), ["missing 7", "-3", "-2.", "1."]);
        let tree = TraceTree::new(trace(), spans);
        assert_eq!(tree.nodes()[0].started_at(), Timestamp::from_micros(2_000_000));
        assert_eq!(tree.nodes()[0].ended_at(), None);
    }

    #[test]
    fn a_circle_is_opened_and_no_span_is_lost() {
        let spans = [
            span(1, None, 0),
            span(2, Some(4), 1),
            span(3, Some(2), 2),
            span(4, Some(3), 3),
            span(5, Some(3), 4),
            span(6, Some(6), 5),
        ];
        assert_eq!(
            words(spans),
            ["1", "circular 2", "-3.", "--4", "--5.", "circular 6."]
        );
    }

    #[test]
    fn of_a_span_recorded_twice_the_one_with_an_end_counts() {
        let mut begun = (*span(1, None, 0)).clone();
        begun.ended_at = None;
        let begun = Arc::new(begun);
        for spans in [[begun.clone(), span(1, None, 0)], [span(1, None, 0), begun]] {
            let tree = TraceTree::new(trace(), spans);
            assert_eq!(tree.nodes().len(), 1);
            assert!(tree.nodes()[0].ended_at().is_some());
        }
    }

    #[test]
    fn nesting_may_be_as_deep_as_there_are_spans() {
        let spans = (0..100_000usize).map(|number| span(number, number.checked_sub(1), number as u64));
        let tree = TraceTree::new(trace(), spans);
        assert_eq!(tree.nodes().last().unwrap().depth, 99_999);
        assert_eq!(tree.started_at(), Some(Timestamp::from_micros(0)));
        assert_eq!(tree.ended_at(), Some(Timestamp::from_micros(100_000_000_000)));
    }

    #[test]
    fn a_trace_without_spans_has_no_time() {
        let tree = TraceTree::new(trace(), []);
        assert!(tree.nodes().is_empty());
        assert_eq!((tree.started_at(), tree.ended_at()), (None, None));
    }
}
