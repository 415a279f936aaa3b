//! WAV files of 16-bit PCM, as programs that speak and listen read and write them.

/// One sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// Its samples, on one channel.
    pub samples: Vec<i16>,
    /// Samples a second.
    pub rate: u32,
}

/// Why bytes are no sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// It does not begin as a WAV file does.
    #[error("it is no WAV file")]
    NotWav,
    /// It has other samples.
    #[error("it is not 16-bit PCM")]
    NotPcm,
    /// There is no sound in it.
    #[error("it has no samples")]
    Empty,
}

const HEADER: usize = 44;

impl Wav {
    /// The bytes of a WAV file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let data = u32::try_from(self.samples.len() * 2).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER + self.samples.len() * 2);
        bytes.extend_from_slice(b"RIFF");
        bytes.extend_from_slice(&data.saturating_add(36).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt ");
        bytes.extend_from_slice(&16_u32.to_le_bytes());
        for field in [1_u16, 1] {
            bytes.extend_from_slice(&field.to_le_bytes()); // PCM, one channel
        }
        bytes.extend_from_slice(&self.rate.to_le_bytes());
        bytes.extend_from_slice(&self.rate.saturating_mul(2).to_le_bytes());
        for field in [2_u16, 16] {
            bytes.extend_from_slice(&field.to_le_bytes()); // bytes and bits of a sample
        }
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&data.to_le_bytes());
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        bytes
    }

    /// The sound in the bytes of a WAV file; of several channels their mean. A length that a program could not know when
    /// it began to write is no mistake: what is there counts.
    ///
    /// # Errors
    /// When it is no WAV file of 16-bit PCM.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WavError> {
        if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
            return Err(WavError::NotWav);
        }
        let mut rest = &bytes[12..];
        let mut format = None;
        while let Some((header, body)) = rest.split_at_checked(8) {
            let length = u32_at(header, 4).ok_or(WavError::NotWav)? as usize;
            let body_length = length.min(body.len());
            match &header[..4] {
                b"fmt " => format = Some(format_of(&body[..body_length])?),
                b"data" => {
                    let (channels, rate) = format.ok_or(WavError::NotWav)?;
                    return mixed(&body[..body_length], channels, rate);
                }
                _ => {}
            }
            // Chunks begin at even places.
            rest = body.get(length.saturating_add(length % 2)..).unwrap_or_default();
        }
        Err(WavError::Empty)
    }

    /// The samples at another rate, each between its neighbours.
    pub fn at_rate(&self, rate: u32) -> Vec<i16> {
        if rate == self.rate || self.samples.is_empty() {
            return self.samples.clone();
        }
        let (from, to) = (u64::from(self.rate), u64::from(rate));
        let length = self.samples.len() as u64 * to / from;
        let last = self.samples.len() - 1;
        let sample = |n: u64| {
            let place = n * from;
            let (at, share) = ((place / to) as usize, (place % to) as i64);
            let here = i64::from(self.samples[at.min(last)]);
            let next = i64::from(self.samples[(at + 1).min(last)]);
            (here + (next - here) * share / to as i64) as i16
        };
        (0..length).map(sample).collect()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The channels and the rate.
fn format_of(chunk: &[u8]) -> Result<(usize, u32), WavError> {
    const PCM: u16 = 1;
    const EXTENSIBLE: u16 = 0xfffe;
    let fields = (
        u16_at(chunk, 0),
        u16_at(chunk, 2),
        u32_at(chunk, 4),
        u16_at(chunk, 14),
    );
    match fields {
        (Some(PCM | EXTENSIBLE), Some(channels @ 1..), Some(rate @ 1..), Some(16)) => {
            Ok((channels.into(), rate))
        }
        (Some(_), Some(_), Some(_), Some(_)) => Err(WavError::NotPcm),
        _ => Err(WavError::NotWav),
    }
}

fn mixed(data: &[u8], channels: usize, rate: u32) -> Result<Wav, WavError> {
    let samples: Vec<i16> = data
        .chunks_exact(channels * 2)
        .map(|frame| {
            let sum: i64 = frame
                .as_chunks()
                .0
                .iter()
                .map(|pair| i64::from(i16::from_le_bytes(*pair)))
                .sum();
            (sum / channels as i64) as i16
        })
        .collect();
    if samples.is_empty() {
        return Err(WavError::Empty);
    }
    Ok(Wav { samples, rate })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wav(samples: &[i16], rate: u32) -> Wav {
        Wav {
            samples: samples.to_vec(),
            rate,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(samples in prop::collection::vec(any::<i16>(), 1..99), rate in 1..200_000_u32) {
            let sound = wav(&samples, rate);
            prop_assert_eq!(Wav::from_bytes(&sound.to_bytes()), Ok(sound));
        }

        #[test]
        fn no_bytes_are_too_much(mut bytes in prop::collection::vec(any::<u8>(), 0..99), cut in 0..60_usize) {
            let _ = Wav::from_bytes(&bytes);
            let mut good = wav(&[1, 2, 3], 8_000).to_bytes();
            good.truncate(cut);
            good.append(&mut bytes);
            let _ = Wav::from_bytes(&good);
        }

        #[test]
        fn another_rate_keeps_the_length(samples in prop::collection::vec(any::<i16>(), 1..999), to in 1_000..96_000_u32) {
            let length = wav(&samples, 22_050).at_rate(to).len() as u64;
            prop_assert_eq!(length, samples.len() as u64 * u64::from(to) / 22_050);
        }
    }

    #[test]
    fn other_chunks_and_unknown_lengths_are_passed_over() {
        let mut bytes = wav(&[5, -5], 22_050).to_bytes();
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[40..44].copy_from_slice(&0x7fff_f000_u32.to_le_bytes());
        bytes.splice(12..12, *b"LIST\x03\0\0\0abc\0");
        assert_eq!(Wav::from_bytes(&bytes), Ok(wav(&[5, -5], 22_050)));
    }

    #[test]
    fn channels_are_mixed_and_other_samples_refused() {
        let mut bytes = wav(&[10, 20, -10, -20], 8_000).to_bytes();
        bytes[22] = 2;
        assert_eq!(Wav::from_bytes(&bytes), Ok(wav(&[15, -15], 8_000)));
        bytes[34] = 8;
        assert_eq!(Wav::from_bytes(&bytes), Err(WavError::NotPcm));
        assert_eq!(Wav::from_bytes(b"ID3"), Err(WavError::NotWav));
        assert_eq!(Wav::from_bytes(&wav(&[], 8_000).to_bytes()), Err(WavError::Empty));
    }
}
