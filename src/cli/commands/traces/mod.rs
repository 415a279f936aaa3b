//! `realtime-run traces`: what can be done with the traces that were kept, a file for each.

mod clear;
mod html;
mod list;
mod page;
mod resend;
mod show;
mod source;

use crate::cli::args::{TracesArgs, TracesCommand};
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::trace::open_store;

/// Does what is asked for.
pub fn traces(args: &TracesArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let spool = args.store.spool.as_deref();
    match &args.command {
        TracesCommand::List(args) => list::list(&open_store(spool)?, args, printer),
        TracesCommand::Show(args) => show::show(args, spool, printer),
        TracesCommand::Html(args) => html::html(args, spool, printer),
        TracesCommand::Resend(args) => resend::resend(&open_store(spool)?, args, printer),
        TracesCommand::Clear(args) => clear::clear(&open_store(spool)?, args, printer),
    }
}
