//! `realtime-run traces clear`: removes runs.

use anyhow::Context;
use realtime_run::trace::{ClearOptions, Removed, TraceStore};

use crate::cli::args::ClearArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::size;
use crate::cli::trace::counted;

/// Removes what is asked for, and says what that was.
pub fn clear(store: &TraceStore, args: &ClearArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let options = ClearOptions {
        delivered: args.delivered,
        older_than: args.older_than,
    };
    let Removed {
        runs,
        bytes,
        undelivered,
        in_use,
    } = store
        .clear(options)
        .with_context(|| format!("cannot clear {}", store.dir().display()))
        .map_err(Failure::broken)?;
    let mut line = format!("removed {} ({})", counted(runs, "run"), size::show(bytes));
    if undelivered > 0 {
        line += &format!(
            ", and with them {} that waited to be sent",
            counted(undelivered, "item")
        );
    }
    if in_use > 0 {
        line += &format!("; left {} in use", counted(in_use, "run"));
    }
    printer.result(&line);
    Ok(ExitStatus::Success)
}
