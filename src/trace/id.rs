//! The ids of traces and spans.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a trace: `trace_` and 32 hexadecimal digits. The application may choose it; else it is random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span: `span_` and 24 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 12]);

impl TraceId {
    /// A fresh random id.
    pub fn random() -> Self {
        Self(fastrand::u128(..).to_be_bytes())
    }

    /// The 16 bytes that the digits stand for.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// A fresh random id.
    pub fn random() -> Self {
        let mut bytes = [0; 12];
        bytes.copy_from_slice(&fastrand::u128(..).to_be_bytes()[..12]);
        Self(bytes)
    }

    /// The 12 bytes that the digits stand for.
    pub fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

/// A text that was meant as an id and is none. The message says what an id looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{shown}` is not a {what} id: expected `{prefix}` followed by {digits} hexadecimal digits (0-9, a-f)"
)]
pub struct InvalidId {
    shown: String,
    what: &'static str,
    prefix: &'static str,
    digits: usize,
}

/// How much of a wrong id the message repeats.
const SHOWN_CHARS: usize = 60;

fn parse<const N: usize>(text: &str, what: &'static str, prefix: &'static str) -> Result<[u8; N], InvalidId> {
    let invalid = || {
        let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        InvalidId {
            shown,
            what,
            prefix,
            digits: 2 * N,
        }
    };
    let digits = text.strip_prefix(prefix).ok_or_else(invalid)?.as_bytes();
    if digits.len() != 2 * N {
        return Err(invalid());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])
            .zip(nibble(pair[1]))
            .map(|(high, low)| high << 4 | low)
            .ok_or_else(invalid)?;
    }
    Ok(bytes)
}

/// Lower case only: an id must come out as it was put in, and back ends compare ids as text.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn write(f: &mut fmt::Formatter<'_>, prefix: &str, bytes: &[u8]) -> fmt::Result {
    f.write_str(prefix)?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! text_form {
    ($id:ident, $what:literal, $prefix:literal) => {
        impl FromStr for $id {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text, $what, $prefix).map(Self)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(f, $prefix, &self.0)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_form!(TraceId, "trace", "trace_");
text_form!(SpanId, "span", "span_");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let text = "trace_0123456789abcdef0123456789abcdef";
        assert_eq!(text.parse::<TraceId>().unwrap().to_string(), text);
        let text = "span_000000000000000000000002";
        let id: SpanId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        let id = TraceId::random();
        assert_eq!(id.to_string().parse::<TraceId>().unwrap(), id);
        assert_ne!(SpanId::random(), SpanId::random());
    }

    #[test]
    fn a_wrong_id_is_told_what_an_id_looks_like() {
        let wrong = [
            "",
            "trace_",
            "span_0123456789abcdef0123456789abcdef",
            "trace_0123456789ABCDEF0123456789ABCDEF",
            "trace_0123456789abcdef0123456789abcdef0",
            "trace_+123456789abcdef0123456789abcdef",
            "trace_éé23456789abcdef0123456789abcdef",
        ];
        for text in wrong {
            let message = text.parse::<TraceId>().unwrap_err().to_string();
            assert!(
                message.contains("`trace_` followed by 32 hexadecimal digits"),
                "{message}"
            );
            assert!(message.starts_with(&format!("`{text}`")), "{message}");
        }
        let long = "x".repeat(1000).parse::<SpanId>().unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
    }
}
