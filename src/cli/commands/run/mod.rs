//! Runs a session: the command line's main work.

mod records;
mod session;

use anyhow::Context;
use realtime_run::agent::AgentFile;
use realtime_run::protocol::AudioFormat;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use self::records::Records;
use self::session::Run;
use crate::cli::args::RunArgs;
use crate::cli::conversation::Limits;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::overrides;
use crate::cli::printer::Printer;
use crate::cli::replay::Replaying;
use crate::cli::server::Server;
use crate::cli::signals::Signals;
use crate::cli::trace::Targets;
use crate::cli::voice::Cue;

/// Runs a session from its agent file to the delivery of its trace.
pub fn run(args: &RunArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let file = load(args)?;
    let formats = formats(&file);
    let cues = Cue::all(&args.voice, formats.0)?;
    let replaying = Replaying::load(&args.replay, printer)?;
    let mut server = Server::choose(args)?;
    if let (Server::Simulated(options), Some(replaying)) = (&mut server, &replaying) {
        options.replay = Some(replaying.replay());
    }
    let key = server.trace_key(&args.server);
    let targets = Targets::choose(&args.trace, args.server.simulate, key.is_some())?;
    let mut printer = printer.clone();
    if targets.has_stdout() || args.voice.raw_audio_out() {
        printer = printer.with_words_on_stderr();
    }
    let records = Records::open(args, (&file.tracing, key), &targets, formats, replaying, &printer)?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    let run = Run {
        args,
        cues,
        formats,
        limits: limits(args, started),
        targets: &targets,
        records: &records,
        printer: &printer,
    };
    let mut signals = listen(&runtime)?;
    let outcome = runtime.block_on(run.session(file.agents, server, &mut signals));
    // Ends what is left of a session that was cut off while it opened, and so its spans.
    runtime.shutdown_background();
    let status = outcome.unwrap_or_else(|failure| {
        printer.failure(&failure);
        failure.status()
    });
    Ok(records.finish(status, args, &mut signals, &printer))
}

/// The agent file, with what the command line says over it.
fn load(args: &RunArgs) -> Result<AgentFile, Failure> {
    let path = args.agent.file.as_ref().context("--agent FILE is missing");
    let mut file = AgentFile::load(path.map_err(Failure::usage)?)?;
    overrides::apply(&args.agent, &mut file)?;
    Ok(file)
}

/// The formats of the user's and the assistant's sound.
fn formats(file: &AgentFile) -> (AudioFormat, AudioFormat) {
    let audio = &file.agents.settings.config.audio;
    (
        audio.input.format.unwrap_or_default(),
        audio.output.format.unwrap_or_default(),
    )
}

fn limits(args: &RunArgs, started: Instant) -> Limits {
    let run = args.turns.timeout;
    Limits {
        run: run.and_then(|limit| Some((started.checked_add(limit)?, limit))),
        turn: args.turns.turn_timeout,
    }
}

fn listen(runtime: &Runtime) -> Result<Signals, Failure> {
    let _in_runtime = runtime.enter();
    Signals::listen().map_err(Failure::broken)
}
