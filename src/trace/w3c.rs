//! Places in a trace as other systems know them: the ids and headers of W3C Trace Context, level 1.
//!
//! A run keeps its own trace id everywhere, also under a parent from outside: two runs under one parent are two traces.
//! Only towards other systems it is told under the parent's trace id. The parent is kept in the trace's metadata, so that
//! whoever sends the trace on, even much later, tells the same.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::id::{SpanId, TraceId};
use super::keys;
use super::record::TraceRecord;

/// A span of whatever system: the value of a `traceparent` header.
///
/// ```
/// use realtime_run::trace::Traceparent;
///
/// let parent: Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse()?;
/// // What is traced here is recorded, whether the parent is or not.
/// assert_eq!(parent.to_string(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
/// # Ok::<(), realtime_run::trace::InvalidTraceparent>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    trace_id: [u8; 16],
    span_id: [u8; 8],
}

/// A text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent: expected `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`")]
pub struct InvalidTraceparent;

impl Traceparent {
    /// The place of a span, or directly under the root of a trace.
    pub(super) fn of(trace: &TraceRecord, span: Option<SpanId>) -> Self {
        Self {
            trace_id: trace_id(trace),
            span_id: span.map_or_else(|| root_id(trace.id), span_id),
        }
    }

    pub(super) fn span_id(&self) -> [u8; 8] {
        self.span_id
    }
}

/// What the trace hangs under, if anything.
pub(super) fn parent(trace: &TraceRecord) -> Option<Traceparent> {
    text(trace, keys::TRACEPARENT)?.parse().ok()
}

/// What other systems have to say, to be passed on with any place in this trace.
pub(super) fn state(trace: &TraceRecord) -> Option<&str> {
    parent(trace)?;
    let state = text(trace, keys::TRACESTATE)?;
    // What no header can carry is nothing to pass on.
    let is_sound = state.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !state.trim().is_empty();
    is_sound.then_some(state)
}

fn text<'a>(trace: &'a TraceRecord, key: &str) -> Option<&'a str> {
    trace.metadata.as_ref()?.get(key).and_then(Value::as_str)
}

/// The trace's id towards other systems: the parent's, else its own 16 bytes.
pub(super) fn trace_id(trace: &TraceRecord) -> [u8; 16] {
    parent(trace).map_or(*trace.id.as_bytes(), |parent| parent.trace_id)
}

/// A span's id towards other systems: its first 8 bytes.
pub(super) fn span_id(id: SpanId) -> [u8; 8] {
    let [first @ .., _, _, _, _] = *id.as_bytes();
    let [_, _, _, _, last @ ..] = *id.as_bytes();
    // Zero stands for no span there; chosen ids may begin with that many zeros.
    if first == [0; 8] { last } else { first }
}

/// The id of a trace's root, which is a span to other systems only. The same whenever it is told.
pub(super) fn root_id(id: TraceId) -> [u8; 8] {
    let id = u128::from_be_bytes(*id.as_bytes());
    let folded = (id >> 64) as u64 ^ id as u64;
    folded.max(1).to_be_bytes()
}

impl FromStr for Traceparent {
    type Err = InvalidTraceparent;

    /// Reads version 00, and of later versions what is as in that one ("Versioning of traceparent").
    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let mut fields = text.trim().split('-');
        let mut field = |digits: usize| {
            let field = fields.next().filter(|field| field.len() == digits);
            field
                .filter(|field| {
                    field
                        .bytes()
                        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
                })
                .ok_or(InvalidTraceparent)
        };
        let (version, trace_id, span_id, _flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        let is_over = fields.next().is_none();
        if version == "ff" || (version == "00" && !is_over) {
            return Err(InvalidTraceparent);
        }
        let trace_id = u128::from_str_radix(trace_id, 16).map_err(|_| InvalidTraceparent)?;
        let span_id = u64::from_str_radix(span_id, 16).map_err(|_| InvalidTraceparent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(Self {
            trace_id: trace_id.to_be_bytes(),
            span_id: span_id.to_be_bytes(),
        })
    }
}

impl fmt::Display for Traceparent {
    /// As version 00, with the flag of what is recorded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace_id, span_id) = (
            u128::from_be_bytes(self.trace_id),
            u64::from_be_bytes(self.span_id),
        );
        write!(f, "00-{trace_id:032x}-{span_id:016x}-01")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Tracer;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn text_and_back() {
        let read = |text: &str| text.parse::<Traceparent>().map(|parent| parent.to_string());
        assert_eq!(read(PARENT).unwrap(), PARENT);
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-is-new";
        assert_eq!(read(later).unwrap(), PARENT);
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-éaf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(read(wrong), Err(InvalidTraceparent), "{wrong}");
        }
    }

    #[test]
    fn ids_are_the_digits_of_ours() {
        let id: SpanId = "span_0123456789abcdef01234567".parse().unwrap();
        assert_eq!(u64::from_be_bytes(span_id(id)), 0x0123_4567_89ab_cdef);
        let id: SpanId = "span_000000000000000000000002".parse().unwrap();
        assert_eq!(u64::from_be_bytes(span_id(id)), 2);
        let id: TraceId = "trace_0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(u64::from_be_bytes(root_id(id)), 1, "never zero");
    }

    #[test]
    fn without_a_parent_a_place_is_told_by_our_ids() {
        let memory = std::sync::Arc::new(crate::trace::MemoryProcessor::default());
        let id = "trace_0123456789abcdef0000000000000001".parse().unwrap();
        let trace = Tracer::builder()
            .processor(memory)
            .build()
            .trace("w")
            .id(id)
            .start();
        let root = trace.context().traceparent().unwrap().to_string();
        assert_eq!(root, "00-0123456789abcdef0000000000000001-0123456789abcdee-01");
        let span = trace.context().span(crate::trace::SpanData::agent("a"));
        let digits = span.id().unwrap().to_string()[5..21].to_owned();
        let place = span.context().traceparent().unwrap().to_string();
        assert_eq!(place, format!("00-0123456789abcdef0000000000000001-{digits}-01"));
    }
}
