use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::{Entry, LineError, RecordingError, Row, Side};

/// The largest file taken into memory: some hours of speech.
const MAX_FILE: usize = 1 << 30;
/// The longest line taken into memory: the largest frame that a client takes, and half as much for escapes.
const MAX_LINE: u64 = 96 << 20;

/// A recorded session.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Its rows, each with the number of its line, from 1 on.
    pub rows: Vec<(usize, Row)>,
    /// The last line broke off, as when the recording program was killed; it is left out.
    pub is_torn: bool,
}

impl Recording {
    /// Reads a recording from a file.
    ///
    /// # Errors
    /// When the file can't be read, is larger than 1 GiB, has a line that is no row, or has none of a server.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        let unreadable = |error| RecordingError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let file = File::open(path).map_err(unreadable)?;
        let recording = read(BufReader::new(file)).map_err(|error| match error {
            ReadError::Io(error) => unreadable(error),
            ReadError::TooLarge => RecordingError::TooLarge {
                path: path.to_owned(),
                limit: MAX_FILE,
            },
            ReadError::Line(line, error) => RecordingError::Line {
                path: path.to_owned(),
                line,
                error,
            },
        })?;
        if recording.is_silent() {
            return Err(RecordingError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(recording)
    }

    fn is_silent(&self) -> bool {
        let is_from_server = |(_, row): &(usize, Row)| {
            matches!(
                row.entry,
                Entry::Frame {
                    from: Side::Server,
                    ..
                }
            )
        };
        !self.rows.iter().any(is_from_server)
    }
}

#[derive(Debug)]
enum ReadError {
    Io(io::Error),
    TooLarge,
    Line(usize, LineError),
}

fn read(mut input: impl BufRead) -> Result<Recording, ReadError> {
    let mut recording = Recording {
        rows: Vec::new(),
        is_torn: false,
    };
    let mut is_open = false;
    let mut total = 0;
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let mut line = input.by_ref().take(MAX_LINE);
        let length = line.read_until(b'\n', &mut bytes).map_err(ReadError::Io)?;
        total += length;
        if length == 0 {
            break;
        } else if line.limit() == 0 {
            return Err(ReadError::Line(number, LineError::TooLong { limit: MAX_LINE }));
        } else if total > MAX_FILE {
            return Err(ReadError::TooLarge);
        }
        let row = match std::str::from_utf8(&bytes) {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => Row::from_line(line.trim()),
            Err(_) => Err(LineError::NoText),
        };
        match row {
            Ok(Row {
                entry: Entry::Opened { .. },
                ..
            }) if std::mem::replace(&mut is_open, true) => {
                return Err(ReadError::Line(number, LineError::SecondConnection));
            }
            Ok(row) => recording.rows.push((number, row)),
            // Written in part when the end came: nothing of a good file but its last line lacks its break.
            Err(LineError::NoObject(_) | LineError::NoText)
                if !bytes.ends_with(b"\n") && !recording.rows.is_empty() =>
            {
                recording.is_torn = true;
            }
            Err(error) => return Err(ReadError::Line(number, error)),
        }
    }
    Ok(recording)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"from": "server", "event": {"type": "session.created"}}"#;

    fn lines(text: &str) -> Vec<usize> {
        let recording = read(text.as_bytes()).unwrap();
        recording.rows.iter().map(|(line, _)| *line).collect()
    }

    #[test]
    fn blank_lines_count_and_are_passed_over() {
        assert_eq!(lines(&format!("{ROW}\n\n{ROW}\r\n{ROW}")), [1, 3, 4]);
    }

    #[test]
    fn a_torn_last_line_is_left_out() {
        for torn in [
            &ROW.as_bytes()[..20],
            "{\"from\": \"server\", \"text\": \"é".as_bytes(),
        ] {
            let torn = &torn[..torn.len() - 1];
            let recording = read([ROW.as_bytes(), b"\n", torn].concat().as_slice()).unwrap();
            assert_eq!((recording.rows.len(), recording.is_torn), (1, true));
        }
    }

    #[test]
    fn a_bad_line_elsewhere_is_told_with_its_number() {
        for text in [
            format!("{ROW}\n{{\n{ROW}\n"),
            format!("{ROW}\n{{\n"),
            format!("{ROW}\n{{}}"),
        ] {
            assert!(
                matches!(read(text.as_bytes()), Err(ReadError::Line(2, _))),
                "{text}"
            );
        }
        assert!(matches!(
            read(&b"no recording"[..]),
            Err(ReadError::Line(1, LineError::NoObject(_)))
        ));
    }
}
