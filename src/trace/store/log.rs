//! One run's file while this process holds it: appended to, marked, and read back.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::format::{Header, Mark};
use super::names;
use crate::trace::batch::Position;
use crate::trace::export::Item;

/// How often a new name is tried: somebody may look at the file between its making and its lock.
const TRIES: u32 = 5;

/// A run's file, locked by this process.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    end: Mutex<End>,
}

#[derive(Debug)]
struct End {
    /// What is written next.
    position: Position,
    /// Nothing more is to be written: a line was cut short and could not be taken back, or others may have the file.
    spoilt: bool,
}

/// Lines to be appended, with the place of each.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    starts: Vec<u64>,
}

impl Chunk {
    /// Starts anew with the room of before.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    pub(super) fn push(&mut self, item: &Item) -> io::Result<()> {
        let start = self.bytes.len();
        let written = serde_json::to_writer(&mut self.bytes, item);
        if let Err(error) = written {
            self.bytes.truncate(start);
            return Err(error.into());
        }
        self.bytes.push(b'\n');
        self.starts.push(start as u64);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The place of line `index` when the first one is at `first`.
    pub(super) fn place(&self, first: Position, index: usize) -> Position {
        Position {
            number: first.number + index as u64,
            offset: first.offset + self.starts.get(index).copied().unwrap_or_default(),
        }
    }
}

impl Log {
    /// Makes a file that no other process has, for its owner only, in a folder that is made as well.
    pub(super) fn create(dir: &Path, header: &Header) -> io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let path = dir.join(names::file_name(header.started_at, header.trace_id, tries));
            let made = OpenOptions::new()
                .read(true)
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let file = match made {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => continue,
                Err(error) => return Err(error),
            };
            match held(&file) {
                Ok(true) => return Self::begin(path, file, header),
                _ if tries >= TRIES => {
                    return Err(io::Error::other("another process does not leave its files alone"));
                }
                _ => _ = std::fs::remove_file(&path),
            }
        }
    }

    fn begin(path: PathBuf, file: File, header: &Header) -> io::Result<Self> {
        let log = Self::at(path, file, Position::default());
        let written = log.append_line(header);
        if written.is_err() {
            log.remove();
        }
        written.map(|()| log)
    }

    /// Opens a file that another run has left; `None` if a process holds it, or it is gone.
    pub(super) fn reopen(path: &Path) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(held(&file)?.then(|| Self::at(path.to_owned(), file, Position::default())))
    }

    fn at(path: PathBuf, file: File, position: Position) -> Self {
        Self {
            path,
            file,
            end: Mutex::new(End {
                position,
                spoilt: false,
            }),
        }
    }

    /// Says where the file ends, once that is known. What comes after it, a torn line, is cut off.
    pub(super) fn set_end(&self, end: Position) -> io::Result<()> {
        self.file.set_len(end.offset)?;
        self.end().position = end;
        Ok(())
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file ends.
    pub(super) fn position(&self) -> Position {
        self.end().position
    }

    /// Appends items, all or none. Tells where the first one is.
    pub(super) fn append(&self, lines: &Chunk) -> io::Result<Position> {
        self.write(&lines.bytes, lines.starts.len() as u64)
    }

    pub(super) fn mark(&self, mark: &Mark) -> io::Result<()> {
        self.append_line(mark)
    }

    fn append_line(&self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.write(&bytes, 0).map(|_| ())
    }

    fn write(&self, bytes: &[u8], items: u64) -> io::Result<Position> {
        let mut end = self.end();
        if end.spoilt {
            return Err(io::Error::other("the file takes no more"));
        }
        let first = end.position;
        if let Err(error) = (&self.file).write_all(bytes) {
            end.spoilt = self.file.set_len(first.offset).is_err();
            return Err(error);
        }
        end.position.offset += bytes.len() as u64;
        end.position.number += items;
        Ok(first)
    }

    /// Whole lines from an offset on.
    pub(super) fn lines_from(&self, offset: u64) -> impl BufRead {
        let from = ReadAt {
            file: &self.file,
            offset,
            end: self.position().offset,
        };
        BufReader::with_capacity(256 << 10, from)
    }

    /// Lets other processes have the file; this one writes no more to it.
    pub(super) fn release(&self) {
        self.end().spoilt = true;
        if let Err(error) = self.file.unlock() {
            tracing::debug!("{} could not be unlocked: {error}", self.path.display());
        }
    }

    /// Removes the file.
    pub(super) fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!("{} could not be removed: {error}", self.path.display());
        }
    }
}

/// Takes the lock. Says whether the file is ours now, and still has a name.
fn held(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Reads a file without moving the place where others read or write.
struct ReadAt<'a> {
    file: &'a File,
    offset: u64,
    end: u64,
}

impl io::Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..room], self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}
