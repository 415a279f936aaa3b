//! Runs a session: the command line's main work.

use std::env;
use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, anyhow};
use realtime_run::agent::{AgentFile, Agents};
use realtime_run::protocol::AudioFormat;
use realtime_run::session::Session;
use realtime_run::trace::JsonMap;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::cli::approver::Approver;
use crate::cli::args::{FormatArgs, RunArgs};
use crate::cli::conversation::{Conversation, Limits, Voice, run_timeout};
use crate::cli::duration;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::overrides;
use crate::cli::printer::Printer;
use crate::cli::prompt::Prompt;
use crate::cli::record::Recording;
use crate::cli::render::{LastEvent, Renderer, Text};
use crate::cli::replay::Replaying;
use crate::cli::screen::Screen;
use crate::cli::server::{OpenServer, Server};
use crate::cli::signals::Signals;
use crate::cli::trace::{Destinations, RunTrace, Targets};
use crate::cli::turns::Turns;
use crate::cli::voice::{AudioOut, Cue, Cues, Devices, OpenDevices, Stdout, Tape, TurnEnding};

/// Runs a session from its agent file to the delivery of its trace.
pub fn run(args: &RunArgs, printer: &Printer) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let path = args
        .agent
        .file
        .as_ref()
        .context("--agent FILE is missing")
        .map_err(Failure::usage)?;
    let mut file = AgentFile::load(path)?;
    overrides::apply(&args.agent, &mut file)?;
    let audio = &file.agents.settings.config.audio;
    let formats = (
        audio.input.format.unwrap_or_default(),
        audio.output.format.unwrap_or_default(),
    );
    let cues = Cue::all(&args.voice, formats.0)?;
    let replaying = Replaying::load(&args.replay, printer)?;
    let mut server = Server::choose(args)?;
    if let (Server::Simulated(options), Some(replaying)) = (&mut server, &replaying) {
        options.replay = Some(replaying.replay());
    }
    let key = server.trace_key(&args.server);
    let targets = Targets::choose(&args.trace, args.server.simulate, key.is_some())?;
    let printer = if targets.has_stdout() || args.voice.raw_audio_out() {
        printer.clone().with_words_on_stderr()
    } else {
        printer.clone()
    };
    let stdout = Stdout {
        events: args.format.json,
        traces: targets.has_stdout(),
    };
    let audio_out = AudioOut::start(&args.voice, formats, stdout, &printer)?;
    let recording = Recording::start(&args.record, &args.replay)?;
    let destinations = Destinations::open(&targets, args, key, &printer)?;
    let trace = RunTrace::start(&destinations, &args.trace, &file.tracing, JsonMap::new());

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    let last_event = LastEvent::default();
    let run = Run {
        args,
        cues,
        formats,
        tape: audio_out.as_ref().map(|out| out.tape.clone()).unwrap_or_default(),
        limits: Limits {
            run: args
                .turns
                .timeout
                .and_then(|limit| Some((started.checked_add(limit)?, limit))),
            turn: args.turns.turn_timeout,
        },
        destinations: targets.names(),
        traced: targets != Targets::Disabled,
        trace: &trace,
        recording: recording.as_ref(),
        last_event: last_event.clone(),
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
    if !args.format.json {
        trace.show(&printer);
        destinations.hint(&args.keep, &printer);
    }
    let status = audio_out.map_or(status, |out| out.finish(status, &printer));
    if let Some(recording) = recording {
        recording.finish(&printer);
    }
    let status = replaying.map_or(status, |replaying| replaying.finish(status, &printer));
    let deliveries = destinations.finish(trace.trace.id(), &mut signals);
    if !args.format.json {
        deliveries.show(&printer);
    }
    deliveries.warn(&printer);
    last_event.print(&deliveries, &printer);
    if args.trace.trace_strict && !deliveries.are_complete() {
        return Ok(status.or(ExitStatus::Failure));
    }
    Ok(status)
}

fn listen(runtime: &Runtime) -> Result<Signals, Failure> {
    let _in_runtime = runtime.enter();
    Signals::listen().map_err(Failure::broken)
}

/// What a session needs beside its agents and its server.
struct Run<'a> {
    args: &'a RunArgs,
    /// What is to be said aloud.
    cues: Cues,
    /// The formats of the user's and the assistant's sound.
    formats: (AudioFormat, AudioFormat),
    tape: Tape,
    limits: Limits,
    destinations: String,
    traced: bool,
    trace: &'a RunTrace,
    recording: Option<&'a Recording>,
    last_event: LastEvent,
    printer: &'a Printer,
}

impl Run<'_> {
    /// Opens a session, holds the conversation, and closes everything again.
    async fn session(
        self,
        agents: Agents,
        server: Server,
        signals: &mut Signals,
    ) -> Result<ExitStatus, Failure> {
        let server = server.open().await?;
        let status = self.conversation(agents, &server, signals).await;
        server.close().await;
        status
    }

    async fn conversation(
        mut self,
        agents: Agents,
        server: &OpenServer,
        signals: &mut Signals,
    ) -> Result<ExitStatus, Failure> {
        let FormatArgs { json, raw } = self.args.format;
        let renderer = if json {
            Renderer::Json(self.last_event.clone())
        } else {
            Renderer::Text(Text::new(server.name(), self.destinations.clone()))
        };
        let detection = agents.settings.config.audio.input.turn_detection.clone();
        let names: Vec<String> = agents.names().map(str::to_owned).collect();
        let start = agents.start().to_owned();
        let mut session = Session::builder(agents)
            .endpoint(server.endpoint.clone())
            .raw_events(raw);
        if !self.traced {
            session = session.without_tracing();
        }
        if let Some(recording) = self.recording {
            session = session.record(recording.recorder.clone());
        }
        let ending = TurnEnding::of(detection.as_ref());
        let devices = tokio::select! {
            biased;
            _ = signals.next() => return Ok(ExitStatus::Interrupted),
            devices = OpenDevices::open(&self.args.devices, self.formats, ending) => devices?,
        };
        let opening = Instant::now();
        tracing::info!(
            host = server.endpoint.host(),
            trace = self.destinations,
            "a session opens"
        );
        let session = tokio::select! {
            biased;
            _ = signals.next() => return Ok(ExitStatus::Interrupted),
            limit = run_timeout(self.limits.run) => return Err(too_late(limit)),
            session = self.trace.trace.scope(session.connect()) => session?,
        };
        tracing::info!(ms = opening.elapsed().as_millis(), "the session is open");
        let takes_stdin = self.cues.iter().any(Cue::is_stdin);
        let voice = (!self.cues.is_empty()).then(|| {
            Voice::new(
                session.handle(),
                self.formats,
                ending,
                &self.limits,
                self.tape.clone(),
            )
        });
        let devices = devices.map(|devices| devices.start(&session, &self.tape));
        let turns = self
            .turns((&names, &start), devices.as_ref())
            .map_err(Failure::broken)?;
        let printer = self.printer.clone();
        let approver = Approver::choose(self.args.turns.approve, json, takes_stdin);
        let conversation = Conversation::new(
            session,
            (names, start),
            turns,
            approver,
            renderer,
            printer,
            self.limits,
        );
        let conversation = conversation
            .with_voice(voice)
            .with_tape(self.tape.clone())
            .with_devices(devices);
        Ok(conversation.hold(signals).await)
    }

    fn turns(&mut self, (names, start): (&[String], &str), devices: Option<&Devices>) -> io::Result<Turns> {
        if !self.cues.is_empty() {
            return Ok(Turns::sounds(std::mem::take(&mut self.cues)));
        }
        let messages = &self.args.turns.messages;
        if !messages.is_empty() {
            return Ok(Turns::messages(messages.iter().cloned()));
        }
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        if let Some(devices) = devices.filter(|devices| devices.hear() && io::stdin().is_terminal()) {
            if is_dumb || self.args.format.json || !io::stderr().is_terminal() {
                return Turns::talk();
            }
            let screen = Screen::start((names.to_vec(), start.to_owned()), devices, self.printer)?;
            return Ok(Turns::Screen(screen));
        }
        if io::stdin().is_terminal() && !is_dumb {
            return Ok(Turns::Prompt(Prompt::start(self.printer.output())?));
        }
        Turns::from_stdin()
    }
}

fn too_late(limit: Duration) -> Failure {
    Failure::Other {
        status: ExitStatus::Timeout,
        error: anyhow!("the session did not open within {}", duration::show(limit)),
        advice: Some("--timeout sets the limit"),
    }
}
