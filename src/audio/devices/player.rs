//! Our side of a speaker: what waits to be heard, what is cut, and how much of each part of an answer was heard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::heard::{Block, Heard};
use super::playout::{Orders, Playout};
use super::ring::{Writer, ring};
use crate::audio::{Resampler, UnsupportedRate, decode, sample_rate, to_f32};
use crate::protocol::{AudioFormat, Id};

/// Sound that is ready for the device: as long as we may be kept from bringing more.
const READY: Duration = Duration::from_millis(500);
/// Sound that may wait at the most; what comes beyond it is dropped. No answer is that long.
const WAITING: Duration = Duration::from_secs(30 * 60);
/// Blocks that the device may play between two looks at them.
const BLOCKS: usize = 256;
/// Parts that were cut and are remembered: more of their sound may be under way.
const CUT_PARTS: usize = 64;
/// How much is converted at once.
const PIECE: Duration = Duration::from_millis(20);

/// How much of a part of an answer has been heard so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The item.
    pub item_id: Id,
    /// Its part.
    pub content_index: u32,
    /// Bytes in the session's output format.
    pub bytes: u64,
}

/// Plays the parts of answers one after the other. What belongs to the device is its [`Output`].
#[derive(Debug)]
pub(super) struct Player {
    format: AudioFormat,
    device_rate: u32,
    /// In the order in which they are heard. The last one stays, for more of it may come.
    parts: VecDeque<Part>,
    cut: VecDeque<(Id, u32)>,
    resampler: Resampler,
    converted: Vec<f32>,
    writer: Writer,
    orders: Arc<Orders>,
    blocks: Receiver<Block>,
    heard: Heard,
    /// Bytes that were dropped.
    dropped: u64,
}

/// The sound of one part of an item.
#[derive(Debug)]
struct Part {
    item_id: Id,
    content_index: u32,
    /// Bytes of the same part that came before another part did.
    base: usize,
    audio: Vec<u8>,
    /// Bytes that are in the device's queue, or were.
    fed: usize,
    /// Where in the device's queue it begins, and with which of its bytes; none before.
    starts: Option<(u64, usize)>,
    /// Where it ends there, once all of it is in.
    ends: Option<u64>,
    /// Bytes that were heard, as was told.
    heard: usize,
    /// All of it has come.
    complete: bool,
}

/// The device's end of a [`Player`].
#[derive(Debug)]
pub(super) struct Output {
    playout: Playout,
    blocks: SyncSender<Block>,
}

impl Output {
    /// Fills a block of one channel that begins to be heard `at`. Neither waits nor allocates.
    pub(super) fn fill(&mut self, out: &mut [f32], at: Instant) {
        let span = self.playout.fill(out);
        // If nobody looks at them for seconds, later ones tell as much.
        let _ = self.blocks.try_send(Block { span, at });
    }
}

impl Part {
    fn is(&self, item_id: &Id, content_index: u32) -> bool {
        self.content_index == content_index && self.item_id == *item_id
    }

    fn has_unheard(&self) -> bool {
        self.heard < self.audio.len()
    }

    fn is_fed(&self) -> bool {
        self.fed == self.audio.len() && (self.ends.is_some() || !self.complete)
    }

    fn played(&self) -> Played {
        Played {
            item_id: self.item_id.clone(),
            content_index: self.content_index,
            bytes: (self.base + self.heard) as u64,
        }
    }

    /// Takes note that the device's queue was heard to this position; tells whether that is news.
    fn hear(&mut self, position: u64, ratio: (u32, u32), sample: usize) -> bool {
        let Some((start, first)) = self.starts else {
            return false;
        };
        let samples = position.saturating_sub(start).saturating_mul(ratio.0.into()) / u64::from(ratio.1);
        let bytes = usize::try_from(samples).map_or(usize::MAX, |samples| samples.saturating_mul(sample));
        let heard = match self.ends {
            Some(end) if position >= end => self.fed,
            _ => first.saturating_add(bytes).min(self.fed).max(self.heard),
        };
        std::mem::replace(&mut self.heard, heard) != heard
    }
}

impl Player {
    /// For a device with so many samples a second.
    pub(super) fn new(format: AudioFormat, device_rate: u32) -> Result<(Self, Output), UnsupportedRate> {
        let resampler = Resampler::new(sample_rate(format), device_rate)?;
        let (writer, reader) = ring((u64::from(device_rate) * READY.as_millis() as u64 / 1_000) as usize);
        let orders = Arc::new(Orders::default());
        let (sender, blocks) = sync_channel(BLOCKS);
        let output = Output {
            playout: Playout::new(reader, orders.clone(), device_rate),
            blocks: sender,
        };
        let player = Self {
            format,
            device_rate,
            parts: VecDeque::new(),
            cut: VecDeque::new(),
            resampler,
            converted: Vec::new(),
            writer,
            orders,
            blocks,
            heard: Heard::new(device_rate),
            dropped: 0,
        };
        Ok((player, output))
    }

    pub(super) fn orders(&self) -> Arc<Orders> {
        self.orders.clone()
    }

    pub(super) fn underruns(&self) -> u64 {
        self.orders.underruns()
    }

    /// Sound that had no room any more.
    pub(super) fn dropped(&self) -> Duration {
        Duration::from_millis(self.format.millis(self.dropped))
    }

    /// Whether there is sound that was not heard.
    pub(super) fn is_playing(&self) -> bool {
        self.parts.iter().any(Part::has_unheard)
    }

    /// Takes sound of a part.
    pub(super) fn play(&mut self, item_id: &Id, content_index: u32, audio: &[u8]) {
        if self
            .cut
            .iter()
            .any(|(id, index)| id == item_id && *index == content_index)
        {
            return;
        }
        let waiting: usize = self.parts.iter().map(|part| part.audio.len() - part.heard).sum();
        if self.format.millis((waiting + audio.len()) as u64) > WAITING.as_millis() as u64 {
            self.dropped += audio.len() as u64;
            return;
        }
        match self.parts.back_mut() {
            Some(last) if last.is(item_id, content_index) => {
                last.audio.extend_from_slice(audio);
                last.ends = None;
            }
            _ => self.begin(item_id, content_index, audio),
        }
        self.feed();
    }

    fn begin(&mut self, item_id: &Id, content_index: u32, audio: &[u8]) {
        self.complete();
        let before = self.parts.iter().filter(|part| part.is(item_id, content_index));
        let base = before.map(|part| part.audio.len()).sum();
        self.parts.push_back(Part {
            item_id: item_id.clone(),
            content_index,
            base,
            audio: audio.to_vec(),
            fed: 0,
            starts: None,
            ends: None,
            heard: 0,
            complete: false,
        });
    }

    /// All sound that is under way has come: nothing of it need wait for more.
    pub(super) fn complete(&mut self) {
        for part in &mut self.parts {
            part.complete = true;
        }
        self.feed();
    }

    /// Goes on, and tells what has been heard since the last time.
    pub(super) fn advance(&mut self, now: Instant) -> Vec<Played> {
        let played = self.hear(now);
        while self.parts.len() > 1 && !self.parts[0].has_unheard() {
            self.parts.pop_front();
        }
        self.feed();
        played
    }

    fn hear(&mut self, now: Instant) -> Vec<Played> {
        for block in self.blocks.try_iter() {
            self.heard.push(block);
        }
        let position = self.heard.position(now);
        let ratio = (sample_rate(self.format), self.device_rate);
        let sample = sample_size(self.format);
        let news = self.parts.iter_mut().filter_map(|part| {
            let is_news = part.hear(position, ratio, sample);
            is_news.then(|| part.played())
        });
        news.collect()
    }

    /// Cuts these parts, with a short fade of what is being heard, and tells what has been heard since the last time, of
    /// the cut ones too. Nothing more of them will be, even if it comes; what waits behind them moves up.
    pub(super) fn interrupt(&mut self, now: Instant, is_cut: impl Fn(&Id, u32) -> bool) -> Vec<Played> {
        let played = self.hear(now);
        let (cut, left): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.parts)
            .into_iter()
            .partition(|part| is_cut(&part.item_id, part.content_index));
        self.parts = left;
        if cut.iter().any(|part| part.fed > part.heard) {
            self.empty_queue();
        }
        for part in cut {
            if self.cut.len() == CUT_PARTS {
                self.cut.pop_front();
            }
            self.cut.push_back((part.item_id, part.content_index));
        }
        self.feed();
        played
    }

    /// Forgets what is in the device's queue; what is still to be heard goes in again.
    fn empty_queue(&mut self) {
        self.orders.cut_until(self.writer.position());
        self.resampler.finish(&mut self.converted);
        self.converted.clear();
        for part in &mut self.parts {
            part.fed = part.heard;
            (part.starts, part.ends) = (None, None);
        }
    }

    /// Brings sound to the device's queue as long as there is room.
    fn feed(&mut self) {
        loop {
            let written = self.writer.write(self.converted.iter().copied());
            self.converted.drain(..written);
            if !self.converted.is_empty() || !self.convert() {
                return;
            }
        }
    }

    /// Converts the next piece of what waits; tells whether there was any.
    fn convert(&mut self) -> bool {
        let Some(place) = self.parts.iter().position(|part| !part.is_fed()) else {
            if self.parts.iter().all(|part| part.complete) {
                self.orders.complete_until(self.writer.position());
            }
            return false;
        };
        let part = &mut self.parts[place];
        let start = part.fed;
        part.starts.get_or_insert((self.writer.position(), start));
        let piece = self.format.bytes_per_second() * PIECE.as_millis() as u64 / 1_000;
        let end = part.audio.len().min(start + (piece as usize).next_multiple_of(2));
        let samples: Vec<_> = decode(&part.audio[start..end], self.format)
            .into_iter()
            .map(to_f32)
            .collect();
        part.fed = end;
        self.resampler.push(&samples, &mut self.converted);
        if part.complete && part.fed == part.audio.len() {
            self.resampler.finish(&mut self.converted);
            part.ends = Some(self.writer.position() + self.converted.len() as u64);
        }
        true
    }
}

fn sample_size(format: AudioFormat) -> usize {
    match format {
        AudioFormat::Pcm { .. } => 2,
        AudioFormat::Pcmu | AudioFormat::Pcma => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Duration = Duration::from_millis(10);
    const DELAY: Duration = Duration::from_millis(40);

    /// A device that plays what it takes 40 ms later, and a clock.
    struct Rig {
        player: Player,
        output: Output,
        rate: u32,
        now: Instant,
        played: Vec<f32>,
        reports: Vec<Played>,
    }

    impl Rig {
        fn new(format: AudioFormat, rate: u32) -> Self {
            let (player, output) = Player::new(format, rate).unwrap();
            Self {
                player,
                output,
                rate,
                now: Instant::now(),
                played: Vec::new(),
                reports: Vec::new(),
            }
        }

        fn run(&mut self, time: Duration) {
            let end = self.now + time;
            while self.now < end {
                let mut block = vec![0.0; (self.rate / 100) as usize];
                self.output.fill(&mut block, self.now + DELAY);
                self.played.extend(block);
                self.now += BLOCK;
                self.reports.extend(self.player.advance(self.now));
            }
        }

        fn heard(&self, item: &str) -> u64 {
            let of = |played: &&Played| played.item_id == *item;
            self.reports.iter().rfind(of).map_or(0, |played| played.bytes)
        }

        fn play(&mut self, item: &str, time: Duration) {
            let sound = crate::audio::tone(500.0, time, self.player.format);
            self.player.play(&item.into(), 0, &sound);
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn everything_is_heard_whole_at_every_rate_and_reports_only_grow() {
        for format in [AudioFormat::PCM24, AudioFormat::Pcmu] {
            for rate in [8_000, 24_000, 44_100, 48_000] {
                let mut rig = Rig::new(format, rate);
                let sound = crate::audio::tone(500.0, ms(1_234), format);
                for delta in sound.chunks(1_000) {
                    rig.player.play(&"a".into(), 0, delta);
                }
                rig.player.complete();
                assert!(rig.player.is_playing());
                rig.run(ms(1_500));
                assert_eq!(rig.heard("a"), sound.len() as u64, "{format:?} at {rate}");
                assert!(!rig.player.is_playing());
                assert!(rig.reports.is_sorted_by_key(|played| played.bytes));
                assert_eq!(rig.player.underruns(), 0);
            }
        }
    }

    #[test]
    fn the_position_is_what_the_device_has_played_and_not_what_it_has_taken() {
        let mut rig = Rig::new(AudioFormat::PCM24, 48_000);
        rig.play("a", ms(1_000));
        rig.run(ms(240));
        assert_eq!(AudioFormat::PCM24.millis(rig.heard("a")), 200);
    }

    #[test]
    fn sound_that_trickles_in_is_heard_without_gaps_in_the_count() {
        let mut rig = Rig::new(AudioFormat::PCM24, 48_000);
        for _ in 0..10 {
            rig.play("a", ms(100));
            rig.run(ms(150));
        }
        rig.player.complete();
        rig.run(ms(500));
        assert_eq!(AudioFormat::PCM24.millis(rig.heard("a")), 1_000);
        assert!(rig.player.underruns() > 0);
    }

    #[test]
    fn an_interruption_ends_the_sound_with_a_fade_and_late_deltas_stay_silent() {
        let mut rig = Rig::new(AudioFormat::PCM24, 48_000);
        rig.play("a", ms(5_000));
        rig.run(ms(1_000));
        let told = rig.heard("a");
        let before = rig.played.len();
        let now = rig.now;
        let last = rig.player.interrupt(now, |_, _| true);
        assert!(last.is_empty(), "all was told already: {last:?}");
        rig.play("a", ms(1_000));
        rig.run(ms(1_000));
        let tail = &rig.played[before..];
        let sounding = tail.iter().rposition(|sample| *sample != 0.0).unwrap();
        assert!(sounding < 480, "{sounding} samples after the cut");
        let steps = tail.windows(2).map(|pair| (pair[0] - pair[1]).abs());
        assert!(steps.clone().all(|step| step < 0.05), "no click");
        assert_eq!(rig.heard("a"), told);
        assert!(!rig.player.is_playing());
    }

    #[test]
    fn what_waits_behind_a_cut_part_is_heard_whole() {
        let mut rig = Rig::new(AudioFormat::PCM24, 44_100);
        rig.play("a", ms(600));
        rig.play("b", ms(700));
        rig.player.complete();
        rig.run(ms(300));
        let now = rig.now;
        rig.player.interrupt(now, |item, _| *item == *"a");
        rig.run(ms(1_000));
        assert_eq!(AudioFormat::PCM24.millis(rig.heard("a")), 260);
        assert_eq!(AudioFormat::PCM24.millis(rig.heard("b")), 700);
    }

    #[test]
    fn what_was_heard_is_left_alone_when_the_part_before_it_is_cut_late() {
        let mut rig = Rig::new(AudioFormat::PCM24, 48_000);
        rig.play("a", ms(300));
        rig.play("b", ms(500));
        rig.run(ms(600));
        let now = rig.now;
        rig.player.interrupt(now, |item, _| *item == *"a");
        rig.player.complete();
        rig.run(ms(400));
        assert_eq!(AudioFormat::PCM24.millis(rig.heard("b")), 500);
    }

    #[test]
    fn parts_that_alternate_count_on() {
        let mut rig = Rig::new(AudioFormat::PCM24, 48_000);
        for item in ["a", "b", "a"] {
            rig.play(item, ms(100));
        }
        rig.player.complete();
        rig.run(ms(600));
        assert_eq!(AudioFormat::PCM24.millis(rig.heard("a")), 200);
        assert_eq!(AudioFormat::PCM24.millis(rig.heard("b")), 100);
    }

    #[test]
    fn more_than_can_wait_is_dropped_and_counted() {
        let mut rig = Rig::new(AudioFormat::Pcmu, 8_000);
        let minute = vec![0xff; 8_000 * 60];
        for _ in 0..31 {
            rig.player.play(&"a".into(), 0, &minute);
        }
        assert_eq!(rig.player.dropped(), ms(60_000));
    }
}
