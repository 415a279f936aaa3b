//! `realtime-run check`: are these agent files right?

use realtime_run::agent::AgentFile;

use crate::cli::args::CheckArgs;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::Printer;

/// Checks every file, and tells every mistake of every one.
pub fn check(args: &CheckArgs, printer: &Printer) -> ExitStatus {
    let mut status = ExitStatus::Success;
    for path in &args.files {
        match AgentFile::load(path) {
            Ok(_) => printer.result(&format!("{}: OK", path.display())),
            Err(diagnostics) => {
                printer.failure(&diagnostics.into());
                status = ExitStatus::Usage;
            }
        }
    }
    status
}
