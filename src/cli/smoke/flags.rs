//! Values of flags that only smoke tests have.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The share of a script's runs that have to pass, exactly as it is written: no fraction of two is 0.07.
#[derive(Debug, Clone, Copy)]
pub struct MinPassRate {
    /// So many parts…
    parts: u64,
    /// …of this whole.
    whole: u64,
}

impl MinPassRate {
    /// From 0 to 1.
    pub fn share(self) -> f64 {
        self.parts as f64 / self.whole as f64
    }

    /// The least number of so many runs that is such a share of them.
    pub fn of(self, runs: usize) -> usize {
        let needed = (self.parts as u128 * runs as u128).div_ceil(self.whole.into());
        // It is no more than the runs are.
        needed as usize
    }
}

/// Decimals that a rate may have: the whole stays a number that floats hold exactly, also of a percentage.
const DECIMALS: usize = 12;

impl FromStr for MinPassRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, whole) = match text.trim().strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100),
            None => (text.trim(), 1),
        };
        decimal(number)
            .map(|(parts, unit)| Self {
                parts,
                whole: unit * whole,
            })
            .filter(|rate| rate.parts <= rate.whole)
            .ok_or_else(|| "expected a share such as 0.9 or 90%".to_owned())
    }
}

/// A decimal number as so many parts of a unit, which is a power of ten.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (ones, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{ones}{decimals}");
    let are_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
    if !are_digits || decimals.len() > DECIMALS {
        return None;
    }
    let unit = decimals.bytes().fold(1, |unit, _| unit * 10);
    Some((digits.parse().ok()?, unit))
}

/// A report that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Where it is to be.
    pub path: PathBuf,
    /// What it is to be.
    pub form: ReportForm,
}

/// The forms of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportForm {
    /// For CI systems: JUnit's XML.
    Junit,
    /// For programs.
    Json,
    /// For people.
    Html,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => ReportForm::Json,
            Some("html" | "htm") => ReportForm::Html,
            _ => return Err("expected FILE.json or FILE.html; --junit writes XML".to_owned()),
        };
        Ok(Self { path, form })
    }
}

impl fmt::Display for ReportFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shares_or_percentages() {
        let share = |text: &str| text.parse().map(MinPassRate::share);
        assert_eq!(share("7.5%"), Ok(0.075));
        assert_eq!(share(".5"), Ok(0.5));
        assert_eq!(share("0.9"), Ok(0.9));
        assert_eq!(share("90%"), Ok(0.9));
        assert_eq!(share("1"), Ok(1.0));
        assert_eq!(share("0"), Ok(0.0));
        for wrong in [
            "",
            "90",
            "-0.1",
            "101%",
            "1.01",
            "nan",
            "all",
            "%",
            ".",
            "1e-1",
            "0.1234567890123",
        ] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn as_many_runs_have_to_pass_as_the_rate_says_and_no_more() {
        let rate = |text: &str| text.parse::<MinPassRate>().unwrap();
        for runs in [100, 1_000, 100_000] {
            for percent in 0..=100 {
                assert_eq!(rate(&format!("{percent}%")).of(runs), percent * runs / 100);
                let share = format!("{}.{:02}", percent / 100, percent % 100);
                assert_eq!(rate(&share).of(runs), percent * runs / 100, "{share} of {runs}");
            }
        }
        // The least bit more than a whole number of runs takes one more.
        assert_eq!(rate("0.070000000001").of(100), 8);
        assert_eq!(
            [rate("1%").of(20), rate("0").of(20), rate("100%").of(20)],
            [1, 0, 20]
        );
    }

    #[test]
    fn a_report_is_what_its_name_ends_with() {
        let form = |text: &str| text.parse().map(|file: ReportFile| file.form);
        assert_eq!(form("out/report.json"), Ok(ReportForm::Json));
        assert_eq!(form("report.html"), Ok(ReportForm::Html));
        assert!(form("report.xml").unwrap_err().contains("--junit"));
        assert!(form("report").is_err());
    }
}
