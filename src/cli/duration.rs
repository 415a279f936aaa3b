//! Lengths of time, as people write and read them.

use std::time::Duration;

/// Reads `30s`, `2m`, `500ms`, `1h 30m`, `7d`, or a plain number of seconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.trim().strip_suffix('d') {
        Some(days) => (days, 86_400.0),
        None => (text.trim(), 1.0),
    };
    let seconds = number
        .parse()
        .ok()
        .map(|number: f64| Duration::try_from_secs_f64(number * unit));
    let parsed = match seconds {
        Some(duration) => duration.ok(),
        None => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| duration.try_into().ok()),
    };
    parsed
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a time above zero, such as 30s, 2m, 500ms or a number of seconds".to_owned())
}

/// A length of time in the unit that suits it, as `12 ms` or `1.24 s`.
pub fn show(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{:.2} s", duration.as_secs_f64()),
        _ => match (duration.as_secs() / 60, duration.as_secs() % 60) {
            (minutes, 0) => format!("{minutes} min"),
            (minutes, seconds) => format!("{minutes} min {seconds} s"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_people_write() {
        let cases = [
            ("30s", 30_000),
            ("2m", 120_000),
            ("500ms", 500),
            ("1.5", 1_500),
            ("10", 10_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("7d", 604_800_000),
            ("0.5d", 43_200_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in [
            "",
            "soon",
            "-1",
            "-5s",
            "0",
            "0s",
            "nan",
            "inf",
            "1e99",
            "3 lightyears",
            "5x",
            "d",
            "-1d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_shown_in_the_unit_that_suits_them() {
        let micros = [999, 1_000, 999_999, 1_240_000, 61_000_000, 120_000_000];
        let shown = micros.map(|us| show(Duration::from_micros(us)));
        assert_eq!(
            shown,
            ["999 µs", "1 ms", "999 ms", "1.24 s", "1 min 1 s", "2 min"]
        );
    }
}
