//! Agent files, good and bad, from `tests/agent_files/` and `agents/`.

use std::fs;
use std::path::{Path, PathBuf};

use realtime_run::agent::AgentFile;
use realtime_run::tool::McpServers;
use serde_json::json;

/// The agent files of a directory of this repository, in order of their names.
fn agent_files(directory: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        // Scripts have a name of two parts.
        .filter(|path| path.with_extension("").extension().is_none())
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

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("binary.toml"), b"start = \"a\"\n\xff").unwrap();
    fs::write(path("large.toml"), "#".repeat(1024 * 1024 + 1)).unwrap();
    fs::create_dir(path("directory.toml")).unwrap();
    for (name, reason) in [
        ("missing.toml", "there is no such file"),
        ("directory.toml", "it is a directory, not a file"),
        ("binary.toml", "it is not UTF-8 text (line 2)"),
        ("large.toml", "it is larger than 1 MiB"),
    ] {
        let mistakes = AgentFile::load(path(name)).unwrap_err();
        assert_eq!(
            mistakes.to_string(),
            format!("error: {}: can't be read: {reason}", path(name).display())
        );
    }
}

#[tokio::test]
async fn what_a_file_says_is_what_its_agents_are() {
    let AgentFile { agents, tracing } = AgentFile::load("tests/agent_files/valid/everything.toml").unwrap();
    assert_eq!(agents.start(), "Triage");
    assert_eq!(
        agents.names().collect::<Vec<_>>(),
        ["Triage", "Billing", "Café ☕"]
    );
    assert_eq!(agents.context["user"]["tags"], json!(["gold", 7, 0.5, true]));
    assert_eq!(tracing.workflow_name.as_deref(), Some("Concierge"));
    assert_eq!(tracing.group_id.as_deref(), Some("chat-1"));
    assert_eq!(json!(tracing.metadata), json!({"site": "example", "attempt": 2}));

    let (context, servers) = (&agents.context, McpServers::new());
    let triage = agents.resolve("Triage", context, &servers).await.unwrap();
    let instructions = "Find out what Ada needs. Prices are in ${currency}. You run in realtime-run.";
    assert_eq!(triage.instructions, instructions);
    assert_eq!(triage.tool_names(), ["get_weather", "now"]);
    assert_eq!(triage.handoff_names(), ["Billing", "Café ☕"]);
    let functions = triage.session_config().tools.unwrap();
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(
        names,
        ["get_weather", "now", "transfer_to_billing", "transfer_to_caf___"]
    );

    let billing = agents.resolve("Billing", context, &servers).await.unwrap();
    assert_eq!(billing.instructions, "Explain invoices.\nBe kind.\n");
}
