//! Which trace store is meant.

use std::env;
use std::path::Path;

use anyhow::anyhow;
use realtime_run::trace::TraceStore;

use crate::cli::exit::Failure;

/// The store in a folder, by default in the user's own.
pub fn open(spool: Option<&Path>) -> Result<TraceStore, Failure> {
    spool
        .map(Path::to_owned)
        .or_else(|| TraceStore::default_dir(|name| env::var_os(name)))
        .map(TraceStore::new)
        .ok_or_else(|| {
            Failure::usage(anyhow!(
                "neither HOME nor XDG_STATE_HOME is set: say with --spool where the trace store is"
            ))
        })
}
