//! Values of flags that only smoke tests have.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The share of a script's runs that have to pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinPassRate(f64);

impl MinPassRate {
    /// From 0 to 1.
    pub fn share(self) -> f64 {
        self.0
    }
}

impl FromStr for MinPassRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, whole) = match text.trim().strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text.trim(), 1.0),
        };
        let share = number.parse().ok().map(|number: f64| number / whole);
        share
            .filter(|share| (0.0..=1.0).contains(share))
            .map(Self)
            .ok_or_else(|| "expected a share such as 0.9 or 90%".to_owned())
    }
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
        assert_eq!(share("0.9"), Ok(0.9));
        assert_eq!(share("90%"), Ok(0.9));
        assert_eq!(share("1"), Ok(1.0));
        assert_eq!(share("0"), Ok(0.0));
        for wrong in ["", "90", "-0.1", "101%", "nan", "all", "%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
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
