//! Whether the trace has the spans that are expected of it.

use std::time::Duration;

use super::expect::{quote, time};
use super::{Finding, Met, Script, SpanExpectation};
use crate::trace::{SpanRecord, TraceTree};

/// Spans that are shown of those that come nearest.
const SHOWN: usize = 3;

impl Script {
    /// Holds the trace of a session that is over against what is expected of it.
    pub fn check_spans(&self, tree: &TraceTree) -> Vec<Finding> {
        let seen = seen(tree);
        self.span_findings(|own| check(own, &seen))
    }

    /// What becomes of what is expected of the trace when there is none.
    pub(super) fn miss_spans(&self) -> Vec<Finding> {
        self.span_findings(|_| Met::No {
            came: "the run was not traced".to_owned(),
        })
    }

    fn span_findings(&self, met: impl Fn(&SpanExpectation) -> Met) -> Vec<Finding> {
        let finding = |own: &SpanExpectation| Finding {
            place: own.place.clone(),
            expected: expected(own),
            met: met(own),
            ruling: None,
        };
        self.spans.iter().map(finding).collect()
    }
}

/// A span that was recorded, and the name of what it hangs under: empty for the trace itself.
struct Seen<'a> {
    record: &'a SpanRecord,
    parent: String,
}

fn seen(tree: &TraceTree) -> Vec<Seen<'_>> {
    let nodes = tree.nodes();
    let name = |place: usize| match nodes[place].record() {
        Some(record) => record.data.label().into_owned(),
        None => "a span that was not recorded".to_owned(),
    };
    let seen = nodes.iter().filter_map(|node| {
        Some(Seen {
            record: node.record()?,
            parent: node.parent.map(name).unwrap_or_default(),
        })
    });
    seen.collect()
}

fn check(expectation: &SpanExpectation, seen: &[Seen<'_>]) -> Met {
    let mut judged: Vec<_> = seen
        .iter()
        .map(|span| (misses(expectation, span), span))
        .collect();
    let fitting: Vec<_> = judged
        .extract_if(.., |(misses, _)| misses.is_empty())
        .map(|(_, span)| span)
        .collect();
    let (least, most) = expectation.count;
    if fitting.len() >= least && fitting.len() <= most.unwrap_or(usize::MAX) {
        return Met::Yes;
    }
    let mut came = match fitting.len() {
        0 => "none".to_owned(),
        count => format!("{count}: {}", list(fitting.iter().map(|span| told(span)))),
    };
    if fitting.len() > least {
        return Met::No { came };
    }
    let is_near = |span: &Seen<'_>| {
        let SpanExpectation { kind, name, .. } = expectation;
        span.record.data.kind() == kind
            && name
                .as_deref()
                .is_none_or(|name| span.record.data.label() == name)
    };
    let is_akin = |span: &Seen<'_>| span.record.data.kind() == expectation.kind;
    let near: Vec<_> = judged.iter().filter(|(_, span)| is_near(span)).collect();
    let akin: Vec<_> = judged.iter().filter(|(_, span)| is_akin(span)).collect();
    if !near.is_empty() {
        let told = near
            .iter()
            .map(|(misses, span)| format!("{}, but {}", told(span), misses.join(", and ")));
        came.push_str(&format!("; {}", list(told)));
    } else if !akin.is_empty() {
        came.push_str(&format!(
            "; there is {}",
            list(akin.iter().map(|(_, span)| told(span)))
        ));
    } else if fitting.is_empty() {
        came.push_str(&format!("; the trace has no `{}` span at all", expectation.kind));
    }
    Met::No { came }
}

/// What of a span is not as it should be.
fn misses(expectation: &SpanExpectation, span: &Seen<'_>) -> Vec<String> {
    let SpanExpectation {
        kind,
        name,
        parent,
        error,
        min_duration,
        max_duration,
        ..
    } = expectation;
    let Seen {
        record,
        parent: under,
    } = span;
    let mut misses = Vec::new();
    if record.data.kind() != kind {
        misses.push(format!("it is no `{kind}` span"));
    }
    if let Some(name) = name.as_ref().filter(|name| record.data.label() != name.as_str()) {
        misses.push(format!("it is not named `{name}`"));
    }
    if parent.as_ref().is_some_and(|parent| parent != under) {
        misses.push(format!("it hangs under {}", place(under)));
    }
    match (error, &record.error) {
        (Some(false), Some(error)) => misses.push(format!("it has the error {}", quote(&error.message))),
        (Some(true), None) => misses.push("it has no error".to_owned()),
        _ => {}
    }
    let took = record.duration();
    if let Some(least) = min_duration.filter(|least| took.is_none_or(|took| took < *least)) {
        misses.push(format!("it took {}, not at least {}", length(took), time(least)));
    }
    if let Some(most) = max_duration.filter(|most| took.is_none_or(|took| took > *most)) {
        misses.push(format!("it took {}, more than {}", length(took), time(most)));
    }
    misses
}

fn expected(expectation: &SpanExpectation) -> String {
    let SpanExpectation {
        kind,
        name,
        parent,
        count,
        error,
        min_duration,
        max_duration,
        ..
    } = expectation;
    let (number, spans) = match count {
        (1, None) => (article(kind).to_owned(), "span"),
        (_, Some(0)) => ("no".to_owned(), "span"),
        (1, Some(1)) => ("exactly 1".to_owned(), "span"),
        (least, Some(most)) if least == most => (format!("exactly {least}"), "spans"),
        (0, Some(most)) => (format!("at most {most}"), "spans"),
        (least, Some(most)) => (format!("{least} to {most}"), "spans"),
        (least, None) => (format!("at least {least}"), "spans"),
    };
    let mut words = format!("{number} `{kind}` {spans}");
    if let Some(name) = name {
        words.push_str(&format!(" named `{name}`"));
    }
    if let Some(parent) = parent {
        words.push_str(&format!(" under {}", place(parent)));
    }
    match error {
        Some(true) => words.push_str(" with an error"),
        Some(false) => words.push_str(" without an error"),
        None => {}
    }
    if let Some(least) = min_duration {
        words.push_str(&format!(", of at least {}", time(*least)));
    }
    if let Some(most) = max_duration {
        words.push_str(&format!(", of at most {}", time(*most)));
    }
    words
}

fn told(span: &Seen<'_>) -> String {
    let Seen { record, parent } = span;
    let (kind, label) = (record.data.kind(), record.data.label());
    let name = if label.is_empty() {
        String::new()
    } else {
        format!(" `{label}`")
    };
    let article = article(kind);
    format!(
        "{article} `{kind}` span{name} under {} ({})",
        place(parent),
        length(record.duration())
    )
}

fn article(kind: &str) -> &'static str {
    match kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    }
}

fn place(parent: &str) -> String {
    match parent {
        "" => "the trace itself".to_owned(),
        parent => format!("`{parent}`"),
    }
}

fn length(took: Option<Duration>) -> String {
    took.map_or("no known time".to_owned(), time)
}

fn list(told: impl ExactSizeIterator<Item = String>) -> String {
    let rest = told.len().saturating_sub(SHOWN);
    let mut told: Vec<_> = told.take(SHOWN).collect();
    if rest > 0 {
        told.push(format!("{rest} more"));
    }
    told.join("; ")
}
