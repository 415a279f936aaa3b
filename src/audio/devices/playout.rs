//! The device's side of a speaker: what each of its blocks holds. It runs on the device's thread, so it neither waits nor
//! allocates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::level::rms;
use super::ring::Reader;

/// How much has to wait before an answer begins, or goes on after an underrun: so much may what comes be late.
const PREFILL: Duration = Duration::from_millis(80);
/// How long sound takes to swell and to fade where it is cut, so that it does not click.
const FADE: Duration = Duration::from_millis(8);

/// What the other side wants, and what it is told.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Samples before this position are no longer to be heard.
    cut: AtomicU64,
    /// The answer is complete up to this position: it need not be waited for, and running dry there is no underrun.
    complete: AtomicU64,
    /// How often the queue ran dry in the middle of an answer.
    underruns: AtomicU64,
    /// The bits of how loud the last block was.
    level: AtomicU32,
}

impl Orders {
    pub(super) fn cut_until(&self, position: u64) {
        self.cut.fetch_max(position, Ordering::Release);
    }

    pub(super) fn complete_until(&self, position: u64) {
        self.complete.fetch_max(position, Ordering::Release);
    }

    pub(super) fn underruns(&self) -> u64 {
        self.underruns.load(Ordering::Relaxed)
    }

    pub(super) fn level(&self) -> f32 {
        f32::from_bits(self.level.load(Ordering::Relaxed))
    }
}

/// The samples of the queue that a block begins with; the rest of it is silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The position of the first.
    pub(super) first: u64,
    /// How many there are.
    pub(super) count: u64,
}

/// Fills the blocks that a device asks for.
#[derive(Debug)]
pub(super) struct Playout {
    reader: Reader,
    orders: Arc<Orders>,
    prefill: usize,
    fade: usize,
    playing: bool,
}

impl Playout {
    pub(super) fn new(reader: Reader, orders: Arc<Orders>, rate: u32) -> Self {
        let samples = |time: Duration| (u64::from(rate) * time.as_millis() as u64 / 1_000) as usize;
        Self {
            reader,
            orders,
            prefill: samples(PREFILL),
            fade: samples(FADE).max(1),
            playing: false,
        }
    }

    /// Fills a block of one channel, with silence where there is nothing to hear.
    pub(super) fn fill(&mut self, out: &mut [f32]) -> Span {
        out.fill(0.0);
        let first = self.reader.position();
        let cut = self.orders.cut.load(Ordering::Acquire);
        let count = if cut > first {
            self.cut(out, cut)
        } else {
            self.go_on(out)
        };
        self.orders
            .level
            .store(rms(out.iter().copied()).to_bits(), Ordering::Relaxed);
        Span {
            first,
            count: count as u64,
        }
    }

    /// Fades what plays, and forgets the rest.
    fn cut(&mut self, out: &mut [f32], until: u64) -> usize {
        let mut count = 0;
        if std::mem::replace(&mut self.playing, false) {
            let left = (until - self.reader.position()) as usize;
            let length = self.fade.min(left).min(out.len());
            count = self.reader.read(&mut out[..length]);
            fade_out(&mut out[..count]);
        }
        self.reader.skip_to(until);
        count
    }

    fn go_on(&mut self, out: &mut [f32]) -> usize {
        let waiting = self.reader.waiting();
        let end = self.reader.position() + waiting as u64;
        let is_complete = self.orders.complete.load(Ordering::Acquire) >= end;
        if !self.playing && (waiting == 0 || waiting < self.prefill && !is_complete) {
            return 0;
        }
        let begins = !std::mem::replace(&mut self.playing, true);
        let count = self.reader.read(out);
        if begins {
            fade_in(&mut out[..self.fade.min(count)]);
        }
        if waiting <= out.len() {
            self.playing = false;
            fade_out(&mut out[count.saturating_sub(self.fade)..count]);
            if !is_complete {
                self.orders.underruns.fetch_add(1, Ordering::Relaxed);
            }
        }
        count
    }
}

fn fade_in(samples: &mut [f32]) {
    let length = samples.len() as f32;
    for (n, sample) in samples.iter_mut().enumerate() {
        *sample *= n as f32 / length;
    }
}

fn fade_out(samples: &mut [f32]) {
    let length = samples.len() as f32;
    for (n, sample) in samples.iter_mut().rev().enumerate() {
        *sample *= n as f32 / length;
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::{Writer, ring};
    use super::*;

    /// A thousand samples a second: 80 are waited for, 8 are faded.
    fn playout() -> (Writer, Arc<Orders>, Playout) {
        let (writer, reader) = ring(1_000);
        let orders = Arc::new(Orders::default());
        (writer, orders.clone(), Playout::new(reader, orders, 1_000))
    }

    fn block(playout: &mut Playout) -> ([f32; 20], u64) {
        let mut out = [9.0; 20];
        let span = playout.fill(&mut out);
        (out, span.count)
    }

    #[test]
    fn an_answer_waits_until_there_is_enough_of_it_or_all() {
        let (mut writer, orders, mut playout) = playout();
        writer.write([0.5; 79]);
        assert_eq!(block(&mut playout), ([0.0; 20], 0));
        writer.write([0.5; 1]);
        assert_eq!(block(&mut playout).1, 20);

        let (mut writer, _, mut playout) = self::playout();
        writer.write([0.5; 30]);
        assert_eq!(block(&mut playout).1, 0);
        playout.orders.complete_until(30);
        assert_eq!([block(&mut playout).1, block(&mut playout).1], [20, 10]);
        assert_eq!((playout.orders.underruns(), orders.underruns()), (0, 0));
    }

    #[test]
    fn running_dry_inside_an_answer_is_counted_once_and_waits_again() {
        let (mut writer, orders, mut playout) = playout();
        writer.write([0.5; 90]);
        let counts: Vec<_> = (0..6).map(|_| block(&mut playout).1).collect();
        assert_eq!(counts, [20, 20, 20, 20, 10, 0]);
        assert_eq!(orders.underruns(), 1);
        writer.write([0.5; 40]);
        assert_eq!(block(&mut playout).1, 0);
        writer.write([0.5; 40]);
        assert_eq!(block(&mut playout).1, 20);
        assert_eq!(orders.underruns(), 1);
    }

    #[test]
    fn a_cut_fades_what_plays_and_forgets_the_rest() {
        let (mut writer, orders, mut playout) = playout();
        writer.write([0.5; 200]);
        block(&mut playout);
        orders.cut_until(200);
        let (out, count) = block(&mut playout);
        assert_eq!(count, 8);
        let steps: Vec<_> = out.windows(2).map(|pair| pair[0] - pair[1]).collect();
        assert!(steps.iter().all(|step| (0.0..=0.07).contains(step)), "{out:?}");
        assert_eq!(out[8..], [0.0; 12]);
        assert_eq!(block(&mut playout).1, 0);

        writer.write([0.5; 100]);
        let mut out = [0.0; 20];
        assert_eq!(
            playout.fill(&mut out),
            Span {
                first: 200,
                count: 20
            }
        );
        assert_eq!(orders.underruns(), 0);
    }

    #[test]
    fn no_edge_clicks() {
        let (mut writer, _, mut playout) = playout();
        writer.write([0.5; 110]);
        let mut heard: Vec<f32> = vec![0.0];
        for _ in 0..7 {
            heard.extend(block(&mut playout).0);
        }
        let steps = heard.windows(2).map(|pair| (pair[0] - pair[1]).abs());
        assert!(steps.clone().all(|step| step <= 0.07), "{heard:?}");
        assert_eq!(heard.iter().filter(|sample| **sample == 0.5).count(), 110 - 8 - 8);
    }

    #[test]
    fn the_level_is_that_of_the_last_block() {
        let (mut writer, orders, mut playout) = playout();
        writer.write([0.5; 200]);
        block(&mut playout);
        block(&mut playout);
        assert_eq!(orders.level(), 0.5);
    }
}
