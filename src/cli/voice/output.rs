//! Where a run's sound goes: into files by a thread that writes them, or raw to stdout.
//!
//! The thread is fed by a queue that never makes anybody wait. What waits in it, and what has come and is not heard yet, is
//! bounded; beyond that sound is left out, counted and told.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use realtime_run::audio::{self, Channels};
use realtime_run::protocol::{AudioFormat, Id};
use realtime_run::session::SessionEvent;

use super::files::{CONVERSATION, SoundFile, Stereo, TurnFiles, Written, is_own_file};
use super::keeper::Keeper;
use crate::cli::args::VoiceArgs;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::output::{Output, Stream};
use crate::cli::printer::Printer;
use crate::cli::record::are_same;

/// The most sound that waits to be written or heard, in bytes: more than twenty minutes at 24 kHz.
const MOST: u64 = 64 << 20;
/// How long the rest may take to be written at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// Takes note of what sounds, if that is wanted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Ear {
    /// The thread that writes files, if any are wanted.
    keeper: Option<mpsc::Sender<Heard>>,
    /// Bytes that are on their way to a file.
    waiting: Arc<AtomicU64>,
    /// Bytes that there was no room for.
    left_out: Arc<AtomicU64>,
    /// Where raw sound goes, if it is wanted.
    stdout: Option<Output>,
}

/// What happened, and when.
#[derive(Debug)]
pub struct Heard {
    pub at: Instant,
    pub what: Sound,
}

#[derive(Debug)]
pub enum Sound {
    /// The session can be used: time begins.
    Begin,
    /// The user says or writes something new; `fast` sound does not wait until the answers before have been heard.
    Turn { fast: bool },
    /// Sound of the user, sent.
    User(Bytes),
    /// The server heard the user begin to speak.
    Speech { start_ms: Option<u64> },
    /// The assistant answers.
    Answer,
    /// Sound of an answer, received.
    Assistant {
        item_id: Id,
        content_index: u32,
        audio: Bytes,
    },
    /// An answer is cut off.
    Cut {
        item_id: Id,
        content_index: u32,
        played_ms: u64,
    },
    /// Nothing more comes.
    End,
}

impl Ear {
    /// The session has told of something.
    pub fn event(&self, event: &SessionEvent) {
        let what = match event {
            SessionEvent::SessionStart { .. } => Sound::Begin,
            SessionEvent::SpeechStarted { audio_start_ms, .. } => Sound::Speech {
                start_ms: *audio_start_ms,
            },
            SessionEvent::AgentStart { .. } => Sound::Answer,
            SessionEvent::Audio {
                item_id,
                content_index,
                audio,
            } => {
                if let Some(stdout) = &self.stdout {
                    stdout.bytes(Stream::Stdout, audio);
                }
                Sound::Assistant {
                    item_id: item_id.clone(),
                    content_index: *content_index,
                    audio: audio.clone(),
                }
            }
            SessionEvent::AudioInterrupted {
                item_id,
                content_index,
                played_ms,
            } => Sound::Cut {
                item_id: item_id.clone(),
                content_index: *content_index,
                played_ms: *played_ms,
            },
            _ => return,
        };
        self.note(what);
    }

    /// The user says or writes something new from now on. Sound that is sent as fast as the server takes it does not wait
    /// until the answers before have been heard; on the time line it does.
    pub fn turn(&self, fast: bool) {
        self.note(Sound::Turn { fast });
    }

    /// A chunk of the user's sound was sent right now.
    pub fn user(&self, audio: &Bytes) {
        self.note(Sound::User(audio.clone()));
    }

    fn note(&self, what: Sound) {
        let Some(keeper) = &self.keeper else { return };
        let bytes = what.bytes();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        if bytes > 0 && waiting + bytes > MOST {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.left_out.fetch_add(bytes, Ordering::Relaxed);
            return;
        }
        let at = Instant::now();
        // The thread ends after this side does.
        let _ = keeper.send(Heard { at, what });
    }
}

impl Sound {
    /// How much it holds.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::User(audio) | Self::Assistant { audio, .. } => audio.len() as u64,
            _ => 0,
        }
    }
}

/// The sound of a run that is kept, with `--audio-out` and `--audio-out-dir`.
#[derive(Debug)]
pub struct AudioOut {
    pub ear: Ear,
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
            ear: Ear {
                keeper,
                waiting,
                left_out: Arc::default(),
                stdout: raw.then(|| printer.output().clone()),
            },
            done,
            format: output,
        }))
    }

    /// Waits until everything is written, and tells what is there; the exit status is bad if that is not everything.
    pub fn finish(self, status: ExitStatus, printer: &Printer) -> ExitStatus {
        let Some(done) = self.done else { return status };
        self.ear.note(Sound::End);
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
        let left_out = self.ear.left_out.load(Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_left_out_and_counted() {
        let (keeper, notes) = mpsc::channel();
        let ear = Ear {
            keeper: Some(keeper),
            ..Ear::default()
        };
        let megabyte = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..67 {
            ear.user(&megabyte);
        }
        assert_eq!(ear.left_out.load(Ordering::Relaxed), 3 << 20);
        ear.turn(false);
        assert_eq!(
            notes.try_iter().count(),
            64 + 1,
            "what is no sound always has room"
        );
    }
}
