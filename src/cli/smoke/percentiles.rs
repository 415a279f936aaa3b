//! How long something took, of many times.

use std::time::Duration;

/// Percentiles of lengths of time, by the nearest rank: each is one that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// How many were measured; at least one.
    pub count: usize,
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Percentiles {
    /// Those of what was measured, in any order; `None` if nothing was.
    pub fn of(mut measured: Vec<Duration>) -> Option<Self> {
        measured.sort_unstable();
        let count = measured.len();
        let max = *measured.last()?;
        let rank = |percent: usize| measured[(count * percent).div_ceil(100) - 1];
        Some(Self {
            count,
            p50: rank(50),
            p90: rank(90),
            p99: rank(99),
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(range: impl Iterator<Item = u64>) -> Option<Percentiles> {
        Percentiles::of(range.map(Duration::from_millis).collect())
    }

    #[test]
    fn each_is_the_least_that_so_many_do_not_exceed() {
        let hundred = millis((1..=100).rev()).unwrap();
        let shown = [hundred.p50, hundred.p90, hundred.p99, hundred.max].map(|it| it.as_millis());
        assert_eq!((hundred.count, shown), (100, [50, 90, 99, 100]));
        let three = millis([30, 10, 20].into_iter()).unwrap();
        let shown = [three.p50, three.p90, three.p99, three.max].map(|it| it.as_millis());
        assert_eq!(shown, [20, 30, 30, 30]);
        assert_eq!(millis([].into_iter()), None);
    }
}
