use std::str::FromStr;
use std::time::Duration;

/// The longest wait, whatever a recording says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How fast a recording is played: the times between its rows are divided by it. The default is as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(f64);

impl Speed {
    /// Without any waits.
    pub const MAX: Self = Self(f64::INFINITY);

    /// How long a recorded time takes.
    pub(super) fn scale(self, recorded: Duration) -> Duration {
        let seconds = recorded.as_secs_f64() / self.0;
        Duration::try_from_secs_f64(seconds).map_or(LONGEST, |time| time.min(LONGEST))
    }
}

impl Default for Speed {
    fn default() -> Self {
        Self(1.0)
    }
}

/// Reads a factor such as `2` or `0.5`; `0` and `max` are [`Speed::MAX`].
impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.trim(), text.trim().parse::<f64>()) {
            ("max", _) => Ok(Self::MAX),
            (_, Ok(0.0)) => Ok(Self::MAX),
            (_, Ok(factor)) if factor.is_finite() && factor > 0.0 => Ok(Self(factor)),
            _ => Err("expected a factor such as 2 or 0.5, or `max` to play it without waits".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_divided_by_the_speed() {
        let scaled = |speed: &str| {
            let speed: Speed = speed.parse().unwrap();
            speed.scale(Duration::from_secs(3)).as_millis()
        };
        assert_eq!(
            ["1", "2", "0.5", "0", "max"].map(scaled),
            [3000, 1500, 6000, 0, 0]
        );
        assert_eq!(scaled("1e-300"), LONGEST.as_millis());
        assert_eq!(Speed::MAX.scale(Duration::MAX), Duration::ZERO);
    }

    #[test]
    fn what_is_no_speed_is_refused() {
        for text in ["", "-1", "fast", "nan", "inf"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
