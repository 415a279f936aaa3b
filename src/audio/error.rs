use std::fmt;
use std::io;

use super::UnsupportedRate;

/// Why a file is no sound that can be read.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct AudioError {
    /// What was read.
    pub name: String,
    /// What is wrong with it.
    pub problem: AudioProblem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum AudioProblem {
    /// It can't be opened or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It does not begin as an audio file does.
    #[error("it is no audio file; WAV, FLAC, Ogg Vorbis and MP3 are read")]
    Unknown,
    /// There is another kind of sound in it than is read.
    #[error("the {kind} file can't be used: {what}")]
    Unsupported {
        /// The kind of the file.
        kind: AudioKind,
        /// What it has.
        what: String,
    },
    /// It contradicts its kind.
    #[error("the {kind} file is damaged: {what}")]
    Damaged {
        /// The kind of the file.
        kind: AudioKind,
        /// Where it does.
        what: String,
    },
    /// There is no sound in it.
    #[error("it has no samples")]
    Empty,
}

impl AudioProblem {
    pub(super) fn rate(kind: AudioKind, rate: UnsupportedRate) -> Self {
        let what = rate.to_string();
        Self::Unsupported { kind, what }
    }
}

/// A kind of audio file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioKind {
    /// RIFF WAVE.
    Wav,
    /// FLAC.
    Flac,
    /// Ogg, of which Vorbis is read.
    Ogg,
    /// MPEG audio, layer III.
    Mp3,
    /// Samples without a header, in a session's format.
    Raw,
}

impl AudioKind {
    /// By the first bytes of a file.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Self::Wav),
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Flac),
            [b'O', b'g', b'g', b'S', ..] => Some(Self::Ogg),
            [b'I', b'D', b'3', ..] => Some(Self::Mp3),
            // Eleven bits for the start of a frame, then a version that is not reserved, and layer III.
            [0xff, 0xfa | 0xfb | 0xf2 | 0xf3 | 0xe2 | 0xe3, ..] => Some(Self::Mp3),
            _ => None,
        }
    }
}

impl fmt::Display for AudioKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Ogg => "Ogg",
            Self::Mp3 => "MP3",
            Self::Raw => "raw",
        })
    }
}
