//! The files of a run's sound: what was heard, turn by turn, and the conversation as a whole.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use realtime_run::audio::{Channels, Resampler, WavWriter, to_f32, to_i16};

use super::timeline::Second;

/// Both sides.
pub const CONVERSATION: &str = "conversation.wav";
/// The most of the user's sound that is kept until it is known to be a turn's.
const HELD_SECONDS: usize = 60;

/// One file, and what became of it.
#[derive(Debug)]
pub struct SoundFile {
    path: PathBuf,
    rate: u32,
    wav: Option<WavWriter<File>>,
    frames: u64,
    error: Option<io::Error>,
}

/// What became of a file.
#[derive(Debug)]
pub struct Written {
    pub path: PathBuf,
    pub seconds: f64,
    /// Why it is not whole.
    pub error: Option<io::Error>,
}

impl SoundFile {
    pub fn create(path: PathBuf, channels: Channels, rate: u32) -> io::Result<Self> {
        // A pipe without a reader would wait for ever, and none can be gone back in.
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("it is no regular file"));
        }
        let wav = WavWriter::new(File::create(&path)?, channels, rate)?;
        Ok(Self {
            path,
            rate,
            wav: Some(wav),
            frames: 0,
            error: None,
        })
    }

    /// Appends samples, so many of them a frame. After an error nothing more is written.
    fn write(&mut self, samples: impl ExactSizeIterator<Item = i16>, channels: Channels) {
        let frames = (samples.len() / channels as usize) as u64;
        self.attempt(|wav| wav.write(samples));
        if self.error.is_none() {
            self.frames += frames;
        }
    }

    pub fn mono(&mut self, samples: &[i16]) {
        self.write(samples.iter().copied(), Channels::Mono);
    }

    /// Makes what was written readable, should the program be killed.
    pub fn flush(&mut self) {
        self.attempt(WavWriter::flush);
    }

    fn attempt(&mut self, work: impl FnOnce(&mut WavWriter<File>) -> io::Result<()>) {
        if let Some(Err(error)) = self.wav.as_mut().map(work) {
            self.wav = None;
            self.error = Some(error);
        }
    }

    pub fn finish(mut self) -> Written {
        self.flush();
        Written {
            path: self.path,
            seconds: self.frames as f64 / f64::from(self.rate),
            error: self.error,
        }
    }
}

/// Both sides of the conversation on their time line, the user on the left.
#[derive(Debug)]
pub struct Stereo {
    file: SoundFile,
    left: Side,
    right: Side,
}

/// One side on its way to the rate of the file.
#[derive(Debug)]
struct Side {
    rate: f64,
    resampler: Resampler,
    ready: Vec<f32>,
}

impl Stereo {
    /// At the higher of both rates.
    pub fn create(path: PathBuf, user_rate: u32, assistant_rate: u32) -> io::Result<Self> {
        let rate = user_rate.max(assistant_rate);
        let side = |from: u32| {
            io::Result::Ok(Side {
                rate: from.into(),
                resampler: Resampler::new(from, rate).map_err(io::Error::other)?,
                ready: Vec::new(),
            })
        };
        Ok(Self {
            left: side(user_rate)?,
            right: side(assistant_rate)?,
            file: SoundFile::create(path, Channels::Stereo, rate)?,
        })
    }

    pub fn second(&mut self, second: &Second) {
        self.left.push(&second.user, second.length);
        self.right.push(&second.assistant, second.length);
        self.write();
    }

    fn write(&mut self) {
        let (left, right) = (&mut self.left.ready, &mut self.right.ready);
        let frames = left.len().min(right.len());
        let pairs = left.drain(..frames).zip(right.drain(..frames));
        let samples: Vec<i16> = pairs
            .flat_map(|(left, right)| [to_i16(left), to_i16(right)])
            .collect();
        self.file.write(samples.into_iter(), Channels::Stereo);
    }

    pub fn flush(&mut self) {
        self.file.flush();
    }

    pub fn finish(mut self) -> Written {
        for side in [&mut self.left, &mut self.right] {
            side.resampler.finish(&mut side.ready);
        }
        self.write();
        self.file.finish()
    }
}

impl Side {
    /// Sound of this length, the end of which may be silence.
    fn push(&mut self, samples: &[i16], length: Duration) {
        let mut second: Vec<f32> = samples.iter().copied().map(to_f32).collect();
        let samples = (length.as_secs_f64() * self.rate).round() as usize;
        second.resize(samples, 0.0);
        self.resampler.push(&second, &mut self.ready);
    }
}

/// A file for each side and turn, made when there is sound for it.
///
/// A turn begins with what the user says or writes; its user's side ends where the answer begins.
#[derive(Debug)]
pub struct TurnFiles {
    directory: PathBuf,
    rates: [u32; 2],
    /// Counted from 1; none has begun at 0.
    turn: u32,
    /// Whether what the user says belongs to the turn.
    is_listening: bool,
    user: Option<SoundFile>,
    /// The one that was answered last, and its turn.
    assistant: Option<(u32, SoundFile)>,
    /// The user's samples since the turn was answered: the beginning of the next may be among them.
    held: VecDeque<i16>,
    /// All of the user's samples.
    sent: u64,
    /// The first that went wrong.
    failed: Option<Written>,
}

impl TurnFiles {
    /// In a folder that is there; files of a run before are removed.
    pub fn new(directory: &Path, user_rate: u32, assistant_rate: u32) -> io::Result<Self> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_turn_file) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            directory: directory.into(),
            rates: [user_rate, assistant_rate],
            turn: 0,
            is_listening: false,
            user: None,
            assistant: None,
            held: VecDeque::new(),
            sent: 0,
            failed: None,
        })
    }

    /// The number of the turn that goes on.
    pub fn turn(&self) -> u32 {
        self.turn
    }

    /// What the user says from now on is another turn.
    pub fn begin(&mut self) {
        let before = self.user.take();
        self.close(before);
        self.turn += 1;
        self.is_listening = true;
        self.held.clear();
    }

    /// The server heard the user begin to speak, at this place in all that was sent; another turn, unless the one that
    /// goes on was not answered yet.
    pub fn speech(&mut self, start_ms: Option<u64>) {
        if self.is_listening {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        self.begin();
        let first = self.sent - held.len() as u64;
        let start = match start_ms {
            Some(ms) => ms.saturating_mul(self.rates[0].into()) / 1_000,
            // It was not long ago.
            None => self.sent.saturating_sub(self.rates[0].into()),
        };
        held.drain(..(start.saturating_sub(first) as usize).min(held.len()));
        self.write_user(held.make_contiguous());
    }

    /// The turn is answered.
    pub fn answer(&mut self) {
        self.turn = self.turn.max(1);
        self.is_listening = false;
    }

    pub fn user(&mut self, samples: &[i16]) {
        self.sent += samples.len() as u64;
        if self.is_listening {
            self.write_user(samples);
        } else {
            self.held.extend(samples);
            let most = HELD_SECONDS * self.rates[0] as usize;
            self.held.drain(..self.held.len().saturating_sub(most));
        }
    }

    fn write_user(&mut self, samples: &[i16]) {
        if self.user.is_none() && !samples.is_empty() {
            self.user = self.create(self.turn, "user", self.rates[0]);
        }
        if let Some(file) = &mut self.user {
            file.mono(samples);
        }
    }

    pub fn assistant(&mut self, turn: u32, samples: &[i16]) {
        if self.assistant.as_ref().is_none_or(|(open, _)| *open != turn) {
            let before = self.assistant.take().map(|(_, file)| file);
            self.close(before);
            let file = self.create(turn, "assistant", self.rates[1]);
            self.assistant = file.map(|file| (turn, file));
        }
        if let Some((_, file)) = &mut self.assistant {
            file.mono(samples);
        }
    }

    fn create(&mut self, turn: u32, side: &str, rate: u32) -> Option<SoundFile> {
        let path = self.directory.join(format!("turn-{turn:03}-{side}.wav"));
        match SoundFile::create(path.clone(), Channels::Mono, rate) {
            Ok(file) => Some(file),
            Err(error) => {
                self.failed.get_or_insert(Written {
                    path,
                    seconds: 0.0,
                    error: Some(error),
                });
                None
            }
        }
    }

    fn close(&mut self, file: Option<SoundFile>) {
        let written = file.map(SoundFile::finish);
        if let Some(written) = written.filter(|written| written.error.is_some()) {
            self.failed.get_or_insert(written);
        }
    }

    pub fn flush(&mut self) {
        let assistant = self.assistant.as_mut().map(|(_, file)| file);
        for file in self.user.iter_mut().chain(assistant) {
            file.flush();
        }
    }

    /// Ends all of them; gives the first that is not whole.
    pub fn finish(mut self) -> Option<Written> {
        let files = [self.user.take(), self.assistant.take().map(|(_, file)| file)];
        files.into_iter().for_each(|file| self.close(file));
        self.failed
    }
}

/// Whether a file of this name in the folder is written, or removed, by a run.
pub fn is_own_file(name: &str) -> bool {
    name == CONVERSATION || is_turn_file(name)
}

fn is_turn_file(name: &str) -> bool {
    let number = name.strip_prefix("turn-").and_then(|rest| {
        rest.strip_suffix("-user.wav")
            .or_else(|| rest.strip_suffix("-assistant.wav"))
    });
    number.is_some_and(|number| number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit()))
}
