//! Where the trace is that someone wants to look at.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use anyhow::{Context, anyhow};
use realtime_run::trace::{TraceId, TraceSet, TraceTree};

use crate::cli::args::TraceSourceArgs;
use crate::cli::exit::Failure;
use crate::cli::printer::Printer;

/// The trace that is asked for.
pub fn tree(args: &TraceSourceArgs, printer: &Printer) -> Result<TraceTree, Failure> {
    let path = args.trace.as_deref().unwrap_or_default();
    let set = read(Path::new(path), printer)?;
    let ids: Vec<_> = set.traces().map(|trace| trace.id).collect();
    let id = match &args.trace_id {
        Some(prefix) => one_of(&ids, prefix).with_context(|| format!("--trace-id {prefix}, in {path}")),
        None => ids.last().copied().context(format!(
            "{path} holds no trace: none of its lines is one as --trace stdout or --trace file= writes it"
        )),
    };
    let id = id.map_err(Failure::usage)?;
    if args.trace_id.is_none() && ids.len() > 1 {
        printer.note(&format!(
            "{path} holds {} traces; this is the last. --trace-id takes another:",
            ids.len()
        ));
    }
    set.tree(id).context("the trace is gone").map_err(Failure::broken)
}

/// The traces of a file.
fn read(path: &Path, printer: &Printer) -> Result<TraceSet, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        let is_wrong = error.kind() == ErrorKind::NotFound;
        let error = anyhow::Error::new(error).context(format!("cannot read {shown}"));
        if is_wrong {
            Failure::usage(error)
        } else {
            Failure::broken(error)
        }
    })?;
    let set = TraceSet::read(BufReader::new(file))
        .with_context(|| format!("cannot read {shown}"))
        .map_err(Failure::broken)?;
    if let Some((line, error)) = set.first_unreadable() {
        let others = match set.unreadable() - 1 {
            0 => String::new(),
            others => format!(" ({others} more are not, too)"),
        };
        printer.warning(
            &format!("line {line} of {shown} is left out: {error}{others}"),
            None,
        );
    }
    Ok(set)
}

/// The one whose id begins so.
fn one_of(ids: &[TraceId], prefix: &str) -> anyhow::Result<TraceId> {
    let prefix = prefix.trim_start_matches("trace_");
    let begins = |id: &&TraceId| id.to_string()["trace_".len()..].starts_with(prefix);
    let found: Vec<_> = ids.iter().filter(begins).collect();
    match found[..] {
        [id] => Ok(*id),
        [] => Err(anyhow!("there is no such trace")),
        _ => Err(anyhow!("{} traces begin so", found.len())),
    }
}
