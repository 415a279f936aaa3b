use std::f32::consts::TAU;
use std::time::Duration;

use crate::protocol::AudioFormat;

use super::{encode, sample_rate};

/// A third of full scale: clearly audible, and far from clipping.
const LOUDNESS: f32 = i16::MAX as f32 / 3.0;
/// How long a tone takes to swell and to fade, so that it does not click.
const FADE: Duration = Duration::from_millis(10);

/// A sine tone. Its length is rounded down to whole samples.
pub fn tone(frequency_hz: f32, duration: Duration, format: AudioFormat) -> Vec<u8> {
    let rate = sample_rate(format);
    let samples = samples_in(duration, rate);
    let fade = samples_in(FADE, rate).min(samples / 2).max(1);
    let step = TAU * frequency_hz / rate as f32;
    encode(
        (0..samples).map(|n| {
            let from_edge = n.min(samples - 1 - n);
            let swell = (from_edge as f32 / fade as f32).min(1.0);
            ((n as f32 * step).sin() * swell * LOUDNESS) as i16
        }),
        format,
    )
}

fn samples_in(duration: Duration, rate: u32) -> u64 {
    // A tone of more than five hundred million years is not asked for.
    duration.as_millis() as u64 * u64::from(rate) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_lasts_as_long_as_asked_in_every_format() {
        for format in [
            AudioFormat::PCM24,
            AudioFormat::Pcmu,
            AudioFormat::Pcma,
            AudioFormat::Pcm { rate: 16_000 },
        ] {
            let sound = tone(440.0, Duration::from_millis(200), format);
            assert_eq!(format.millis(sound.len() as u64), 200, "{format:?}");
        }
    }

    #[test]
    fn a_tone_has_its_frequency() {
        let sound = tone(500.0, Duration::from_secs(1), AudioFormat::PCM24);
        let samples: Vec<_> = sound
            .chunks(2)
            .map(|b| i16::from_le_bytes([b[0], b[1]]))
            .collect();
        let rising = samples
            .windows(2)
            .filter(|pair| pair[0] < 0 && pair[1] >= 0)
            .count();
        assert!((499..=500).contains(&rising), "{rising} rising zero crossings");
        assert!(samples.iter().any(|sample| *sample > 10_000), "it can be heard");
    }

    #[test]
    fn no_duration_is_no_sound() {
        assert!(tone(440.0, Duration::ZERO, AudioFormat::PCM24).is_empty());
    }
}
