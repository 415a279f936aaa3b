use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _};

/// Rates that are converted, in samples a second: from below a telephone's to twice what any sound card has.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

/// Another sample rate for a stream of one channel.
///
/// Nothing is lost and nothing drifts: when it is finished, so many samples have come out as went in times the ratio of
/// the rates, rounded to the nearest, and each is where it was to within half a sample of the old rate. What comes out lags what
/// went in by 20 ms at usual rates, since the filter works in blocks of about 10 ms and looks half a block ahead.
pub struct Resampler {
    from: u32,
    to: u32,
    /// None where the rates are the same.
    filter: Option<Filter>,
    taken: u64,
    given: u64,
}

struct Filter {
    fft: Fft<f32>,
    /// Samples that do not fill a block yet.
    waiting: Vec<f32>,
    /// A block of its output.
    block: Vec<f32>,
    /// Samples with which the output begins before the first that went in is among them.
    delay: usize,
}

/// A rate that is not converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its rate is {0} Hz; {min} to {max} Hz are read", min = RATES.start(), max = RATES.end())]
pub struct UnsupportedRate(
    /// Samples a second.
    pub u32,
);

impl Resampler {
    /// From samples a second to samples a second.
    ///
    /// # Errors
    /// When one of the rates is none that sound has.
    pub fn new(from: u32, to: u32) -> Result<Self, UnsupportedRate> {
        for rate in [from, to] {
            if !RATES.contains(&rate) {
                return Err(UnsupportedRate(rate));
            }
        }
        let filter = match from == to {
            true => None,
            false => Some(Filter::new(from, to).ok_or(UnsupportedRate(from))?),
        };
        Ok(Self {
            from,
            to,
            filter,
            taken: 0,
            given: 0,
        })
    }

    /// Takes samples, and appends what has become of those so far.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        self.pass(samples, out);
    }

    /// Appends the rest of the stream, after which another may begin.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let missing = self.due().saturating_sub(self.given) as usize;
        let end = out.len() + missing;
        let silence = match &self.filter {
            // What waits is less than a block, and the delay half of one.
            Some(filter) => vec![0.0; 2 * filter.fft.input_frames_next() + filter.waiting.len()],
            None => Vec::new(),
        };
        self.pass(&silence, out);
        out.truncate(end);
        (self.taken, self.given) = (0, 0);
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }

    fn pass(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let before = out.len();
        match &mut self.filter {
            Some(filter) => filter.pass(samples, out),
            None => out.extend_from_slice(samples),
        }
        self.given += (out.len() - before) as u64;
    }

    /// How many samples what was taken makes, rounded to the nearest.
    fn due(&self) -> u64 {
        let (from, to) = (u128::from(self.from), u128::from(self.to));
        ((u128::from(self.taken) * to * 2 + from) / (from * 2)) as u64
    }
}

impl Filter {
    fn new(from: u32, to: u32) -> Option<Self> {
        // Fewer samples make too coarse a filter.
        let block = (from / 100).max(128) as usize;
        let fft = Fft::new(from as usize, to as usize, block, 1, FixedSync::Both).ok()?;
        Some(Self {
            waiting: Vec::new(),
            block: vec![0.0; fft.output_frames_next()],
            delay: fft.output_delay(),
            fft,
        })
    }

    fn pass(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let size = self.fft.input_frames_next();
        self.waiting.extend_from_slice(samples);
        let mut blocks = self.waiting.chunks_exact(size);
        for input in blocks.by_ref() {
            let frames = self.block.len();
            let input = SequentialSlice::new(input, 1, size);
            let output = SequentialSlice::new_mut(&mut self.block, 1, frames);
            let done = match (input, output) {
                (Ok(input), Ok(mut output)) => {
                    self.fft.process_into_buffer(&input, &mut output, None).is_ok()
                }
                _ => false,
            };
            if !done {
                // It fails only for blocks of other sizes than its own. Silence would keep the time.
                self.block.fill(0.0);
            }
            let late = self.delay.min(frames);
            self.delay -= late;
            out.extend_from_slice(&self.block[late..]);
        }
        let rest = blocks.remainder().len();
        self.waiting.drain(..self.waiting.len() - rest);
    }

    fn reset(&mut self) {
        self.fft.reset();
        self.waiting.clear();
        self.delay = self.fft.output_delay();
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to, .. } = self;
        write!(f, "Resampler({from} Hz to {to} Hz)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resampled(from: u32, to: u32, pieces: &[&[f32]]) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            resampler.push(piece, &mut out);
        }
        resampler.finish(&mut out);
        out
    }

    fn sine(hz: f64, rate: u32, samples: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..samples).map(|n| (n as f64 * step).sin() as f32).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn nothing_is_lost_at_any_rate_in_any_pieces(
            from in prop::sample::select(vec![8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 7_001]),
            to in prop::sample::select(vec![8_000, 16_000, 24_000, 44_100, 48_000]),
            samples in 0..9_000_usize,
            cut in 0..9_000_usize,
        ) {
            let sound = sine(300.0, from, samples);
            let (head, tail) = sound.split_at(cut.min(samples));
            let out = resampled(from, to, &[head, tail]);
            let wanted = (samples as f64 * f64::from(to) / f64::from(from)).round();
            prop_assert_eq!(out.len() as f64, wanted);
            prop_assert_eq!(out, resampled(from, to, &[&sound]), "pieces make no difference");
        }
    }

    #[test]
    fn a_tone_stays_in_its_place() {
        for (from, to) in [
            (44_100, 24_000),
            (48_000, 24_000),
            (24_000, 48_000),
            (8_000, 24_000),
            (24_000, 8_000),
        ] {
            let out = resampled(from, to, &[&sine(440.0, from, from as usize)]);
            let wanted = sine(440.0, to, to as usize);
            // At its edges a sound is cut off, which no filter follows.
            let middle = to as usize / 20..out.len() - to as usize / 20;
            let off = |n: usize| (out[n] - wanted[n]).abs();
            let worst = middle.map(off).fold(0.0, f32::max);
            // The most that the sine moves within half a sample of the old rate.
            let half = 440.0 * std::f32::consts::PI / from as f32;
            assert!(worst < half + 0.002, "{from} Hz to {to} Hz: off by {worst}");
        }
    }

    #[test]
    fn what_the_new_rate_has_no_room_for_is_left_out() {
        let out = resampled(48_000, 8_000, &[&sine(6_000.0, 48_000, 48_000)]);
        let loudest = out[400..out.len() - 400]
            .iter()
            .fold(0.0_f32, |most, s| most.max(s.abs()));
        assert!(loudest < 0.001, "{loudest}");
    }

    #[test]
    fn it_can_be_used_again() {
        let sound = sine(440.0, 44_100, 5_000);
        let mut resampler = Resampler::new(44_100, 24_000).unwrap();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for out in [&mut first, &mut second] {
            resampler.push(&sound, out);
            resampler.finish(out);
        }
        assert_eq!(first, second);
    }

    #[test]
    fn what_lags_is_at_most_two_blocks() {
        let mut resampler = Resampler::new(48_000, 24_000).unwrap();
        let mut out = Vec::new();
        for n in 1..100 {
            resampler.push(&[0.0; 480], &mut out);
            assert!(n * 240 - out.len() <= 480, "20 ms");
        }
    }

    #[test]
    fn impossible_rates_are_refused() {
        assert_eq!(Resampler::new(0, 24_000).err(), Some(UnsupportedRate(0)));
        assert_eq!(
            Resampler::new(24_000, u32::MAX).err(),
            Some(UnsupportedRate(u32::MAX))
        );
    }
}
