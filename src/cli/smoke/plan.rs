//! What is to be played: every script with its agents and its simulated server, known to be right before anything
//! connects.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use realtime_run::agent::{AgentFile, Agents, TracingSettings};
use realtime_run::script::{Expectation, Script, SimulatedServer};
use realtime_run::simulator::{Replay, Scenario};

use super::find;
use crate::cli::args::{AgentArgs, RunArgs};
use crate::cli::exit::Failure;
use crate::cli::printer::Printer;
use crate::cli::server::Server;
use crate::cli::{overrides, replay};

/// A script that can be played.
#[derive(Debug)]
pub struct Planned {
    pub script: Script,
    /// Its file.
    pub path: PathBuf,
    /// The agent file.
    pub agent_file: PathBuf,
    /// The agents as the script wants them, each run's to be cloned.
    pub agents: Agents,
    /// What the agent file says of traces.
    pub tracing: TracingSettings,
    /// The server that it is played with.
    pub server: Server,
    /// What that does instead of its own, if it is simulated.
    pub follows: Option<Follows>,
}

/// What a simulated server follows for a script.
#[derive(Debug)]
pub enum Follows {
    Scenario(Scenario),
    /// The recording, and its file.
    Replay(Replay, PathBuf),
}

/// Everything that is wrong, of all files.
pub type Failures = Vec<Failure>;

/// Reads all scripts that are asked for, and all that they need.
pub fn make(args: &RunArgs, printer: &Printer) -> Result<Vec<Planned>, Failures> {
    let one = |failure| vec![failure];
    let paths = find::scripts(&args.script.paths).map_err(one)?;
    let server = Server::choose(args).map_err(one)?;
    let mut planner = Planner {
        args,
        server,
        printer,
        agent_files: HashMap::new(),
        failures: Vec::new(),
    };
    let set = set(&paths, &args.script.set).map_err(one)?;
    let planned = paths.into_iter().zip(set);
    let planned: Vec<Planned> = planned
        .filter_map(|(path, set)| planner.plan(path, &set))
        .collect();
    if !planner.failures.is_empty() {
        return Err(planner.failures);
    }
    if planned.is_empty() {
        let filter = args.script.filter.as_deref().unwrap_or_default();
        let message = format!("no script has `{filter}` in its name or path (--filter)");
        return Err(one(Failure::usage(anyhow!(message))));
    }
    Ok(planned)
}

/// What each script's variables are set to: of several scripts each gets what it has a variable for, and some script has to
/// have it.
fn set(paths: &[PathBuf], set: &[(String, String)]) -> Result<Vec<Vec<(String, String)>>, Failure> {
    if set.is_empty() || paths.len() == 1 {
        return Ok(vec![set.to_vec(); paths.len()]);
    }
    let variables: Vec<Vec<String>> = paths.iter().map(Script::variables).collect();
    if let Some((name, _)) = set.iter().find(|(name, _)| !variables.concat().contains(name)) {
        return Err(Failure::usage(anyhow!(
            "no script has a variable `{name}` to set (--set)"
        )));
    }
    let has = |names: &Vec<String>| {
        let own = set.iter().filter(|(name, _)| names.contains(name));
        own.cloned().collect()
    };
    Ok(variables.iter().map(has).collect())
}

struct Planner<'a> {
    args: &'a RunArgs,
    server: Server,
    printer: &'a Printer,
    /// Those that were read; `None` where something is wrong, which is told once.
    agent_files: HashMap<PathBuf, Option<AgentFile>>,
    failures: Failures,
}

impl Planner<'_> {
    /// `None` if it is not to be played, or something is wrong with it.
    fn plan(&mut self, path: PathBuf, set: &[(String, String)]) -> Option<Planned> {
        let loaded = Script::load(&path, set);
        let script = self.note(loaded.map_err(Failure::from))?;
        if !self.is_wanted(&script, &path) {
            return None;
        }
        let agents = self.agents(&script, &path);
        let follows = self.follows(&script);
        let fits = self.fits(&script, &path);
        let fits = self.note(fits);
        let (agent_file, file) = agents?;
        fits?;
        Some(Planned {
            script,
            path,
            agent_file,
            agents: file.agents,
            tracing: file.tracing,
            server: self.server.clone(),
            follows: follows?,
        })
    }

    fn is_wanted(&self, script: &Script, path: &Path) -> bool {
        let filter = self.args.script.filter.as_deref().unwrap_or_default();
        script.name.contains(filter) || path.to_string_lossy().contains(filter)
    }

    /// The agents that it is played with: the command line's over its own.
    fn agents(&mut self, script: &Script, path: &Path) -> Option<(PathBuf, AgentFile)> {
        let args = &self.args.agent;
        let Some(agent_file) = args.file.as_ref().or(script.agent.as_ref()).cloned() else {
            let message = format!(
                "{} names no agent file: write `agent = \"FILE\"` at its top, or give --agent FILE",
                path.display()
            );
            self.failures.push(Failure::usage(anyhow!(message)));
            return None;
        };
        if !self.agent_files.contains_key(&agent_file) {
            let loaded = AgentFile::load(&agent_file).map_err(Failure::from);
            let loaded = self.note(loaded);
            self.agent_files.insert(agent_file.clone(), loaded);
        }
        let mut file = self.agent_files.get(&agent_file)?.clone()?;
        let prepared = prepare(&mut file, script, args);
        self.note(prepared)?;
        Some((agent_file, file))
    }

    /// Whether everything that it expects can be found out.
    fn fits(&self, script: &Script, path: &Path) -> Result<(), Failure> {
        let path = path.display();
        if self.args.trace.no_tracing && !script.spans.is_empty() {
            let message = format!(
                "{path} expects spans, and there are none with --no-tracing or OPENAI_AGENTS_DISABLE_TRACING"
            );
            return Err(Failure::usage(anyhow!(message)));
        }
        let args = &self.args.script;
        let judged = |expectation: &Expectation| expectation.conditions.judge.is_some();
        let is_judged = script.turns.iter().flat_map(|turn| &turn.expect).any(judged);
        if is_judged && (args.judge_url.is_none() || args.judge_model.is_none()) {
            let message = format!("{path} asks for a `judge`: say which with --judge-url and --judge-model");
            return Err(Failure::usage(anyhow!(message)));
        }
        Ok(())
    }

    /// What a simulated server follows: what the command line says, else the script. `None` if something is wrong with
    /// that.
    #[expect(
        clippy::option_option,
        reason = "what is wrong is told, and it may follow nothing"
    )]
    fn follows(&mut self, script: &Script) -> Option<Option<Follows>> {
        if let Server::At(_) = self.server {
            return Some(None);
        }
        let given = &self.args.simulator;
        let own = match given.llm {
            Some(_) => &SimulatedServer::default(),
            None => &script.simulator,
        };
        let (scenario, replay) = match (&given.scenario, &self.args.replay.replay) {
            (None, None) => (own.scenario.as_ref(), own.replay.as_ref()),
            (scenario, replay) => (scenario.as_ref(), replay.as_ref()),
        };
        let follows = match (scenario, replay) {
            (Some(path), _) => Scenario::load(path)
                .map(Follows::Scenario)
                .map(Some)
                .map_err(Failure::from),
            (None, Some(path)) => replay::load(path, &self.args.replay, self.printer)
                .map(|replay| Some(Follows::Replay(replay, path.clone()))),
            (None, None) => Ok(None),
        };
        self.note(follows)
    }

    fn note<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.failures.push(failure)).ok()
    }
}

/// Makes an agent file's agents the script's, with what the command line says over both.
fn prepare(file: &mut AgentFile, script: &Script, args: &AgentArgs) -> Result<(), Failure> {
    script.apply_to(&mut file.agents);
    overrides::apply(args, file)?;
    script.check_with(&file.agents)?;
    Ok(())
}
