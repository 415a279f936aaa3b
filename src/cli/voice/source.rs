//! Where the user's sound comes from: chunks of it, in the session's input format, until it ends.
//!
//! Files and stdin are read by threads of their own, which end when nobody takes the chunks any more. The queue between is
//! short: what is not yet sent stays in the file or the pipe.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use realtime_run::audio;
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

    /// Chunks read by a thread that runs `read` until it is done or nobody takes them.
    fn read(
        pace: Pace,
        mut read: impl FnMut() -> Option<Result<Bytes, String>> + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("audio-in".into())
            .spawn(move || {
                while let Some(chunk) = read() {
                    let is_last = chunk.is_err();
                    if sender.blocking_send(chunk).is_err() || is_last {
                        return;
                    }
                }
            })?;
        let chunks = Chunks::Read(chunks);
        Ok(Self { chunks, pace })
    }
}

/// What the user is about to say with `--audio-in`: found to be there, and not yet read.
#[derive(Debug)]
pub struct Cue {
    name: Option<String>,
    kind: CueKind,
    pace: Pace,
}

#[derive(Debug)]
enum CueKind {
    File(FileReader),
    Stdin(AudioFormat),
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
            return Err(Failure::usage(anyhow!(
                "stdin can be heard only once: give `--audio-in -` once"
            )));
        }
        args.audio_in
            .iter()
            .map(|path| match is_stdin(&path) {
                true => Self::stdin(args.audio_pace, format),
                false => Self::file(path, args.audio_pace, format),
            })
            .collect::<anyhow::Result<_>>()
            .map_err(Failure::usage)
    }

    fn file(path: &Path, pace: Option<Pace>, format: AudioFormat) -> anyhow::Result<Self> {
        let reader =
            FileReader::open(path, format).map_err(|why| anyhow!("--audio-in {}: {why}", path.display()))?;
        Ok(Self {
            name: Some(path.display().to_string()),
            kind: CueKind::File(reader),
            pace: pace.unwrap_or(Pace::Realtime),
        })
    }

    fn stdin(pace: Option<Pace>, format: AudioFormat) -> anyhow::Result<Self> {
        if io::stdin().is_terminal() {
            let why = "`--audio-in -` reads raw sound, and stdin is a terminal: pipe sound into it";
            return Err(anyhow!(why));
        }
        Ok(Self {
            name: None,
            kind: CueKind::Stdin(format),
            pace: pace.unwrap_or(Pace::Fast),
        })
    }

    /// What it is called, if it has a name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it is what comes in on stdin.
    pub fn is_stdin(&self) -> bool {
        matches!(self.kind, CueKind::Stdin(_))
    }

    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Begins to read it.
    pub fn start(self) -> io::Result<Source> {
        match self.kind {
            CueKind::File(mut reader) => {
                let name = self.name.unwrap_or_default();
                Source::read(self.pace, move || {
                    let chunk = reader.next()?;
                    Some(chunk.map_err(|why| format!("{name}: {why}")))
                })
            }
            CueKind::Stdin(format) => {
                let mut stdin = io::stdin();
                Source::read(self.pace, move || {
                    let chunk = raw_chunk(&mut stdin, format).transpose()?;
                    Some(chunk.map_err(|error| format!("stdin can't be read: {error}")))
                })
            }
        }
    }
}

/// The next whole samples of raw sound, as much as is sent at once unless it ends before; none at the end. Half a sample
/// at the end is left out.
fn raw_chunk(input: &mut impl Read, format: AudioFormat) -> io::Result<Option<Bytes>> {
    let sample = match format {
        AudioFormat::Pcm { .. } => 2,
        AudioFormat::Pcmu | AudioFormat::Pcma => 1,
    };
    let rate = u64::from(audio::sample_rate(format));
    let samples = (u128::from(rate) * CHUNK.as_millis() / 1_000).max(1);
    let bytes = u64::try_from(samples).unwrap_or(rate) * sample;
    let mut chunk = Vec::new();
    input.take(bytes).read_to_end(&mut chunk)?;
    chunk.truncate(chunk.len() - chunk.len() % sample as usize);
    Ok((!chunk.is_empty()).then(|| chunk.into()))
}

#[derive(Debug)]
struct FileReader {
    sound: Bytes,
    chunk: usize,
}

impl FileReader {
    fn open(path: &Path, format: AudioFormat) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("it can't be read: {error}"))?;
        let wav = audio::Wav::from_bytes(&bytes).map_err(|error| error.to_string())?;
        let rate = audio::sample_rate(format);
        let sound = audio::encode(wav.at_rate(rate), format).into();
        let chunk = format.bytes_per_second() as usize / 50;
        Ok(Self { sound, chunk })
    }
}

impl Iterator for FileReader {
    type Item = Result<Bytes, String>;
    fn next(&mut self) -> Option<Self::Item> {
        let n = self.chunk.min(self.sound.len());
        (n > 0).then(|| Ok(self.sound.split_to(n)))
    }
}
