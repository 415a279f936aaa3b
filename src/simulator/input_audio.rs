//! The user's audio that is not yet an item.

use bytes::Bytes;

use crate::protocol::AudioFormat;

use super::refusal::{Refused, refusal, refusal_at};

/// The least that makes a turn (protocol.md section 1.5).
const MIN_COMMIT_MS: u64 = 100;
/// What is kept at least: one append of the greatest size. A microphone that is never committed must not fill the memory.
const KEPT: usize = 15 << 20;

/// Audio that was appended and neither committed nor cleared.
#[derive(Debug, Default)]
pub(super) struct InputAudio {
    bytes: Vec<u8>,
}

impl InputAudio {
    /// Adds audio, forgetting the oldest when there is too much.
    ///
    /// # Errors
    /// When it is not base64, or more than one append may hold.
    pub(super) fn append(&mut self, base64: &str) -> Refused<()> {
        let audio = decode(base64, "audio")?;
        if audio.len() > KEPT {
            let message = format!(
                "Invalid 'audio': {} bytes, and at most {KEPT} are allowed.",
                audio.len()
            );
            return Err(refusal_at("invalid_value", "audio", message));
        }
        // In two steps, so that a full buffer is not moved at every append.
        if self.bytes.len() + audio.len() > 2 * KEPT {
            self.bytes.drain(..self.bytes.len() + audio.len() - KEPT);
        }
        self.bytes.extend_from_slice(&audio);
        Ok(())
    }

    /// Takes all audio for an item.
    ///
    /// # Errors
    /// When there is too little of it; it stays then.
    pub(super) fn commit(&mut self, format: AudioFormat) -> Refused<Bytes> {
        let bytes = self.bytes.len() as u64;
        if format.millis(bytes) < MIN_COMMIT_MS {
            let has = bytes as f64 * 1_000.0 / format.bytes_per_second() as f64;
            let message = format!(
                "Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, \
                 but buffer only has {has:.2}ms of audio."
            );
            return Err(refusal("input_audio_buffer_commit_empty", message));
        }
        Ok(std::mem::take(&mut self.bytes).into())
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Audio from the base64 at a path of an event.
///
/// # Errors
/// When it is not base64.
pub(super) fn decode(base64: &str, path: &str) -> Refused<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(base64).map_err(|_| {
        refusal_at(
            "invalid_value",
            path,
            format!("Invalid '{path}'. Expected base64-encoded audio bytes."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(bytes: usize) -> String {
        base64_simd::STANDARD.encode_to_string(vec![1; bytes])
    }

    #[test]
    fn a_turn_has_a_tenth_of_a_second() {
        let mut input = InputAudio::default();
        input.append(&base64(4_799)).unwrap();
        let refused = input.commit(AudioFormat::PCM24).unwrap_err();
        assert!(
            refused.message.contains("only has 99.98ms"),
            "{}",
            refused.message
        );
        input.append(&base64(1)).unwrap();
        assert_eq!(input.commit(AudioFormat::PCM24).unwrap().len(), 4_800);
        assert!(input.commit(AudioFormat::PCM24).is_err(), "it is empty again");
    }

    #[test]
    fn the_oldest_audio_is_forgotten() {
        let (mut input, much) = (InputAudio::default(), base64(KEPT));
        for _ in 0..2 {
            input.append(&much).unwrap();
            assert!((KEPT..=2 * KEPT).contains(&input.bytes.len()));
        }
        input.append("AQID").unwrap();
        assert_eq!(
            (input.bytes.len(), &input.bytes[KEPT - 3..]),
            (KEPT, &[1, 2, 3][..]),
            "the newest stays"
        );
        assert!(input.append(&(much + "AQID")).is_err());
        assert!(input.append("no base64!").is_err());
    }
}
