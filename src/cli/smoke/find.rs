//! Which files are scripts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::cli::exit::Failure;

/// How the names of scripts end that are found in folders. Other files may be what scripts include.
const ENDING: &str = ".smoke.toml";

/// The scripts at these paths: files as they are, and of folders all scripts in them and below, by their names. Each once,
/// in the order of the paths.
pub fn scripts(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        // What is in this folder is known by its own name.
        let folder = path.strip_prefix(".").unwrap_or(path);
        search(folder, &mut found)
            .with_context(|| format!("cannot look for scripts in {}", path.display()))
            .map_err(Failure::usage)?;
        if found.len() == before {
            let message = format!("there is no `*{ENDING}` in {} or below", path.display());
            return Err(Failure::usage(anyhow!(message)));
        }
    }
    let mut known = Vec::new();
    found.retain(|path| {
        let is_new = !known.contains(path);
        known.push(path.clone());
        is_new
    });
    Ok(found)
}

/// Links to folders are not followed, so that none leads round in a circle; nor is what is hidden.
fn search(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let here = Path::new(".");
    let entries = fs::read_dir(if folder == Path::new("") { here } else { folder })?;
    let entries: io::Result<Vec<_>> = entries.collect();
    let mut entries = entries?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            search(&folder.join(entry.file_name()), found)?;
        } else if name.ends_with(ENDING) {
            found.push(folder.join(entry.file_name()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn found(folder: &Path, paths: &[&str]) -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|path| folder.join(path)).collect();
        let found = scripts(&paths).unwrap();
        let shown = |path: &PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        found.iter().map(shown).collect()
    }

    #[test]
    fn a_folder_stands_for_the_scripts_in_it_and_below() {
        let folder = folder(&[
            "b.smoke.toml",
            "a/x.smoke.toml",
            "a/shared.toml",
            ".git/y.smoke.toml",
            "agent.toml",
        ]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/round")).unwrap();
        assert_eq!(found(folder.path(), &["."]), ["a/x.smoke.toml", "b.smoke.toml"]);
    }

    #[test]
    fn a_file_is_taken_as_it_is_and_each_file_once() {
        let folder = folder(&["b.smoke.toml", "a/x.smoke.toml", "a/shared.toml"]);
        let paths = ["a/shared.toml", "b.smoke.toml", "", "b.smoke.toml"];
        assert_eq!(
            found(folder.path(), &paths),
            ["a/shared.toml", "b.smoke.toml", "a/x.smoke.toml"]
        );
    }

    #[test]
    fn a_folder_without_a_script_is_a_mistake() {
        let folder = folder(&["a/agent.toml"]);
        let failure = scripts(&[folder.path().join("a")]).unwrap_err();
        let Failure::Other { error, .. } = failure else {
            panic!("{failure:?}")
        };
        assert!(error.to_string().contains("*.smoke.toml"), "{error}");
    }
}
