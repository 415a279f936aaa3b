//! Runs a session: the command line's main work.

use std::env;
use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, anyhow};
use realtime_run::Secret;
use realtime_run::agent::{AgentFile, Agents};
use realtime_run::session::Session;
use realtime_run::simulator::{Options, Simulator};
use realtime_run::transport::{Endpoint, EndpointOptions};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::cli::approver::Approver;
use crate::cli::args::{FormatArgs, RunArgs, ServerArgs};
use crate::cli::conversation::{Conversation, Limits, Voice, run_timeout};
use crate::cli::duration;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::overrides;
use crate::cli::pairs;
use crate::cli::printer::Printer;
use crate::cli::prompt::Prompt;
use crate::cli::record::Recording;
use crate::cli::render::{LastEvent, Renderer, Text};
use crate::cli::replay::Replaying;
use crate::cli::signals::Signals;
use crate::cli::simulator;
use crate::cli::trace::{RunTrace, Targets};
use crate::cli::turns::Turns;
use crate::cli::voice::{Cue, Cues, TurnEnding};

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
    let cues = Cue::all(&args.voice, audio.input.format.unwrap_or_default())?;
    let replaying = Replaying::load(&args.replay, printer)?;
    let server = Server::choose(args, replaying.as_ref())?;
    let key = trace_key(&args.server, &server);
    let targets = Targets::choose(&args.trace, args.server.simulate, key.is_some())?;
    let printer = if targets.has_stdout() {
        printer.clone().with_words_on_stderr()
    } else {
        printer.clone()
    };
    let recording = Recording::start(&args.record, &args.replay)?;
    let trace = RunTrace::start(&targets, args, &file.tracing, key, &printer)?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    let last_event = LastEvent::default();
    let run = Run {
        args,
        cues,
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
    }
    if let Some(recording) = recording {
        recording.finish(&printer);
    }
    let status = replaying.map_or(status, |replaying| replaying.finish(status, &printer));
    let deliveries = trace.finish(&mut signals);
    if !args.format.json {
        deliveries.show(&printer);
    }
    deliveries.warn(&printer);
    last_event.print(&deliveries, &printer);
    let undelivered = args.trace.trace_strict && !deliveries.are_complete();
    Ok(match status {
        ExitStatus::Success if undelivered => ExitStatus::Failure,
        status => status,
    })
}

fn listen(runtime: &Runtime) -> Result<Signals, Failure> {
    let _in_runtime = runtime.enter();
    Signals::listen().map_err(Failure::broken)
}

/// The other side of the session.
enum Server {
    /// A simulator that the program starts itself.
    Simulated(Box<Options>),
    /// A server that is there already.
    At(Endpoint),
}

impl Server {
    fn choose(args: &RunArgs, replaying: Option<&Replaying>) -> Result<Self, Failure> {
        let simulated = &args.simulator;
        let args = &args.server;
        if args.simulate {
            return Ok(Self::Simulated(Box::new(Options {
                replay: replaying.map(Replaying::replay),
                ..simulator::options(simulated)?
            })));
        }
        if let Some(flag) = simulated.given() {
            let message = format!("`{flag}` is for a simulated server: add `--simulate`");
            return Err(Failure::usage(anyhow!(message)));
        }
        if replaying.is_some() {
            let message = "`--replay` is for a simulated server: add `--simulate`";
            return Err(Failure::usage(anyhow!(message)));
        }
        let headers: anyhow::Result<_> = args.header.iter().map(|header| pairs::header(header)).collect();
        let options = EndpointOptions {
            url: args.url.clone(),
            api_key_env: args.api_key_env.clone(),
            headers: headers.map_err(Failure::usage)?,
        };
        let endpoint = Endpoint::resolve(options, |name| env::var(name).ok())?;
        Ok(Self::At(endpoint))
    }
}

/// The key that traces go to OpenAI with: the session's own if that is at OpenAI, else OPENAI_API_KEY.
fn trace_key(args: &ServerArgs, server: &Server) -> Option<Secret> {
    let at_openai = matches!(server, Server::At(endpoint) if endpoint.is_openai());
    let variable = args.api_key_env.as_deref().filter(|_| at_openai);
    env::var(variable.unwrap_or("OPENAI_API_KEY"))
        .ok()
        .and_then(Secret::new)
}

/// What a session needs beside its agents and its server.
struct Run<'a> {
    args: &'a RunArgs,
    /// What is to be said aloud.
    cues: Cues,
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
        let (simulator, endpoint) = match server {
            Server::At(endpoint) => (None, endpoint),
            Server::Simulated(options) => {
                let simulator = Simulator::bind_with(("127.0.0.1", 0), *options)
                    .await
                    .context("the simulator cannot listen on a port of this machine")
                    .map_err(Failure::broken)?;
                let endpoint = Endpoint::new(&simulator.url())?;
                (Some(simulator), endpoint)
            }
        };
        let status = self
            .conversation(agents, endpoint, simulator.is_some(), signals)
            .await;
        if let Some(simulator) = simulator {
            simulator.shutdown().await;
        }
        status
    }

    async fn conversation(
        mut self,
        agents: Agents,
        endpoint: Endpoint,
        simulated: bool,
        signals: &mut Signals,
    ) -> Result<ExitStatus, Failure> {
        let FormatArgs { json, raw } = self.args.format;
        let server = if simulated {
            "simulated".to_owned()
        } else {
            format!("at {}", endpoint.host())
        };
        let renderer = if json {
            Renderer::Json(self.last_event.clone())
        } else {
            Renderer::Text(Text::new(server, self.destinations.clone()))
        };
        let audio = agents.settings.config.audio.clone();
        let names = agents.names().map(str::to_owned).collect();
        let start = agents.start().to_owned();
        let endpoint_host = endpoint.host();
        let mut session = Session::builder(agents).endpoint(endpoint).raw_events(raw);
        if !self.traced {
            session = session.without_tracing();
        }
        if let Some(recording) = self.recording {
            session = session.record(recording.recorder.clone());
        }
        let opening = Instant::now();
        tracing::info!(host = endpoint_host, trace = self.destinations, "a session opens");
        let session = tokio::select! {
            biased;
            _ = signals.next() => return Ok(ExitStatus::Interrupted),
            limit = run_timeout(self.limits.run) => return Err(too_late(limit)),
            session = self.trace.trace.scope(session.connect()) => session?,
        };
        tracing::info!(ms = opening.elapsed().as_millis(), "the session is open");
        let takes_stdin = self.cues.iter().any(Cue::is_stdin);
        let voice = (!self.cues.is_empty()).then(|| {
            let formats = (audio.input.format, audio.output.format);
            let formats = (formats.0.unwrap_or_default(), formats.1.unwrap_or_default());
            let ending = TurnEnding::of(audio.input.turn_detection.as_ref());
            Voice::new(session.handle(), formats, ending, &self.limits)
        });
        let turns = self.turns().map_err(Failure::broken)?;
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
        Ok(conversation.with_voice(voice).hold(signals).await)
    }

    fn turns(&mut self) -> io::Result<Turns> {
        if !self.cues.is_empty() {
            return Ok(Turns::sounds(std::mem::take(&mut self.cues)));
        }
        let messages = &self.args.turns.messages;
        if !messages.is_empty() {
            return Ok(Turns::messages(messages.iter().cloned()));
        }
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
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
