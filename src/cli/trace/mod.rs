//! The trace of a run: where it goes, and how it gets there before the program ends.

mod deliveries;
mod destinations;
pub mod exporters;
mod store;
mod targets;

use std::env;
use std::sync::Arc;

use realtime_run::agent::TracingSettings;
use realtime_run::trace::{JsonMap, MemoryProcessor, Redaction, Trace, TraceTree, Traceparent};
use serde_json::Value;

pub use deliveries::{Deliveries, counted};
pub use destinations::Destinations;
pub use store::open as open_store;
pub use targets::{Targets, TraceTarget};

use super::args::TraceArgs;
use super::glyphs::Glyphs;
use super::printer::Printer;
use super::render;

/// What a run is called unless it is told; the same as in the reference SDK.
const WORKFLOW_NAME: &str = "Agent workflow";

/// The trace of one session.
#[derive(Debug)]
pub struct RunTrace {
    /// What the spans hang under.
    pub trace: Trace,
    /// Keeps the spans for the tree at the end.
    memory: Arc<MemoryProcessor>,
}

impl RunTrace {
    /// Starts it. `about` goes over the metadata of the command line and the file.
    pub fn start(
        destinations: &Destinations,
        args: &TraceArgs,
        file: &TracingSettings,
        about: JsonMap,
    ) -> Self {
        let memory = Arc::new(MemoryProcessor::default());
        let given = args.redact.iter().cloned();
        let redaction = given.fold(file.redact.clone(), Redaction::and);
        let tracer = destinations.tracer(redaction, Arc::clone(&memory));
        let name = args.workflow_name.as_ref().or(file.workflow_name.as_ref());
        let mut trace = tracer.trace(name.map_or(WORKFLOW_NAME, String::as_str));
        if let Some(id) = args.trace_id {
            trace = trace.id(id);
        }
        if let Some(group_id) = args.group_id.as_ref().or(file.group_id.as_ref()) {
            trace = trace.group_id(group_id);
        }
        let mut metadata = metadata(args, file);
        metadata.extend(about);
        if !metadata.is_empty() {
            trace = trace.metadata(metadata);
        }
        if let Some(parent) = parent() {
            trace = trace.parent(parent, env::var("TRACESTATE").ok());
        }
        Self {
            trace: trace.start(),
            memory,
        }
    }

    /// What keeps its spans.
    pub fn memory(&self) -> Arc<MemoryProcessor> {
        Arc::clone(&self.memory)
    }

    /// Its spans as a tree; `None` if nothing is traced.
    pub fn tree(&self) -> Option<TraceTree> {
        let trace = self.memory.traces().pop()?;
        Some(TraceTree::new(trace, self.memory.spans()))
    }

    /// Shows the span tree.
    pub fn show(&self, printer: &Printer) {
        let Some(tree) = self.tree() else { return };
        let tree = render::tree(&tree, Glyphs::of_locale(), printer.paint());
        printer.note(&format!("\n{}", tree.trim_end()));
        let dropped = self.memory.dropped();
        if dropped > 0 {
            printer.note(&format!("({dropped} earlier spans are not shown)"));
        }
    }
}

/// The span of another system that started this program, if there is one. What is none is passed over, as W3C Trace
/// Context asks.
fn parent() -> Option<Traceparent> {
    let text = env::var("TRACEPARENT")
        .ok()
        .filter(|text| !text.trim().is_empty())?;
    text.parse()
        .inspect_err(|error| tracing::warn!("TRACEPARENT is passed over: {error}"))
        .ok()
}

/// The file's metadata, with the command line's over it.
fn metadata(args: &TraceArgs, file: &TracingSettings) -> JsonMap {
    let mut metadata = file.metadata.clone();
    let given = args.trace_metadata.iter().cloned();
    metadata.extend(given.map(|(key, value)| (key, Value::String(value))));
    metadata
}
