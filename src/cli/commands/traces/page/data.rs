//! What the page is told of a trace.

use realtime_run::trace::{JsonMap, TraceId, TraceTree};
use serde::Serialize;

use super::conversation::{self, Entry};
use super::figures::{self, AgentUsage, Turn};
use crate::cli::page::{Clock, Spans};

/// All of it, as the script reads it. Times are microseconds since the first span started.
#[derive(Debug, Serialize)]
pub struct PageData<'a> {
    trace: Trace<'a>,
    #[serde(flatten)]
    spans: Spans<'a>,
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

impl<'a> PageData<'a> {
    pub fn new(tree: &'a TraceTree) -> Self {
        let clock = Clock::of(tree);
        let agents = Agents::of(tree);
        let trace = tree.trace();
        Self {
            trace: Trace {
                id: trace.id,
                workflow_name: &trace.workflow_name,
                group_id: trace.group_id.as_deref(),
                metadata: trace.metadata.as_ref(),
            },
            spans: Spans::new(tree),
            conversation: conversation::of(tree, &agents, clock),
            turns: figures::turns(tree, clock),
            usage: figures::usage(tree, &agents),
        }
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
