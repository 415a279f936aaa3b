//! `realtime-run traces`: what can be done with the traces that were kept, a file for each.

mod list;

use crate::cli::args::{TracesArgs, TracesCommand};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::trace::open_store;

/// Does what is asked for.
pub fn traces(args: &TracesArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let store = open_store(args.store.spool.as_deref())?;
    match &args.command {
        TracesCommand::List(args) => list::list(&store, args, printer),
    }
}
