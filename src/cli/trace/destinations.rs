//! The way of spans: into the store, and from there to each place that they go to. One for the whole program, however
//! many traces there are.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::Secret;
use realtime_run::trace::{
    BatchConfig, BatchProcessor, MemoryProcessor, Redaction, ShutdownReport, SpanExporter, SpanProcessor,
    StoreLimits, StoreProcessor, StoreProcessorBuilder, TraceId, TraceStore, Tracer, TracerBuilder,
};

use super::deliveries::Deliveries;
use super::targets::{Targets, TraceTarget};
use super::{exporters, store};
use crate::cli::args::{KeepArgs, RunArgs};
use crate::cli::exit::Failure;
use crate::cli::output::Stream;
use crate::cli::printer::Printer;
use crate::cli::signals::Signals;
use crate::cli::style::harmless;

/// How long a span waits for company before it is written to stdout or a file: someone may be watching.
const LINE_DELAY: Duration = Duration::from_millis(50);
/// How long the exporters may take at the end.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Where spans go, whichever trace they are of. By default nothing is traced.
#[derive(Default)]
pub struct Destinations {
    /// `None` if nothing is traced at all (span rule N1).
    processors: Option<Vec<Arc<dyn SpanProcessor>>>,
    store: Option<Arc<StoreProcessor>>,
    include_content: bool,
}

impl Destinations {
    /// Opens those that are asked for.
    pub fn open(
        targets: &Targets,
        args: &RunArgs,
        key: Option<Secret>,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        let Targets::To(targets) = targets else {
            return Ok(Self::default());
        };
        let mut way = match store(targets, &args.keep, printer) {
            Some(store) => Way::Stored(StoreProcessor::builder(store).keep(!args.keep.no_store)),
            None => Way::Direct(Vec::new()),
        };
        let lines = BatchConfig {
            delay: LINE_DELAY,
            ..BatchConfig::default()
        };
        for target in targets {
            way = match target {
                TraceTarget::Openai => {
                    let exporter = exporters::openai(args.trace.trace_endpoint.as_deref(), key.clone())?;
                    way.to(exporter, BatchConfig::default())
                }
                TraceTarget::Otlp => way.to(exporters::otlp(None)?, BatchConfig::default()),
                TraceTarget::Stdout => way.to(exporters::stdout(printer.output()), lines.clone()),
                TraceTarget::File(path) => way.to(exporters::file(path)?, lines.clone()),
                TraceTarget::None => way,
            };
        }
        let include_content = !args.trace.no_trace_content && environment_includes_content();
        Ok(way.end(include_content))
    }

    /// A tracer whose spans go there, and into `memory`.
    pub fn tracer(&self, redaction: Redaction, memory: Arc<MemoryProcessor>) -> Tracer {
        let Some(processors) = &self.processors else {
            return Tracer::disabled();
        };
        let tracer = Tracer::builder()
            .redact(redaction)
            .include_content(self.include_content)
            .processor(memory);
        let ways = processors.iter().cloned();
        ways.fold(tracer, TracerBuilder::processor).build()
    }

    /// Tells a person at a terminal how to see more of what is kept.
    pub fn hint(&self, args: &KeepArgs, printer: &Printer) {
        if self.store.is_none() || args.no_store || !Stream::Stderr.is_terminal() {
            return;
        }
        let spool = args
            .spool
            .as_ref()
            .map(|dir| format!(" --spool {}", dir.display()));
        let spool = spool.unwrap_or_default();
        let hint =
            format!("to scale: realtime-run traces show{spool}; as a page: realtime-run traces html{spool}");
        printer.note(&printer.paint().dim(&harmless(&hint)));
    }

    /// Delivers what is left, and says what became of it: of the trace `of`, or of all. A signal cuts it short.
    pub fn finish(self, of: Option<TraceId>, signals: &mut Signals) -> Deliveries {
        let reports = self.shutdown(signals);
        match &self.store {
            Some(store) => Deliveries::of_store(of, store.report()),
            None => Deliveries::direct(of, reports),
        }
    }

    fn shutdown(&self, signals: &mut Signals) -> Vec<ShutdownReport> {
        let processors = self.processors.iter().flatten().cloned();
        let all = processors
            .fold(Tracer::builder(), TracerBuilder::processor)
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Some(runtime) = runtime.ok().filter(|_| all.is_enabled()) else {
            return all.shutdown(FLUSH_LIMIT);
        };
        let flushed = all.clone();
        let reports = runtime.block_on(async {
            let flush = tokio::task::spawn_blocking(move || flushed.shutdown(FLUSH_LIMIT));
            tokio::select! {
                reports = flush => reports.ok(),
                _ = signals.next() => None,
            }
        });
        runtime.shutdown_background();
        reports.unwrap_or_else(|| all.shutdown(Duration::ZERO))
    }
}

/// Exporters get their spans from the store, if there is one.
enum Way {
    Stored(StoreProcessorBuilder),
    Direct(Vec<Arc<dyn SpanProcessor>>),
}

impl Way {
    fn to(self, exporter: impl SpanExporter, config: BatchConfig) -> Self {
        match self {
            Self::Stored(store) => Self::Stored(store.to_with(exporter, config)),
            Self::Direct(mut processors) => {
                processors.push(Arc::new(BatchProcessor::with_config(exporter, config)));
                Self::Direct(processors)
            }
        }
    }

    fn end(self, include_content: bool) -> Destinations {
        let (processors, store): (Vec<Arc<dyn SpanProcessor>>, _) = match self {
            Self::Stored(store) => {
                let store = Arc::new(store.build());
                (vec![Arc::clone(&store) as _], Some(store))
            }
            Self::Direct(processors) => (processors, None),
        };
        Destinations {
            processors: Some(processors),
            store,
            include_content,
        }
    }
}

/// The store that this run needs: to be kept, or until it is delivered over a network.
fn store(targets: &[TraceTarget], args: &KeepArgs, printer: &Printer) -> Option<TraceStore> {
    if args.no_store && !targets.iter().any(TraceTarget::is_remote) {
        return None;
    }
    let limits = StoreLimits {
        size: args.store_size,
        age: args.store_age,
    };
    match store::open(args.spool.as_deref()) {
        Ok(store) => Some(store.limits(limits)),
        Err(_) => {
            let advice = "--spool names a folder; --no-store does without";
            printer.warning(
                "traces are not kept: neither HOME nor XDG_STATE_HOME is set",
                Some(advice),
            );
            None
        }
    }
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
