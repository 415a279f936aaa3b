//! What was said when: the user's sound where it was sent, the answers where they are heard.
//!
//! Answers come faster than they play. Their sound waits behind what plays, and an interruption takes back what was not
//! heard of it; so it is settled only some time after its own.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_run::protocol::Id;

/// How late an interruption may come after the moment that it is about.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// A shorter pause within a turn is none: the chunks are late.
const PAUSE: Duration = Duration::from_secs(1);
/// How late a chunk may be for the next to be not faster than it sounds.
const LATE: Duration = Duration::from_millis(20);
/// Parts of answers of which the length is known; the oldest has long been heard when there are more.
const MOST_PARTS: usize = 64;

/// The sound of both sides, up to what is settled.
///
/// Its time is that since the beginning, but for sound that is sent faster than it sounds: that takes its time all the same.
#[derive(Debug)]
pub struct Timeline {
    user: Lane<()>,
    assistant: Lane<Part>,
    /// Samples of each part that have come.
    parts: VecDeque<(Part, u64)>,
    /// How much later it is than by the clock.
    ahead: Duration,
    /// Some of the turn was sent.
    has_begun: bool,
    /// Seconds that are settled.
    settled: u64,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub item_id: Id,
    pub content_index: u32,
    /// The turn in which it came.
    pub turn: u32,
}

/// A second of both sides, each at its own rate; without silence behind the last sound.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// How long it is: less only at the end.
    pub length: Duration,
    pub user: Vec<i16>,
    pub assistant: Vec<i16>,
    /// The answers in it without the pauses, and the turns in which they came.
    pub answers: Vec<(u32, Vec<i16>)>,
}

/// One side.
#[derive(Debug)]
struct Lane<T> {
    rate: u32,
    pieces: VecDeque<Piece<T>>,
    /// Where the last piece ends.
    end: u64,
}

#[derive(Debug)]
struct Piece<T> {
    /// Where it begins, in samples.
    place: u64,
    /// Where it begins in its part, or among all of the side.
    offset: u64,
    samples: Vec<i16>,
    of: T,
}

impl Timeline {
    /// Of sides with so many samples a second.
    pub fn new(user_rate: u32, assistant_rate: u32) -> Self {
        Self {
            user: Lane::new(user_rate),
            assistant: Lane::new(assistant_rate),
            parts: VecDeque::new(),
            ahead: Duration::ZERO,
            has_begun: false,
            settled: 0,
        }
    }

    /// Sound of the user that has been sent by this time since the beginning.
    pub fn user(&mut self, samples: Vec<i16>, now: Duration) {
        let lane = &mut self.user;
        // A microphone's chunks are sent when they have sounded; one that is longer than a second is none.
        let length = (samples.len() as u64).min(lane.rate.into());
        let begins = lane.at(now + self.ahead).saturating_sub(length);
        let pause = if self.has_begun { lane.at(PAUSE) } else { 0 };
        self.has_begun = true;
        let place = match begins > lane.end + pause {
            true => begins,
            false => lane.end,
        };
        // What is settled stays, however long this has waited.
        let place = place.max(self.settled * u64::from(lane.rate));
        lane.push(place, place, samples, ());
        let end = lane.time(lane.end);
        if end > now + self.ahead + LATE {
            self.ahead = end - now;
        }
    }

    /// The user begins to say something new. If it is sent as fast as the server takes it, the answers that have come are
    /// heard to their end before.
    pub fn turn(&mut self, is_fast: bool, now: Duration) {
        self.has_begun = false;
        if is_fast {
            let end = self.assistant.time(self.assistant.end);
            self.ahead = self.ahead.max(end.saturating_sub(now));
        }
    }

    /// Sound of an answer that has come.
    pub fn assistant(&mut self, part: Part, samples: Vec<i16>, now: Duration) {
        let same = |(known, _): &&mut (Part, u64)| known.is(&part.item_id, part.content_index);
        let offset = match self.parts.iter_mut().rev().find(same) {
            Some((_, length)) => {
                let offset = *length;
                *length += samples.len() as u64;
                offset
            }
            None => {
                if self.parts.len() == MOST_PARTS {
                    self.parts.pop_front();
                }
                self.parts.push_back((part.clone(), samples.len() as u64));
                0
            }
        };
        let lane = &mut self.assistant;
        let place = lane.at(now + self.ahead).max(lane.end);
        let place = place.max(self.settled * u64::from(lane.rate));
        lane.push(place, offset, samples, part);
    }

    /// Takes back what comes in a part behind so many milliseconds; what waits behind it moves up.
    pub fn cut(&mut self, item_id: &str, content_index: u32, played_ms: u64, now: Duration) {
        let lane = &mut self.assistant;
        let heard = played_ms.saturating_mul(lane.rate.into()) / 1_000;
        let now = lane.at(now + self.ahead);
        for piece in &mut lane.pieces {
            if piece.of.is(item_id, content_index) {
                let left = usize::try_from(heard.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
                piece.samples.truncate(left);
            }
        }
        lane.pieces.retain(|piece| !piece.samples.is_empty());
        lane.end = lane.end.min(now);
        for piece in &mut lane.pieces {
            if piece.place > now {
                piece.place = piece.place.min(lane.end.max(now));
            }
            lane.end = lane.end.max(piece.end());
        }
    }

    /// Samples of the user and of the assistant that are not settled.
    pub fn pending(&self) -> (u64, u64) {
        (self.user.pending(), self.assistant.pending())
    }

    /// The next second that nothing changes any more, if there is one.
    pub fn settle(&mut self, now: Duration) -> Option<Second> {
        let past = (now + self.ahead).saturating_sub(SETTLED_AFTER);
        (past.as_secs() > self.settled).then(|| self.second(Duration::from_secs(1)))
    }

    /// The next second at the end, when nothing more comes.
    pub fn rest(&mut self) -> Option<Second> {
        let end = self.user.time(self.user.end);
        let end = end.max(self.assistant.time(self.assistant.end));
        let length = end.saturating_sub(Duration::from_secs(self.settled));
        (!length.is_zero()).then(|| self.second(length.min(Duration::from_secs(1))))
    }

    fn second(&mut self, length: Duration) -> Second {
        let from = self.settled;
        self.settled += 1;
        let (user, _) = self.user.second(from);
        let (assistant, pieces) = self.assistant.second(from);
        let answers = pieces.into_iter().map(|piece| (piece.of.turn, piece.samples));
        Second {
            length,
            user,
            assistant,
            answers: answers.collect(),
        }
    }
}

impl Part {
    fn is(&self, item_id: &str, content_index: u32) -> bool {
        self.content_index == content_index && *self.item_id == *item_id
    }
}

impl<T: Clone + PartialEq> Lane<T> {
    fn new(rate: u32) -> Self {
        Self {
            rate,
            pieces: VecDeque::new(),
            end: 0,
        }
    }

    /// The sample at a time.
    fn at(&self, time: Duration) -> u64 {
        (time.as_nanos() * u128::from(self.rate) / 1_000_000_000) as u64
    }

    fn time(&self, sample: u64) -> Duration {
        let nanos = u128::from(sample) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(nanos as u64)
    }

    fn pending(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.samples.len() as u64).sum()
    }

    fn push(&mut self, place: u64, offset: u64, mut samples: Vec<i16>, of: T) {
        self.end = place + samples.len() as u64;
        match self.pieces.back_mut() {
            // However small the chunks are, pieces are few.
            Some(last) if last.goes_on(place, offset, &of) && last.samples.len() < self.rate as usize => {
                last.samples.append(&mut samples);
            }
            _ => self.pieces.push_back(Piece {
                place,
                offset,
                samples,
                of,
            }),
        }
    }

    /// Takes a second out: as it sounds, and its pieces.
    fn second(&mut self, second: u64) -> (Vec<i16>, Vec<Piece<T>>) {
        let rate = u64::from(self.rate);
        let (from, to) = (second * rate, (second + 1) * rate);
        let mut sound = Vec::new();
        let mut pieces = Vec::new();
        while let Some(piece) = self.pieces.pop_front_if(|piece| piece.place < to) {
            let (piece, rest) = piece.split_at(to);
            sound.resize(sound.len().max(piece.place.saturating_sub(from) as usize), 0);
            sound.extend_from_slice(&piece.samples);
            pieces.push(piece);
            if let Some(rest) = rest {
                self.pieces.push_front(rest);
                break;
            }
        }
        (sound, pieces)
    }
}

impl<T: Clone + PartialEq> Piece<T> {
    fn end(&self) -> u64 {
        self.place + self.samples.len() as u64
    }

    /// Whether it would go on with this.
    fn goes_on(&self, place: u64, offset: u64, of: &T) -> bool {
        self.end() == place && self.offset + self.samples.len() as u64 == offset && self.of == *of
    }

    /// What is before a place, and what is behind it.
    fn split_at(mut self, place: u64) -> (Self, Option<Self>) {
        let before = usize::try_from(place.saturating_sub(self.place)).unwrap_or(usize::MAX);
        if before >= self.samples.len() {
            return (self, None);
        }
        let rest = Self {
            place,
            offset: self.offset + before as u64,
            samples: self.samples.split_off(before),
            of: self.of.clone(),
        };
        (self, Some(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(item_id: &str) -> Part {
        Part {
            item_id: item_id.into(),
            content_index: 0,
            turn: 1,
        }
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Both sides to the end, a sample a millisecond: where each run of a value begins and how long it is.
    fn all(mut timeline: Timeline) -> [Vec<(usize, i16, usize)>; 2] {
        let (mut user, mut assistant) = (Vec::new(), Vec::new());
        while let Some(second) = timeline.rest() {
            for (side, samples) in [(&mut user, second.user), (&mut assistant, second.assistant)] {
                let end = side.len() + 1_000;
                side.extend(samples);
                side.resize(end, 0);
            }
        }
        [user, assistant].map(|side: Vec<i16>| {
            let mut runs: Vec<(usize, i16, usize)> = Vec::new();
            for (place, value) in side.into_iter().enumerate() {
                match runs.last_mut() {
                    Some((begin, last, length)) if *last == value && *begin + *length == place => {
                        *length += 1
                    }
                    _ if value != 0 => runs.push((place, value, 1)),
                    _ => {}
                }
            }
            runs
        })
    }

    fn timeline() -> Timeline {
        Timeline::new(1_000, 1_000)
    }

    #[test]
    fn answers_wait_behind_what_plays() {
        let mut timeline = timeline();
        timeline.assistant(part("a"), vec![1; 700], ms(500));
        timeline.assistant(part("a"), vec![2; 700], ms(510));
        timeline.assistant(part("b"), vec![3; 100], ms(520));
        // After a pause.
        timeline.assistant(part("c"), vec![4; 100], ms(3_000));
        let [_, assistant] = all(timeline);
        assert_eq!(
            assistant,
            [(500, 1, 700), (1_200, 2, 700), (1_900, 3, 100), (3_000, 4, 100)]
        );
    }

    #[test]
    fn the_user_is_where_they_were_sent() {
        let mut timeline = timeline();
        for n in 1..=50 {
            // Each when it has sounded, some a little late.
            timeline.user(vec![1; 20], ms(1_000 + n * 20 + n % 3 * 10 + n / 25 % 2 * 300));
        }
        timeline.user(vec![2; 20], ms(5_000));
        let [user, _] = all(timeline);
        assert_eq!(user, [(1_010, 1, 1_000), (4_980, 2, 20)]);
    }

    #[test]
    fn a_pause_in_sound_that_comes_as_it_likes_is_one() {
        let mut timeline = timeline();
        timeline.turn(true, ms(0));
        timeline.user(vec![1; 500], ms(10));
        timeline.user(vec![1; 500], ms(20));
        while timeline.settle(ms(5_000)).is_some() {}
        for n in 0..5 {
            timeline.user(vec![2; 400], ms(5_000 + n));
        }
        // Two seconds are settled; the time line is 980 ms ahead of the clock.
        let [user, _] = all(timeline);
        assert_eq!(user, [(5_000 + 980 - 400 - 2_000, 2, 2_000)]);
    }

    #[test]
    fn what_has_waited_too_long_comes_after_what_is_settled() {
        let mut timeline = timeline();
        while timeline.settle(ms(60_000)).is_some() {}
        timeline.assistant(part("a"), vec![2; 20], ms(5_020));
        timeline.user(vec![1; 20], ms(5_020));
        assert_eq!(all(timeline), [[(0, 1, 20)], [(0, 2, 20)]]);
    }

    #[test]
    fn sound_that_is_sent_at_once_takes_its_time() {
        let mut timeline = timeline();
        timeline.turn(true, ms(0));
        for n in 0..100 {
            // The server is slow at first.
            timeline.user(vec![1; 20], ms(20 + n.min(2) * 150));
        }
        timeline.assistant(part("a"), vec![2; 500], ms(330));
        timeline.turn(true, ms(340));
        timeline.user(vec![3; 200], ms(350));
        let [user, assistant] = all(timeline);
        assert_eq!(user[0], (0, 1, 2_000));
        assert_eq!(assistant, [(2_010, 2, 500)]);
        // The end of what is sent at once is when it was sent, as that of a microphone's chunk.
        assert_eq!(user[1], (2_320, 3, 200));
    }

    #[test]
    fn an_interruption_takes_back_what_was_not_heard() {
        let mut timeline = timeline();
        timeline.assistant(part("a"), vec![1; 1_000], ms(0));
        timeline.assistant(part("a"), vec![1; 1_000], ms(10));
        timeline.assistant(part("b"), vec![2; 500], ms(20));
        timeline.assistant(part("c"), vec![3; 500], ms(30));
        timeline.cut("a", 0, 1_200, ms(1_200));
        timeline.cut("b", 0, 0, ms(1_200));
        let [_, assistant] = all(timeline);
        // What was not interrupted moves up.
        assert_eq!(assistant, [(0, 1, 1_200), (1_200, 3, 500)]);
    }

    #[test]
    fn what_is_settled_is_not_taken_back_and_the_rest_is_counted_from_its_beginning() {
        let mut timeline = timeline();
        timeline.assistant(part("a"), vec![1; 9_000], ms(0));
        assert_eq!(timeline.settle(ms(3_900)), None);
        let second = timeline.settle(ms(4_000)).unwrap();
        assert_eq!(second.answers, [(1, vec![1; 1_000])]);
        assert_eq!(timeline.settle(ms(4_000)), None);
        timeline.cut("a", 0, 4_100, ms(4_100));
        let [_, assistant] = all(timeline);
        assert_eq!(assistant, [(0, 1, 3_100)]);
    }

    #[test]
    fn silence_is_settled_too() {
        let mut timeline = timeline();
        let mut seconds = 0;
        while let Some(second) = timeline.settle(ms(3_600_000)) {
            assert!(second.user.is_empty() && second.assistant.is_empty());
            seconds += 1;
        }
        assert_eq!(seconds, 3_597);
        assert_eq!(timeline.rest(), None);
    }
}
