//! Flags that hold a name and a value.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// A value for the context, and the path to its place there.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextValue {
    path: Vec<String>,
    value: Value,
}

/// Reads `KEY=VALUE`.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Reads `KEY=VALUE` with dots between the names of a path, and a value that is JSON or else a string.
pub fn context(text: &str) -> Result<ContextValue, String> {
    let (key, value) = key_value(text)?;
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(format!("`{key}` has an empty name in it"));
    }
    let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
    Ok(ContextValue { path, value })
}

/// Splits `Name: value`. What it says of a bad one does not quote it: it may be a key.
pub fn header(text: &str) -> Result<(String, String)> {
    let (name, value) = text
        .split_once(':')
        .context("a --header has no `:`; write it as `--header 'Name: value'`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl ContextValue {
    /// Puts the value in its place, and makes the objects on the way.
    pub fn apply(self, context: &mut Value) -> Result<()> {
        let shown = self.path.join(".");
        let mut place = context;
        for name in self.path {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(object) = place else {
                bail!("--context {shown}: `{name}` has no place there, since {place} is no object");
            };
            place = object.entry(name).or_insert(Value::Null);
        }
        *place = self.value;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(to: Value, pairs: &[&str]) -> Result<Value> {
        let mut value = to;
        for pair in pairs {
            context(pair).map_err(anyhow::Error::msg)?.apply(&mut value)?;
        }
        Ok(value)
    }

    #[test]
    fn context_values_are_json_or_strings() {
        let pairs = [
            "n=1",
            "s=Ada",
            "zip=01234",
            "list=[1]",
            "quoted=\"1\"",
            "eq=a=b",
            "none=",
        ];
        let expected = json!({
            "n": 1, "s": "Ada", "zip": "01234", "list": [1], "quoted": "1", "eq": "a=b", "none": "",
        });
        assert_eq!(applied(json!({}), &pairs).unwrap(), expected);
    }

    #[test]
    fn dotted_keys_reach_into_objects_and_leave_the_rest() {
        let file = json!({"user": {"name": "Ada", "tier": "gold"}});
        let expected = json!({"user": {"name": "Bob", "tier": "gold"}, "a": {"b": {"c": true}}});
        assert_eq!(applied(file, &["user.name=Bob", "a.b.c=true"]).unwrap(), expected);
    }

    #[test]
    fn a_path_through_something_that_is_no_object_is_refused() {
        let error = applied(json!({"user": 7}), &["user.name=Ada"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--context user.name: `name` has no place there, since 7 is no object"
        );
    }

    #[test]
    fn pairs_without_a_key_are_refused() {
        assert!(key_value("novalue").is_err());
        assert!(key_value("=x").is_err());
        assert!(context("a..b=1").is_err());
    }

    #[test]
    fn a_bad_header_is_not_quoted() {
        assert_eq!(header("X-A: b:c").unwrap(), ("X-A".to_owned(), "b:c".to_owned()));
        assert!(
            !header("Bearer sk-planted")
                .unwrap_err()
                .to_string()
                .contains("sk-planted")
        );
    }
}
