//! A file that is whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that will be written. A regular file is written under another name beside it, and takes its place when it is
/// whole; anything else, such as a pipe, is written to as it is.
#[derive(Debug)]
pub struct Target {
    /// As it was asked for.
    path: PathBuf,
    /// Without links on the way.
    real: PathBuf,
    file: File,
    /// The other name, until it has taken the place.
    draft: Option<PathBuf>,
}

impl Target {
    /// Begins one.
    ///
    /// # Errors
    /// Why it can't be written.
    pub fn prepare(path: &Path) -> io::Result<Self> {
        let real = real(path)?;
        let existing = fs::metadata(&real).ok();
        if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (file, draft) = if existing.is_none_or(|existing| existing.is_file()) {
            let draft = beside(&real);
            let file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
            (file, Some(draft))
        } else {
            (OpenOptions::new().write(true).open(&real)?, None)
        };
        Ok(Self {
            path: path.to_owned(),
            real,
            file,
            draft,
        })
    }

    /// The file, as it was asked for.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether both are the same file.
    pub fn is_same(&self, other: &Self) -> bool {
        self.draft.is_some() && self.real == other.real
    }

    /// Writes it, and puts it in its place.
    ///
    /// # Errors
    /// Why that failed; what was there before is still there.
    pub fn write(mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.flush()?;
        if let Some(draft) = &self.draft {
            self.file.sync_all()?;
            fs::rename(draft, &self.real)?;
            self.draft = None;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            // If it can't be removed, it stays as what it is called.
            let _ = fs::remove_file(draft);
        }
    }
}

/// The path without links: of a file that is not there yet, that of its folder.
fn real(path: &Path) -> io::Result<PathBuf> {
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), "its folder does not exist"),
        _ => error,
    })?;
    Ok(folder.join(name))
}

/// The name of a draft: hidden, and of this process alone.
fn beside(real: &Path) -> PathBuf {
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let id = fastrand::u64(..);
    real.with_file_name(format!(".{name}.{id:016x}.part"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_keeps_what_it_has_until_the_new_one_is_whole() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        drop(Target::prepare(&path).unwrap());
        assert_eq!(names(&folder), ["report.json"]);
        let target = Target::prepare(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        target.write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(&folder), ["report.json"]);
    }

    #[test]
    fn what_cannot_be_written_is_told_at_once() {
        let folder = TempDir::new().unwrap();
        let told = |path: PathBuf| Target::prepare(&path).unwrap_err().to_string();
        assert_eq!(
            told(folder.path().join("none/report.json")),
            "its folder does not exist"
        );
        assert_eq!(told(folder.path().to_owned()), "is a directory");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(told(file.join("report.json")).contains("ot a directory"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_a_device_is_not_replaced() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = TempDir::new().unwrap();
        let [link, file] = ["link.json", "file.json"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        Target::prepare(&link).unwrap().write("new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let nowhere = Path::new("/dev/null");
        Target::prepare(nowhere).unwrap().write("all").unwrap();
        assert!(fs::metadata(nowhere).unwrap().file_type().is_char_device());
    }
}
