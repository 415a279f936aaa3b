//! Where the trace is that someone wants to look at.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use realtime_run::trace::{StoredRun, TraceId, TraceSet, TraceTree};

use crate::cli::args::ShowArgs;
use crate::cli::exit::Failure;
use crate::cli::printer::Printer;
use crate::cli::trace::open_store;

/// Ids that a message names at the most.
const NAMED: usize = 5;

/// The trace that is asked for: of a file, or of the store in the folder `spool`.
pub fn tree(args: &ShowArgs, spool: Option<&Path>, printer: &Printer) -> Result<TraceTree, Failure> {
    let file = args.trace.as_deref().map(Path::new).filter(|path| path.exists());
    match file {
        Some(path) => {
            let set = read(path, printer)?;
            let other = "--trace-id takes another";
            of_set(&set, path, args.trace_id.as_deref(), other, printer)
        }
        None => {
            let (run, id) = stored_run(args, spool)?;
            let set = read(run.path(), printer)?;
            let id = id.map(|id| id.to_string());
            let other = "by its id, which `traces list` tells, another is taken";
            of_set(&set, run.path(), id.as_deref(), other, printer)
        }
    }
}

/// The last run in the store, or the one with the trace whose id begins as it is said, and that trace.
fn stored_run(args: &ShowArgs, spool: Option<&Path>) -> Result<(StoredRun, Option<TraceId>), Failure> {
    let store = open_store(spool)?;
    let dir = store.dir().display().to_string();
    let mut runs = store
        .runs()
        .with_context(|| format!("cannot read {dir}"))
        .map_err(Failure::broken)?;
    let Some(name) = &args.trace else {
        let none = || anyhow!("no traces are kept in {dir}");
        let last = runs.pop().ok_or_else(none).map_err(Failure::usage)?;
        return Ok((last, None));
    };
    if args.trace_id.is_some() || PathBuf::from(name).components().count() > 1 {
        return Err(Failure::usage(anyhow!("there is no file {name}")));
    }
    let mut ids: Vec<_> = runs.iter().map(StoredRun::trace_id).collect();
    ids.sort_unstable();
    ids.dedup();
    // Most runs have one trace, by which they are named: then no other file has to be read.
    let id = match one_of(&ids, name) {
        Err(_) => {
            ids = runs.iter().flat_map(traces).collect();
            one_of(&ids, name)
        }
        found => found,
    };
    let id = id
        .with_context(|| format!("`{name}` is no file and no trace in {dir}"))
        .map_err(Failure::usage)?;
    let has_it = |run: &StoredRun| run.trace_id() == id || traces(run).contains(&id);
    let run = runs.into_iter().rfind(has_it);
    let run = run.context("the run is gone").map_err(Failure::broken)?;
    Ok((run, Some(id)))
}

/// The traces of a run, as far as it can be read.
fn traces(run: &StoredRun) -> Vec<TraceId> {
    let set = File::open(run.path()).and_then(|file| TraceSet::read(BufReader::new(file)));
    let set = set.unwrap_or_default();
    set.traces().map(|trace| trace.id).collect()
}

/// The traces of a file. It may be as long as it likes, and hold whatever it likes.
fn read(path: &Path, printer: &Printer) -> Result<TraceSet, Failure> {
    let shown = path.display();
    let set = File::open(path)
        .and_then(|file| TraceSet::read(BufReader::new(file)))
        .map_err(|error| {
            let is_wrong = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory);
            let error = anyhow::Error::new(error).context(format!("cannot read {shown}"));
            if is_wrong {
                Failure::usage(error)
            } else {
                Failure::broken(error)
            }
        })?;
    if let Some((line, error)) = set.first_unreadable() {
        let others = match set.unreadable() - 1 {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        printer.warning(&format!("left out line {line} of {shown}: {error}{others}"), None);
    }
    Ok(set)
}

/// The last trace of a file, or the one whose id begins as it is said; `other` tells how to get at another.
fn of_set(
    set: &TraceSet,
    path: &Path,
    prefix: Option<&str>,
    other: &str,
    printer: &Printer,
) -> Result<TraceTree, Failure> {
    let path = path.display();
    let ids: Vec<_> = set.traces().map(|trace| trace.id).collect();
    let id = match (prefix, ids.last()) {
        (_, None) => Err(anyhow!(
            "{path} holds no trace: none of its lines is one as `--trace file=PATH` and `--trace stdout` write them"
        )),
        (Some(prefix), _) => {
            one_of(&ids, prefix).with_context(|| format!("`{prefix}` is no trace in {path}"))
        }
        (None, Some(last)) => Ok(*last),
    };
    let id = id.map_err(Failure::usage)?;
    if prefix.is_none() && ids.len() > 1 {
        let count = ids.len();
        printer.note(&format!(
            "{path} holds {count} traces, of which this is the last: {other}"
        ));
    }
    set.tree(id).context("the trace is gone").map_err(Failure::broken)
}

/// The one whose id begins so, with `trace_` or without.
fn one_of(ids: &[TraceId], prefix: &str) -> anyhow::Result<TraceId> {
    let digits = prefix.strip_prefix("trace_").unwrap_or(prefix);
    let begins = |id: &&TraceId| id.to_string()["trace_".len()..].starts_with(digits);
    let found: Vec<_> = ids.iter().filter(begins).collect();
    match found[..] {
        [id] => Ok(*id),
        [] => Err(anyhow!("no id begins so")),
        _ => {
            let named = found.iter().take(NAMED).map(ToString::to_string);
            let named = named.collect::<Vec<_>>().join(", ");
            let more = if found.len() > NAMED { ", …" } else { "" };
            Err(anyhow!("{} ids begin so: {named}{more}", found.len()))
        }
    }
}
