use std::io::{self, ErrorKind, Read};

use super::super::{AudioKind, AudioProblem, g711};

/// More channels than any recording has; what a damaged header says is not believed.
const MOST_CHANNELS: u16 = 64;
/// Frames that are read at once.
const BLOCK: usize = 4_096;

/// A WAV file that is read from its beginning to its end; a pipe will do.
///
/// A length that a program could not know when it began to write is no mistake: what is there counts.
pub(crate) struct WavReader<R> {
    file: R,
    pub(crate) rate: u32,
    encoding: Encoding,
    channels: usize,
    /// Bytes of samples that are still to come, if the header is right.
    left: u64,
    /// Frames in all, where a header tells.
    pub(crate) frames: Option<u64>,
    bytes: Vec<u8>,
}

/// How one sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    U8,
    /// Signed, in so many bytes.
    Int(usize),
    F32,
    F64,
    Ulaw,
    Alaw,
}

impl<R: Read> WavReader<R> {
    /// Reads the header. `length` is the file's, in bytes, where it is known.
    pub(crate) fn new(mut file: R, length: Option<u64>) -> Result<Self, AudioProblem> {
        let mut riff = [0; 12];
        file.read_exact(&mut riff).map_err(ended)?;
        if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
            return Err(damaged("it does not begin with RIFF and WAVE"));
        }
        let open_end = matches!(u32_at(&riff, 4), 0 | u32::MAX);
        let mut at = riff.len() as u64;
        let mut format = None;
        loop {
            let mut head = [0; 8];
            file.read_exact(&mut head).map_err(ended)?;
            at += head.len() as u64;
            let size = u64::from(u32_at(&head, 4));
            match (&head[..4], format) {
                (b"fmt ", _) => format = Some(Format::read(&mut file, size)?),
                (b"data", Some(format)) => {
                    let unknown = size == u64::from(u32::MAX) || (size == 0 && open_end);
                    let said = if unknown { u64::MAX } else { size };
                    let left = length.map_or(said, |length| said.min(length.saturating_sub(at)));
                    return Self::of(file, format, left, unknown && length.is_none());
                }
                (b"data", None) => return Err(damaged("its samples come before their format")),
                _ => skip(&mut file, size)?,
            }
            // Chunks begin at even places.
            skip(&mut file, size % 2)?;
            at += size + size % 2;
        }
    }

    fn of(file: R, format: Format, left: u64, open_end: bool) -> Result<Self, AudioProblem> {
        let encoding = format.encoding()?;
        let channels = match format.channels {
            1..=MOST_CHANNELS => usize::from(format.channels),
            other => {
                return Err(unsupported(format!(
                    "it has {other} channels; 1 to {MOST_CHANNELS} are read"
                )));
            }
        };
        let frame = channels * encoding.size();
        Ok(Self {
            file,
            rate: format.rate,
            encoding,
            channels,
            left,
            frames: (!open_end).then_some(left / frame as u64),
            bytes: vec![0; frame * BLOCK],
        })
    }

    /// Appends samples to the mono sound; false at the end.
    pub(crate) fn next(&mut self, mono: &mut Vec<f32>) -> Result<bool, AudioProblem> {
        let frame = self.channels * self.encoding.size();
        let wanted = usize::try_from(self.left).map_or(self.bytes.len(), |left| left.min(self.bytes.len()));
        let got = fill(&mut self.file, &mut self.bytes[..wanted])?;
        self.left = if got < wanted { 0 } else { self.left - got as u64 };
        for frame in self.bytes[..got].chunks_exact(frame) {
            let samples = frame.chunks_exact(self.encoding.size());
            let sum: f32 = samples.map(|sample| self.encoding.sample(sample)).sum();
            mono.push(sum / self.channels as f32);
        }
        Ok(got >= frame)
    }
}

/// The chunk that says what samples there are.
#[derive(Clone, Copy)]
struct Format {
    /// What the samples are; of an extensible format the first field of the sub-format.
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
}

impl Format {
    fn read(file: &mut impl Read, size: u64) -> Result<Self, AudioProblem> {
        const EXTENSIBLE: u16 = 0xfffe;
        let mut chunk = [0; 40];
        let known = size.min(chunk.len() as u64) as usize;
        if known < 16 {
            return Err(damaged("its format chunk is too short"));
        }
        file.read_exact(&mut chunk[..known]).map_err(ended)?;
        skip(file, size - known as u64)?;
        let tag = match u16_at(&chunk, 0) {
            EXTENSIBLE if known >= 26 => u16_at(&chunk, 24),
            tag => tag,
        };
        Ok(Self {
            tag,
            channels: u16_at(&chunk, 2),
            rate: u32_at(&chunk, 4),
            bits: u16_at(&chunk, 14),
        })
    }

    fn encoding(self) -> Result<Encoding, AudioProblem> {
        const PCM: u16 = 1;
        const FLOAT: u16 = 3;
        const ALAW: u16 = 6;
        const ULAW: u16 = 7;
        match (self.tag, self.bits) {
            (PCM, 1..=8) => Ok(Encoding::U8),
            // Bits that fill no byte are the upper ones of the bytes that they take.
            (PCM, 9..=32) => Ok(Encoding::Int(usize::from(self.bits).div_ceil(8))),
            (FLOAT, 32) => Ok(Encoding::F32),
            (FLOAT, 64) => Ok(Encoding::F64),
            (ALAW, 8) => Ok(Encoding::Alaw),
            (ULAW, 8) => Ok(Encoding::Ulaw),
            (tag @ (PCM | FLOAT | ALAW | ULAW), bits) => Err(unsupported(format!(
                "its samples (format {tag}) have {bits} bits"
            ))),
            (tag, _) => Err(unsupported(format!(
                "its samples are of format {tag:#06x}; PCM, floats and G.711 are read"
            ))),
        }
    }
}

impl Encoding {
    /// Bytes of a sample.
    fn size(self) -> usize {
        match self {
            Self::U8 | Self::Ulaw | Self::Alaw => 1,
            Self::Int(size) => size,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn sample(self, bytes: &[u8]) -> f32 {
        const FULL_SCALE: f32 = 2_147_483_648.0;
        match (self, bytes) {
            (Self::U8, [byte]) => (f32::from(*byte) - 128.0) / 128.0,
            (Self::Int(2), [a, b]) => i32::from_le_bytes([0, 0, *a, *b]) as f32 / FULL_SCALE,
            (Self::Int(3), [a, b, c]) => i32::from_le_bytes([0, *a, *b, *c]) as f32 / FULL_SCALE,
            (Self::Int(4), [a, b, c, d]) => i32::from_le_bytes([*a, *b, *c, *d]) as f32 / FULL_SCALE,
            (Self::F32, [a, b, c, d]) => f32::from_le_bytes([*a, *b, *c, *d]),
            (Self::F64, [a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as f32
            }
            (Self::Ulaw, [byte]) => crate::audio::to_f32(g711::from_ulaw(*byte)),
            (Self::Alaw, [byte]) => crate::audio::to_f32(g711::from_alaw(*byte)),
            _ => 0.0,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn skip(file: &mut impl Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut file.take(bytes), &mut io::sink()).map(drop)
}

/// As much as there is.
fn fill(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read(&mut bytes[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn ended(error: io::Error) -> AudioProblem {
    match error.kind() {
        ErrorKind::UnexpectedEof => damaged("it ends before its samples begin"),
        _ => error.into(),
    }
}

fn damaged(what: &str) -> AudioProblem {
    AudioProblem::Damaged {
        kind: AudioKind::Wav,
        what: what.into(),
    }
}

fn unsupported(what: String) -> AudioProblem {
    AudioProblem::Unsupported {
        kind: AudioKind::Wav,
        what,
    }
}
