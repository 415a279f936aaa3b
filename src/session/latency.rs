//! How long a user waits to be answered: in each turn, and over a run.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::Histogram;

/// How long the user waited for the first of an answer, from the end of their turn.
///
/// A turn may take several answers, as when the first calls a tool: what counts is the first word and the first sound
/// of any of them. What a turn did not have is `None`, as the sound of written answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Which of the user's turns that were answered, counted from 1.
    pub turn: u64,
    /// What the end of the turn is known by.
    pub ended_by: TurnEndedBy,
    /// How much silence at the end of the turn the server took for part of it, and is not counted as such here: it is
    /// part of the wait. Known where its settings say how long it waits (`silence_duration_ms` of `server_vad`); where it
    /// judges by meaning it does not tell, and the wait is longer than is told here. In milliseconds when serialized.
    #[serde(rename = "silence_ms", serialize_with = "millis_or_null")]
    pub silence: Option<Duration>,
    /// Until the first word came, written or of what is said aloud; in milliseconds when serialized.
    #[serde(rename = "first_word_ms", serialize_with = "millis_or_null")]
    pub first_word: Option<Duration>,
    /// Until the first sound came; in milliseconds when serialized.
    #[serde(rename = "first_audio_ms", serialize_with = "millis_or_null")]
    pub first_audio: Option<Duration>,
    /// Until the first sound was heard.
    pub first_played: Option<FirstPlayed>,
}

/// When the first sound of an answer was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FirstPlayed {
    /// How long after the end of the user's turn; in milliseconds when serialized.
    #[serde(rename = "after_ms", serialize_with = "millis")]
    pub after: Duration,
    /// Who says so.
    pub by: PlayedBy,
}

/// What the end of the user's turn is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnEndedBy {
    /// The server tells where in our audio the user stopped: the turn ended when that sample was sent (protocol.md
    /// section 3.2).
    SpeechStopped,
    /// The server tells that the user stopped, but not where, or in audio that was not sent from here: the turn ended, for
    /// want of better, when it told.
    SpeechStoppedArrival,
    /// The audio was committed by hand: the turn ended with the last sample sent before.
    LastSample,
    /// The turn was written, and ended when it was sent.
    Message,
}

impl TurnEndedBy {
    /// Its name when serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SpeechStopped => "speech_stopped",
            Self::SpeechStoppedArrival => "speech_stopped_arrival",
            Self::LastSample => "last_sample",
            Self::Message => "message",
        }
    }
}

/// Who says what of an answer has been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlayedBy {
    /// The application, by [`SessionHandle::report_played`](super::SessionHandle::report_played).
    Reports,
    /// The clock: what has come is taken to be played at once, one item after the other.
    Clock,
}

impl PlayedBy {
    /// Its name when serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::Clock => "clock",
        }
    }
}

/// How long users waited, over many turns of one session or of several. Takes no more room the more turns there are.
///
/// Serialized, each distribution is its [`Percentiles`](super::Percentiles), or null where no turn had such a thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LatencySummary {
    /// How many turns.
    pub turns: u64,
    /// What their ends are known by.
    pub ended_by: BTreeMap<TurnEndedBy, u64>,
    /// Until the first word came.
    pub first_word: Histogram,
    /// Until the first sound came.
    pub first_audio: Histogram,
    /// Until the first sound was heard.
    pub first_played: Histogram,
    /// Who says when it was.
    pub played_by: BTreeMap<PlayedBy, u64>,
}

impl LatencySummary {
    /// Takes in a turn.
    pub fn add(&mut self, latency: &Latency) {
        self.turns += 1;
        *self.ended_by.entry(latency.ended_by).or_default() += 1;
        if let Some(after) = latency.first_word {
            self.first_word.record(after);
        }
        if let Some(after) = latency.first_audio {
            self.first_audio.record(after);
        }
        if let Some(FirstPlayed { after, by }) = latency.first_played {
            self.first_played.record(after);
            *self.played_by.entry(by).or_default() += 1;
        }
    }

    /// Takes in the turns of another session.
    pub fn merge(&mut self, other: &Self) {
        self.turns += other.turns;
        for (by, turns) in &other.ended_by {
            *self.ended_by.entry(*by).or_default() += turns;
        }
        for (by, turns) in &other.played_by {
            *self.played_by.entry(*by).or_default() += turns;
        }
        self.first_word.merge(&other.first_word);
        self.first_audio.merge(&other.first_audio);
        self.first_played.merge(&other.first_played);
    }
}

pub(super) fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(in_millis(*duration))
}

fn millis_or_null<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(in_millis).serialize(serializer)
}

/// Milliseconds, to the microsecond.
pub(super) fn in_millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(number: u64, word: u64, played: Option<(u64, PlayedBy)>) -> Latency {
        Latency {
            turn: number,
            ended_by: TurnEndedBy::Message,
            silence: None,
            first_word: Some(Duration::from_micros(word)),
            first_audio: None,
            first_played: played.map(|(after, by)| FirstPlayed {
                after: Duration::from_millis(after),
                by,
            }),
        }
    }

    #[test]
    fn a_turn_tells_what_it_had_and_by_what_that_is_known() {
        let told = serde_json::to_value(turn(2, 1_500, Some((20, PlayedBy::Clock)))).unwrap();
        let expected = json!({"turn": 2, "ended_by": "message", "silence_ms": null, "first_word_ms": 1.5,
            "first_audio_ms": null, "first_played": {"after_ms": 20.0, "by": "clock"}});
        assert_eq!(told, expected);
        for by in [
            TurnEndedBy::SpeechStopped,
            TurnEndedBy::SpeechStoppedArrival,
            TurnEndedBy::LastSample,
            TurnEndedBy::Message,
        ] {
            assert_eq!(json!(by), by.as_str());
        }
        for by in [PlayedBy::Reports, PlayedBy::Clock] {
            assert_eq!(json!(by), by.as_str());
        }
    }

    #[test]
    fn a_summary_counts_only_turns_that_have_what_it_counts() {
        let mut summary = LatencySummary::default();
        summary.add(&turn(1, 1_000, Some((20, PlayedBy::Reports))));
        summary.add(&turn(2, 3_000, None));
        let told = serde_json::to_value(&summary).unwrap();
        assert_eq!(told["turns"], 2);
        assert_eq!(told["ended_by"], json!({"message": 2}));
        assert_eq!(told["first_word"]["count"], 2);
        assert_eq!(told["first_word"]["max_ms"], 3.0);
        assert_eq!(told["first_audio"], json!(null));
        assert_eq!(told["first_played"]["count"], 1);
        assert_eq!(told["played_by"], json!({"reports": 1}));
    }

    #[test]
    fn summaries_add_up() {
        let turns: Vec<_> = (1..=20)
            .map(|n| turn(n, n * 1_000, (n % 2 == 0).then_some((n, PlayedBy::Clock))))
            .collect();
        let sum_of = |turns: &[Latency]| {
            let mut summary = LatencySummary::default();
            turns.iter().for_each(|turn| summary.add(turn));
            summary
        };
        let mut added = sum_of(&turns[..7]);
        added.merge(&sum_of(&turns[7..]));
        assert_eq!(added, sum_of(&turns));
        added.merge(&LatencySummary::default());
        assert_eq!(added, sum_of(&turns));
    }
}
