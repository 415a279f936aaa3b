//! Keeping the store within its bounds, and clearing it.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::leftover::Scan;
use super::log::Log;
use super::names;
use super::{StoreLimits, TraceStore};

/// What was removed from a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Runs.
    pub runs: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Items in them that had not got to where they were to go.
    pub undelivered: u64,
    /// Runs that had to stay because a process has them in hand.
    pub in_use: u64,
}

/// Which runs are to be cleared away.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearOptions {
    /// Only those of which nothing is still to be sent.
    pub delivered: bool,
    /// Only those whose last change is at least this long ago.
    pub older_than: Option<Duration>,
}

/// A file with what its removal depends on.
struct Candidate {
    path: std::path::PathBuf,
    bytes: u64,
    age: Duration,
}

impl TraceStore {
    /// Removes runs, except those that a process has in hand.
    ///
    /// # Errors
    /// If the folder can't be read, or a file can't be removed.
    pub fn clear(&self, options: ClearOptions) -> io::Result<Removed> {
        let mut removed = Removed::default();
        for file in self.removable()? {
            if options.older_than.is_none_or(|limit| file.age >= limit) {
                removed.remove(&file, options.delivered)?;
            }
        }
        Ok(removed)
    }

    /// Removes what is over the limits, oldest first.
    pub(super) fn prune(&self) -> io::Result<Removed> {
        let StoreLimits { size, age } = self.limits;
        let files = self.removable()?;
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let mut removed = Removed::default();
        for file in files {
            if bytes > size || file.age > age {
                let before = removed.bytes;
                removed.remove(&file, false)?;
                bytes -= removed.bytes - before;
            }
        }
        Ok(removed)
    }

    fn removable(&self) -> io::Result<Vec<Candidate>> {
        let now = SystemTime::now();
        let candidate = |path: std::path::PathBuf| {
            let metadata = path.metadata().ok()?;
            let age = now.duration_since(metadata.modified().ok()?);
            names::is_file_name(&path).then_some(Candidate {
                path,
                bytes: metadata.len(),
                age: age.unwrap_or_default(),
            })
        };
        Ok(self.files()?.into_iter().filter_map(candidate).collect())
    }
}

impl Removed {
    fn remove(&mut self, file: &Candidate, only_delivered: bool) -> io::Result<()> {
        let Some(log) = Log::reopen(&file.path)? else {
            self.in_use += u64::from(file.path.exists());
            return Ok(());
        };
        let undelivered = undelivered(&file.path);
        if only_delivered && undelivered > 0 {
            return Ok(());
        }
        std::fs::remove_file(log.path())?;
        self.runs += 1;
        self.bytes += file.bytes;
        self.undelivered += undelivered;
        Ok(())
    }

    pub(super) fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.bytes += other.bytes;
        self.undelivered += other.undelivered;
        self.in_use = other.in_use;
    }
}

/// Of a file that can't be read, nothing is known.
fn undelivered(path: &Path) -> u64 {
    let scan = Scan::read(path).ok().flatten();
    scan.map_or(0, |scan| scan.pending())
}
