//! JSON lines: one object per trace and finished span, on any writer.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::{ExportDeadline, ExportError, Item, SpanExporter};

/// Writes one line of JSON per trace and finished span, the same objects as the traces endpoint takes, complete:
/// nothing is left out or cut short.
///
/// The writer is the caller's choice; standard output is `JsonLinesExporter::new("stdout", std::io::stdout())`.
#[derive(Debug)]
pub struct JsonLinesExporter<W> {
    name: String,
    writer: Mutex<W>,
}

impl<W: Write + Send + 'static> JsonLinesExporter<W> {
    /// Writes to `writer`, which is flushed after each batch. `name` is what reports call it.
    pub fn new(name: impl Into<String>, writer: W) -> Self {
        Self {
            name: name.into(),
            writer: Mutex::new(writer),
        }
    }

    fn write(&self, batch: &[Item]) -> std::io::Result<()> {
        let mut lines = Vec::with_capacity(256 * batch.len());
        for item in batch {
            serde_json::to_writer(&mut lines, item)?;
            lines.push(b'\n');
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(&lines)?;
        writer.flush()
    }
}

impl<W: Write + Send + 'static> SpanExporter for JsonLinesExporter<W> {
    fn name(&self) -> &str {
        &self.name
    }

    async fn export(&self, batch: Vec<Item>, _deadline: ExportDeadline) -> Result<(), ExportError> {
        // A pipe that nobody reads blocks here, on the export thread: the processor's shutdown does not wait for it.
        self.write(&batch)
            .map_err(|error| ExportError::new(format!("cannot write: {error}"), batch.len()))
    }
}
