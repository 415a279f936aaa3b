//! What sound has come, how much of it was heard, and what an interruption cuts (protocol.md sections 6.2 and 6.3).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::protocol::{AudioFormat, Id};
use crate::session::PlayedBy;
use crate::trace::Timestamp;

/// Tracks kept at the most; the oldest has long been heard when there are more.
const MAX_TRACKS: usize = 64;

/// The sound of one part of an item.
#[derive(Debug)]
struct Track {
    item_id: Id,
    content_index: u32,
    response_id: Option<Id>,
    /// Whole samples passed on so far.
    bytes: u64,
    /// When it begins to be heard, if the application does not report playback: at once, or after the track before.
    starts_at: Timestamp,
    /// Bytes that the application says it has played.
    reported: Option<u64>,
    decoder: Decoder,
}

#[derive(Debug, Default)]
pub(super) struct Playback {
    format: AudioFormat,
    /// In the order in which they are heard.
    tracks: VecDeque<Track>,
    /// Whether the application reports what it plays: then the clock no longer counts.
    has_reports: bool,
}

/// What an interruption cuts off.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) item_id: Id,
    pub(super) content_index: u32,
    pub(super) response_id: Option<Id>,
    /// Milliseconds that were heard; never more than there are.
    pub(super) heard_ms: u64,
}

/// Audio that is not base64.
#[derive(Debug)]
pub(super) struct NotBase64;

impl Playback {
    /// Sets how the server encodes the sound that comes from now on.
    pub(super) fn set_format(&mut self, format: AudioFormat) {
        self.format = format;
    }

    pub(super) fn format(&self) -> AudioFormat {
        self.format
    }

    /// When the sound of an item that has come so far will have been heard, by the clock.
    pub(super) fn ends_at(&self, item_id: &str) -> Option<Timestamp> {
        let own = self.tracks.iter().filter(|track| *track.item_id == *item_id);
        own.map(|track| track.starts_at + track.length(self.format)).max()
    }

    /// Takes a piece of sound; gives whole samples, perhaps none yet.
    pub(super) fn receive(
        &mut self,
        now: Timestamp,
        (item_id, content_index): (&Id, u32),
        response_id: Option<&Id>,
        base64: &str,
    ) -> Result<Bytes, NotBase64> {
        let track = match self.place(item_id, content_index) {
            Some(place) => place,
            None => self.begin(now, (item_id, content_index), response_id),
        };
        let track = &mut self.tracks[track];
        let audio = track.decoder.decode(base64, self.format)?;
        track.wait(now, self.format);
        track.bytes += audio.len() as u64;
        Ok(audio)
    }

    /// Finds a track; nearly always the newest.
    fn place(&self, item_id: &str, content_index: u32) -> Option<usize> {
        self.tracks
            .iter()
            .rposition(|track| track.content_index == content_index && track.item_id == *item_id)
    }

    fn begin(&mut self, now: Timestamp, part: (&Id, u32), response_id: Option<&Id>) -> usize {
        let format = self.format;
        let queue_ends = self
            .tracks
            .back()
            .map_or(now, |last| last.starts_at + last.length(format));
        if self.tracks.len() == MAX_TRACKS {
            self.tracks.pop_front();
        }
        self.tracks.push_back(Track {
            item_id: part.0.clone(),
            content_index: part.1,
            response_id: response_id.cloned(),
            bytes: 0,
            starts_at: now.max(queue_ends),
            reported: None,
            decoder: Decoder::default(),
        });
        self.tracks.len() - 1
    }

    /// Takes the application's word for how much of a part it has played so far, in bytes. Of what was cut off nothing is
    /// known any more.
    pub(super) fn report(&mut self, item_id: &str, content_index: u32, bytes: u64) {
        self.has_reports = true;
        if let Some(place) = self.place(item_id, content_index) {
            let reported = &mut self.tracks[place].reported;
            *reported = Some(reported.unwrap_or_default().max(bytes));
        }
    }

    /// Who says what was heard.
    pub(super) fn source(&self) -> PlayedBy {
        match self.has_reports {
            true => PlayedBy::Reports,
            false => PlayedBy::Clock,
        }
    }

    /// When a part begins to be heard, by the clock.
    pub(super) fn starts_at(&self, item_id: &str, content_index: u32) -> Option<Timestamp> {
        let place = self.place(item_id, content_index)?;
        Some(self.tracks[place].starts_at)
    }

    /// How much of the sound of an item that has come so far has been heard, in milliseconds, if any is known.
    pub(super) fn heard_ms(&self, item_id: &str, now: Timestamp) -> Option<u64> {
        let own = self.tracks.iter().filter(|track| *track.item_id == *item_id);
        own.map(|track| self.heard_of(track, now))
            .reduce(u64::saturating_add)
    }

    /// Whether the application has played all sound of an item that has come so far.
    pub(super) fn is_heard(&self, item_id: &str) -> bool {
        let own = |track: &&Track| *track.item_id == *item_id;
        let is_heard = |track: &Track| track.reported.is_some_and(|bytes| bytes >= track.bytes);
        self.tracks.iter().filter(own).all(is_heard)
    }

    /// How much of a track was heard, in milliseconds: rounded down, and no more than there is (protocol.md section 6.2).
    fn heard_of(&self, track: &Track, now: Timestamp) -> u64 {
        let heard_ms = match track.reported {
            Some(bytes) => self.format.millis(bytes),
            None if self.has_reports => 0,
            None => track.millis_since_start(now),
        };
        heard_ms.min(self.format.millis(track.bytes))
    }

    /// Ends playback. What had been heard whole is left alone, unless the answer it belongs to still goes on; of
    /// the rest each track is cut where it was heard to. A track of which nothing came is none: the server would
    /// refuse to truncate it.
    pub(super) fn interrupt(&mut self, now: Timestamp, is_ongoing: impl Fn(Option<&Id>) -> bool) -> Vec<Cut> {
        let tracks = std::mem::take(&mut self.tracks);
        let goes_on = |track: &Track| is_ongoing(track.response_id.as_ref());
        let cut = |track: Track| self.cut(now, goes_on(&track), track);
        tracks.into_iter().filter_map(cut).collect()
    }

    /// Ends the playback of one answer, as [`Playback::interrupt`] does of all. What waits behind it moves up.
    pub(super) fn interrupt_answer(
        &mut self,
        now: Timestamp,
        response_id: Option<&Id>,
        goes_on: bool,
    ) -> Vec<Cut> {
        let (own, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.tracks)
            .into_iter()
            .partition(|track| track.response_id.as_ref() == response_id);
        let mut free_at = now;
        for mut track in others {
            track.starts_at = track.starts_at.min(free_at);
            free_at = now.max(track.starts_at + track.length(self.format));
            self.tracks.push_back(track);
        }
        let cut = |track| self.cut(now, goes_on, track);
        own.into_iter().filter_map(cut).collect()
    }

    fn cut(&self, now: Timestamp, goes_on: bool, track: Track) -> Option<Cut> {
        let length = self.format.millis(track.bytes);
        let heard_ms = self.heard_of(&track, now);
        (length > 0 && (heard_ms < length || goes_on)).then_some(Cut {
            item_id: track.item_id,
            content_index: track.content_index,
            response_id: track.response_id,
            heard_ms,
        })
    }

    /// Whether any sound has come since the last interruption.
    pub(super) fn has_sound(&self) -> bool {
        !self.tracks.is_empty()
    }

    /// Forgets an item that is gone.
    pub(super) fn remove(&mut self, item_id: &str) {
        self.tracks.retain(|track| track.item_id != *item_id);
    }
}

impl Track {
    fn length(&self, format: AudioFormat) -> std::time::Duration {
        std::time::Duration::from_millis(format.millis(self.bytes))
    }

    /// More sound comes: if all there was has been heard by now, what comes is heard only from now on.
    fn wait(&mut self, now: Timestamp, format: AudioFormat) {
        let ran_dry_at = self.starts_at + self.length(format);
        self.starts_at = self.starts_at + now.saturating_duration_since(ran_dry_at);
    }

    /// The position by the clock.
    fn millis_since_start(&self, now: Timestamp) -> u64 {
        u64::try_from(now.saturating_duration_since(self.starts_at).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Turns base64 into whole samples. Servers may split anywhere (protocol.md, trap 15), so what is left over waits
/// for the next piece.
#[derive(Debug, Default)]
struct Decoder {
    /// Base64 characters short of a group of four.
    characters: String,
    /// The first byte of a sample.
    byte: Option<u8>,
}

impl Decoder {
    fn decode(&mut self, base64: &str, format: AudioFormat) -> Result<Bytes, NotBase64> {
        let bytes = if self.characters.is_empty() && base64.len().is_multiple_of(4) {
            decode(base64)?
        } else {
            self.characters.push_str(base64);
            let whole = self.characters.len() / 4 * 4;
            let bytes = self.characters.get(..whole).ok_or(NotBase64).and_then(decode);
            if bytes.is_ok() {
                self.characters.drain(..whole);
            } else {
                self.characters.clear();
            }
            bytes?
        };
        Ok(Bytes::from(self.whole_samples(bytes, format)))
    }

    fn whole_samples(&mut self, mut bytes: Vec<u8>, format: AudioFormat) -> Vec<u8> {
        if !matches!(format, AudioFormat::Pcm { .. }) {
            return bytes;
        }
        if let Some(byte) = self.byte.take() {
            bytes.insert(0, byte);
        }
        if !bytes.len().is_multiple_of(2) {
            self.byte = bytes.pop();
        }
        bytes
    }
}

fn decode(base64: &str) -> Result<Vec<u8>, NotBase64> {
    base64_simd::STANDARD.decode_to_vec(base64).map_err(|_| NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: u64 = 1_000_000_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(START) + Duration::from_millis(ms)
    }

    fn sound(ms: usize) -> String {
        base64_simd::STANDARD.encode_to_string(vec![0; ms * 48])
    }

    fn receive(playback: &mut Playback, now: u64, item: &str, base64: &str) -> Bytes {
        playback
            .receive(at(now), (&Id::from(item), 0), Some(&Id::from("r")), base64)
            .unwrap()
    }

    fn heard(cuts: &[Cut]) -> Vec<(&str, u64)> {
        cuts.iter()
            .map(|cut| (cut.item_id.as_str(), cut.heard_ms))
            .collect()
    }

    #[test]
    fn the_clock_tells_the_position_and_the_length_bounds_it() {
        let mut playback = Playback::default();
        receive(&mut playback, 0, "a", &sound(1_000));
        assert_eq!(heard(&playback.interrupt(at(400), |_| false)), [("a", 400)]);
        receive(&mut playback, 1_000, "b", &sound(100));
        assert_eq!(heard(&playback.interrupt(at(9_000), |_| true)), [("b", 100)]);
    }

    #[test]
    fn what_was_heard_whole_is_not_cut() {
        let mut playback = Playback::default();
        receive(&mut playback, 0, "a", &sound(100));
        assert!(playback.interrupt(at(100), |_| false).is_empty());
        assert!(
            playback.interrupt(at(0), |_| true).is_empty(),
            "nothing is left after an interruption"
        );
    }

    #[test]
    fn a_second_item_is_heard_after_the_first() {
        let mut playback = Playback::default();
        receive(&mut playback, 0, "a", &sound(1_000));
        receive(&mut playback, 10, "b", &sound(1_000));
        assert_eq!(heard(&playback.interrupt(at(1_300), |_| false)), [("b", 300)]);
    }

    #[test]
    fn the_applications_report_wins_over_the_clock() {
        let mut playback = Playback::default();
        receive(&mut playback, 0, "a", &sound(1_000));
        playback.report("a", 0, 48 * 250);
        assert_eq!(heard(&playback.interrupt(at(700), |_| false)), [("a", 250)]);
    }

    #[test]
    fn what_an_application_that_reports_has_not_reported_was_not_heard() {
        let mut playback = Playback::default();
        receive(&mut playback, 0, "a", &sound(1_000));
        receive(&mut playback, 10, "b", &sound(1_000));
        playback.report("a", 0, 48 * 800);
        assert_eq!(
            heard(&playback.interrupt(at(1_300), |_| false)),
            [("a", 800), ("b", 0)]
        );
    }

    #[test]
    fn an_item_without_sound_is_never_cut() {
        let mut playback = Playback::default();
        receive(&mut playback, 0, "a", "");
        assert!(playback.interrupt(at(10), |_| true).is_empty());
    }

    #[test]
    fn g711_counts_eight_bytes_a_millisecond() {
        let mut playback = Playback::default();
        playback.set_format(AudioFormat::Pcmu);
        receive(
            &mut playback,
            0,
            "a",
            &base64_simd::STANDARD.encode_to_string([0; 801]),
        );
        assert_eq!(heard(&playback.interrupt(at(5_000), |_| true)), [("a", 100)]);
    }

    #[test]
    fn sound_split_anywhere_comes_out_whole() {
        let bytes: Vec<u8> = (0..=255).collect();
        let base64 = base64_simd::STANDARD.encode_to_string(&bytes);
        for size in 1..9 {
            let mut playback = Playback::default();
            let pieces = base64
                .as_bytes()
                .chunks(size)
                .map(|piece| std::str::from_utf8(piece).unwrap());
            let mut out = Vec::new();
            for piece in pieces {
                let samples = receive(&mut playback, 0, "a", piece);
                assert!(samples.len().is_multiple_of(2));
                out.extend_from_slice(&samples);
            }
            assert_eq!(out, bytes, "pieces of {size}");
        }
        let mut playback = Playback::default();
        let odd: Vec<_> = bytes
            .chunks(3)
            .map(|chunk| base64_simd::STANDARD.encode_to_string(chunk))
            .collect();
        let out: Vec<u8> = odd
            .iter()
            .flat_map(|piece| receive(&mut playback, 0, "a", piece))
            .collect();
        assert_eq!(out, bytes, "three bytes at a time");
    }

    #[test]
    fn what_is_no_base64_is_refused_and_forgotten() {
        let mut playback = Playback::default();
        let id = Id::from("a");
        for odd in ["!!!!", "é", "ab", "****"] {
            let _ = playback.receive(at(0), (&id, 0), None, odd);
        }
        let mut playback = Playback::default();
        assert!(playback.receive(at(0), (&id, 0), None, "!!!!").is_err());
        assert_eq!(receive(&mut playback, 0, "a", "AAAA").len(), 2);
    }
}
