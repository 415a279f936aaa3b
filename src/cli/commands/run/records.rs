//! What a run leaves behind: its trace, its sound, a recording, and where it deviated from one.

use realtime_run::Secret;
use realtime_run::agent::TracingSettings;
use realtime_run::protocol::AudioFormat;
use realtime_run::trace::JsonMap;

use crate::cli::args::RunArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::printer::Printer;
use crate::cli::record::Recording;
use crate::cli::render::LastEvent;
use crate::cli::replay::Replaying;
use crate::cli::signals::Signals;
use crate::cli::trace::{Destinations, RunTrace, Targets};
use crate::cli::voice::{AudioOut, Stdout, Tape};

/// What a run leaves behind.
pub struct Records {
    pub trace: RunTrace,
    destinations: Destinations,
    audio_out: Option<AudioOut>,
    pub recording: Option<Recording>,
    replaying: Option<Replaying>,
    /// The event of the session's end, which waits for what becomes of the trace.
    pub last_event: LastEvent,
}

impl Records {
    /// Opens everything that will be written.
    ///
    /// # Errors
    /// When something can't be, or makes no sense.
    pub fn open(
        args: &RunArgs,
        (tracing, key): (&TracingSettings, Option<Secret>),
        targets: &Targets,
        formats: (AudioFormat, AudioFormat),
        replaying: Option<Replaying>,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        let stdout = Stdout {
            events: args.format.json,
            traces: targets.has_stdout(),
        };
        let audio_out = AudioOut::start(&args.voice, formats, stdout, printer)?;
        let recording = Recording::start(&args.record, &args.replay)?;
        let destinations = Destinations::open(targets, args, key, printer)?;
        Ok(Self {
            trace: RunTrace::start(&destinations, &args.trace, tracing, JsonMap::new()),
            destinations,
            audio_out,
            recording,
            replaying,
            last_event: LastEvent::default(),
        })
    }

    /// Where all that sounds is noted; nowhere, if nothing is kept of it.
    pub fn tape(&self) -> Tape {
        let tape = self.audio_out.as_ref().map(|out| out.tape.clone());
        tape.unwrap_or_default()
    }

    /// Ends and delivers everything, tells what became of it, and how the run ends for that.
    pub fn finish(
        self,
        status: ExitStatus,
        args: &RunArgs,
        signals: &mut Signals,
        printer: &Printer,
    ) -> ExitStatus {
        let shows_text = !args.format.json;
        if shows_text {
            self.trace.show(printer);
            self.destinations.hint(&args.keep, printer);
        }
        let status = self.audio_out.map_or(status, |out| out.finish(status, printer));
        if let Some(recording) = self.recording {
            recording.finish(printer);
        }
        let status = self
            .replaying
            .map_or(status, |replaying| replaying.finish(status, printer));
        let deliveries = self.destinations.finish(self.trace.trace.id(), signals);
        if shows_text {
            deliveries.show(printer);
        }
        deliveries.warn(printer);
        self.last_event.print(&deliveries, printer);
        if args.trace.trace_strict && !deliveries.are_complete() {
            return status.or(ExitStatus::Failure);
        }
        status
    }
}
