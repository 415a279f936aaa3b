//! What is left to chance in a scenario, and comes the same way again where it has a seed.

use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;

/// Chance in the sessions of one simulator, one after the other.
#[derive(Debug)]
pub(super) struct Chances {
    seed: Option<u32>,
    /// Which time it is that the scenario is played.
    round: u64,
    sessions: AtomicU64,
}

impl Chances {
    pub fn new(seed: Option<u32>, round: u64) -> Self {
        Self {
            seed,
            round,
            sessions: AtomicU64::new(0),
        }
    }

    /// Chance in the next session.
    pub fn next(&self) -> Chance {
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let Some(seed) = self.seed else {
            return Chance(Rng::new());
        };
        let turned = [self.round, session]
            .into_iter()
            .fold(seed.into(), |seed, number| {
                // Numbers that follow one another must not be alike.
                Rng::with_seed(seed).u64(..) ^ number
            });
        Chance(Rng::with_seed(turned))
    }
}

/// Chance in one session.
#[derive(Debug)]
pub(super) struct Chance(Rng);

impl Chance {
    /// Whether something happens that is so likely, from 0 to 1.
    pub fn happens(&mut self, likely: f64) -> bool {
        self.0.f64() < likely
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throws(seed: Option<u32>, round: u64, sessions: usize) -> Vec<bool> {
        let chances = Chances::new(seed, round);
        (0..sessions).map(|_| chances.next().happens(0.7)).collect()
    }

    #[test]
    fn a_seed_brings_the_same_again_and_other_rounds_others() {
        assert_eq!(throws(Some(7), 0, 50), throws(Some(7), 0, 50));
        assert_ne!(throws(Some(7), 0, 50), throws(Some(8), 0, 50));
        assert_ne!(throws(Some(7), 0, 50), throws(Some(7), 1, 50));
        assert_ne!(throws(None, 0, 200), throws(None, 0, 200));
    }

    #[test]
    fn it_happens_as_often_as_is_likely_over_sessions_and_over_rounds() {
        let share = |throws: Vec<bool>| {
            let count = throws.iter().filter(|happens| **happens).count();
            count as f64 / throws.len() as f64
        };
        let sessions = share(throws(Some(1), 0, 10_000));
        let rounds = share((0..10_000).flat_map(|round| throws(Some(1), round, 1)).collect());
        for share in [sessions, rounds] {
            assert!((share - 0.7).abs() < 0.03, "{share}");
        }
        let chances = Chances::new(Some(1), 0);
        let mut chance = chances.next();
        assert!((0..100).all(|_| chance.happens(1.0) && !chance.happens(0.0)));
    }
}
