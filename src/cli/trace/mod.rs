//! The trace of a run: where it goes, and how it gets there before the program ends.

mod exporters;
mod store;
mod targets;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::Secret;
use realtime_run::agent::TracingSettings;
use realtime_run::trace::{
    BatchProcessor, JsonMap, MemoryProcessor, Redaction, ShutdownReport, Trace, TraceTree, Traceparent,
    Tracer,
};
use serde_json::Value;

pub use store::open as open_store;
pub use targets::{Targets, TraceTarget};

use super::args::TraceArgs;
use super::exit::Failure;
use super::glyphs::Glyphs;
use super::output::Output;
use super::printer::Printer;
use super::render;
use super::signals::Signals;

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
}

impl RunTrace {
    /// Starts it.
    pub fn start(
        targets: &Targets,
        args: &TraceArgs,
        file: &TracingSettings,
        key: Option<Secret>,
        output: &Output,
    ) -> Result<Self, Failure> {
        let memory = Arc::new(MemoryProcessor::default());
        let tracer = match targets {
            Targets::Disabled => Tracer::disabled(),
            Targets::To(targets) => {
                let given = args.redact.iter().cloned();
                let redaction = given.fold(file.redact.clone(), Redaction::and);
                tracer(targets, args, redaction, key, output, &memory)?
            }
        };
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
        })
    }

    /// Shows the span tree.
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
    }

    /// Delivers what is left, and tells what could not be. A signal cuts it short.
    pub fn finish(self, signals: &mut Signals, printer: &Printer) {
        if !self.tracer.is_enabled() {
            return;
        }
        for report in self.shutdown(signals) {
            let stdout_gone = report.destination == "stdout" && printer.output().stdout_error().is_some();
            if !report.is_complete() && report.destination != "memory" && !stdout_gone {
                printer.warning(&losses(&report), None);
            }
        }
    }

    fn shutdown(self, signals: &mut Signals) -> Vec<ShutdownReport> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else {
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

/// What could not be delivered, and why.
fn losses(report: &ShutdownReport) -> String {
    let ShutdownReport {
        destination,
        received,
        dropped,
        losses,
        ..
    } = report;
    let reasons = losses.iter().map(|loss| loss.reason.as_str());
    let reasons = reasons.collect::<Vec<_>>().join("; ");
    format!("{dropped} of {received} trace items did not get to {destination}: {reasons}")
}

fn tracer(
    targets: &[TraceTarget],
    args: &TraceArgs,
    redaction: Redaction,
    key: Option<Secret>,
    output: &Output,
    memory: &Arc<MemoryProcessor>,
) -> Result<Tracer, Failure> {
    let mut tracer = Tracer::builder()
        .redact(redaction)
        .include_content(!args.no_trace_content && environment_includes_content())
        .processor(Arc::clone(memory));
    for target in targets {
        tracer = match target {
            TraceTarget::Openai => {
                let exporter = exporters::openai(args.trace_endpoint.as_deref(), key.clone())?;
                tracer.processor(BatchProcessor::new(exporter))
            }
            TraceTarget::Otlp => tracer.processor(BatchProcessor::new(exporters::otlp()?)),
            TraceTarget::Stdout => tracer.processor(BatchProcessor::new(exporters::stdout(output))),
            TraceTarget::File(path) => tracer.processor(BatchProcessor::new(exporters::file(path)?)),
            TraceTarget::None => tracer,
        };
    }
    Ok(tracer.build())
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

/// What the SDKs' variable says: content stays unless it is set to something other than yes.
fn environment_includes_content() -> bool {
    env::var("OPENAI_AGENTS_TRACE_INCLUDE_SENSITIVE_DATA")
        .ok()
        .is_none_or(|value| {
            let value = value.trim().to_ascii_lowercase();
            value.is_empty() || ["1", "true", "yes", "on"].contains(&value.as_str())
        })
}

/// The file's metadata, with the command line's over it.
fn metadata(args: &TraceArgs, file: &TracingSettings) -> JsonMap {
    let mut metadata = file.metadata.clone();
    let given = args.trace_metadata.iter().cloned();
    metadata.extend(given.map(|(key, value)| (key, Value::String(value))));
    metadata
}
