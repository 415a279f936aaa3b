//! `realtime-run traces`: looking at what runs have left.

mod html;
mod page;
mod show;
mod source;

use crate::cli::args::TracesCommand;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;

/// Does what is asked for with traces.
pub fn traces(command: &TracesCommand, printer: &Printer) -> Result<ExitStatus, Failure> {
    match command {
        TracesCommand::Show(args) => show::show(args, printer),
        TracesCommand::Html(args) => html::html(args, printer),
    }
}
