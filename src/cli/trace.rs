//! The trace of a run: where it goes, and how it gets there before the program ends.

use std::env;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use realtime_run::Secret;
use realtime_run::agent::TracingSettings;
use realtime_run::trace::{
    BatchProcessor, JsonMap, MemoryProcessor, OpenAiExporter, ShutdownReport, StdoutExporter, Trace,
    TraceTree, Tracer,
};
use serde_json::Value;

use super::args::{TraceArgs, TraceTarget};
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

/// Where the trace of a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Nothing is traced at all (span rule N1).
    Disabled,
    /// To these, if any; the span tree is shown anyway.
    To(Vec<TraceTarget>),
}

impl Targets {
    /// Where the trace goes by these flags; `has_key` tells whether OpenAI would take it.
    pub fn choose(args: &TraceArgs, simulated: bool, has_key: bool) -> Result<Self, Failure> {
        if args.no_tracing {
            return Ok(Self::Disabled);
        }
        let mut targets = args.trace.clone();
        if targets.is_empty() && (args.trace_endpoint.is_some() || (has_key && !simulated)) {
            targets.push(TraceTarget::Openai);
        }
        targets.dedup();
        if targets == [TraceTarget::None] {
            targets.clear();
        }
        if targets.contains(&TraceTarget::None) {
            return Err(Failure::usage(anyhow!("--trace none goes with no other --trace")));
        }
        Ok(Self::To(targets))
    }

    /// Whether they include stdout.
    pub fn has_stdout(&self) -> bool {
        matches!(self, Self::To(targets) if targets.contains(&TraceTarget::Stdout))
    }

    /// Their names, with commas between them.
    pub fn names(&self) -> String {
        let Self::To(targets) = self else {
            return String::new();
        };
        let names = targets.iter().map(|target| match target {
            TraceTarget::Openai => "openai",
            TraceTarget::Stdout => "stdout",
            TraceTarget::None => "nowhere",
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

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
            Targets::To(targets) => tracer(targets, args, key, output, &memory)?,
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
    key: Option<Secret>,
    output: &Output,
    memory: &Arc<MemoryProcessor>,
) -> Result<Tracer, Failure> {
    let mut tracer = Tracer::builder()
        .include_content(!args.no_trace_content && environment_includes_content())
        .processor(Arc::clone(memory));
    for target in targets {
        tracer = match target {
            TraceTarget::Openai => tracer.processor(BatchProcessor::new(openai(args, key.clone())?)),
            TraceTarget::Stdout => {
                let exporter = StdoutExporter::new(Lines(output.clone()));
                tracer.processor(BatchProcessor::new(exporter))
            }
            TraceTarget::None => tracer,
        };
    }
    Ok(tracer.build())
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

fn openai(args: &TraceArgs, key: Option<Secret>) -> Result<OpenAiExporter, Failure> {
    let variable = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let exporter = OpenAiExporter::new(args.trace_endpoint.as_deref())
        .context("--trace-endpoint")
        .map_err(Failure::usage)?;
    Ok(exporter
        .api_key(key)
        .organization(variable("OPENAI_ORG_ID"))
        .project(variable("OPENAI_PROJECT_ID")))
}

/// The file's metadata, with the command line's over it.
fn metadata(args: &TraceArgs, file: &TracingSettings) -> JsonMap {
    let mut metadata = file.metadata.clone();
    let given = args.trace_metadata.iter().cloned();
    metadata.extend(given.map(|(key, value)| (key, Value::String(value))));
    metadata
}

/// Stdout for the exporter, which writes whole lines from its own thread. The end of a pipe ends the run.
#[derive(Debug)]
struct Lines(Output);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.inspect_err(|error| self.0.lose_stdout(error.kind()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn choose(flags: &[&str], simulated: bool, has_key: bool) -> Option<String> {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            trace: TraceArgs,
        }
        let args = Flags::parse_from(["test"].iter().chain(flags)).trace;
        let targets = Targets::choose(&args, simulated, has_key).ok()?;
        Some(match targets {
            Targets::Disabled => "disabled".to_owned(),
            to => to.names(),
        })
    }

    #[test]
    fn by_default_traces_go_to_openai_if_there_is_a_key_and_nothing_is_simulated() {
        let cases = [
            (false, true, "openai"),
            (true, true, ""),
            (false, false, ""),
            (true, false, ""),
        ];
        for (simulated, has_key, expected) in cases {
            assert_eq!(choose(&[], simulated, has_key).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_asked_for_holds() {
        let both = ["--trace", "stdout", "--trace", "openai"];
        assert_eq!(choose(&both, true, false).unwrap(), "stdout, openai");
        assert_eq!(choose(&["--trace", "none"], false, true).unwrap(), "");
        assert_eq!(
            choose(&["--trace-endpoint", "http://h"], true, false).unwrap(),
            "openai"
        );
        assert_eq!(
            choose(&["--no-tracing", "--trace", "openai"], false, true).unwrap(),
            "disabled"
        );
        assert_eq!(
            choose(&["--trace", "none", "--trace", "openai"], false, true),
            None
        );
    }
}
