//! The spans of a trace, as a page shows them.

use realtime_run::trace::{
    JsonMap, SpanData, SpanError, SpanRecord, Timestamp, TraceTree, TreeNode, TreeSpan,
};
use serde::Serialize;

/// What the waterfall is drawn from. Times are microseconds since the first span started.
#[derive(Debug, Serialize)]
pub struct Spans<'a> {
    /// When the first span started, in RFC 3339.
    started_at: Option<Timestamp>,
    length: u64,
    spans: Vec<Span<'a>>,
}

/// A row of the waterfall; rows stand as the tree has them.
#[derive(Debug, Serialize)]
struct Span<'a> {
    id: String,
    parent: Option<usize>,
    depth: usize,
    kind: &'static str,
    name: String,
    start: u64,
    end: Option<u64>,
    first_content: Option<u64>,
    /// What is out of the ordinary about its place.
    note: Option<&'static str>,
    error: Option<&'a str>,
    /// All that was recorded.
    record: Option<Record<'a>>,
}

#[derive(Debug, Serialize)]
struct Record<'a> {
    span_data: &'a SpanData,
    error: Option<&'a SpanError>,
    metadata: Option<&'a JsonMap>,
}

/// Moments as the page counts them.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Timestamp);

impl Clock {
    /// The one that begins with a trace.
    pub fn of(tree: &TraceTree) -> Self {
        Self(tree.started_at().unwrap_or(Timestamp::from_micros(0)))
    }

    /// Microseconds from the start of the trace.
    pub fn read(self, moment: Timestamp) -> u64 {
        moment.as_micros().saturating_sub(self.0.as_micros())
    }
}

impl<'a> Spans<'a> {
    /// All of a trace.
    pub fn new(tree: &'a TraceTree) -> Self {
        let clock = Clock::of(tree);
        Self {
            started_at: tree.started_at(),
            length: tree.ended_at().map_or(0, |end| clock.read(end)),
            spans: tree.nodes().iter().map(|node| Span::new(node, clock)).collect(),
        }
    }
}

impl<'a> Span<'a> {
    fn new(node: &'a TreeNode, clock: Clock) -> Self {
        let record = node.record();
        Self {
            id: node.id().to_string(),
            parent: node.parent,
            depth: node.depth,
            kind: record.map_or("span", |record| record.data.kind()),
            name: record.map_or_else(
                || node.id().to_string(),
                |record| record.data.label().into_owned(),
            ),
            start: clock.read(node.started_at()),
            end: node.ended_at().map(|end| clock.read(end)),
            first_content: record
                .and_then(SpanRecord::first_content_at)
                .map(|at| clock.read(at)),
            note: note(node),
            error: record.and_then(|record| Some(record.error.as_ref()?.message.as_str())),
            record: record.map(|record| Record {
                span_data: &record.data,
                error: record.error.as_deref(),
                metadata: record.metadata.as_deref(),
            }),
        }
    }
}

fn note(node: &TreeNode) -> Option<&'static str> {
    match &node.span {
        TreeSpan::Recorded(record) => record.ended_at.is_none().then_some("not ended"),
        TreeSpan::Circular(_) => Some("its parents lead in a circle"),
        TreeSpan::Missing { .. } => Some("not recorded: it had not ended, or was lost"),
    }
}
