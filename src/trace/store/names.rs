//! The names of runs' files: they sort by time, and nobody else's file has such a name by chance.

use std::path::Path;

use super::EXTENSION;
use crate::trace::{Timestamp, TraceId};

/// As `2026-01-02T03-04-05.250001Z_0123456789abcdef0123456789abcdef.jsonl`; further tries have their number in it.
pub(super) fn file_name(started_at: Timestamp, trace_id: TraceId, tried: u32) -> String {
    let time = started_at.to_string().replace(':', "-").replace("+00-00", "Z");
    let digits = trace_id.to_string();
    let digits = digits.trim_start_matches("trace_");
    match tried {
        0 | 1 => format!("{time}_{digits}.{EXTENSION}"),
        _ => format!("{time}_{digits}_{tried}.{EXTENSION}"),
    }
}

/// Whether a file has such a name.
pub(super) fn is_file_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| {
        let shape = |byte: u8| match byte {
            b'0'..=b'9' => b'0',
            b'a'..=b'f' => b'x',
            other => other,
        };
        let is_time = name
            .bytes()
            .map(shape)
            .take(28)
            .eq(*b"0000-00-00T00-00-00.000000Z_");
        let digits = name.get(28..60);
        let are_hex = |digits: &str| digits.bytes().all(|byte| matches!(shape(byte), b'0' | b'x'));
        is_time && digits.is_some_and(are_hex) && name.ends_with(".jsonl")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_are_known_again() {
        let id = "trace_0123456789abcdef0123456789abcdef".parse().unwrap();
        let name = |micros| file_name(Timestamp::from_micros(micros), id, 1);
        let first = name(1_767_323_045_250_001);
        assert_eq!(
            first,
            "2026-01-02T03-04-05.250001Z_0123456789abcdef0123456789abcdef.jsonl"
        );
        assert!(first < name(1_767_323_045_250_002));
        assert!(is_file_name(Path::new(&first)));
        assert!(is_file_name(Path::new(&file_name(
            Timestamp::from_micros(0),
            id,
            2
        ))));
        for other in ["spans.jsonl", "2026-01-02.jsonl", &first[1..], &first[..60]] {
            assert!(!is_file_name(Path::new(other)), "{other}");
        }
    }
}
