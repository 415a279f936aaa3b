//! Cutting a JSON value down to a number of bytes, in the way of the reference SDK.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use serde_json::Value;

use crate::trace::JsonMap;

/// What a text that was cut ends with.
const CUT_MARK: &str = "... [truncated]";

/// The length of `value` as compact JSON, in bytes.
pub(super) fn json_len(value: &Value) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

/// Makes `value` no longer than `limit` bytes of compact JSON, if it can be cut at all: texts lose their end, lists
/// and objects have their longest members cut first.
pub(super) fn truncate(value: &mut Value, limit: usize) {
    let len = json_len(value);
    if len <= limit {
        return;
    }
    match value {
        Value::String(text) => truncate_text(text, len, limit),
        Value::Array(items) => {
            let mut members = Members::new(items.drain(..).map(|item| (0, item)));
            members.truncate(len, limit);
            items.extend(members.left());
        }
        Value::Object(map) => {
            let (keys, values): (Vec<String>, Vec<Value>) = std::mem::take(map).into_iter().unzip();
            let key_len = |key: &String| json_len(&Value::from(key.as_str())) + ":".len();
            let mut members = Members::new(keys.iter().map(key_len).zip(values));
            members.truncate(len, limit);
            let pairs = keys.into_iter().zip(members.values);
            *map = pairs
                .filter_map(|(key, value)| Some((key, value?)))
                .collect::<JsonMap>();
        }
        _ => {}
    }
}

/// Keeps as many characters as the share of bytes that fits, and fewer if the text's beginning is the longer part.
fn truncate_text(text: &mut String, len: usize, limit: usize) {
    let Some(room) = limit.checked_sub(CUT_MARK.len() + "\"\"".len()) else {
        return text.clear();
    };
    let chars = text.chars().count().saturating_mul(room) / len;
    let mut end = text
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(index, _)| index);
    let mut kept: usize = text[..end].chars().map(char_len).sum();
    while let Some(last) = text[..end].chars().next_back()
        && kept > room
    {
        kept -= char_len(last);
        end -= last.len_utf8();
    }
    text.truncate(end);
    text.push_str(CUT_MARK);
}

/// The bytes of a character within a JSON text.
fn char_len(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// The members of a list or an object while they are cut.
struct Members {
    /// `None` for a member that had to go.
    values: Vec<Option<Value>>,
    /// Bytes a member takes beside its value: its key.
    keys: Vec<usize>,
    /// The longest first, of equals the earliest.
    by_len: BinaryHeap<(usize, Reverse<usize>)>,
}

impl Members {
    fn new(members: impl Iterator<Item = (usize, Value)>) -> Self {
        let (keys, values): (Vec<usize>, Vec<Value>) = members.unzip();
        let by_len = values
            .iter()
            .enumerate()
            .map(|(index, value)| (json_len(value), Reverse(index)))
            .collect();
        Self {
            values: values.into_iter().map(Some).collect(),
            keys,
            by_len,
        }
    }

    fn truncate(&mut self, mut len: usize, limit: usize) {
        while len > limit
            && let Some((member, Reverse(index))) = self.by_len.pop()
        {
            let Some(value) = &mut self.values[index] else {
                continue;
            };
            truncate(value, limit.saturating_sub(len - member));
            let now = json_len(value);
            len -= member - now;
            if now < member {
                self.by_len.push((now, Reverse(index)));
            } else {
                let comma = usize::from(!self.by_len.is_empty());
                len -= now + self.keys[index] + comma;
                self.values[index] = None;
            }
        }
    }

    fn left(self) -> impl Iterator<Item = Value> {
        self.values.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn truncated(mut value: Value, limit: usize) -> Value {
        truncate(&mut value, limit);
        value
    }

    #[test]
    fn what_fits_stays() {
        let value = json!({"a": ["b", 1, null]});
        assert_eq!(truncated(value.clone(), json_len(&value)), value);
    }

    #[test]
    fn a_text_whose_beginning_is_the_longer_part_still_fits() {
        let text = "😀".repeat(100) + &"a".repeat(400);
        let cut = truncated(json!(text), 300);
        assert!(
            json_len(&cut) <= 300 && json_len(&cut) > 290,
            "{}",
            json_len(&cut)
        );
        assert!(cut.as_str().unwrap().ends_with("😀... [truncated]"));
    }

    #[test]
    fn a_million_small_members_take_no_time() {
        let cut = truncated(Value::from(vec![1; 1_000_000]), 1000);
        assert_eq!(json_len(&cut), 999);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[a-z\"]{0,5}", inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn always_within_the_limit(value in json_value(), limit in 20usize..300) {
            let cut = truncated(value, limit);
            prop_assert!(json_len(&cut) <= limit, "{} > {limit}: {cut}", json_len(&cut));
        }
    }
}
