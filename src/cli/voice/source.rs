//! Where the user's sound comes from: chunks of it, in the session's input format, until it ends.
//!
//! Files and stdin are read by threads of their own, which end when nobody takes the chunks any more. The queue between is
//! short: what is not yet sent stays in the file or the pipe.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use realtime_run::audio::{self, AudioReader};
use realtime_run::protocol::AudioFormat;
use tokio::sync::mpsc;

use crate::cli::args::{Pace, VoiceArgs};
use crate::cli::exit::Failure;

/// How much sound is sent at once.
pub const CHUNK: Duration = Duration::from_millis(20);
/// Chunks that may wait to be sent.
const WAITING: usize = 16;

/// Sound on its way to the session.
#[derive(Debug)]
pub struct Source {
    chunks: Chunks,
    pub pace: Pace,
}

#[derive(Debug)]
enum Chunks {
    /// From a thread that reads; the last one may say why it can't go on.
    Read(mpsc::Receiver<Result<Bytes, String>>),
    /// Silence, so many bytes of it.
    Silence { chunk: Bytes, left: usize },
}

impl Source {
    /// Silence of this length.
    pub fn silence(length: Duration, format: AudioFormat, pace: Pace) -> Self {
        let bytes = |length: Duration| {
            let samples = length.as_millis() * u128::from(audio::sample_rate(format)) / 1_000;
            audio::encode((0..samples).map(|_| 0), format)
        };
        Self {
            chunks: Chunks::Silence {
                left: bytes(length).len(),
                chunk: bytes(CHUNK).into(),
            },
            pace,
        }
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, String>> {
        match &mut self.chunks {
            Chunks::Read(chunks) => chunks.recv().await,
            Chunks::Silence { left: 0, .. } => None,
            Chunks::Silence { chunk, left } => {
                let chunk = chunk.slice(..chunk.len().min(*left));
                *left -= chunk.len();
                Some(Ok(chunk))
            }
        }
    }

    /// What a reader gives, read by a thread until the end or until nobody takes it.
    fn read(mut reader: AudioReader, pace: Pace) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("audio-in".into())
            .spawn(move || {
                while let Some(chunk) = reader.next_chunk(CHUNK).transpose() {
                    let is_last = chunk.is_err();
                    let chunk = chunk.map_err(|error| error.to_string());
                    if sender.blocking_send(chunk).is_err() || is_last {
                        return;
                    }
                }
            })?;
        let chunks = Chunks::Read(chunks);
        Ok(Self { chunks, pace })
    }
}

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
        Source::read(self.reader, self.pace)
    }
}

impl std::fmt::Debug for Cue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cue({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_silent_in_every_format_and_as_long_as_it_is_to_be() {
        let formats = [
            (AudioFormat::PCM24, 0, 48),
            (AudioFormat::Pcmu, 0xff, 8),
            (AudioFormat::Pcma, 0xd5, 8),
        ];
        for (format, zero, per_ms) in formats {
            let mut source = Source::silence(Duration::from_millis(50), format, Pace::Fast);
            let mut lengths = Vec::new();
            while let Some(chunk) = source.next().await {
                let chunk = chunk.unwrap();
                assert!(chunk.iter().all(|byte| *byte == zero), "{format:?}");
                lengths.push(chunk.len() / per_ms);
            }
            assert_eq!(lengths, [20, 20, 10], "{format:?}");
        }
    }
}
