mod compressed;

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use symphonia::core::io::{MediaSource, ReadOnlySource};

use crate::protocol::AudioFormat;

use self::compressed::Compressed;
use super::wav::WavReader;
use super::{AudioError, AudioKind, AudioProblem, Resampler, encode, sample_rate, to_i16};

/// Sound from a file, in chunks as a session takes them.
///
/// Files are WAV (PCM of 8 to 32 bits, floats, G.711; any number of channels), FLAC, Ogg Vorbis and MP3, at any usual rate.
/// Channels are mixed to one, and rates converted. A file is decoded as it is asked for: memory does not grow with its
/// length. What a truncated file has counts; what can't be decoded within a FLAC, Ogg or MP3 file is left out, as
/// players do.
///
/// Reading blocks on the file's or the pipe's I/O.
pub struct AudioReader {
    name: String,
    kind: AudioKind,
    format: AudioFormat,
    origin: Origin,
}

enum Origin {
    /// Already in the format.
    Raw(Box<dyn Read + Send>),
    Converted(Box<Conversion>),
}

impl AudioReader {
    /// Opens a file; a named pipe is one, too.
    ///
    /// # Errors
    /// When it can't be read, is of no kind that is, or has no sound.
    pub fn open(path: &Path, format: AudioFormat) -> Result<Self, AudioError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::new(name, Box::new(file), format),
            Err(error) => Err(AudioError {
                name,
                problem: error.into(),
            }),
        }
    }

    /// A file that is in memory; `name` is for errors.
    ///
    /// # Errors
    /// When it is of no kind that is read, or has no sound.
    pub fn from_bytes(
        name: impl Into<String>,
        bytes: impl Into<Bytes>,
        format: AudioFormat,
    ) -> Result<Self, AudioError> {
        Self::new(name.into(), Box::new(Cursor::new(bytes.into())), format)
    }

    /// Samples that are in the format already, without any header, such as from a pipe.
    pub fn raw(name: impl Into<String>, source: impl Read + Send + 'static, format: AudioFormat) -> Self {
        Self {
            name: name.into(),
            kind: AudioKind::Raw,
            format,
            origin: Origin::Raw(Box::new(source)),
        }
    }

    fn new(name: String, file: Box<dyn MediaSource>, format: AudioFormat) -> Result<Self, AudioError> {
        let opened = Sound::open(file).and_then(|(kind, sound)| {
            let conversion = Conversion::new(kind, sound, format)?;
            Ok((kind, Origin::Converted(Box::new(conversion))))
        });
        match opened {
            Ok((kind, origin)) => Ok(Self {
                name,
                kind,
                format,
                origin,
            }),
            Err(problem) => Err(AudioError { name, problem }),
        }
    }

    /// What was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of file it is.
    pub fn kind(&self) -> AudioKind {
        self.kind
    }

    /// What the chunks are encoded in.
    pub fn format(&self) -> AudioFormat {
        self.format
    }

    /// How long the whole sound is, where its header says; the file may be shorter.
    pub fn duration(&self) -> Option<Duration> {
        match &self.origin {
            Origin::Raw(_) => None,
            Origin::Converted(conversion) => conversion.duration,
        }
    }

    /// The next samples, as many as last so long, rounded down but at least one; fewer at the end, then none.
    ///
    /// # Errors
    /// When the file can't be read any further.
    pub fn next_chunk(&mut self, duration: Duration) -> Result<Option<Bytes>, AudioError> {
        let samples = duration.as_nanos() * u128::from(sample_rate(self.format)) / 1_000_000_000;
        let samples = usize::try_from(samples).unwrap_or(usize::MAX).max(1);
        let chunk = match &mut self.origin {
            Origin::Raw(source) => raw_chunk(source, samples, self.format),
            Origin::Converted(conversion) => conversion.next_chunk(samples, self.format),
        };
        chunk.map_err(|problem| AudioError {
            name: self.name.clone(),
            problem,
        })
    }

    /// Everything that is left, for sounds that are known to be short.
    ///
    /// # Errors
    /// As [`AudioReader::next_chunk`]'s.
    pub fn read_to_end(&mut self) -> Result<Bytes, AudioError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk(Duration::from_secs(1))? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }
}

impl std::fmt::Debug for AudioReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioReader")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn raw_chunk(
    source: &mut (impl Read + ?Sized),
    samples: usize,
    format: AudioFormat,
) -> Result<Option<Bytes>, AudioProblem> {
    let size = match format {
        AudioFormat::Pcm { .. } => 2,
        AudioFormat::Pcmu | AudioFormat::Pcma => 1,
    };
    let mut chunk = Vec::new();
    source
        .take(samples.saturating_mul(size) as u64)
        .read_to_end(&mut chunk)?;
    // Half a sample at the end is none.
    chunk.truncate(chunk.len() / size * size);
    Ok((!chunk.is_empty()).then(|| chunk.into()))
}

/// A file's sound, mixed to one channel.
enum Sound {
    Wav(WavReader<Box<dyn MediaSource>>),
    Compressed(Compressed),
}

impl Sound {
    fn open(mut file: Box<dyn MediaSource>) -> Result<(AudioKind, Self), AudioProblem> {
        let mut start = Vec::new();
        file.by_ref().take(12).read_to_end(&mut start)?;
        let kind = match AudioKind::of(&start) {
            Some(kind) => kind,
            None if start.is_empty() => return Err(AudioProblem::Empty),
            None => return Err(AudioProblem::Unknown),
        };
        let file: Box<dyn MediaSource> = if file.is_seekable() {
            file.seek(SeekFrom::Start(0))?;
            file
        } else {
            Box::new(ReadOnlySource::new(Cursor::new(start).chain(file)))
        };
        let sound = match kind {
            AudioKind::Wav => {
                let length = file.byte_len();
                Self::Wav(WavReader::new(file, length)?)
            }
            _ => Self::Compressed(Compressed::new(file, kind)?),
        };
        Ok((kind, sound))
    }

    fn rate(&self) -> u32 {
        match self {
            Self::Wav(wav) => wav.rate,
            Self::Compressed(file) => file.rate,
        }
    }

    fn frames(&self) -> Option<u64> {
        match self {
            Self::Wav(wav) => wav.frames,
            Self::Compressed(file) => file.frames,
        }
    }

    fn next(&mut self, mono: &mut Vec<f32>) -> Result<bool, AudioProblem> {
        let before = mono.len();
        let more = match self {
            Self::Wav(wav) => wav.next(mono),
            Self::Compressed(file) => file.next(mono),
        };
        for sample in &mut mono[before..] {
            // What is no number would spread through the filter.
            *sample = if sample.is_nan() {
                0.0
            } else {
                sample.clamp(-1.0, 1.0)
            };
        }
        more
    }
}

/// A file's sound on its way to a session's rate.
struct Conversion {
    sound: Sound,
    resampler: Resampler,
    duration: Option<Duration>,
    mono: Vec<f32>,
    resampled: Vec<f32>,
    /// What has its rate and waits for its chunk.
    ready: Vec<i16>,
    ended: bool,
}

impl Conversion {
    fn new(kind: AudioKind, sound: Sound, format: AudioFormat) -> Result<Self, AudioProblem> {
        let rate = sound.rate();
        let resampler =
            Resampler::new(rate, sample_rate(format)).map_err(|error| AudioProblem::rate(kind, error))?;
        let frames = sound.frames();
        let duration = frames.map(|frames| Duration::from_secs_f64(frames as f64 / f64::from(rate)));
        let mut conversion = Self {
            sound,
            resampler,
            duration,
            mono: Vec::new(),
            resampled: Vec::new(),
            ready: Vec::new(),
            ended: false,
        };
        // A file without sound, or one that is damaged from its beginning, is told before it is needed.
        conversion.fill(1)?;
        match conversion.ready.is_empty() {
            true => Err(AudioProblem::Empty),
            false => Ok(conversion),
        }
    }

    /// Until so many samples are ready, or it has ended.
    fn fill(&mut self, samples: usize) -> Result<(), AudioProblem> {
        while self.ready.len() < samples && !self.ended {
            self.mono.clear();
            self.resampled.clear();
            self.ended = !self.sound.next(&mut self.mono)?;
            self.resampler.push(&self.mono, &mut self.resampled);
            if self.ended {
                self.resampler.finish(&mut self.resampled);
            }
            self.ready.extend(self.resampled.iter().copied().map(to_i16));
        }
        Ok(())
    }

    fn next_chunk(&mut self, samples: usize, format: AudioFormat) -> Result<Option<Bytes>, AudioProblem> {
        self.fill(samples)?;
        let samples = samples.min(self.ready.len());
        let chunk = encode(self.ready.drain(..samples), format);
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::{Channels, WavWriter};
    use super::*;

    const FRAMES: usize = 600 * 44_100;

    /// A WAV file of ten minutes at 44.1 kHz, without the file.
    fn ten_minutes() -> impl Read + Send + Sync {
        let empty = WavWriter::new(Cursor::new(Vec::new()), Channels::Mono, 44_100).unwrap();
        let mut header = empty.finish().unwrap().into_inner();
        header[40..].copy_from_slice(&(FRAMES as u32 * 2).to_le_bytes());
        Cursor::new(header).chain(io::repeat(7).take(FRAMES as u64 * 2))
    }

    #[test]
    fn ten_minutes_are_ten_minutes_and_take_no_memory() {
        let file = Box::new(ReadOnlySource::new(ten_minutes()));
        let mut reader = AudioReader::new("long".into(), file, AudioFormat::PCM24).unwrap();
        assert_eq!(reader.duration(), Some(Duration::from_secs(600)));
        let mut samples = 0;
        while let Some(chunk) = reader.next_chunk(Duration::from_millis(20)).unwrap() {
            samples += chunk.len() / 2;
        }
        assert_eq!(samples, 600 * 24_000, "without drift");
        let Origin::Converted(conversion) = &reader.origin else {
            unreachable!("it has a header");
        };
        let kept = conversion.mono.capacity() + conversion.resampled.capacity() + conversion.ready.capacity();
        assert!(kept < 32 << 10, "{kept} samples are kept");
    }
}
