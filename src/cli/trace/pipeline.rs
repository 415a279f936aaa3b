//! The way of a run's spans: into memory and the store, and from there to each place that they go to.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::Secret;
use realtime_run::trace::{
    BatchConfig, BatchProcessor, MemoryProcessor, Redaction, SpanExporter, StoreLimits, StoreProcessor,
    StoreProcessorBuilder, TraceStore, Tracer, TracerBuilder,
};

use super::targets::TraceTarget;
use super::{exporters, store};
use crate::cli::args::{KeepArgs, RunArgs};
use crate::cli::exit::Failure;
use crate::cli::printer::Printer;

/// How long a span waits for company before it is written to stdout or a file: someone may be watching.
const LINE_DELAY: Duration = Duration::from_millis(50);

/// What a run's spans go through. By default: nothing, and nowhere.
#[derive(Default)]
pub struct Pipeline {
    pub tracer: Tracer,
    pub store: Option<Arc<StoreProcessor>>,
}

impl Pipeline {
    pub fn build(
        targets: &[TraceTarget],
        args: &RunArgs,
        redaction: Redaction,
        key: Option<Secret>,
        printer: &Printer,
        memory: &Arc<MemoryProcessor>,
    ) -> Result<Self, Failure> {
        let tracer = Tracer::builder()
            .redact(redaction)
            .include_content(!args.trace.no_trace_content && environment_includes_content())
            .processor(Arc::clone(memory));
        let mut way = match store(targets, &args.keep, printer) {
            Some(store) => Way::Stored(StoreProcessor::builder(store).keep(!args.keep.no_store), tracer),
            None => Way::Direct(tracer),
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
        Ok(way.build())
    }
}

/// Exporters get their spans from the store, if there is one.
enum Way {
    Stored(StoreProcessorBuilder, TracerBuilder),
    Direct(TracerBuilder),
}

impl Way {
    fn to(self, exporter: impl SpanExporter, config: BatchConfig) -> Self {
        match self {
            Self::Stored(store, tracer) => Self::Stored(store.to_with(exporter, config), tracer),
            Self::Direct(tracer) => {
                Self::Direct(tracer.processor(BatchProcessor::with_config(exporter, config)))
            }
        }
    }

    fn build(self) -> Pipeline {
        match self {
            Self::Stored(store, tracer) => {
                let store = Arc::new(store.build());
                Pipeline {
                    tracer: tracer.processor(Arc::clone(&store)).build(),
                    store: Some(store),
                }
            }
            Self::Direct(tracer) => Pipeline {
                tracer: tracer.build(),
                store: None,
            },
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
