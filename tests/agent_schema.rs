//! The JSON Schema of agent files: that the one in `agents/` is fresh, and that it says what loading says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use realtime_run::agent::AgentFile;
use serde_json::Value;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root(directory))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        // Scripts have a name of two parts.
        .filter(|path| path.with_extension("").extension().is_none())
        .collect()
}

/// Whether a file has the shape that the schema asks for; none if it is no TOML that JSON can hold.
fn fits(validator: &Validator, path: &Path) -> Option<bool> {
    let table: toml::Table = fs::read_to_string(path).unwrap().parse().ok()?;
    Some(validator.is_valid(&serde_json::to_value(table).unwrap()))
}

fn committed() -> Validator {
    let text = fs::read_to_string(root("agents/schema.json")).unwrap();
    jsonschema::draft202012::new(&serde_json::from_str::<Value>(&text).unwrap()).unwrap()
}

#[test]
fn the_schema_in_the_repository_is_fresh() {
    let fresh = serde_json::to_string_pretty(&AgentFile::schema()).unwrap() + "\n";
    let path = root("agents/schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == fresh,
        "agents/schema.json is stale: UPDATE_SCHEMA=1 cargo test --test agent_schema writes it anew"
    );
}

#[test]
fn the_examples_point_to_the_schema_and_follow_it() {
    let examples = files("agents");
    assert!(examples.len() >= 7, "only {} examples", examples.len());
    for path in examples {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#:schema ./schema.json\n"), "{}", path.display());
        assert_eq!(fits(&committed(), &path), Some(true), "{}", path.display());
    }
}

#[test]
fn the_schema_takes_good_files_and_refuses_files_of_a_bad_shape() {
    let validator = committed();
    for path in files("tests/agent_files/valid") {
        assert_eq!(fits(&validator, &path), Some(true), "{}", path.display());
    }
    let refused = files("tests/agent_files/invalid")
        .iter()
        .filter(|path| fits(&validator, path) == Some(false))
        .count();
    // The others are bad in what they mean, or no TOML at all.
    assert!(refused >= 25, "only {refused} bad files are refused");
    for name in ["unknown_keys", "http_bad", "agents_empty", "when_wrong_type"] {
        let path = root(&format!("tests/agent_files/invalid/{name}.toml"));
        if path.exists() {
            assert_eq!(fits(&validator, &path), Some(false), "{name}");
        }
    }
}
