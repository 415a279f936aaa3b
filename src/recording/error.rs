use std::io;
use std::path::PathBuf;

/// Why a line is no row of a recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is no JSON object.
    #[error("is not a JSON object: {0}")]
    NoObject(serde_json::Error),
    /// Its `from` is missing or unknown.
    #[error("does not say who sent it: `from` must be \"server\", \"client\" or \"recorder\"")]
    NoSide,
    /// It has no frame.
    #[error("holds no frame: it needs an object as its `event`, a `text`, or `base64`")]
    NoFrame,
    /// Its time is no time.
    #[error("has a bad time: `at_ms` is no number of milliseconds from 0 on")]
    BadTime,
    /// It has more than any frame can hold.
    #[error("is longer than any frame can be: {} MiB", limit >> 20)]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// It is no text.
    #[error("is not UTF-8")]
    NoText,
    /// It was written in a form that came later.
    #[error("is of version {0} of the format; this program reads version 1")]
    TooNew(u64),
    /// A recording holds one connection.
    #[error("opens a second connection; a recording to be replayed holds one")]
    SecondConnection,
}

/// Why a file is no recording that can be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// It can't be read.
    #[error("cannot read the recording {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A line is wrong.
    #[error("{}: line {line} {error}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1 on.
        line: usize,
        /// What is wrong with it.
        error: LineError,
    },
    /// It is larger than what is taken into memory.
    #[error("the recording {} is larger than {} MiB", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
    /// The server says nothing in it.
    #[error("the recording {} holds nothing from a server, so there is nothing to replay", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}
