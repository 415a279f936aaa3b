//! Reading text files that people wrote, within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The largest file that is read: 1 MiB.
const LIMIT: u64 = 1024 * 1024;

/// The text of a file, or why it can't be had, without its path.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    if path.is_dir() {
        return Err("it is a directory, not a file".to_owned());
    }
    let read = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "reading it is not permitted".to_owned(),
        _ => error.to_string(),
    })?;
    if bytes.len() as u64 > LIMIT {
        return Err("it is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8 text (line {line})")
    })
}
