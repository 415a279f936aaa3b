//! WAV files (RIFF WAVE, as in Microsoft's and IBM's Multimedia Programming Interface 1.0 and `WAVEFORMATEXTENSIBLE`):
//! read as other programs write them, and written as every program reads them.

mod read;
mod write;

pub(super) use read::WavReader;
pub use write::{Channels, WavWriter};

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::{AudioProblem, to_i16};

    fn written(samples: &[i16], channels: Channels, rate: u32) -> Vec<u8> {
        let mut wav = WavWriter::new(Cursor::new(Vec::new()), channels, rate).unwrap();
        wav.write(samples.iter().copied()).unwrap();
        wav.finish().unwrap().into_inner()
    }

    /// The rate and the samples, and how many frames the header promised.
    fn read(bytes: &[u8]) -> Result<(u32, Vec<i16>, Option<u64>), AudioProblem> {
        let mut wav = WavReader::new(bytes, Some(bytes.len() as u64))?;
        let mut mono = Vec::new();
        while wav.next(&mut mono)? {}
        Ok((wav.rate, mono.into_iter().map(to_i16).collect(), wav.frames))
    }

    fn refused(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(samples in prop::collection::vec(any::<i16>(), 0..99), rate in 1..200_000_u32) {
            let frames = Some(samples.len() as u64);
            prop_assert_eq!(read(&written(&samples, Channels::Mono, rate)).unwrap(), (rate, samples, frames));
        }

        #[test]
        fn no_bytes_are_too_much(mut bytes in prop::collection::vec(any::<u8>(), 0..99), cut in 0..60_usize) {
            let _ = read(&bytes);
            let mut good = written(&[1, 2, 3], Channels::Mono, 8_000);
            good.truncate(cut);
            good.append(&mut bytes);
            let _ = read(&good);
        }
    }

    #[test]
    fn a_file_is_whole_after_every_flush() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut wav = WavWriter::new(file.reopen().unwrap(), Channels::Mono, 8_000).unwrap();
        let mut all = Vec::new();
        for n in 1..5 {
            wav.write([n, -n]).unwrap();
            wav.flush().unwrap();
            all.extend([n, -n]);
            // As a program leaves it that is killed now.
            let left = std::fs::read(file.path()).unwrap();
            assert_eq!(left[40..44], u32::to_le_bytes(n as u32 * 4));
            assert_eq!(read(&left).unwrap().1, all);
        }
    }

    #[test]
    fn other_chunks_and_unknown_lengths_are_passed_over() {
        let sound = (22_050, vec![5, -5], Some(2));
        let good = written(&sound.1, Channels::Mono, sound.0);
        let with = |riff: u32, data: u32| {
            let mut bytes = good.clone();
            bytes[4..8].copy_from_slice(&riff.to_le_bytes());
            bytes[40..44].copy_from_slice(&data.to_le_bytes());
            bytes.splice(12..12, *b"LIST\x03\0\0\0abc\0");
            bytes
        };
        for (riff, data) in [(u32::MAX, u32::MAX), (0, 0), (0x7fff_f024, 0x7fff_f000), (52, 4)] {
            assert_eq!(read(&with(riff, data)).unwrap(), sound, "{riff:#x}, {data:#x}");
        }
        // From a pipe, nobody knows how long it is.
        let endless = with(u32::MAX, u32::MAX);
        let wav = WavReader::new(endless.as_slice(), None).unwrap();
        assert_eq!(wav.frames, None);
    }

    #[test]
    fn channels_are_mixed() {
        let bytes = written(&[10, 20, -10, -20], Channels::Stereo, 8_000);
        assert_eq!(read(&bytes).unwrap(), (8_000, vec![15, -15], Some(2)));
    }

    #[test]
    fn what_is_not_read_is_said() {
        let good = written(&[1, 2], Channels::Mono, 8_000);
        let with = |at: usize, value: u16| {
            let mut bytes = good.clone();
            bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
            refused(&bytes)
        };
        assert_eq!(
            with(20, 0x11),
            "the WAV file can't be used: its samples are of format 0x0011; PCM, floats and G.711 are read"
        );
        assert_eq!(
            with(34, 99),
            "the WAV file can't be used: its samples (format 1) have 99 bits"
        );
        assert_eq!(
            with(22, 65_535),
            "the WAV file can't be used: it has 65535 channels; 1 to 64 are read"
        );
        assert_eq!(
            with(16, 4),
            "the WAV file is damaged: its format chunk is too short"
        );
        assert_eq!(
            refused(&good[..30]),
            "the WAV file is damaged: it ends before its samples begin"
        );
    }
}
