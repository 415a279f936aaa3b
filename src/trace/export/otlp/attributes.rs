//! A span's attributes while they are put together.

use opentelemetry::{Array, KeyValue, StringValue, Value};
use serde_json::Value as Json;

/// Attributes; what is absent leaves none.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<KeyValue>);

impl Attributes {
    pub(super) fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.0.push(KeyValue::new(key.into(), value));
    }

    pub(super) fn text(&mut self, key: impl Into<String>, text: Option<&str>) {
        if let Some(text) = text {
            self.set(key, text.to_owned());
        }
    }

    /// As JSON text: attributes have no objects.
    pub(super) fn json(&mut self, key: impl Into<String>, value: &Json) {
        self.set(key, value.to_string());
    }

    /// A count, found at a path in an object.
    pub(super) fn count(&mut self, key: &'static str, counts: &Json, path: &str) {
        if let Some(count) = counts.pointer(path).and_then(Json::as_i64) {
            self.set(key, count);
        }
    }

    pub(super) fn texts(&mut self, key: &'static str, texts: Vec<String>) {
        let texts = texts.into_iter().map(StringValue::from).collect();
        self.set(key, Value::Array(Array::String(texts)));
    }
}
