//! What of a speaker's queue has been heard: a device plays a block some time after it asked for it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::playout::Span;

/// Blocks kept at the most; the oldest have long been heard when there are more.
const MAX_BLOCKS: usize = 512;

/// A block of the device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// What it holds of the queue.
    pub(super) span: Span,
    /// When it begins to be heard.
    pub(super) at: Instant,
}

/// The position in the queue that has been heard.
#[derive(Debug)]
pub(super) struct Heard {
    /// Samples a second.
    rate: u32,
    /// Blocks that were not heard whole.
    blocks: VecDeque<Block>,
    position: u64,
}

impl Heard {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate,
            blocks: VecDeque::new(),
            position: 0,
        }
    }

    /// The device took a block.
    pub(super) fn push(&mut self, block: Block) {
        if block.span.count == 0 {
            return;
        }
        if self.blocks.len() == MAX_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back(block);
    }

    /// The position of the first sample that was not heard before this moment; it never goes back.
    pub(super) fn position(&mut self, now: Instant) -> u64 {
        while let Some(block) = self.blocks.front() {
            let Some(time) = now.checked_duration_since(block.at) else {
                break;
            };
            let count = samples(time, self.rate).min(block.span.count);
            self.position = self.position.max(block.span.first + count);
            if count < block.span.count {
                break;
            }
            self.blocks.pop_front();
        }
        self.position
    }
}

fn samples(time: Duration, rate: u32) -> u64 {
    let samples = time.as_micros() * u128::from(rate) / 1_000_000;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(first: u64, count: u64, at: Instant) -> Block {
        Block {
            span: Span { first, count },
            at,
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_block_is_heard_when_the_device_plays_it() {
        let start = Instant::now();
        let mut heard = Heard::new(1_000);
        heard.push(block(0, 20, start + ms(50)));
        heard.push(block(20, 20, start + ms(70)));
        let at = [0, 49, 50, 55, 70, 80, 90, 500].map(|time| heard.position(start + ms(time)));
        assert_eq!(at, [0, 0, 0, 5, 20, 30, 40, 40]);
    }

    #[test]
    fn silence_between_blocks_counts_for_nothing() {
        let start = Instant::now();
        let mut heard = Heard::new(1_000);
        heard.push(block(0, 10, start));
        heard.push(block(10, 0, start + ms(20)));
        heard.push(block(10, 20, start + ms(40)));
        let at = [30, 40, 45].map(|time| heard.position(start + ms(time)));
        assert_eq!(at, [10, 10, 15]);
    }

    #[test]
    fn what_was_cut_is_passed_over_and_nothing_goes_back() {
        let start = Instant::now();
        let mut heard = Heard::new(1_000);
        heard.push(block(0, 20, start));
        assert_eq!(heard.position(start + ms(15)), 15);
        assert_eq!(heard.position(start + ms(3)), 15);
        heard.push(block(100, 20, start + ms(20)));
        assert_eq!(heard.position(start + ms(19)), 19);
        assert_eq!(heard.position(start + ms(21)), 101);
    }
}
