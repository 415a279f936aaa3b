//! Traces and spans: what a run did, when, under what, and how it ended.
//!
//! In comes work, as calls on a [`Context`]; out go finished [`SpanRecord`]s, each exactly once, to the
//! processors of a [`Tracer`], and from there in batches to exporters. Nothing here knows sessions, agents or
//! the Realtime protocol.
//!
//! - A [`Tracer`] holds the processors; [`Tracer::disabled`] holds none and costs nothing (rule N1).
//! - A [`Trace`] is one workflow run: the root that spans belong to.
//! - A [`Context`] is a place in a trace: new spans hang under it. [`Context::scope`] makes it current for one
//!   future, wherever that future runs (rule P4); a context that records nothing is never made current (N3).
//! - What was written is read back as a [`TraceSet`], and looked at as a [`TraceTree`].
//! - [`TracerBuilder::include_content`] keeps what was said and done in the work out of every span;
//!   [`TracerBuilder::redact`] keeps out what matches a pattern.
//! - A [`Span`] is finished once: by [`Span::finish`] or by being dropped (L2).
//!
//! ```
//! use std::sync::Arc;
//! use realtime_run::trace::{Context, MemoryProcessor, SpanData, Tracer};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let memory = Arc::new(MemoryProcessor::default());
//! let tracer = Tracer::builder().processor(memory.clone()).build();
//! let trace = tracer.trace("Concierge").group_id("call-7").start();
//! trace
//!     .scope(async {
//!         let span = Context::current().span(SpanData::agent("Triage"));
//!         span.context().span(SpanData::function("get_weather")).finish();
//!     })
//!     .await;
//! let names: Vec<_> = memory.spans().iter().map(|span| span.data.label().into_owned()).collect();
//! assert_eq!(names, ["get_weather", "Triage"]);
//! # });
//! ```

mod batch;
mod context;
mod data;
mod export;
mod id;
pub mod keys;
mod memory;
mod processor;
mod read;
mod record;
mod redact;
mod set;
mod span;
mod store;
mod time;
mod tracer;
mod tree;
mod w3c;

pub use batch::{BatchConfig, BatchProcessor, Counts};
pub use context::Context;
pub use data::{AudioContent, SpanData, SpanError};
pub use export::{
    ExportDeadline, ExportError, InvalidEndpoint, InvalidOtlpConfig, Item, JsonLinesExporter, MAX_TRACES,
    OpenAiExporter, OtlpConfig, OtlpExporter, RetryPolicy, SpanExporter,
};
pub use id::{InvalidId, SpanId, TraceId};
pub use memory::MemoryProcessor;
pub use processor::{Loss, ShutdownReport, SpanProcessor};
pub use read::{TraceReader, UnreadableItem};
pub use record::{JsonMap, SpanRecord, TraceRecord};
pub use redact::{InvalidPattern, Redaction};
pub use set::TraceSet;
pub use span::Span;
pub use store::{
    ClearOptions, Delivery, Destination, Earlier, LaneReport, Removed, RunContent, StoreLimits,
    StoreProcessor, StoreProcessorBuilder, StoreReport, StoredRun, TraceStore, UnreadableRun,
};
pub use time::Timestamp;
pub use tracer::{Trace, TraceBuilder, Tracer, TracerBuilder};
pub use tree::{TraceTree, TreeNode, TreeSpan};
pub use w3c::{InvalidTraceparent, Traceparent};
