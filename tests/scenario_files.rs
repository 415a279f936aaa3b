//! Scenario files, good and bad, from `tests/scenario_files/` and `scenarios/`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use realtime_run::simulator::Scenario;
use serde_json::Value;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root(directory)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "toml"));
    // Scripts have a name of two parts.
    files.retain(|path| path.with_extension("").extension().is_none());
    files.sort();
    files
}

fn committed_schema() -> Validator {
    let text = fs::read_to_string(root("scenarios/schema.json")).unwrap();
    jsonschema::draft202012::new(&serde_json::from_str::<Value>(&text).unwrap()).unwrap()
}

/// Whether a file has the shape that the schema asks for; none if it is no TOML.
fn fits(validator: &Validator, path: &Path) -> Option<bool> {
    let table: toml::Table = fs::read_to_string(path).unwrap().parse().ok()?;
    Some(validator.is_valid(&serde_json::to_value(table).unwrap()))
}

#[test]
fn every_mistake_is_explained() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("scenario_files/invalid");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for path in files("tests/scenario_files/invalid") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let mistakes = Scenario::parse(name, &fs::read_to_string(&path).unwrap())
            .expect_err(&format!("{name} is meant to be bad"));
        let stem = path.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(stem, mistakes.render(false)));
    }
}

#[test]
fn good_files_load_and_follow_the_schema() {
    let examples = files("scenarios");
    assert!(!examples.is_empty());
    for path in &examples {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("#:schema ./schema.json\n"), "{}", path.display());
    }
    let good = [
        examples,
        files("tests/scenario_files/valid"),
        files("tests/scenarios"),
    ];
    for path in good.concat() {
        if let Err(mistakes) = Scenario::load(&path) {
            panic!("{} is meant to be good:\n{mistakes}", path.display());
        }
        assert_eq!(fits(&committed_schema(), &path), Some(true), "{}", path.display());
    }
}

#[test]
fn the_schema_in_the_repository_is_fresh() {
    let fresh = serde_json::to_string_pretty(&Scenario::schema()).unwrap() + "\n";
    let path = root("scenarios/schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    assert!(
        fs::read_to_string(path).unwrap_or_default() == fresh,
        "scenarios/schema.json is stale: UPDATE_SCHEMA=1 cargo test --test scenario_files writes it anew"
    );
}

#[test]
fn the_schema_refuses_files_of_a_bad_shape() {
    for name in ["unknown_keys", "wrong_types"] {
        let path = root(&format!("tests/scenario_files/invalid/{name}.toml"));
        assert_eq!(fits(&committed_schema(), &path), Some(false), "{name}");
    }
}
