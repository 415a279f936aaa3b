//! `realtime-run check`: are these files right?

use std::path::Path;

use realtime_run::agent::AgentFile;
use realtime_run::file::{self, Diagnostics};
use realtime_run::script::Script;
use realtime_run::simulator::Scenario;

use crate::cli::args::CheckArgs;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::Printer;

/// The kinds of files that can be checked.
enum Kind {
    Agent,
    Scenario,
    Script,
}

/// Checks every file, and tells every mistake of every one.
pub fn check(args: &CheckArgs, printer: &Printer) -> ExitStatus {
    let mut status = ExitStatus::Success;
    for path in &args.files {
        match load(path) {
            Ok(()) => printer.result(&format!("{}: OK", path.display())),
            Err(diagnostics) => {
                printer.failure(&diagnostics.into());
                status = ExitStatus::Usage;
            }
        }
    }
    status
}

fn load(path: &Path) -> Result<(), Diagnostics> {
    match kind(path) {
        Kind::Agent => AgentFile::load(path).map(drop),
        Kind::Scenario => Scenario::load(path).map(drop),
        Kind::Script => script(path),
    }
}

/// A script is right if the files that it names are, and its agents have what it speaks of.
fn script(path: &Path) -> Result<(), Diagnostics> {
    let script = Script::load(path, &[])?;
    if let Some(scenario) = &script.simulator.scenario {
        Scenario::load(scenario)?;
    }
    match &script.agent {
        Some(agent) => script.check_with(&AgentFile::load(agent)?.agents),
        None => Ok(()),
    }
}

/// What kind of file it is, by what only that kind has. What is no other kind is taken for an agent file.
fn kind(path: &Path) -> Kind {
    let keys = file::top_level_keys(path);
    let has = |key: &str| keys.iter().any(|known| known == key);
    if !has("agents") && has("turns") {
        Kind::Script
    } else if !has("agents")
        && ["steps", "faults", "transcripts", "otherwise"]
            .into_iter()
            .any(has)
    {
        Kind::Scenario
    } else {
        Kind::Agent
    }
}
