//! What the page is told of a trace.

use realtime_run::trace::{
    JsonMap, SpanData, SpanError, SpanRecord, Timestamp, TraceId, TraceTree, TreeNode, TreeSpan,
};
use serde::Serialize;

use super::conversation::{self, Entry};
use super::figures::{self, AgentUsage, Turn};

/// All of it, as the script reads it. Times are microseconds since the first span started.
#[derive(Debug, Serialize)]
pub struct PageData<'a> {
    trace: Trace<'a>,
    /// When the first span started, in RFC 3339.
    started_at: Option<Timestamp>,
    length: u64,
    spans: Vec<Span<'a>>,
    conversation: Vec<Entry>,
    turns: Vec<Turn>,
    usage: Vec<AgentUsage>,
}

#[derive(Debug, Serialize)]
struct Trace<'a> {
    id: TraceId,
    workflow_name: &'a str,
    group_id: Option<&'a str>,
    metadata: Option<&'a JsonMap>,
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
    /// Microseconds from the start of the trace.
    pub fn read(self, moment: Timestamp) -> u64 {
        moment.as_micros().saturating_sub(self.0.as_micros())
    }
}

impl<'a> PageData<'a> {
    pub fn new(tree: &'a TraceTree) -> Self {
        let start = tree.started_at().unwrap_or(Timestamp::from_micros(0));
        let clock = Clock(start);
        let agents = Agents::of(tree);
        let trace = tree.trace();
        Self {
            trace: Trace {
                id: trace.id,
                workflow_name: &trace.workflow_name,
                group_id: trace.group_id.as_deref(),
                metadata: trace.metadata.as_ref(),
            },
            started_at: tree.started_at(),
            length: tree.ended_at().map_or(0, |end| clock.read(end)),
            spans: tree.nodes().iter().map(|node| Span::new(node, clock)).collect(),
            conversation: conversation::of(tree, &agents, clock),
            turns: figures::turns(tree, clock),
            usage: figures::usage(tree, &agents),
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

/// Which agent each span belongs to.
#[derive(Debug)]
pub struct Agents(Vec<Option<usize>>);

impl Agents {
    fn of(tree: &TraceTree) -> Self {
        let nodes = tree.nodes();
        let mut agents: Vec<Option<usize>> = Vec::with_capacity(nodes.len());
        for (place, node) in nodes.iter().enumerate() {
            let is_agent = node.record().is_some_and(|record| record.data.kind() == "agent");
            agents.push(if is_agent {
                Some(place)
            } else {
                node.parent.and_then(|parent| agents[parent])
            });
        }
        Self(agents)
    }

    /// The name of the agent that a span is of or under.
    pub fn name(&self, tree: &TraceTree, place: usize) -> Option<String> {
        let record = tree.nodes()[self.0[place]?].record()?;
        Some(record.data.label().into_owned())
    }
}

/// A text as it stands between tags.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
