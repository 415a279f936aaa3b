//! Agent files, good and bad, from `tests/agent_files/` and `agents/`.

use std::fs;
use std::path::{Path, PathBuf};

use realtime_run::agent::AgentFile;

/// The agent files of a directory of this repository, in order of their names.
fn agent_files(directory: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_mistake_is_explained() {
    let files = agent_files("tests/agent_files/invalid");
    assert!(files.len() >= 40, "only {} bad files", files.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("agent_files/invalid");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let mistakes = AgentFile::parse(name, &text, path.parent().unwrap())
            .expect_err(&format!("{name} is meant to be bad"));
        let stem = path.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(stem, mistakes.render(false)));
    }
}

#[test]
fn good_files_load() {
    for path in agent_files("tests/agent_files/valid")
        .into_iter()
        .chain(agent_files("agents"))
    {
        if let Err(mistakes) = AgentFile::load(&path) {
            panic!("{} is meant to be good:\n{mistakes}", path.display());
        }
    }
}
