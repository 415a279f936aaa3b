//! Where a run's sound goes: into files by a thread that writes them, or raw to stdout.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use realtime_run::audio::{self, Channels};
use realtime_run::protocol::AudioFormat;

use super::files::{CONVERSATION, SoundFile, Stereo, TurnFiles, Written, is_own_file};
use super::keeper::Keeper;
use super::tape::Tape;
use crate::cli::args::VoiceArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::output::Stream;
use crate::cli::printer::Printer;
use crate::cli::record::are_same;

/// How long the rest may take to be written at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// The sound of a run that is kept, with `--audio-out` and `--audio-out-dir`.
#[derive(Debug)]
pub struct AudioOut {
    pub tape: Tape,
    done: Option<mpsc::Receiver<Vec<Written>>>,
    format: AudioFormat,
}

impl AudioOut {
    /// Begins to keep what is asked for, of a session with these formats.
    ///
    /// # Errors
    /// When a file can't be written, or stdout is for something else.
    pub fn start(
        args: &VoiceArgs,
        (input, output): (AudioFormat, AudioFormat),
        stdout: Stdout,
        printer: &Printer,
    ) -> Result<Option<Self>, Failure> {
        if args.audio_out.is_none() && args.audio_out_dir.is_none() {
            return Ok(None);
        }
        let raw = args.raw_audio_out();
        if raw {
            stdout.check()?;
        }
        let waiting = Arc::default();
        let rates = (audio::sample_rate(input), audio::sample_rate(output));
        let answers = args.audio_out.as_deref().filter(|_| !raw);
        let answers = answers
            .map(|path| answers_file(path, args, rates.1))
            .transpose()?;
        let conversation = args.audio_out_dir.as_deref();
        let conversation = conversation
            .map(|directory| conversation_files(directory, args, rates))
            .transpose()?;
        let mut keeper = None;
        let mut done = None;
        if answers.is_some() || conversation.is_some() {
            let (heard, notes) = mpsc::channel();
            let (report, written) = mpsc::sync_channel(1);
            let thread = Keeper::new((input, output), Arc::clone(&waiting), answers, conversation);
            std::thread::Builder::new()
                .name("audio-out".into())
                .spawn(move || report.send(thread.run(&notes)))
                .map_err(Failure::broken)?;
            (keeper, done) = (Some(heard), Some(written));
        }
        Ok(Some(Self {
            tape: Tape::new(keeper, waiting, raw.then(|| printer.output().clone())),
            done,
            format: output,
        }))
    }

    /// Waits until everything is written, and tells what is there; the exit status is bad if that is not everything.
    pub fn finish(self, status: ExitStatus, printer: &Printer) -> ExitStatus {
        let Some(done) = self.done else { return status };
        self.tape.end();
        let mut whole = true;
        match done.recv_timeout(FINISH_LIMIT) {
            Ok(files) => {
                for file in files {
                    whole &= file.tell(printer);
                }
            }
            Err(_) => {
                whole = false;
                let message = "the sound of the run was not written in time: its end is missing";
                printer.error(message, None);
            }
        }
        let left_out = self.tape.left_out();
        if left_out > 0 {
            whole = false;
            let seconds = left_out / self.format.bytes_per_second();
            let message = format!("{seconds} s of sound are missing: more came than could be kept");
            printer.error(&message, None);
        }
        match status {
            ExitStatus::Success if !whole => ExitStatus::Failure,
            status => status,
        }
    }
}

impl Written {
    /// Tells of the file; false when it is not whole.
    fn tell(&self, printer: &Printer) -> bool {
        let path = self.path.display();
        match &self.error {
            Some(error) => {
                printer.error(&format!("the sound in {path} is not whole: {error}"), None);
                false
            }
            None => {
                let note = format!("{:.1} s of sound in {path}", self.seconds);
                printer.note(&printer.paint().dim(&note));
                true
            }
        }
    }
}

/// What else stdout would be for.
#[derive(Debug, Clone, Copy)]
pub struct Stdout {
    pub events: bool,
    pub traces: bool,
}

impl Stdout {
    /// Whether raw sound can go there.
    fn check(self) -> Result<(), Failure> {
        let why = if self.events {
            "stdout is for events with `--json`: give `--audio-out` a file"
        } else if self.traces {
            "stdout is for the trace with `--trace stdout`: give `--audio-out` a file"
        } else if Stream::Stdout.is_terminal() {
            "`--audio-out -` writes raw sound, and stdout is a terminal: pipe it into something"
        } else {
            return Ok(());
        };
        Err(Failure::usage(anyhow!(why)))
    }
}

fn answers_file(path: &Path, args: &VoiceArgs, rate: u32) -> Result<SoundFile, Failure> {
    if !path
        .extension()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("wav"))
    {
        let message = format!(
            "--audio-out {}: only WAV is written: name it *.wav",
            path.display()
        );
        return Err(Failure::usage(anyhow!(message)));
    }
    if args.audio_in.iter().any(|input| are_same(input, path)) {
        return Err(heard_and_written(path));
    }
    SoundFile::create(path.into(), Channels::Mono, rate)
        .with_context(|| format!("cannot write --audio-out {}", path.display()))
        .map_err(Failure::usage)
}

fn conversation_files(
    directory: &Path,
    args: &VoiceArgs,
    (user, assistant): (u32, u32),
) -> Result<(Stereo, TurnFiles), Failure> {
    let is_inside = |input: &&PathBuf| {
        let name = input.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| is_own_file(name) && are_same(input, &directory.join(name)))
    };
    if let Some(input) = args.audio_in.iter().find(is_inside) {
        return Err(heard_and_written(input));
    }
    let files = || {
        fs::create_dir_all(directory)?;
        let turns = TurnFiles::new(directory, user, assistant)?;
        let path = directory.join(CONVERSATION);
        Ok((Stereo::create(path, user, assistant)?, turns))
    };
    let files: std::io::Result<_> = files();
    files
        .with_context(|| format!("cannot write to --audio-out-dir {}", directory.display()))
        .map_err(Failure::usage)
}

fn heard_and_written(path: &Path) -> Failure {
    Failure::usage(anyhow!("{} can't be heard and written at once", path.display()))
}
