//! Numbers of bytes, as people write and read them.

/// The units, from the largest.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `64MiB`, `1.5 GiB`, `500k`, or a plain number of bytes.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let is_unit = |(name, _): &&(&str, u64)| {
        let name = name.to_ascii_lowercase();
        unit == name || !unit.is_empty() && unit == name[..1]
    };
    let factor = match unit.as_str() {
        "" => Some(1),
        _ => UNITS.iter().find(is_unit).map(|(_, factor)| *factor),
    };
    let number: Option<f64> = digits.trim().parse().ok();
    let bytes = factor.zip(number).map(|(factor, number)| number * factor as f64);
    bytes
        .filter(|bytes| *bytes >= 1.0 && *bytes < u64::MAX as f64)
        .map(|bytes| bytes as u64)
        .ok_or_else(|| "expected a size above zero, such as 64MiB, 500KiB or a number of bytes".to_owned())
}

/// A number of bytes in the unit that suits it, as `12 KiB`.
pub fn show(bytes: u64) -> String {
    let (name, factor) = UNITS
        .into_iter()
        .find(|(_, factor)| bytes >= *factor)
        .unwrap_or(("B", 1));
    match bytes as f64 / factor as f64 {
        few if few < 10.0 && factor > 1 => format!("{few:.1} {name}"),
        many => format!("{many:.0} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_the_forms_people_write() {
        let cases = [
            ("64MiB", 64 << 20),
            ("1.5 GiB", 3 << 29),
            ("500k", 500 << 10),
            ("7 b", 7),
            ("4096", 4096),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1", "MiB", "5 XiB", "nan", "inf", "1e99", "0.5", "ü"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_unit_that_suits_them() {
        let shown = [0, 999, 1024, 20_000, 64 << 20].map(show);
        assert_eq!(shown, ["0 B", "999 B", "1.0 KiB", "20 KiB", "64 MiB"]);
    }
}
