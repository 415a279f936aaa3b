//! The trace of a run: where it goes, and how it gets there before the program ends.

mod deliveries;
pub mod exporters;
mod pipeline;
mod store;
mod targets;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::Secret;
use realtime_run::agent::TracingSettings;
use realtime_run::trace::{
    JsonMap, MemoryProcessor, Redaction, ShutdownReport, StoreProcessor, Trace, TraceTree, Traceparent,
    Tracer,
};
use serde_json::Value;

pub use deliveries::{Deliveries, counted};
use pipeline::Pipeline;
pub use store::open as open_store;
pub use targets::{Targets, TraceTarget};

use super::args::{KeepArgs, RunArgs, TraceArgs};
use super::exit::Failure;
use super::glyphs::Glyphs;
use super::output::Stream;
use super::printer::Printer;
use super::render;
use super::signals::Signals;
use super::style::harmless;

/// How long the exporters may take at the end.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// What a run is called unless it is told; the same as in the reference SDK.
const WORKFLOW_NAME: &str = "Agent workflow";

/// The trace of this run.
#[derive(Debug)]
pub struct RunTrace {
    tracer: Tracer,
    /// What the spans hang under.
    pub trace: Trace,
    /// Keeps the spans for the tree at the end.
    memory: Arc<MemoryProcessor>,
    /// Keeps them for later.
    store: Option<Arc<StoreProcessor>>,
    /// How the run can be looked at later, if it can.
    hint: Option<String>,
}

impl RunTrace {
    /// Starts it.
    pub fn start(
        targets: &Targets,
        args: &RunArgs,
        file: &TracingSettings,
        key: Option<Secret>,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        let memory = Arc::new(MemoryProcessor::default());
        let Pipeline { tracer, store } = match targets {
            Targets::Disabled => Pipeline::default(),
            Targets::To(targets) => {
                let given = args.trace.redact.iter().cloned();
                let redaction = given.fold(file.redact.clone(), Redaction::and);
                Pipeline::build(targets, args, redaction, key, printer, &memory)?
            }
        };
        let hint = store.is_some().then(|| hint(&args.keep)).flatten();
        let args = &args.trace;
        let name = args.workflow_name.as_ref().or(file.workflow_name.as_ref());
        let mut trace = tracer.trace(name.map_or(WORKFLOW_NAME, String::as_str));
        if let Some(id) = args.trace_id {
            trace = trace.id(id);
        }
        if let Some(group_id) = args.group_id.as_ref().or(file.group_id.as_ref()) {
            trace = trace.group_id(group_id);
        }
        let metadata = metadata(args, file);
        if !metadata.is_empty() {
            trace = trace.metadata(metadata);
        }
        if let Some(parent) = parent() {
            trace = trace.parent(parent, env::var("TRACESTATE").ok());
        }
        Ok(Self {
            trace: trace.start(),
            tracer,
            memory,
            store,
            hint,
        })
    }

    /// Shows the span tree, and tells a person at a terminal how to see more.
    pub fn show(&self, printer: &Printer) {
        for trace in self.memory.traces() {
            let tree = TraceTree::new(trace, self.memory.spans());
            let tree = render::tree(&tree, Glyphs::of_locale(), printer.paint());
            printer.note(&format!("\n{}", tree.trim_end()));
        }
        let dropped = self.memory.dropped();
        if dropped > 0 {
            printer.note(&format!("({dropped} earlier spans are not shown)"));
        }
        if let Some(hint) = self.hint.as_ref().filter(|_| Stream::Stderr.is_terminal()) {
            printer.note(&printer.paint().dim(hint));
        }
    }

    /// Delivers what is left, and says what became of it. A signal cuts it short.
    pub fn finish(self, signals: &mut Signals) -> Deliveries {
        let reports = self.shutdown(signals);
        match &self.store {
            Some(store) => Deliveries::of_store(self.trace.id(), store.report()),
            None => Deliveries::direct(self.trace.id(), reports),
        }
    }

    fn shutdown(&self, signals: &mut Signals) -> Vec<ShutdownReport> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Some(runtime) = runtime.ok().filter(|_| self.tracer.is_enabled()) else {
            return self.tracer.shutdown(FLUSH_LIMIT);
        };
        let tracer = self.tracer.clone();
        let reports = runtime.block_on(async {
            let flush = tokio::task::spawn_blocking(move || tracer.shutdown(FLUSH_LIMIT));
            tokio::select! {
                reports = flush => reports.ok(),
                _ = signals.next() => None,
            }
        });
        runtime.shutdown_background();
        reports.unwrap_or_else(|| self.tracer.shutdown(Duration::ZERO))
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

/// How a run that is kept can be looked at.
fn hint(args: &KeepArgs) -> Option<String> {
    let spool = args
        .spool
        .as_ref()
        .map(|dir| format!(" --spool {}", dir.display()));
    let spool = spool.unwrap_or_default();
    let hint =
        format!("to scale: realtime-run traces show{spool}; as a page: realtime-run traces html{spool}");
    (!args.no_store).then(|| harmless(&hint).into_owned())
}

/// The file's metadata, with the command line's over it.
fn metadata(args: &TraceArgs, file: &TracingSettings) -> JsonMap {
    let mut metadata = file.metadata.clone();
    let given = args.trace_metadata.iter().cloned();
    metadata.extend(given.map(|(key, value)| (key, Value::String(value))));
    metadata
}
