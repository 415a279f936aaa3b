//! `realtime-run schema`: what the files may hold that people write, and those that programs read.

use realtime_run::agent::AgentFile;
use realtime_run::script::Script;
use realtime_run::simulator::Scenario;

use crate::cli::args::{FileKind, SchemaArgs};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::smoke;

/// Prints the JSON Schema of a kind of file, as the one beside its examples has it.
pub fn schema(args: &SchemaArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let schema = match args.kind {
        FileKind::Agent => AgentFile::schema(),
        FileKind::Scenario => Scenario::schema(),
        FileKind::Script => Script::schema(),
        FileKind::Report => smoke::report_schema(),
    };
    let schema = serde_json::to_string_pretty(&schema).map_err(Failure::broken)?;
    printer.result(&schema);
    Ok(ExitStatus::Success)
}
