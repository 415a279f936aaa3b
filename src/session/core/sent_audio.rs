//! When which of the user's sound was sent: the server tells of places in it (protocol.md section 3.2).

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::AudioFormat;
use crate::trace::Timestamp;

/// Pieces of which it is known when they were sent, at the most: 20 seconds of what a microphone sends. Servers tell of
/// the end of a turn within 8 seconds (protocol.md section 4, `eagerness`).
const MAX_PIECES: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct SentAudio {
    /// Where each piece ends, in all sound sent, and when it was sent; in their order.
    pieces: VecDeque<(Duration, Timestamp)>,
    /// All sound sent.
    length: Duration,
}

impl SentAudio {
    /// So many bytes go out.
    pub(super) fn push(&mut self, now: Timestamp, bytes: usize, format: AudioFormat) {
        if bytes == 0 {
            return;
        }
        self.length += duration(bytes, format);
        match self.pieces.back_mut() {
            Some((end, sent_at)) if *sent_at == now => *end = self.length,
            _ => {
                if self.pieces.len() == MAX_PIECES {
                    self.pieces.pop_front();
                }
                self.pieces.push_back((self.length, now));
            }
        }
    }

    /// When the sound before this place had been sent; `None` for what was not sent from here, or too long ago.
    pub(super) fn sent_at(&self, place: Duration) -> Option<Timestamp> {
        let piece = self.pieces.partition_point(|(end, _)| *end < place);
        let is_first_known = piece == 0 && self.pieces.len() == MAX_PIECES;
        let (_, sent_at) = self.pieces.get(piece).filter(|_| !is_first_known)?;
        Some(*sent_at)
    }

    /// When the last sound was sent.
    pub(super) fn last_sent_at(&self) -> Option<Timestamp> {
        self.pieces.back().map(|(_, sent_at)| *sent_at)
    }
}

/// Rounded to nanoseconds, so that many odd pieces do not add up to a millisecond.
fn duration(bytes: usize, format: AudioFormat) -> Duration {
    let nanos = bytes as u128 * 1_000_000_000 / u128::from(format.bytes_per_second());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000 + millis * 1_000)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// As a microphone sends it: 20 ms at a time, each when it was heard whole.
    fn spoken(pieces: u64) -> SentAudio {
        let mut sent = SentAudio::default();
        for piece in 1..=pieces {
            sent.push(at(piece * 20), 960, AudioFormat::PCM24);
        }
        sent
    }

    #[test]
    fn a_place_was_sent_with_the_piece_it_is_in() {
        let sent = spoken(5);
        assert_eq!(sent.sent_at(ms(1)), Some(at(20)));
        assert_eq!(sent.sent_at(ms(20)), Some(at(20)));
        assert_eq!(sent.sent_at(ms(21)), Some(at(40)));
        assert_eq!(sent.sent_at(ms(100)), Some(at(100)));
        assert_eq!(sent.sent_at(ms(101)), None, "it was not sent from here");
        assert_eq!(sent.last_sent_at(), Some(at(100)));
    }

    #[test]
    fn what_goes_out_at_once_is_one_piece_however_long() {
        let mut sent = SentAudio::default();
        for _ in 0..10_000 {
            sent.push(at(0), 80, AudioFormat::Pcmu);
        }
        sent.push(at(5), 0, AudioFormat::Pcmu);
        assert_eq!(sent.sent_at(ms(100_000)), Some(at(0)));
        assert_eq!(sent.pieces.len(), 1);
    }

    #[test]
    fn what_was_sent_long_ago_is_forgotten() {
        let sent = spoken(10_000);
        assert_eq!(sent.pieces.len(), MAX_PIECES);
        assert_eq!(sent.sent_at(ms(1)), None);
        assert_eq!(sent.sent_at(ms(199_000)), Some(at(199_000)));
    }

    #[test]
    fn odd_pieces_do_not_drift() {
        let mut sent = SentAudio::default();
        for piece in 0..180_000 {
            sent.push(at(piece), 1_234, AudioFormat::PCM24);
        }
        let truth = ms(180_000 * 1_234 / 48);
        assert!(truth - sent.length < ms(1), "{:?} of {truth:?}", sent.length);
    }
}
