//! What can be asked of the traces that were kept.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct TracesArgs {
    #[command(subcommand)]
    pub command: TracesCommand,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Debug, Subcommand)]
pub enum TracesCommand {
    /// List the runs, the last one at the end
    List(ListArgs),
}

/// Which store is meant.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// The folder of the trace store [default: REALTIME_RUN_SPOOL, else realtime-run in XDG_STATE_HOME or
    /// ~/.local/state]
    #[arg(long, global = true, value_name = "DIR")]
    pub spool: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print one JSON object per run
    #[arg(long)]
    pub json: bool,
}
