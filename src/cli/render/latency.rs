//! How long the user waited in a run, in one line.

use realtime_run::session::{Histogram, LatencySummary, Percentiles, PlayedBy};

use crate::cli::duration::show;
use crate::cli::trace::counted;

/// Percentiles over the turns, as `latency of 2 turns (message): first word p50 81 ms, p90 93 ms, p99 93 ms, max 93 ms`.
/// When something was heard is told only where something played it: by the clock it is when it came. None if no turn was
/// answered.
pub fn latency(latency: &LatencySummary) -> Option<String> {
    let played_by_reports = latency.played_by.contains_key(&PlayedBy::Reports);
    let parts: Vec<String> = [
        ("first word", Some(&latency.first_word)),
        ("first sound", Some(&latency.first_audio)),
        (
            "first heard",
            Some(&latency.first_played).filter(|_| played_by_reports),
        ),
    ]
    .into_iter()
    .filter_map(|(what, of)| Some(format!("{what} {}", spread(of.and_then(Histogram::percentiles)?))))
    .collect();
    let ends: Vec<String> = match latency.ended_by.len() {
        1 => latency.ended_by.keys().map(|by| by.as_str().to_owned()).collect(),
        _ => {
            let counts = latency.ended_by.iter();
            counts
                .map(|(by, turns)| format!("{turns} {}", by.as_str()))
                .collect()
        }
    };
    let turns = counted(latency.turns, "turn");
    (!parts.is_empty()).then(|| format!("latency of {turns} ({}): {}", ends.join(", "), parts.join("; ")))
}

fn spread(percentiles: Percentiles) -> String {
    let Percentiles {
        count,
        p50,
        p90,
        p99,
        max,
        ..
    } = percentiles;
    match count {
        1 => show(max),
        _ => format!(
            "p50 {}, p90 {}, p99 {}, max {}",
            show(p50),
            show(p90),
            show(p99),
            show(max)
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use realtime_run::session::TurnEndedBy;

    use super::*;

    fn summary(turns: &[(TurnEndedBy, u64)]) -> LatencySummary {
        let mut summary = LatencySummary::default();
        for (ended_by, word) in turns {
            summary.turns += 1;
            *summary.ended_by.entry(*ended_by).or_default() += 1;
            summary.first_word.record(Duration::from_micros(*word));
        }
        summary
    }

    #[test]
    fn of_one_turn_its_own_times_are_told() {
        let mut one = summary(&[(TurnEndedBy::Message, 81_000)]);
        one.first_audio.record(Duration::from_millis(90));
        one.first_played.record(Duration::from_millis(90));
        one.played_by.insert(PlayedBy::Clock, 1);
        let line = "latency of 1 turn (message): first word 81 ms; first sound 90 ms";
        assert_eq!(latency(&one).unwrap(), line);
        one.played_by.insert(PlayedBy::Reports, 1);
        assert_eq!(latency(&one).unwrap(), format!("{line}; first heard 90 ms"));
    }

    #[test]
    fn of_many_their_percentiles_are_and_what_their_ends_are_known_by() {
        let many = summary(&[
            (TurnEndedBy::SpeechStopped, 512_500),
            (TurnEndedBy::Message, 100_500),
            (TurnEndedBy::SpeechStopped, 900_500),
        ]);
        let line = "latency of 3 turns (2 speech_stopped, 1 message): first word p50 512 ms, p90 900 ms, p99 900 ms, max 900 ms";
        assert_eq!(latency(&many).unwrap(), line);
        assert_eq!(latency(&LatencySummary::default()), None);
    }
}
