//! The user's audio that is not yet an item, and the turns found in it.

use bytes::Bytes;

use crate::protocol::{AudioFormat, Id};

use super::id;
use super::refusal::{Refused, refusal, refusal_at};
use super::settings::TurnDetection;
use super::vad::{Detector, Verdict};

/// The least that makes a turn (protocol.md section 1.5).
const MIN_COMMIT_MS: u64 = 100;
/// What is kept at least: one append of the greatest size. A microphone that is never committed must not fill the memory.
const KEPT: usize = 15 << 20;
/// What is kept while turns are looked for and nobody speaks. It is more than any padding.
const KEPT_IN_SILENCE_MS: u64 = 60_000;

/// Audio that was appended and neither committed nor cleared. Its time line counts all audio of the session, in
/// milliseconds.
#[derive(Debug)]
pub(super) struct InputAudio {
    format: AudioFormat,
    /// What came before, in another format.
    past_ms: u64,
    bytes: Vec<u8>,
    detector: Detector,
    /// Who is speaking now.
    speech: Option<Speaking>,
}

#[derive(Debug)]
struct Speaking {
    item_id: Id,
    /// Where the turn begins, in bytes.
    from: u64,
}

/// What happened in the audio.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Started {
        item_id: Id,
        start_ms: u64,
    },
    Stopped {
        end_ms: u64,
        spoken: Spoken,
    },
    /// Nobody spoke for too long.
    TimedOut {
        start_ms: u64,
        end_ms: u64,
        spoken: Spoken,
    },
}

/// Audio for an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) item_id: Id,
    pub(super) audio: Bytes,
    pub(super) format: AudioFormat,
}

impl InputAudio {
    pub(super) fn new(format: AudioFormat) -> Self {
        Self {
            format,
            past_ms: 0,
            bytes: Vec::new(),
            detector: Detector::new(format),
            speech: None,
        }
    }

    /// Goes on in another format; audio in the old one that was not committed is lost.
    pub(super) fn set_format(&mut self, format: AudioFormat) {
        if format != self.format {
            let past_ms = self.position_ms();
            *self = Self {
                past_ms,
                ..Self::new(format)
            };
        }
    }

    /// Adds audio and tells what turns there are in it, forgetting the oldest when there is too much.
    ///
    /// # Errors
    /// When it is not base64, or more than one append may hold.
    pub(super) fn append(&mut self, base64: &str, turns: Option<&TurnDetection>) -> Refused<Vec<Turn>> {
        let audio = decode(base64, "audio")?;
        if audio.len() > KEPT {
            let message = format!(
                "Invalid 'audio': {} bytes, and at most {KEPT} are allowed.",
                audio.len()
            );
            return Err(refusal_at("invalid_value", "audio", message));
        }
        self.bytes.extend_from_slice(&audio);
        let Some(turns) = turns else {
            self.detector.skip(&audio);
            self.speech = None;
            self.keep(KEPT);
            return Ok(Vec::new());
        };
        let verdicts = self.detector.hear(&audio, &turns.rules);
        let found = verdicts
            .into_iter()
            .filter_map(|verdict| self.turn(verdict, turns))
            .collect();
        match self.speech {
            Some(_) => self.keep(KEPT),
            None => self.keep(self.bytes_in(KEPT_IN_SILENCE_MS) as usize),
        }
        Ok(found)
    }

    fn turn(&mut self, verdict: Verdict, turns: &TurnDetection) -> Option<Turn> {
        match verdict {
            Verdict::Started { at } => {
                let from = at
                    .saturating_sub(self.bytes_in(turns.prefix_padding_ms))
                    .max(self.start());
                let item_id = id::new("item_");
                self.speech = Some(Speaking {
                    item_id: item_id.clone(),
                    from,
                });
                let start_ms = self.time(from);
                Some(Turn::Started { item_id, start_ms })
            }
            Verdict::Stopped { at } => {
                let Speaking { item_id, from } = self.speech.take()?;
                Some(Turn::Stopped {
                    end_ms: self.time(at),
                    spoken: self.take(item_id, from, at),
                })
            }
            Verdict::Idle { from, to } => Some(Turn::TimedOut {
                start_ms: self.time(from),
                end_ms: self.time(to),
                spoken: self.take(id::new("item_"), from, to),
            }),
        }
    }

    /// Takes all audio for an item.
    ///
    /// # Errors
    /// When there is too little of it; it stays then.
    pub(super) fn commit(&mut self) -> Refused<Spoken> {
        let bytes = self.bytes.len() as u64;
        if self.format.millis(bytes) < MIN_COMMIT_MS {
            let has = bytes as f64 * 1_000.0 / self.format.bytes_per_second() as f64;
            let message = format!(
                "Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, \
                 but buffer only has {has:.2}ms of audio."
            );
            return Err(refusal("input_audio_buffer_commit_empty", message));
        }
        self.detector.forget();
        self.detector.expect_nothing();
        let item_id = match self.speech.take() {
            Some(speech) => speech.item_id,
            None => id::new("item_"),
        };
        Ok(self.take(item_id, self.start(), self.detector.position()))
    }

    pub(super) fn clear(&mut self) {
        self.detector.forget();
        self.speech = None;
        self.bytes.clear();
    }

    /// How much audio there was in the session up to now.
    pub(super) fn position_ms(&self) -> u64 {
        self.time(self.detector.position())
    }

    /// From this time on the user is expected to speak.
    pub(super) fn expect_speech(&mut self, from_ms: u64) {
        if !self.detector.is_speech() {
            let from = self.bytes_in(from_ms.saturating_sub(self.past_ms));
            self.detector.expect_speech(from);
        }
    }

    /// The audio between two places, as far as it was kept; what is before the second is gone then.
    fn take(&mut self, item_id: Id, from: u64, to: u64) -> Spoken {
        let start = self.start();
        let index = |place: u64| {
            let index = usize::try_from(place.saturating_sub(start)).unwrap_or(usize::MAX);
            index.min(self.bytes.len())
        };
        let (from, to) = (index(from), index(to));
        let audio = Bytes::copy_from_slice(&self.bytes[from.min(to)..to]);
        self.bytes.drain(..to);
        Spoken {
            item_id,
            audio,
            format: self.format,
        }
    }

    /// Forgets the oldest, in two steps, so that a full buffer is not moved at every append.
    fn keep(&mut self, kept: usize) {
        if self.bytes.len() > 2 * kept {
            self.bytes.drain(..self.bytes.len() - kept);
        }
    }

    /// Where the kept audio begins, in bytes.
    fn start(&self) -> u64 {
        self.detector.position() - self.bytes.len() as u64
    }

    fn time(&self, place: u64) -> u64 {
        self.past_ms + self.format.millis(place)
    }

    fn bytes_in(&self, millis: u64) -> u64 {
        millis.saturating_mul(self.format.bytes_per_second()) / 1_000
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
    use std::time::Duration;

    use super::super::vad::Rules;
    use super::*;
    use crate::audio;

    const TURNS: TurnDetection = TurnDetection {
        rules: Rules {
            threshold: 0.5,
            silence_ms: 320,
            idle_timeout_ms: None,
        },
        prefix_padding_ms: 300,
        creates_response: true,
        interrupts_response: true,
    };

    fn base64(bytes: usize) -> String {
        base64_simd::STANDARD.encode_to_string(vec![1; bytes])
    }

    /// So many milliseconds of sound, then of silence.
    fn talk(sound_ms: u64, silence_ms: u64, format: AudioFormat) -> String {
        let mut audio = audio::tone(300.0, Duration::from_millis(sound_ms), format);
        let samples = silence_ms * u64::from(audio::sample_rate(format)) / 1_000;
        audio.extend(audio::encode((0..samples).map(|_| 0), format));
        base64_simd::STANDARD.encode_to_string(audio)
    }

    #[test]
    fn a_turn_has_a_tenth_of_a_second() {
        let mut input = InputAudio::new(AudioFormat::PCM24);
        input.append(&base64(4_799), None).unwrap();
        let refused = input.commit().unwrap_err();
        assert!(
            refused.message.contains("only has 99.98ms"),
            "{}",
            refused.message
        );
        input.append(&base64(1), None).unwrap();
        assert_eq!(input.commit().unwrap().audio.len(), 4_800);
        assert!(input.commit().is_err(), "it is empty again");
    }

    #[test]
    fn the_oldest_audio_is_forgotten() {
        let (mut input, much) = (InputAudio::new(AudioFormat::PCM24), base64(KEPT));
        for _ in 0..2 {
            input.append(&much, None).unwrap();
            assert!((KEPT..=2 * KEPT).contains(&input.bytes.len()));
        }
        input.append("AQID", None).unwrap();
        assert_eq!(
            (input.bytes.len(), &input.bytes[KEPT - 3..]),
            (KEPT, &[1, 2, 3][..]),
            "the newest stays"
        );
        assert!(input.append(&(much + "AQID"), None).is_err());
        assert!(input.append("no base64!", None).is_err());
    }

    #[test]
    fn silence_is_not_kept_for_long() {
        let format = AudioFormat::Pcmu;
        let mut input = InputAudio::new(format);
        for _ in 0..10 {
            input.append(&talk(0, 30_000, format), Some(&TURNS)).unwrap();
        }
        assert!(input.bytes.len() <= 2 * 8 * KEPT_IN_SILENCE_MS as usize);
        let turns = input.append(&talk(500, 500, format), Some(&TURNS)).unwrap();
        assert!(
            matches!(
                &turns[0],
                Turn::Started {
                    start_ms: 299_700,
                    ..
                }
            ),
            "{turns:?}"
        );
    }

    #[test]
    fn a_turn_holds_the_speech_with_its_padding_and_the_silence_after_it() {
        let format = AudioFormat::PCM24;
        let mut input = InputAudio::new(format);
        let mut turns = input.append(&talk(0, 960, format), Some(&TURNS)).unwrap();
        turns.extend(input.append(&talk(640, 640, format), Some(&TURNS)).unwrap());
        let [
            Turn::Started {
                item_id,
                start_ms: 660,
            },
            Turn::Stopped {
                end_ms: 1_920,
                spoken,
            },
        ] = &turns[..]
        else {
            panic!("{turns:?}")
        };
        assert_eq!(
            (&spoken.item_id, spoken.audio.len()),
            (item_id, 48 * (1_920 - 660))
        );

        let second = input.append(&talk(640, 640, format), Some(&TURNS)).unwrap();
        assert!(
            matches!(&second[0], Turn::Started { start_ms: 1_940, .. }),
            "the time line goes on: {second:?}"
        );
    }

    #[test]
    fn a_commit_by_hand_ends_the_turn_that_had_begun() {
        let format = AudioFormat::Pcma;
        let mut input = InputAudio::new(format);
        let turns = input.append(&talk(640, 0, format), Some(&TURNS)).unwrap();
        let [Turn::Started { item_id, start_ms: 0 }] = &turns[..] else {
            panic!("{turns:?}")
        };
        assert_eq!(input.commit().unwrap().item_id, *item_id);
        let after = input.append(&talk(0, 960, format), Some(&TURNS)).unwrap();
        assert_eq!(after, [], "nothing is left to stop");
    }

    #[test]
    fn the_time_line_goes_on_in_another_format() {
        let mut input = InputAudio::new(AudioFormat::PCM24);
        input.append(&talk(0, 1_000, AudioFormat::PCM24), None).unwrap();
        input.set_format(AudioFormat::Pcmu);
        assert_eq!(input.position_ms(), 1_000);
        input.append(&talk(0, 500, AudioFormat::Pcmu), None).unwrap();
        assert_eq!(input.position_ms(), 1_500);
        assert_eq!(input.commit().unwrap().audio.len(), 4_000);
    }
}
