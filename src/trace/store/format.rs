//! What the lines of a run's file are: a header, the objects of the wire form, and marks of what was delivered.
//!
//! ```text
//! {"format":"realtime-run traces","version":1,"trace_id":"trace_…","started_at":"…","program":"…","destinations":[…]}
//! {"object":"trace","id":"trace_…",…}
//! {"object":"trace.span","id":"span_…",…}
//! {"mark":"sent","to":{"exporter":"openai","endpoint":"…"},"items":[[0,1]]}
//! {"mark":"settled"}
//! ```
//!
//! Items count from 0 in the order of their lines. Only whole lines count: what a killed process left of its last one is
//! cut off by whoever next writes to the file. A line that is unknown here keeps its number, so marks stay right.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::trace::{SpanExporter, Timestamp, TraceId};

/// What the header says the file is.
const FORMAT: &str = "realtime-run traces";
/// The version of the format that is written, and the only one that is read.
pub(super) const VERSION: u32 = 1;
/// How the line of a mark begins.
const MARK: &str = "{\"mark\":";

/// Where items are sent over a network: what is needed to tell it from others, and to send there again later.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// The exporter's name, as `openai`.
    pub exporter: String,
    /// Its endpoint, without credentials and query.
    pub endpoint: String,
}

impl Destination {
    /// Where an exporter sends, if that is a place to send to later.
    pub fn of(exporter: &impl SpanExporter) -> Option<Self> {
        Some(Self {
            exporter: exporter.name().to_owned(),
            endpoint: exporter.endpoint()?,
        })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.exporter, self.endpoint)
    }
}

/// The first line of a run's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    format: String,
    version: u32,
    pub(super) trace_id: TraceId,
    pub(super) started_at: Timestamp,
    /// The program that wrote it, with its version.
    pub(super) program: String,
    pub(super) destinations: Vec<Destination>,
    /// The file is only there until everything is delivered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) transient: bool,
}

impl Header {
    pub(super) fn new(trace_id: TraceId, started_at: Timestamp, destinations: Vec<Destination>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            trace_id,
            started_at,
            program: concat!("realtime-run ", env!("CARGO_PKG_VERSION")).to_owned(),
            destinations,
            transient: false,
        }
    }

    /// Reads the first line of a file, or says why it is none of these files.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            format: String,
            version: u32,
        }
        let foreign = || "it is no file of realtime-run's trace store".to_owned();
        let Version { format, version } = serde_json::from_str(line).map_err(|_| foreign())?;
        if format != FORMAT {
            return Err(foreign());
        }
        match version {
            VERSION => serde_json::from_str(line).map_err(|error| format!("its header is damaged: {error}")),
            newer if newer > VERSION => Err(format!("a newer realtime-run wrote it (format {newer})")),
            _ => Err(format!("an older realtime-run wrote it (format {version})")),
        }
    }
}

/// Numbers of items, from the first to the last of each range, both included.
pub(super) type Ranges = Vec<(u64, u64)>;

/// A line that says what became of items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub(super) enum Mark {
    /// A destination has these.
    Sent { to: Destination, items: Ranges },
    /// A destination will never take these.
    Refused { to: Destination, items: Ranges },
    /// Nothing is left to be sent to any destination of the header. Only the last line counts as this.
    Settled,
}

/// A whole line after the header.
pub(super) enum Line<'a> {
    Mark(Mark),
    /// An item, or something unknown in the place of one.
    Item(&'a str),
}

impl<'a> Line<'a> {
    pub(super) fn read(line: &'a str) -> Self {
        match line.starts_with(MARK) {
            // A mark that is unknown here says nothing about items that would matter here.
            true => serde_json::from_str(line).map_or(Self::Mark(Mark::Settled), Self::Mark),
            false => Self::Item(line),
        }
    }
}

/// The ranges that make up `numbers`, which are in order.
pub(super) fn ranges(numbers: impl IntoIterator<Item = u64>) -> Ranges {
    let mut ranges = Ranges::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_other_files_and_versions_are_told_apart() {
        let id = "trace_0123456789abcdef0123456789abcdef".parse().unwrap();
        let header = Header::new(id, Timestamp::from_micros(0), Vec::new());
        let line = serde_json::to_string(&header).unwrap();
        assert_eq!(Header::read(&line), Ok(header));
        for (other, reason) in [
            ("", "no file of"),
            ("{}", "no file of"),
            (
                r#"{"object":"trace","id":"trace_0123456789abcdef0123456789abcdef"}"#,
                "no file of",
            ),
            (&line.replace("\"version\":1", "\"version\":2"), "a newer"),
            (&line.replace("\"version\":1", "\"version\":0"), "an older"),
            (&line.replace("trace_0", "trace_x"), "damaged"),
        ] {
            let error = Header::read(other).unwrap_err();
            assert!(error.contains(reason), "{other}: {error}");
        }
    }

    #[test]
    fn marks_are_told_from_items() {
        let to = Destination {
            exporter: "openai".into(),
            endpoint: "https://example/".into(),
        };
        let mark = Mark::Sent {
            to,
            items: ranges([0, 1, 2, 5, 7, 8]),
        };
        let line = serde_json::to_string(&mark).unwrap();
        assert!(line.ends_with("[[0,2],[5,5],[7,8]]}"), "{line}");
        assert!(matches!(Line::read(&line), Line::Mark(read) if read == mark));
        assert!(matches!(
            Line::read(r#"{"mark":"from the future"}"#),
            Line::Mark(_)
        ));
        assert!(matches!(Line::read("{\"object\":\"trace\"}"), Line::Item(_)));
    }
}
