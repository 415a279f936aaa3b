use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::protocol::Id;

/// Parts that may wait at once: as many as there is sound to be played of.
const MAX_PARTS: usize = 64;

/// How much of a part of an answer the application says it has played so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Played {
    pub(crate) item_id: Id,
    pub(crate) content_index: u32,
    pub(crate) bytes: u64,
}

/// What the application has reported since the session last looked: of each part its last word. Reports come many times
/// a second, and from the thread that plays, so that taking one neither waits nor makes anything longer.
#[derive(Debug, Default)]
pub(super) struct PlayedReports {
    parts: Mutex<Vec<Played>>,
    news: Notify,
}

impl PlayedReports {
    /// Takes a report. One of yet another part than there is room for is left out: the part's next report tells the same.
    pub(super) fn report(&self, item_id: &str, content_index: u32, bytes: u64) {
        let mut parts = self.parts();
        let is_own = |part: &Played| *part.item_id == *item_id && part.content_index == content_index;
        match parts.iter().position(is_own) {
            Some(place) => parts[place].bytes = parts[place].bytes.max(bytes),
            None if parts.len() < MAX_PARTS => parts.push(Played {
                item_id: Id::from(item_id),
                content_index,
                bytes,
            }),
            None => return,
        }
        drop(parts);
        self.news.notify_one();
    }

    /// Waits until there are reports.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// The reports, in the order in which their parts were first told of.
    pub(super) fn take(&self) -> Vec<Played> {
        std::mem::take(&mut *self.parts())
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Played>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reports: &PlayedReports) -> Vec<(String, u32, u64)> {
        let parts = reports.take().into_iter();
        parts
            .map(|part| (part.item_id.to_string(), part.content_index, part.bytes))
            .collect()
    }

    #[test]
    fn of_each_part_the_last_word_counts() {
        let reports = PlayedReports::default();
        for bytes in (0..=1_000_000).step_by(100) {
            reports.report("a", 0, bytes);
        }
        reports.report("b", 0, 10);
        reports.report("b", 1, 20);
        reports.report("a", 0, 7);
        let expected = [
            ("a".to_owned(), 0, 1_000_000),
            ("b".to_owned(), 0, 10),
            ("b".to_owned(), 1, 20),
        ];
        assert_eq!(told(&reports), expected, "what was played stays played");
        assert_eq!(told(&reports), []);
    }

    #[test]
    fn reports_of_ever_other_parts_are_bounded() {
        let reports = PlayedReports::default();
        for number in 0..10_000 {
            reports.report(&number.to_string(), 0, 1);
        }
        reports.report("3", 0, 9);
        let told = told(&reports);
        assert_eq!(told.len(), MAX_PARTS);
        assert_eq!(told[3].2, 9);
    }
}
