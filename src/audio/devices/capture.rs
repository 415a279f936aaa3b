//! From what a microphone's device delivers to what a session takes.

use std::time::Duration;

use bytes::Bytes;

use super::level::rms;
use crate::audio::{Resampler, UnsupportedRate, encode, sample_rate, to_i16};
use crate::protocol::AudioFormat;

/// Chunks a second: each is 20 ms long.
const CHUNKS_A_SECOND: u32 = 50;

/// A piece of what a microphone hears.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The sound, in the session's format.
    pub audio: Bytes,
    /// How loud it is: the root of the mean square, from 0 to 1.
    pub level: f32,
    /// How long it is.
    pub length: Duration,
}

/// Makes chunks of a stream of samples.
#[derive(Debug)]
pub(super) struct Capture {
    resampler: Resampler,
    format: AudioFormat,
    /// Samples at the session's rate that do not fill a chunk yet.
    samples: Vec<f32>,
}

impl Capture {
    /// From a device with so many samples a second.
    pub(super) fn new(device_rate: u32, format: AudioFormat) -> Result<Self, UnsupportedRate> {
        Ok(Self {
            resampler: Resampler::new(device_rate, sample_rate(format))?,
            format,
            samples: Vec::new(),
        })
    }

    /// Takes samples of one channel at the device's rate.
    pub(super) fn push(&mut self, samples: &[f32]) {
        self.resampler.push(samples, &mut self.samples);
    }

    /// The next chunk, once there is enough for one.
    pub(super) fn next(&mut self) -> Option<Chunk> {
        let rate = sample_rate(self.format);
        let count = (rate / CHUNKS_A_SECOND).max(1);
        let samples = self.samples.get(..count as usize)?;
        let chunk = Chunk {
            audio: encode(samples.iter().copied().map(to_i16), self.format).into(),
            level: rms(samples.iter().copied()),
            length: Duration::from_secs(count.into()) / rate,
        };
        self.samples.drain(..count as usize);
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;
    use crate::audio::decode;

    #[test]
    fn a_tone_keeps_its_pitch_loudness_and_length_at_every_rate_and_in_every_format() {
        for device_rate in [8_000, 44_100, 48_000, 96_000] {
            for format in [AudioFormat::PCM24, AudioFormat::Pcmu, AudioFormat::Pcma] {
                let mut capture = Capture::new(device_rate, format).unwrap();
                let tone: Vec<_> = (0..device_rate)
                    .map(|n| 0.5 * (TAU * 500.0 * n as f32 / device_rate as f32).sin())
                    .collect();
                let mut chunks = Vec::new();
                for samples in tone.chunks(333) {
                    capture.push(samples);
                    chunks.extend(std::iter::from_fn(|| capture.next()));
                }
                let what = format!("{device_rate} Hz to {format:?}");
                assert!((48..=50).contains(&chunks.len()), "{what}: {}", chunks.len());
                assert!(chunks.iter().all(|chunk| {
                    chunk.length == Duration::from_millis(20) && format.millis(chunk.audio.len() as u64) == 20
                }));
                let middle = &chunks[5..45];
                assert!(
                    middle.iter().all(|chunk| (0.33..0.38).contains(&chunk.level)),
                    "{what}"
                );
                let samples: Vec<_> = middle
                    .iter()
                    .flat_map(|chunk| decode(&chunk.audio, format))
                    .collect();
                let rising = samples
                    .windows(2)
                    .filter(|pair| pair[0] < 0 && pair[1] >= 0)
                    .count();
                assert!((399..=401).contains(&rising), "{what}: {rising}");
            }
        }
    }
}
