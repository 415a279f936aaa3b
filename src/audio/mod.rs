//! Sound: files, sample rates, and the formats of the wire.
//!
//! In: audio files, samples at any rate, or what a tone is to be; and an [`AudioFormat`]. Out: bytes as a Realtime
//! session carries them, at once or in their time; samples at another rate, WAV files. Nothing here knows of sockets or sessions.

#[cfg(feature = "devices")]
pub mod devices;
mod error;
mod g711;
mod reader;
mod resample;
mod sample;
mod source;
mod tone;
mod wav;

pub use error::{AudioError, AudioKind, AudioProblem};
pub use reader::AudioReader;
pub use resample::{Resampler, UnsupportedRate};
pub use sample::{to_f32, to_i16};
pub use source::Source;
pub use tone::tone;
pub use wav::{Channels, WavWriter};

use crate::protocol::AudioFormat;

/// Samples in a second of audio of this format.
pub fn sample_rate(format: AudioFormat) -> u32 {
    match format {
        AudioFormat::Pcm { rate } => rate.max(1),
        AudioFormat::Pcmu | AudioFormat::Pcma => 8_000,
    }
}

/// The bytes of samples that already have the format's rate.
pub fn encode(samples: impl IntoIterator<Item = i16>, format: AudioFormat) -> Vec<u8> {
    let samples = samples.into_iter();
    match format {
        AudioFormat::Pcm { .. } => samples.flat_map(i16::to_le_bytes).collect(),
        AudioFormat::Pcmu => samples.map(g711::ulaw).collect(),
        AudioFormat::Pcma => samples.map(g711::alaw).collect(),
    }
}

/// The samples in bytes of a format; half a sample at the end is left out.
pub fn decode(bytes: &[u8], format: AudioFormat) -> Vec<i16> {
    match format {
        AudioFormat::Pcm { .. } => bytes
            .as_chunks()
            .0
            .iter()
            .map(|pair| i16::from_le_bytes(*pair))
            .collect(),
        AudioFormat::Pcmu => bytes.iter().map(|byte| g711::from_ulaw(*byte)).collect(),
        AudioFormat::Pcma => bytes.iter().map(|byte| g711::from_alaw(*byte)).collect(),
    }
}
