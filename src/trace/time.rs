//! Points in time as spans carry them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Add;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The last representable moment: 9999-12-30T22:00:00Z, the end of what RFC 3339 can write everywhere.
const LAST_MICROS: u64 = 253_402_207_200_000_000;

/// A point in time in microseconds since the Unix epoch.
///
/// Written as RFC 3339 in UTC, always with six digits of fraction: `2026-01-02T03:04:05.250001+00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The present moment.
    ///
    /// The system clock is read once in the life of the process; from then on only monotonic time is added. So
    /// a later call never gives an earlier moment, even if the system clock is set back, and a span cannot end
    /// before it started.
    pub fn now() -> Self {
        static ANCHOR: OnceLock<(Instant, u64)> = OnceLock::new();
        let (since, epoch_micros) = ANCHOR.get_or_init(|| {
            let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (Instant::now(), micros(epoch))
        });
        Self::from_micros(epoch_micros.saturating_add(micros(since.elapsed())))
    }

    /// The moment `micros` microseconds after the Unix epoch, at most the end of the year 9999.
    pub fn from_micros(micros: u64) -> Self {
        Self(micros.min(LAST_MICROS))
    }

    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` until now, or zero if `earlier` is the later one.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

fn micros(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000)
        .saturating_add(u64::from(duration.subsec_micros()))
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// The moment `duration` later, at most the end of the year 9999.
    fn add(self, duration: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_microsecond(self.0.cast_signed()).unwrap_or(jiff::Timestamp::MAX);
        let civil = jiff::tz::Offset::UTC.to_datetime(moment);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}+00:00",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
            self.0 % 1_000_000,
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Any RFC 3339 time since the Unix epoch; what is finer than a microsecond is cut off.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let moment: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        let micros = u64::try_from(moment.as_microsecond());
        micros
            .map(Self::from_micros)
            .map_err(|_| serde::de::Error::custom(format_args!("{text} is before 1970")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_six_fraction_digits_always() {
        let whole = Timestamp::from_micros(1_767_323_045_000_000);
        assert_eq!(whole.to_string(), "2026-01-02T03:04:05.000000+00:00");
        let later = whole + Duration::from_micros(250_001);
        assert_eq!(later.to_string(), "2026-01-02T03:04:05.250001+00:00");
        assert_eq!(
            serde_json::to_string(&later).unwrap(),
            "\"2026-01-02T03:04:05.250001+00:00\""
        );
        assert_eq!(
            later.saturating_duration_since(whole),
            Duration::from_micros(250_001)
        );
        assert_eq!(whole.saturating_duration_since(later), Duration::ZERO);
    }

    #[test]
    fn writes_the_ends_of_its_range() {
        assert_eq!(
            Timestamp::from_micros(0).to_string(),
            "1970-01-01T00:00:00.000000+00:00"
        );
        let last = Timestamp::from_micros(u64::MAX) + Duration::MAX;
        assert_eq!(last.to_string(), "9999-12-30T22:00:00.000000+00:00");
        assert_eq!(
            Timestamp::from_micros(951_782_399_999_999).to_string(),
            "2000-02-28T23:59:59.999999+00:00",
        );
    }

    #[test]
    fn reads_what_it_writes_and_what_others_write() {
        let read = |text: &str| serde_json::from_value::<Timestamp>(text.into());
        let moment = Timestamp::from_micros(1_767_323_045_250_001);
        assert_eq!(read(&moment.to_string()).unwrap(), moment);
        let whole = Timestamp::from_micros(1_767_323_045_000_000);
        assert_eq!(read("2026-01-02T03:04:05+00:00").unwrap(), whole);
        assert_eq!(
            read("2026-01-02T04:04:05Z").unwrap(),
            whole + Duration::from_secs(3600)
        );
        assert_eq!(read("2026-01-02T04:04:05.0000009+01:00").unwrap(), whole);
        for wrong in ["", "yesterday", "1969-12-31T23:59:59Z", "2026-01-02"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn never_goes_back() {
        let mut last = Timestamp::now();
        for _ in 0..10_000 {
            let now = Timestamp::now();
            assert!(now >= last);
            last = now;
        }
        let system = micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        assert!(
            system.abs_diff(last.as_micros()) < 3_600_000_000,
            "within an hour of the system clock"
        );
    }
}
