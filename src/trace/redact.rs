//! Taking out of spans what matches a pattern.

use std::borrow::Cow;
use std::str::FromStr;

use regex::Regex;
use serde_json::Value;

use super::data::{SpanData, SpanError};
use super::keys;
use super::record::{JsonMap, SpanRecord};

/// What stands where something was taken out.
const REDACTED: &str = "[redacted]";

/// The keys of a message that say what it is and what it belongs to, not what was said.
const MESSAGE_STRUCTURE: &[&str] = &["role", "type", "id", "tool_call_id", "name"];
/// The key of an error that names the tool.
const ERROR_STRUCTURE: &[&str] = &["tool_name"];

/// Patterns whose matches are replaced by `[redacted]` in all that spans tell of what was said and done, and in what the
/// application adds to them: texts, arguments, outputs, messages of errors, metadata, at any depth. Names, ids, times and
/// usage stay.
///
/// ```
/// use realtime_run::trace::Redaction;
///
/// let redaction = Redaction::default().pattern(r"\b\d{4}([ -]?\d{4}){3}\b")?;
/// assert_eq!(redaction.text("My card is 4111 1111 1111 1111."), "My card is [redacted].");
/// # Ok::<(), realtime_run::trace::InvalidPattern>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Redaction(Vec<Regex>);

impl PartialEq for Redaction {
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .map(Regex::as_str)
            .eq(other.0.iter().map(Regex::as_str))
    }
}

impl FromStr for Redaction {
    type Err = InvalidPattern;

    /// One pattern; see [`Redaction::pattern`].
    fn from_str(pattern: &str) -> Result<Self, InvalidPattern> {
        Self::default().pattern(pattern)
    }
}

/// A pattern that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(String);

impl Redaction {
    /// Adds a regular expression, in the syntax of the `regex` crate: any match is found in time linear in the text.
    ///
    /// # Errors
    /// When it is none, or matches where there is nothing.
    pub fn pattern(mut self, pattern: &str) -> Result<Self, InvalidPattern> {
        let regex = Regex::new(pattern).map_err(|error| InvalidPattern(why(&error)))?;
        if regex.is_match("") {
            return Err(InvalidPattern("it matches the empty text".to_owned()));
        }
        self.0.push(regex);
        Ok(self)
    }

    /// Adds another's patterns.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether there is nothing to take out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text without what matches.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for pattern in &self.0 {
            if let Cow::Owned(replaced) = pattern.replace_all(&text, REDACTED) {
                text = Cow::Owned(replaced);
            }
        }
        text
    }

    fn string(&self, text: &mut String) {
        if let Cow::Owned(replaced) = self.text(text) {
            *text = replaced;
        }
    }

    /// A number may be what is looked for, too.
    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(fields) => self.fields(fields, &[]),
            Value::Number(number) => {
                let text = number.to_string();
                if let Cow::Owned(replaced) = self.text(&text) {
                    *value = replaced.into();
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// All fields but those under a key to be kept; keys themselves are text as well.
    pub(super) fn fields(&self, fields: &mut JsonMap, kept: &[&str]) {
        let content = fields.iter_mut().filter(|(key, _)| !kept.contains(&key.as_str()));
        content.for_each(|(_, value)| self.value(value));
        if fields.keys().any(|key| matches!(self.text(key), Cow::Owned(_))) {
            let renamed = std::mem::take(fields)
                .into_iter()
                .map(|(key, value)| (self.text(&key).into_owned(), value));
            fields.extend(renamed);
        }
    }

    /// Messages, in which parts and calls are nested.
    fn messages(&self, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.messages(value)),
            Value::Object(fields) => fields
                .iter_mut()
                .filter(|(key, _)| !MESSAGE_STRUCTURE.contains(&key.as_str()))
                .for_each(|(_, value)| self.messages(value)),
            other => self.value(other),
        }
    }

    fn data(&self, data: &mut SpanData) {
        let text = |text: &mut Option<String>| text.iter_mut().for_each(|text| self.string(text));
        let settings = |value: &mut Option<Value>| value.iter_mut().for_each(|value| self.value(value));
        match data {
            SpanData::Function { input, output, .. } => {
                text(input);
                text(output);
            }
            SpanData::Generation {
                input,
                output,
                model_config,
                ..
            } => {
                for messages in [input, output] {
                    messages.iter_mut().for_each(|value| self.messages(value));
                }
                settings(model_config);
            }
            SpanData::Transcription {
                output, model_config, ..
            } => {
                text(output);
                settings(model_config);
            }
            SpanData::Speech {
                input, model_config, ..
            } => {
                text(input);
                settings(model_config);
            }
            SpanData::SpeechGroup { input } => text(input),
            SpanData::Custom { data, .. } => self.fields(data, &[]),
            SpanData::Agent { .. }
            | SpanData::Handoff { .. }
            | SpanData::Guardrail { .. }
            | SpanData::McpTools { .. }
            | SpanData::Response { .. } => {}
        }
    }

    fn error(&self, error: &mut SpanError) {
        self.string(&mut error.message);
        match &mut error.data {
            Some(Value::Object(fields)) => self.fields(fields, ERROR_STRUCTURE),
            Some(other) => self.value(other),
            None => {}
        }
    }

    /// Takes out of a span what matches.
    pub(super) fn span(&self, span: &mut SpanRecord) {
        self.data(&mut span.data);
        span.error.iter_mut().for_each(|error| self.error(error));
        if let Some(metadata) = &mut span.metadata {
            self.fields(metadata, keys::STRUCTURE);
        }
    }
}

/// What is wrong, without the library's drawing of where.
fn why(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it takes more than {limit} bytes to look for"),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redaction() -> Redaction {
        Redaction::default().pattern(r"4111[ -]?1111").unwrap()
    }

    #[test]
    fn values_are_searched_at_any_depth() {
        let mut value = json!({"a": ["x 4111 1111 y", 41_111_111, 7, null, {"4111-1111": true}]});
        redaction().value(&mut value);
        let expected = json!({"a": ["x [redacted] y", "[redacted]", 7, null, {"[redacted]": true}]});
        assert_eq!(value, expected);
    }

    #[test]
    fn messages_keep_their_shape() {
        let mut messages = json!([
            {"role": "user", "content": [{"type": "text", "text": "41111111"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_41111111", "type": "function",
                "function": {"name": "pay_41111111", "arguments": "{\"card\":\"4111 1111\"}"}}]},
        ]);
        redaction().messages(&mut messages);
        let expected = json!([
            {"role": "user", "content": [{"type": "text", "text": "[redacted]"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_41111111", "type": "function",
                "function": {"name": "pay_41111111", "arguments": "{\"card\":\"[redacted]\"}"}}]},
        ]);
        assert_eq!(messages, expected);
    }

    #[test]
    fn a_bad_pattern_is_told_in_one_line() {
        let told = |pattern: &str| Redaction::default().pattern(pattern).unwrap_err().to_string();
        assert_eq!(told("a("), "unclosed group");
        assert_eq!(told("a*"), "it matches the empty text");
        assert!(told(r"(\w{1000}){1000}").contains("bytes to look for"));
    }
}
