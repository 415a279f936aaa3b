//! `realtime-run schema`: what agent files may hold.

use realtime_run::agent::AgentFile;

use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;

/// Prints the JSON Schema of agent files, as `agents/schema.json` has it.
pub fn schema(printer: &Printer) -> Result<ExitStatus, Failure> {
    let schema = serde_json::to_string_pretty(&AgentFile::schema()).map_err(Failure::broken)?;
    printer.result(&schema);
    Ok(ExitStatus::Success)
}
