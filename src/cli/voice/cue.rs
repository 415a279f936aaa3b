//! What the command line gives the user to say: files, and raw sound on stdin.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use realtime_run::audio::{AudioReader, Source};
use realtime_run::protocol::AudioFormat;

use crate::cli::args::{Pace, VoiceArgs};
use crate::cli::exit::Failure;

/// What the user is about to say with `--audio-in`: opened, and not yet read.
pub struct Cue {
    reader: AudioReader,
    is_stdin: bool,
    pace: Pace,
}

/// All of them, in their order.
pub type Cues = VecDeque<Cue>;

impl Cue {
    /// What the command line names, in the session's input format.
    ///
    /// # Errors
    /// When a file is no sound, or stdin can't be meant.
    pub fn all(args: &VoiceArgs, format: AudioFormat) -> Result<Cues, Failure> {
        let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
        if args.audio_in.iter().filter(is_stdin).count() > 1 {
            let why = "stdin can be heard only once: give `--audio-in -` once";
            return Err(Failure::usage(anyhow!(why)));
        }
        let open = |path: &PathBuf| match is_stdin(&path) {
            true => Self::stdin(args.audio_pace, format),
            false => Self::file(path, args.audio_pace, format),
        };
        let cues: anyhow::Result<_> = args.audio_in.iter().map(open).collect();
        cues.context("--audio-in").map_err(Failure::usage)
    }

    fn file(path: &Path, pace: Option<Pace>, format: AudioFormat) -> anyhow::Result<Self> {
        Ok(Self {
            reader: AudioReader::open(path, format)?,
            is_stdin: false,
            pace: pace.unwrap_or(Pace::Realtime),
        })
    }

    fn stdin(pace: Option<Pace>, format: AudioFormat) -> anyhow::Result<Self> {
        if io::stdin().is_terminal() {
            return Err(anyhow!(
                "`-` is raw sound on stdin, which is a terminal: pipe sound into it"
            ));
        }
        Ok(Self {
            reader: AudioReader::raw("stdin", io::stdin(), format),
            is_stdin: true,
            pace: pace.unwrap_or(Pace::Fast),
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.reader.name()
    }

    /// Whether it is what comes in on stdin.
    pub fn is_stdin(&self) -> bool {
        self.is_stdin
    }

    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Begins to read it.
    pub fn start(self) -> io::Result<Source> {
        let (reader, is_realtime) = (self.reader, self.pace == Pace::Realtime);
        let format = reader.format();
        Ok(Source::read(move || Ok(reader), format)?.in_realtime(is_realtime))
    }
}

impl std::fmt::Debug for Cue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cue({})", self.name())
    }
}
