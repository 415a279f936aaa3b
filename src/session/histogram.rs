//! Many durations in little room.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::latency::millis;

/// Binary digits that are kept of a duration in microseconds.
const DIGITS: u32 = 10;
/// Durations of the same number of digits are told apart by the digits after the first.
const PER_POWER: u64 = 1 << (DIGITS - 1);

/// How long something took, over many times: counted by size, so that its room does not grow with their number.
///
/// Percentiles are within 0.1 % of the true ones; up to 1 ms, and of a single duration, they are exact. So are the
/// number of durations and the longest. There are at most some 8,000 sizes between a millisecond and a minute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many durations of which size.
    counts: BTreeMap<u16, u64>,
    count: u64,
    min: Duration,
    max: Duration,
}

/// What is told of many durations. A percentile is the least duration that so many of a hundred do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Percentiles {
    /// How many there are.
    pub count: u64,
    /// The median; in milliseconds when serialized, as are the others.
    #[serde(rename = "p50_ms", serialize_with = "millis")]
    #[schemars(with = "f64")]
    pub p50: Duration,
    /// 90 of a hundred take no longer.
    #[serde(rename = "p90_ms", serialize_with = "millis")]
    #[schemars(with = "f64")]
    pub p90: Duration,
    /// 99 of a hundred take no longer.
    #[serde(rename = "p99_ms", serialize_with = "millis")]
    #[schemars(with = "f64")]
    pub p99: Duration,
    /// The longest.
    #[serde(rename = "max_ms", serialize_with = "millis")]
    #[schemars(with = "f64")]
    pub max: Duration,
}

impl Percentiles {
    /// Those of durations in any order, which a [`Histogram`] need not keep: each is one of them. `None` if there are none.
    pub fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort_unstable();
        let count = durations.len();
        let max = *durations.last()?;
        let rank = |percent: usize| durations[(count * percent).div_ceil(100) - 1];
        Some(Self {
            count: count as u64,
            p50: rank(50),
            p90: rank(90),
            p99: rank(99),
            max,
        })
    }
}

impl Histogram {
    /// Takes in a duration.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        *self.counts.entry(size(micros)).or_default() += 1;
        self.min = match self.count {
            0 => duration,
            _ => self.min.min(duration),
        };
        self.max = self.max.max(duration);
        self.count += 1;
    }

    /// Takes in all durations of another.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        for (size, count) in &other.counts {
            *self.counts.entry(*size).or_default() += count;
        }
        self.min = match self.count {
            0 => other.min,
            _ => self.min.min(other.min),
        };
        self.max = self.max.max(other.max);
        self.count += other.count;
    }

    /// What is told of them; `None` if there are none.
    pub fn percentiles(&self) -> Option<Percentiles> {
        (self.count > 0).then(|| Percentiles {
            count: self.count,
            p50: self.percentile(50),
            p90: self.percentile(90),
            p99: self.percentile(99),
            max: self.max,
        })
    }

    fn percentile(&self, percent: u64) -> Duration {
        let mut rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        for (size, count) in &self.counts {
            match rank.checked_sub(u128::from(*count)) {
                None | Some(0) => {
                    return Duration::from_micros(middle(*size)).clamp(self.min, self.max);
                }
                Some(left) => rank = left,
            }
        }
        self.max
    }
}

/// The size of a duration: how many of its digits are left out, and the others.
fn size(micros: u64) -> u16 {
    let left_out = (u64::BITS - micros.leading_zeros()).saturating_sub(DIGITS);
    let size = u64::from(left_out) * PER_POWER + (micros >> left_out);
    u16::try_from(size).unwrap_or(u16::MAX)
}

/// The duration in the middle of those of this size, in microseconds.
fn middle(size: u16) -> u64 {
    let size = u64::from(size);
    if size < 2 * PER_POWER {
        return size;
    }
    let left_out = size / PER_POWER - 1;
    let first = (size - left_out * PER_POWER) << left_out;
    first + (1 << left_out >> 1)
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.percentiles().serialize(serializer)
    }
}

impl JsonSchema for Histogram {
    fn schema_name() -> Cow<'static, str> {
        Option::<Percentiles>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<Percentiles>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(micros: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for micros in micros {
            histogram.record(Duration::from_micros(*micros));
        }
        histogram
    }

    #[test]
    fn of_nothing_nothing_is_told() {
        assert_eq!(Histogram::default().percentiles(), None);
        assert_eq!(
            serde_json::to_value(Histogram::default()).unwrap(),
            serde_json::json!(null)
        );
    }

    #[test]
    fn one_duration_is_told_exactly() {
        let told = of(&[1_234_567]).percentiles().unwrap();
        let it = Duration::from_micros(1_234_567);
        assert_eq!((told.count, told.p50, told.p99, told.max), (1, it, it, it));
    }

    #[test]
    fn a_percentile_is_the_least_that_so_many_do_not_exceed() {
        let micros: Vec<u64> = (1..=100).collect();
        let told = of(&micros).percentiles().unwrap();
        let told = [told.p50, told.p90, told.p99, told.max].map(|of| of.as_micros());
        assert_eq!(told, [50, 90, 99, 100]);
    }

    #[test]
    fn the_longest_durations_there_are_have_a_place() {
        let mut histogram = of(&[0, u64::MAX]);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.percentiles().unwrap().max, Duration::MAX);
        assert!(size(u64::MAX) < u16::MAX, "every size is one of its own");
    }

    proptest! {
        #[test]
        fn percentiles_are_within_the_stated_error(micros in prop::collection::vec(0..u64::MAX >> 20, 1..300)) {
            let told = of(&micros).percentiles().unwrap();
            let mut sorted = micros;
            sorted.sort_unstable();
            for (percent, told) in [(50, told.p50), (90, told.p90), (99, told.p99), (100, told.max)] {
                let truth = sorted[(sorted.len() * percent).div_ceil(100) - 1] as f64;
                let error = (told.as_micros() as f64 - truth).abs();
                prop_assert!(error <= truth * 0.001, "p{percent}: {told:?} for {truth} µs");
            }
        }

        #[test]
        fn what_is_taken_in_by_parts_is_the_same(micros in prop::collection::vec(0..10_000_000_u64, 0..50), at in 0..50_usize) {
            let (one, other) = micros.split_at(at.min(micros.len()));
            let mut merged = of(one);
            merged.merge(&of(other));
            prop_assert_eq!(merged, of(&micros));
        }
    }

    fn exact(range: impl Iterator<Item = u64>) -> Option<Percentiles> {
        Percentiles::of(range.map(Duration::from_millis).collect())
    }

    #[test]
    fn of_durations_that_are_all_there_each_is_one_of_them() {
        let hundred = exact((1..=100).rev()).unwrap();
        let shown = [hundred.p50, hundred.p90, hundred.p99, hundred.max].map(|it| it.as_millis());
        assert_eq!((hundred.count, shown), (100, [50, 90, 99, 100]));
        let three = exact([30, 10, 20].into_iter()).unwrap();
        let shown = [three.p50, three.p90, three.p99, three.max].map(|it| it.as_millis());
        assert_eq!(shown, [20, 30, 30, 30]);
        assert_eq!(exact([].into_iter()), None);
    }
}
