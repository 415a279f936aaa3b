//! Scenario files, good and bad, from `tests/scenario_files/` and `scenarios/`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/written.rs"]
mod written;

use std::fs;
use std::path::PathBuf;

use realtime_run::simulator::Scenario;
use written::{assert_fresh, committed_schema, fits, root};

/// Scenarios; scripts have a name of two parts.
fn files(directory: &str) -> Vec<PathBuf> {
    let mut files = written::files(directory);
    files.retain(|path| path.with_extension("").extension().is_none());
    files
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
        assert_eq!(
            fits(&committed_schema("scenarios/schema.json"), &path),
            Some(true),
            "{}",
            path.display()
        );
    }
}

#[test]
fn the_schema_in_the_repository_is_fresh() {
    assert_fresh("scenarios/schema.json", &Scenario::schema(), "scenario_files");
}

#[test]
fn the_schema_refuses_files_of_a_bad_shape() {
    for name in ["unknown_keys", "wrong_types"] {
        let path = root(&format!("tests/scenario_files/invalid/{name}.toml"));
        assert_eq!(
            fits(&committed_schema("scenarios/schema.json"), &path),
            Some(false),
            "{name}"
        );
    }
}
