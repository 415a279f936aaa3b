//! All the traces of a file, with their spans.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::export::Item;
use super::id::TraceId;
use super::read::{TraceReader, UnreadableItem};
use super::record::{SpanRecord, TraceRecord};
use super::tree::TraceTree;

/// Bytes of a line that are taken at once: no file can take all memory by having no line breaks.
const MAX_LINE: u64 = 64 << 20;
/// How every item begins that this library wrote.
const ITEM: &str = r#"{"object":"trace"#;

/// Traces with their spans, as they stand in a file of JSON lines or in what a run said on its standard output, with
/// other lines between.
///
/// ```
/// use realtime_run::trace::TraceSet;
///
/// let said = r#"
/// Good morning!
/// {"object":"trace","id":"trace_0123456789abcdef0123456789abcdef","workflow_name":"Concierge"}
/// "#;
/// let traces = TraceSet::read(said.as_bytes())?;
/// let names = traces.traces().map(|trace| trace.workflow_name.as_str());
/// assert_eq!(names.collect::<Vec<_>>(), ["Concierge"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct TraceSet {
    places: HashMap<TraceId, usize>,
    traces: Vec<Traced>,
    unreadable: usize,
    first_unreadable: Option<(usize, UnreadableItem)>,
}

/// A trace and its spans.
type Traced = (Arc<TraceRecord>, Vec<Arc<SpanRecord>>);

impl TraceSet {
    /// Reads to the end of `input`. Lines that are neither a trace nor a span pass; those that should be one and are
    /// not, such as the torn last line of a run that was killed, are counted.
    ///
    /// # Errors
    /// If reading fails.
    pub fn read(mut input: impl BufRead) -> io::Result<Self> {
        let mut set = Self::default();
        let mut reader = TraceReader::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            match read_line(&mut reader, String::from_utf8_lossy(&line).trim()) {
                Ok(Some(item)) => set.push(item),
                Ok(None) => {}
                Err(error) => {
                    set.unreadable += 1;
                    set.first_unreadable.get_or_insert((number, error));
                }
            }
        }
        Ok(set)
    }

    /// Adds a trace or a span.
    pub fn push(&mut self, item: Item) {
        match item {
            // A span may have come first, which knows no more of its trace than the id.
            Item::Trace(trace) => self.entry(&trace).0 = Arc::clone(&trace),
            Item::Span(span) => self.entry(&span.trace).1.push(span),
        }
    }

    fn entry(&mut self, trace: &Arc<TraceRecord>) -> &mut Traced {
        let place = *self.places.entry(trace.id).or_insert_with(|| {
            self.traces.push((Arc::clone(trace), Vec::new()));
            self.traces.len() - 1
        });
        &mut self.traces[place]
    }

    /// The traces in the order in which they came.
    pub fn traces(&self) -> impl DoubleEndedIterator<Item = &TraceRecord> + ExactSizeIterator {
        self.traces.iter().map(|(trace, _)| &**trace)
    }

    /// The tree of the trace of this id, if it is there.
    pub fn tree(&self, id: TraceId) -> Option<TraceTree> {
        let (trace, spans) = &self.traces[*self.places.get(&id)?];
        Some(TraceTree::new(Arc::clone(trace), spans.iter().cloned()))
    }

    /// How many lines should have been a trace or a span and were not.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// The first of those: its number, counted from one, and what is wrong with it.
    pub fn first_unreadable(&self) -> Option<(usize, &UnreadableItem)> {
        self.first_unreadable
            .as_ref()
            .map(|(number, error)| (*number, error))
    }
}

/// Reads an item, also one that stands behind words or behind one that was torn: in a JSON string its beginning would
/// have its quotes escaped.
fn read_line(reader: &mut TraceReader, line: &str) -> Result<Option<Item>, UnreadableItem> {
    let whole = if line.starts_with('{') {
        reader.read(line)
    } else {
        Ok(None)
    };
    match (whole, line.rfind(ITEM)) {
        (Ok(None) | Err(_), Some(start @ 1..)) => reader.read(&line[start..]),
        (Err(UnreadableItem::NotJson(_)), None) => Ok(None),
        (whole, _) => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str =
        r#"{"object":"trace","id":"trace_00000000000000000000000000000001","workflow_name":"One"}"#;

    fn span(number: usize, trace: usize) -> String {
        format!(
            r#"{{"object":"trace.span","id":"span_{number:024x}","trace_id":"trace_{trace:032x}","parent_id":null,
            "started_at":"2026-01-02T03:04:05Z","ended_at":null,"span_data":{{"type":"agent","name":"A"}},"error":null}}"#
        )
        .replace('\n', " ")
    }

    fn read(lines: &[&str]) -> (Vec<(String, usize)>, usize) {
        let set = TraceSet::read(lines.join("\n").as_bytes()).unwrap();
        let told = |trace: &TraceRecord| {
            (
                trace.workflow_name.clone(),
                set.tree(trace.id).unwrap().nodes().len(),
            )
        };
        (set.traces().map(told).collect(), set.unreadable())
    }

    #[test]
    fn items_are_found_among_other_lines() {
        let behind_words = format!("Good morning!{}", span(2, 1));
        let lines = [
            "",
            "Hello {you}",
            "{not json",
            TRACE,
            r#"{"type":"session_start"}"#,
            &span(1, 1),
            "\u{feff}\0\x1b[31m",
            &behind_words,
            "7",
        ];
        assert_eq!(read(&lines), (vec![("One".into(), 2)], 0));
    }

    #[test]
    fn torn_and_wrong_items_are_counted_and_what_follows_them_is_read() {
        let torn = span(1, 1)[..60].to_owned();
        let torn_and_whole = format!("{torn}{}", span(2, 1));
        let wrong = TRACE.replace("trace_", "trail_");
        let lines = [TRACE, &wrong, &torn_and_whole, &torn];
        assert_eq!(read(&lines), (vec![("One".into(), 1)], 2));
        let set = TraceSet::read(lines.join("\n").as_bytes()).unwrap();
        let (number, error) = set.first_unreadable().unwrap();
        assert_eq!(number, 2);
        assert!(error.to_string().contains("is not a trace id"), "{error}");
    }

    #[test]
    fn spans_of_several_traces_are_kept_apart() {
        let (two, one) = (span(1, 2), span(1, 1));
        let lines = [&two, TRACE, &one, &two];
        assert_eq!(read(&lines), (vec![(String::new(), 1), ("One".into(), 1)], 0));
    }

    #[test]
    fn a_trace_told_after_its_spans_has_its_name() {
        assert_eq!(read(&[&span(1, 1), TRACE]), (vec![("One".into(), 1)], 0));
    }

    #[test]
    fn a_quoted_item_is_no_item() {
        let quoting = serde_json::json!({"type": "text_delta", "delta": TRACE}).to_string();
        assert_eq!(read(&[&quoting, ""]), (vec![], 0));
        assert_eq!(read(&[]), (vec![], 0));
    }
}
