//! Files of the kinds that people write, and the schemas of them that the repository holds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

/// A path from the project's root.
pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The TOML files of a folder, by their names.
pub fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root(directory)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "toml"));
    files.sort();
    files
}

/// The schema in a file of the repository.
pub fn committed_schema(path: &str) -> Validator {
    let text = fs::read_to_string(root(path)).unwrap();
    jsonschema::draft202012::new(&serde_json::from_str::<Value>(&text).unwrap()).unwrap()
}

/// Whether a file has the shape that the schema asks for; none if it is no TOML.
pub fn fits(validator: &Validator, path: &Path) -> Option<bool> {
    let table: toml::Table = fs::read_to_string(path).unwrap().parse().ok()?;
    Some(validator.is_valid(&serde_json::to_value(table).unwrap()))
}

/// The file of the repository is what `schema` says; with `UPDATE_SCHEMA` set it is written anew.
pub fn assert_fresh(path: &str, schema: &Value, test: &str) {
    let fresh = serde_json::to_string_pretty(schema).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(root(path), &fresh).unwrap();
    }
    assert!(
        fs::read_to_string(root(path)).unwrap_or_default() == fresh,
        "{path} is stale: UPDATE_SCHEMA=1 cargo test --test {test} writes it anew"
    );
}
