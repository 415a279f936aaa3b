//! What can be asked of the traces that were kept.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use realtime_run::trace::TraceId;

use crate::cli::duration;
use crate::cli::trace::TraceTarget;

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
    /// Draw a trace in the terminal: a line for each span, with a bar to scale
    Show(ShowArgs),
    /// Write a trace as a page for a browser, in one file that needs no network
    Html(HtmlArgs),
    /// Send what could not be delivered
    Resend(ResendArgs),
    /// Remove runs, except those that go on
    Clear(ClearArgs),
}

/// Which trace to look at.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The trace's id or how it begins, or a file of --trace file=PATH or --trace stdout [default: the last run]
    #[arg(value_name = "TRACE|FILE")]
    pub trace: Option<String>,
    /// Of a file with several traces, the one whose id begins so [default: the last]
    #[arg(long, value_name = "ID", requires = "trace")]
    pub trace_id: Option<String>,
}

#[derive(Debug, Args)]
pub struct HtmlArgs {
    #[command(flatten)]
    pub source: ShowArgs,
    /// The page's file, `-` for stdout [default: the trace's id with .html]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Which store is meant.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// The folder of the trace store [default: REALTIME_RUN_SPOOL, else realtime-run in XDG_STATE_HOME or
    /// ~/.local/state]
    // An id of its own: a global value reaches the arguments of a run as well, where it would be out of place.
    #[arg(id = "store", long = "spool", global = true, value_name = "DIR")]
    pub spool: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print one JSON object per run
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ResendArgs {
    /// The traces [default: all of which something waits]
    #[arg(value_name = "TRACE_ID")]
    pub traces: Vec<TraceId>,
    /// Send here only (repeatable); traces that are named are sent here even if they were not meant to be
    #[arg(long, value_name = "TARGET")]
    pub to: Vec<TraceTarget>,
    /// Where `--to` sends, instead of where it would by default
    #[arg(long, value_name = "URL", requires = "to")]
    pub trace_endpoint: Option<String>,
    /// How long it may take, as 30s or 2m [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct ClearArgs {
    /// Only runs of which nothing waits to be sent
    #[arg(long)]
    pub delivered: bool,
    /// Only runs of before that time, as 12h or 2d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub older_than: Option<Duration>,
}
