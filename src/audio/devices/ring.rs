//! A queue of samples between a device's thread and ours, in which neither ever waits for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What both ends share. Both counts only grow; a slot is the reader's between them and the writer's elsewhere, so each
/// slot has one owner at a time.
#[derive(Debug)]
struct Shared {
    /// The bits of samples.
    slots: Box<[AtomicU32]>,
    /// Samples put in since the beginning.
    written: AtomicU64,
    /// Samples taken out or skipped since the beginning.
    read: AtomicU64,
}

impl Shared {
    fn slot(&self, position: u64) -> &AtomicU32 {
        &self.slots[(position % self.slots.len() as u64) as usize]
    }
}

/// The end that samples go into.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

/// The end that samples come out of.
#[derive(Debug)]
pub(super) struct Reader(Arc<Shared>);

/// A queue that holds so many samples at the most.
pub(super) fn ring(capacity: usize) -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        slots: (0..capacity.max(1)).map(|_| AtomicU32::new(0)).collect(),
        written: AtomicU64::new(0),
        read: AtomicU64::new(0),
    });
    (Writer(shared.clone()), Reader(shared))
}

impl Writer {
    /// Samples put in since the beginning.
    pub(super) fn position(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// How many samples there is room for.
    pub(super) fn room(&self) -> usize {
        let waiting = self.position() - self.0.read.load(Ordering::Acquire);
        self.0.slots.len() - waiting as usize
    }

    /// Puts in what there is room for, and tells how many samples that were.
    pub(super) fn write(&mut self, samples: impl IntoIterator<Item = f32>) -> usize {
        let start = self.position();
        let mut position = start;
        for sample in samples.into_iter().take(self.room()) {
            self.0.slot(position).store(sample.to_bits(), Ordering::Relaxed);
            position += 1;
        }
        self.0.written.store(position, Ordering::Release);
        (position - start) as usize
    }
}

impl Reader {
    /// Samples taken out or skipped since the beginning.
    pub(super) fn position(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    /// How many samples wait.
    pub(super) fn waiting(&self) -> usize {
        (self.0.written.load(Ordering::Acquire) - self.position()) as usize
    }

    /// Fills the front of `out` with what waits, and tells how many samples that were.
    pub(super) fn read(&mut self, out: &mut [f32]) -> usize {
        let count = self.waiting().min(out.len());
        let start = self.position();
        for (position, sample) in (start..).zip(&mut out[..count]) {
            *sample = f32::from_bits(self.0.slot(position).load(Ordering::Relaxed));
        }
        self.0.read.store(start + count as u64, Ordering::Release);
        count
    }

    /// Goes on at this position, if it is ahead and has been written.
    pub(super) fn skip_to(&mut self, position: u64) {
        let written = self.0.written.load(Ordering::Acquire);
        let position = position.clamp(self.position(), written);
        self.0.read.store(position, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_no_more_fits_than_there_is_room() {
        let (mut writer, mut reader) = ring(4);
        assert_eq!(writer.write([1.0, 2.0, 3.0, 4.0, 5.0]), 4);
        let mut out = [0.0; 3];
        assert_eq!(reader.read(&mut out), 3);
        assert_eq!(out, [1.0, 2.0, 3.0]);
        assert_eq!(writer.write([6.0, 7.0]), 2);
        assert_eq!(reader.read(&mut out), 3);
        assert_eq!((out, reader.position()), ([4.0, 6.0, 7.0], 6));
        assert_eq!(reader.read(&mut out), 0);
    }

    #[test]
    fn skipping_never_goes_back_or_ahead_of_what_was_written() {
        let (mut writer, mut reader) = ring(8);
        writer.write([0.0; 5]);
        reader.skip_to(3);
        reader.skip_to(1);
        assert_eq!((reader.position(), reader.waiting()), (3, 2));
        reader.skip_to(99);
        assert_eq!((reader.position(), writer.room()), (5, 8));
    }

    #[test]
    fn two_threads_lose_nothing_and_keep_the_order() {
        const COUNT: usize = 100_000;
        let (mut writer, mut reader) = ring(64);
        let writing = std::thread::spawn(move || {
            let mut next = 0;
            while next < COUNT {
                let until = COUNT.min(next + 37);
                next += writer.write((next..until).map(|n| n as f32));
                std::thread::yield_now();
            }
        });
        let mut expected = 0;
        let mut out = [0.0; 29];
        while expected < COUNT {
            let count = reader.read(&mut out);
            for sample in &out[..count] {
                assert_eq!(*sample, expected as f32);
                expected += 1;
            }
            std::thread::yield_now();
        }
        writing.join().unwrap();
    }
}
