//! Finds where the user begins and ends to speak, by how loud it is.
//!
//! Time is counted in the bytes that were heard, never by a clock, so the same audio has the same turns however fast
//! and in whatever pieces it comes.

use crate::audio;
use crate::protocol::AudioFormat;

/// How much is judged at once. Recorded turns of the service begin and end at multiples of it.
const FRAME_MS: u64 = 32;
/// Loud frames before it is speech: a click is none.
const ONSET_FRAMES: u64 = 2;
/// How loud, as a part of full scale, a frame is that is as likely speech as not: 0.02 is −34 dB.
const EVEN_ODDS: f64 = 0.02;

/// What is a turn, from the session's `turn_detection`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rules {
    /// How sure it must be that somebody speaks, from 0 to 1.
    pub(super) threshold: f64,
    /// How long it must be quiet for a turn to be over.
    pub(super) silence_ms: u64,
    /// How long nobody may speak after an answer.
    pub(super) idle_timeout_ms: Option<u64>,
}

/// What was found; places are counted in bytes from the first that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Speech began here.
    Started { at: u64 },
    /// Speech has been over long enough here.
    Stopped { at: u64 },
    /// Nobody spoke from here to there.
    Idle { from: u64, to: u64 },
}

/// Listens to one stream of audio.
#[derive(Debug)]
pub(super) struct Detector {
    format: AudioFormat,
    /// Whole frames that were judged or passed over, in bytes.
    judged: u64,
    /// The beginning of a frame.
    rest: Vec<u8>,
    state: State,
    /// From where on it is the user's turn.
    idle_from: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Quiet {
        /// Loud frames up to now.
        loud: u64,
    },
    Speech {
        /// Quiet frames up to now.
        quiet: u64,
    },
}

impl State {
    const SILENCE: Self = Self::Quiet { loud: 0 };
}

impl Detector {
    pub(super) fn new(format: AudioFormat) -> Self {
        Self {
            format,
            judged: 0,
            rest: Vec::new(),
            state: State::SILENCE,
            idle_from: None,
        }
    }

    /// Bytes heard up to now.
    pub(super) fn position(&self) -> u64 {
        self.judged + self.rest.len() as u64
    }

    /// Whether somebody is speaking.
    pub(super) fn is_speech(&self) -> bool {
        matches!(self.state, State::Speech { .. })
    }

    /// Takes what comes next for silence, as after the buffer was committed or cleared by hand.
    pub(super) fn forget(&mut self) {
        self.state = State::SILENCE;
    }

    /// From this place on the user is expected to speak.
    pub(super) fn expect_speech(&mut self, from: u64) {
        self.idle_from = Some(from);
    }

    /// Nobody needs to speak, because an answer is due.
    pub(super) fn expect_nothing(&mut self) {
        self.idle_from = None;
    }

    /// Passes over audio in which nobody looks for turns.
    pub(super) fn skip(&mut self, audio: &[u8]) {
        self.judged += (self.rest.len() + audio.len()) as u64;
        self.rest.clear();
        self.state = State::SILENCE;
    }

    /// Judges what comes next.
    pub(super) fn hear(&mut self, audio: &[u8], rules: &Rules) -> Vec<Verdict> {
        let frame = self.frame_bytes();
        let mut verdicts = Vec::new();
        let mut audio = audio;
        loop {
            let (head, tail) = audio.split_at(audio.len().min(frame - self.rest.len()));
            self.rest.extend_from_slice(head);
            audio = tail;
            if self.rest.len() < frame {
                return verdicts;
            }
            let is_loud = loudness(&self.rest, self.format) >= loudness_at(rules.threshold);
            self.judged += frame as u64;
            self.rest.clear();
            verdicts.extend(self.judge(is_loud, rules));
        }
    }

    fn frame_bytes(&self) -> usize {
        let bytes = self.format.bytes_per_second() * FRAME_MS / 1_000;
        // Whole samples, and something at any rate.
        usize::try_from(bytes).unwrap_or(usize::MAX).max(2) & !1
    }

    fn judge(&mut self, is_loud: bool, rules: &Rules) -> Option<Verdict> {
        let frame = self.frame_bytes() as u64;
        match (&mut self.state, is_loud) {
            (State::Quiet { loud }, true) => {
                *loud += 1;
                if *loud < ONSET_FRAMES {
                    return None;
                }
                self.state = State::Speech { quiet: 0 };
                self.idle_from = None;
                Some(Verdict::Started {
                    at: self.judged - ONSET_FRAMES * frame,
                })
            }
            (State::Quiet { loud }, false) => {
                *loud = 0;
                self.idle(rules)
            }
            (State::Speech { quiet }, true) => {
                *quiet = 0;
                None
            }
            (State::Speech { quiet }, false) => {
                *quiet += 1;
                if *quiet * FRAME_MS < rules.silence_ms {
                    return None;
                }
                self.state = State::SILENCE;
                Some(Verdict::Stopped { at: self.judged })
            }
        }
    }

    fn idle(&mut self, rules: &Rules) -> Option<Verdict> {
        let (from, timeout) = (self.idle_from?, rules.idle_timeout_ms?);
        let idle = self.format.millis(self.judged.saturating_sub(from));
        if idle < timeout {
            return None;
        }
        self.idle_from = None;
        Some(Verdict::Idle {
            from,
            to: self.judged,
        })
    }
}

/// The root mean square of a frame, as a part of full scale.
fn loudness(frame: &[u8], format: AudioFormat) -> f64 {
    let samples = audio::decode(frame, format);
    let square = |sample: &i16| (f64::from(*sample) / f64::from(i16::MAX)).powi(2);
    (samples.iter().map(square).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// How loud a frame must be for speech to be this likely: the odds grow with the loudness.
fn loudness_at(threshold: f64) -> f64 {
    EVEN_ODDS * threshold / (1.0 - threshold)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        threshold: 0.5,
        silence_ms: 500,
        idle_timeout_ms: None,
    };
    const FORMATS: [AudioFormat; 3] = [AudioFormat::PCM24, AudioFormat::Pcmu, AudioFormat::Pcma];

    fn tone(millis: u64, format: AudioFormat) -> Vec<u8> {
        audio::tone(300.0, Duration::from_millis(millis), format)
    }

    fn silence(millis: u64, format: AudioFormat) -> Vec<u8> {
        let samples = millis * u64::from(audio::sample_rate(format)) / 1_000;
        audio::encode((0..samples).map(|_| 0), format)
    }

    fn ms(verdicts: &[Verdict], format: AudioFormat) -> Vec<(&'static str, u64)> {
        let ms = |at: &u64| format.millis(*at);
        verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Started { at } => ("started", ms(at)),
                Verdict::Stopped { at } => ("stopped", ms(at)),
                Verdict::Idle { to, .. } => ("idle", ms(to)),
            })
            .collect()
    }

    #[test]
    fn speech_begins_and_ends_in_every_format() {
        for format in FORMATS {
            let audio = [silence(960, format), tone(640, format), silence(600, format)].concat();
            let verdicts = Detector::new(format).hear(&audio, &RULES);
            // 640 + 960 is when the sound ends, and 512 the first whole number of frames that is long enough.
            assert_eq!(
                ms(&verdicts, format),
                [("started", 960), ("stopped", 2_112)],
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_pause_within_a_sentence_and_a_click_are_no_turns() {
        let format = AudioFormat::PCM24;
        let audio = [
            tone(32, format),
            silence(320, format),
            tone(320, format),
            silence(480, format),
            tone(320, format),
            silence(512, format),
        ]
        .concat();
        let verdicts = Detector::new(format).hear(&audio, &RULES);
        assert_eq!(ms(&verdicts, format), [("started", 352), ("stopped", 1_984)]);
    }

    #[test]
    fn the_threshold_decides_what_is_loud() {
        let format = AudioFormat::PCM24;
        let faint = audio::encode((0..24_000).map(|n| if n % 2 == 0 { 300 } else { -300 }), format);
        let started = |threshold, audio: &[u8]| {
            let rules = Rules { threshold, ..RULES };
            !Detector::new(format).hear(audio, &rules).is_empty()
        };
        let speech = tone(1_000, format);
        assert!(!started(0.5, &faint) && started(0.3, &faint));
        assert!(started(0.9, &speech) && !started(0.95, &speech));
        assert!(started(0.0, &silence(100, format)), "everything is speech");
        assert!(!started(1.0, &speech), "nothing is");
    }

    #[test]
    fn idleness_counts_from_where_the_answer_was_over() {
        let format = AudioFormat::PCM24;
        let rules = Rules {
            idle_timeout_ms: Some(5_000),
            ..RULES
        };
        let mut detector = Detector::new(format);
        detector.expect_speech(48 * 1_000);
        assert_eq!(detector.hear(&silence(5_900, format), &rules), []);
        let verdicts = detector.hear(&silence(10_000, format), &rules);
        assert_eq!(ms(&verdicts, format), [("idle", 6_016)], "once");
        detector.expect_speech(detector.position());
        let talk = [tone(1_000, format), silence(9_000, format)].concat();
        assert_eq!(detector.hear(&talk, &rules).len(), 2, "who spoke is not idle");
    }

    #[derive(Debug, Clone)]
    struct Piece {
        is_loud: bool,
        millis: u64,
    }

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        let piece = (any::<bool>(), 0..900_u64).prop_map(|(is_loud, millis)| Piece { is_loud, millis });
        prop::collection::vec(piece, 0..12)
    }

    proptest! {
        #[test]
        fn chunks_change_no_verdict(
            pieces in pieces(),
            sizes in prop::collection::vec(0..5_000_usize, 1..20),
            format in prop::sample::select(&FORMATS[..]),
            silence_ms in 0..800_u64,
            idle_from in prop::option::of(0..50_000_u64),
        ) {
            let rules = Rules { silence_ms, idle_timeout_ms: Some(1_000), ..RULES };
            let sound = |piece: &Piece| match piece.is_loud {
                true => tone(piece.millis, format),
                false => silence(piece.millis, format),
            };
            let audio: Vec<u8> = pieces.iter().flat_map(sound).collect();
            let detector = || {
                let mut detector = Detector::new(format);
                idle_from.into_iter().for_each(|from| detector.expect_speech(from));
                detector
            };
            let whole = detector().hear(&audio, &rules);

            let (mut chunked, mut rest, mut found) = (detector(), &audio[..], Vec::new());
            for size in sizes.iter().cycle().take(100_000) {
                let (chunk, tail) = rest.split_at(rest.len().min(*size));
                found.extend(chunked.hear(chunk, &rules));
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            found.extend(chunked.hear(rest, &rules));
            prop_assert_eq!(&found, &whole);
            prop_assert_eq!(chunked.position(), audio.len() as u64);

            let turns: Vec<_> = whole.iter().filter(|verdict| !matches!(verdict, Verdict::Idle { .. })).collect();
            for (n, verdict) in turns.iter().enumerate() {
                prop_assert_eq!(n % 2 == 0, matches!(verdict, Verdict::Started { .. }), "they alternate");
            }
            let places: Vec<_> = ms(&whole, format).into_iter().map(|(_, at)| at).collect();
            prop_assert!(places.is_sorted(), "{:?}", places);
        }
    }
}
