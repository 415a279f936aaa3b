//! The store: a folder with a file for each traced run, from which nothing is lost and traces are looked at.
//!
//! In come traces and finished spans, through a [`StoreProcessor`]; out go items to exporters, and whole runs to whoever
//! looks at them. A file is JSON lines (see `format`), only ever appended to; whoever writes to one holds its lock, which
//! the system releases when the process ends, however it ends.

mod backlog;
mod bounds;
mod format;
mod intake;
mod lane;
mod leftover;
mod log;
mod names;
mod processor;
mod run;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use bounds::{ClearOptions, Removed};
pub use format::Destination;
pub use lane::Earlier;
pub use processor::{LaneReport, StoreProcessor, StoreProcessorBuilder, StoreReport};
pub use run::{Delivery, RunContent, StoredRun, UnreadableRun};

/// How the names of runs' files end.
const EXTENSION: &str = "jsonl";

/// A folder of runs' files. Cheap to clone; making one touches no file.
///
/// ```no_run
/// use realtime_run::trace::{Item, TraceStore};
///
/// let store = TraceStore::new(TraceStore::default_dir(|name| std::env::var_os(name)).expect("a home"));
/// if let Some(last) = store.runs()?.last() {
///     let content = last.read()?;
///     let spans = content.items.iter().filter(|item| matches!(item, Item::Span(_)));
///     println!("{}: {} spans", last.trace_id(), spans.count());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceStore {
    dir: PathBuf,
    limits: StoreLimits,
}

/// How much a store keeps. What is over it goes, oldest runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Bytes of all files together.
    pub size: u64,
    /// How long after its last change a run is kept.
    pub age: Duration,
}

impl Default for StoreLimits {
    /// 64 MiB and 7 days.
    fn default() -> Self {
        Self {
            size: 64 << 20,
            age: Duration::from_secs(7 * 86_400),
        }
    }
}

impl TraceStore {
    /// The store in a folder, which is made when the first run is written.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            limits: StoreLimits::default(),
        }
    }

    /// Sets how much it keeps.
    pub fn limits(mut self, limits: StoreLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The folder for a user by the environment: `REALTIME_RUN_SPOOL`, else `$XDG_STATE_HOME/realtime-run`, else
    /// `$HOME/.local/state/realtime-run`. `None` if the environment tells nothing of the kind.
    pub fn default_dir(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
        let path = |name| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        // The XDG rules: a path there that is not absolute is to be ignored.
        let absolute = |name| path(name).filter(|path| path.is_absolute());
        path("REALTIME_RUN_SPOOL").or_else(|| {
            absolute("XDG_STATE_HOME")
                .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
                .map(|state| state.join("realtime-run"))
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All runs that can be read, in the order in which they started; none if the folder does not exist.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn runs(&self) -> io::Result<Vec<StoredRun>> {
        Ok(self.listing()?.0)
    }

    /// All runs, and the files among them that can't be read. Other files in the folder are left out.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn listing(&self) -> io::Result<(Vec<StoredRun>, Vec<UnreadableRun>)> {
        let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
        for path in self.files()? {
            match StoredRun::open(path) {
                Ok(run) => runs.push(run),
                // Another process has just removed it.
                Err(gone) if !gone.path.exists() => {}
                Err(other) => unreadable.push(other),
            }
        }
        runs.sort_by_key(|run| (run.started_at(), run.trace_id()));
        Ok((runs, unreadable))
    }

    /// The files that are named as runs' files are, in the order of their names, and so of their runs.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
            .collect();
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_found_by_the_environment() {
        let dir = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(known, _)| *known == name);
            TraceStore::default_dir(|name| value(name).map(|(_, value)| value.into()))
        };
        let home = ("HOME", "/home/ada");
        assert_eq!(dir(&[]), None);
        assert_eq!(dir(&[home]), Some("/home/ada/.local/state/realtime-run".into()));
        let state = ("XDG_STATE_HOME", "/state");
        assert_eq!(dir(&[home, state]), Some("/state/realtime-run".into()));
        assert_eq!(
            dir(&[home, ("XDG_STATE_HOME", "relative")]),
            dir(&[home]),
            "as the XDG rules say"
        );
        let own = ("REALTIME_RUN_SPOOL", "here");
        assert_eq!(dir(&[home, state, own]), Some("here".into()));
        assert_eq!(dir(&[home, ("REALTIME_RUN_SPOOL", "")]), dir(&[home]));
    }
}
