//! Opens the session of a run, and holds the conversation.

use std::env;
use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::anyhow;
use realtime_run::agent::Agents;
use realtime_run::protocol::AudioFormat;
use realtime_run::session::Session;
use tokio::time::Instant;

use super::records::Records;
use crate::cli::approver::Approver;
use crate::cli::args::RunArgs;
use crate::cli::conversation::{Conversation, Limits, Voice, run_timeout};
use crate::cli::duration;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::prompt::Prompt;
use crate::cli::render::{Renderer, Text};
use crate::cli::screen::Screen;
use crate::cli::server::{OpenServer, Server};
use crate::cli::signals::Signals;
use crate::cli::trace::Targets;
use crate::cli::turns::Turns;
use crate::cli::voice::{Cue, Cues, Devices, OpenDevices, TurnEnding};

/// What a session needs beside its agents and its server.
pub struct Run<'a> {
    pub args: &'a RunArgs,
    /// What is to be said aloud.
    pub cues: Cues,
    /// The formats of the user's and the assistant's sound.
    pub formats: (AudioFormat, AudioFormat),
    pub limits: Limits,
    pub targets: &'a Targets,
    pub records: &'a Records,
    pub printer: &'a Printer,
}

/// The names of all agents, and the one that starts.
type Names = (Vec<String>, String);

impl Run<'_> {
    /// Opens a session, holds the conversation, and closes everything again.
    pub async fn session(
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
        let ending = TurnEnding::of(agents.settings.config.audio.input.turn_detection.as_ref());
        let names = (
            agents.names().map(str::to_owned).collect(),
            agents.start().to_owned(),
        );
        let devices = tokio::select! {
            biased;
            _ = signals.next() => return Ok(ExitStatus::Interrupted),
            devices = OpenDevices::open(&self.args.devices, self.formats, ending) => devices?,
        };
        let session = tokio::select! {
            biased;
            _ = signals.next() => return Ok(ExitStatus::Interrupted),
            limit = run_timeout(self.limits.run) => return Err(too_late(limit)),
            session = self.connect(agents, server) => session?,
        };
        let tape = self.records.tape();
        let takes_stdin = self.cues.iter().any(Cue::is_stdin);
        let voice = (!self.cues.is_empty()).then(|| {
            let handle = session.handle();
            Voice::new(handle, self.formats, ending, &self.limits, tape.clone())
        });
        let devices = devices.map(|devices| devices.start(&session, &tape));
        let turns = self.turns(&names, devices.as_ref()).map_err(Failure::broken)?;
        let approver = Approver::choose(self.args.turns.approve, self.args.format.json, takes_stdin);
        let (renderer, printer) = (self.renderer(server), self.printer.clone());
        let conversation = Conversation::new(session, names, turns, approver, renderer, printer, self.limits)
            .with_voice(voice)
            .with_tape(tape)
            .with_devices(devices);
        Ok(conversation.hold(signals).await)
    }

    async fn connect(&self, agents: Agents, server: &OpenServer) -> Result<Session, Failure> {
        let mut session = Session::builder(agents)
            .endpoint(server.endpoint.clone())
            .raw_events(self.args.format.raw);
        if *self.targets == Targets::Disabled {
            session = session.without_tracing();
        }
        if let Some(recording) = &self.records.recording {
            session = session.record(recording.recorder.clone());
        }
        let (host, trace) = (server.endpoint.host(), self.targets.names());
        tracing::info!(host, trace, "a session opens");
        let opening = Instant::now();
        let session = self.records.trace.trace.scope(session.connect()).await?;
        tracing::info!(ms = opening.elapsed().as_millis(), "the session is open");
        Ok(session)
    }

    fn renderer(&self, server: &OpenServer) -> Renderer {
        if self.args.format.json {
            Renderer::Json(self.records.last_event.clone())
        } else {
            Renderer::Text(Text::new(server.name(), self.targets.names()))
        }
    }

    fn turns(&mut self, names: &Names, devices: Option<&Devices>) -> io::Result<Turns> {
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
            let screen = Screen::start(names.clone(), devices, self.printer)?;
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
