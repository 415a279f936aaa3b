use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How audio is encoded on the wire (protocol.md section 4). All are mono.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum AudioFormat {
    /// 16-bit little-endian samples.
    #[serde(rename = "audio/pcm")]
    Pcm {
        /// Samples a second; OpenAI takes 24,000 only.
        #[serde(default = "default_rate")]
        #[schemars(range(min = 1))]
        rate: u32,
    },
    /// G.711 µ-law, 8 kHz, one byte a sample.
    #[serde(rename = "audio/pcmu")]
    Pcmu,
    /// G.711 A-law, 8 kHz, one byte a sample.
    #[serde(rename = "audio/pcma")]
    Pcma,
}

/// The rate that PCM has on OpenAI's servers, in samples a second.
fn default_rate() -> u32 {
    24_000
}

impl Default for AudioFormat {
    fn default() -> Self {
        Self::PCM24
    }
}

impl AudioFormat {
    /// 16-bit PCM at 24 kHz: what a session uses unless it says otherwise.
    pub const PCM24: Self = Self::Pcm { rate: 24_000 };

    /// Bytes in a second of audio; never zero.
    pub fn bytes_per_second(self) -> u64 {
        match self {
            Self::Pcm { rate } => u64::from(rate.max(1)) * 2,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// Whole milliseconds in so many bytes, rounded down: the server refuses a truncation one millisecond too
    /// long (protocol.md section 6.2).
    pub fn millis(self, bytes: u64) -> u64 {
        bytes.saturating_mul(1_000) / self.bytes_per_second()
    }

    /// How long so many bytes sound, to the nanosecond.
    pub fn duration(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The short name, without the kind of media.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcm { .. } => "pcm",
            Self::Pcmu => "pcmu",
            Self::Pcma => "pcma",
        }
    }

    /// The format that a name stands for: GA names, and the beta dialect's `pcm16`, `g711_ulaw`, `g711_alaw`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "audio/pcm" | "pcm16" | "pcm" => Some(Self::PCM24),
            "audio/pcmu" | "g711_ulaw" | "pcmu" => Some(Self::Pcmu),
            "audio/pcma" | "g711_alaw" | "pcma" => Some(Self::Pcma),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_down() {
        assert_eq!(AudioFormat::PCM24.millis(4_799), 99);
        assert_eq!(AudioFormat::PCM24.millis(4_800), 100);
        assert_eq!(AudioFormat::Pcmu.millis(807), 100);
        assert_eq!(AudioFormat::Pcm { rate: 0 }.millis(8), 4_000);
    }

    #[test]
    fn the_durations_of_many_chunks_add_up_to_that_of_all() {
        let chunk = AudioFormat::PCM24.duration(960);
        assert_eq!(AudioFormat::PCM24.duration(960 * 30_000), chunk * 30_000);
        let odd = AudioFormat::Pcm { rate: 44_100 };
        assert_eq!(odd.duration(44_100 * 2 * 600), Duration::from_secs(600));
    }
}
