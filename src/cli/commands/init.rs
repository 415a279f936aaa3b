//! `--init`: a first script for an agent file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use realtime_run::agent::AgentFile;
use realtime_run::script;

use crate::cli::args::RunArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::given::quoted;
use crate::cli::overrides;
use crate::cli::printer::Printer;

/// Writes a first script for an agent file; one that is there already stays as it is.
pub fn init(args: &RunArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let agent_file = args.agent.file.as_deref();
    let agent_file = agent_file
        .context("--agent FILE is missing")
        .map_err(Failure::usage)?;
    let path = match args.script.paths.as_slice() {
        [] => agent_file.with_extension("smoke.toml"),
        [path] => path.clone(),
        [_, ..] => {
            return Err(Failure::usage(anyhow!(
                "--init writes one file: give --script once"
            )));
        }
    };
    let mut file = AgentFile::load(agent_file)?;
    overrides::apply(&args.agent, &mut file)?;
    let named = beside(&path, agent_file).map_err(Failure::usage)?;
    write(&path, &script::draft(&file.agents, &named)).map_err(Failure::usage)?;
    let shown = path.display().to_string();
    printer.result(&format!("{shown}: written"));
    printer.note(&format!(
        "realtime-run --script {} --simulate plays it",
        quoted(&shown)
    ));
    Ok(ExitStatus::Success)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{} is there already; --init writes only new files",
                path.display()
            )
        }
        file => file.with_context(|| format!("{} can't be written", path.display()))?,
    };
    file.write_all(text.as_bytes())
        .with_context(|| format!("{} can't be written", path.display()))
}

/// The path of `target` as a file at `path` names it.
fn beside(path: &Path, target: &Path) -> anyhow::Result<String> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory = directory
        .canonicalize()
        .with_context(|| format!("{} can't be written", path.display()))?;
    let target = target
        .canonicalize()
        .with_context(|| format!("{} can't be read", target.display()))?;
    Ok(relative(&directory, &target).display().to_string())
}

/// The way from a directory to a file, both given in full.
fn relative(directory: &Path, file: &Path) -> PathBuf {
    let shared = directory
        .components()
        .zip(file.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = directory.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(file.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_file_is_found_from_the_script() {
        for (directory, file, way) in [
            ("/a/b", "/a/b/agent.toml", "agent.toml"),
            ("/a/tests", "/a/agents/agent.toml", "../agents/agent.toml"),
            ("/", "/a/agent.toml", "a/agent.toml"),
        ] {
            assert_eq!(relative(Path::new(directory), Path::new(file)), Path::new(way));
        }
    }
}
