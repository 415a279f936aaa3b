//! What the command line says of the context: single values, and files of values.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};

use super::pairs::key_value;

/// Something that goes over the context.
#[derive(Debug, Clone, PartialEq)]
pub enum ContextFlag {
    /// A value, and the path to its place.
    Value { path: Vec<String>, value: Value },
    /// A file that holds a JSON object.
    File(PathBuf),
}

/// Reads `KEY=VALUE` with dots between the names of a path, and a value that is JSON or else a string; or `@FILE`.
pub fn flag(text: &str) -> Result<ContextFlag, String> {
    if let Some(file) = text.strip_prefix('@') {
        return match file {
            "" => Err("expected @FILE".to_owned()),
            file => Ok(ContextFlag::File(file.into())),
        };
    }
    let (key, value) = key_value(text).map_err(|error| format!("{error} or @FILE"))?;
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(format!("`{key}` has an empty name in it"));
    }
    let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
    Ok(ContextFlag::Value { path, value })
}

impl ContextFlag {
    /// Puts it over `context`.
    pub fn apply(self, context: &mut Value) -> Result<()> {
        match self {
            Self::Value { path, value } => put(context, path, value),
            Self::File(file) => {
                let name = file.display();
                let values = read(&file).with_context(|| format!("--context @{name}"))?;
                merge(context, Value::Object(values));
                Ok(())
            }
        }
    }
}

/// Puts a value in its place, and makes the objects on the way.
fn put(context: &mut Value, path: Vec<String>, value: Value) -> Result<()> {
    let shown = path.join(".");
    let mut place = context;
    for name in path {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(object) = place else {
            bail!("--context {shown}: `{name}` has no place there, since {place} is no object");
        };
        place = object.entry(name).or_insert(Value::Null);
    }
    *place = value;
    Ok(())
}

/// The object in a file. What it says of a bad one does not quote it.
fn read(file: &PathBuf) -> Result<Map<String, Value>> {
    let text = fs::read_to_string(file).map_err(|error| anyhow!("it can't be read: {error}"))?;
    match serde_json::from_str(&text).map_err(|error| anyhow!("it is no JSON: {error}"))? {
        Value::Object(values) => Ok(values),
        _ => bail!("it holds no JSON object"),
    }
}

/// Merges objects key by key; anything else takes the place of what was there.
fn merge(target: &mut Value, values: Value) {
    match (target, values) {
        (Value::Object(target), Value::Object(values)) => {
            for (key, value) in values {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, value) => *target = value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(to: Value, flags: &[&str]) -> Result<Value> {
        let mut value = to;
        for text in flags {
            flag(text).map_err(anyhow::Error::msg)?.apply(&mut value)?;
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
    fn flags_without_a_key_or_a_file_are_refused() {
        for text in ["a..b=1", "novalue", "=x", "@"] {
            assert!(flag(text).is_err(), "{text}");
        }
    }

    #[test]
    fn files_are_merged_in_the_order_of_the_flags() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a=b.json");
        fs::write(
            &file,
            r#"{"user": {"name": "Bo", "tags": [1], "plan": null}, "n": 2}"#,
        )
        .unwrap();
        let file = format!("@{}", file.display());
        let before = || json!({"user": {"name": "Ada", "tier": "gold", "tags": [2, 3], "plan": 1}});
        let flags = ["user.name=Cy", "n=1", &file, "user.tags=4"];
        assert_eq!(
            applied(before(), &flags).unwrap(),
            json!({"user": {"name": "Bo", "tier": "gold", "tags": 4, "plan": null}, "n": 2})
        );
    }

    #[test]
    fn a_bad_file_is_named_with_the_place_and_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.json");
        let shown = format!("@{}", file.display());
        let wrong = |text: &[u8], expected: &str| {
            fs::write(&file, text).unwrap();
            let error = format!("{:#}", applied(json!({}), &[&shown]).unwrap_err());
            assert_eq!(error, format!("--context {shown}: {expected}"));
        };
        wrong(
            b"{\"key\": s3cret}",
            "it is no JSON: expected value at line 1 column 9",
        );
        wrong(b"[1]", "it holds no JSON object");
        wrong(b"\xff", "it can't be read: stream did not contain valid UTF-8");
        let error = applied(json!({}), &["@/no/such.json"]).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.starts_with("--context @/no/such.json: it can't be read: No such file"),
            "{error}"
        );
    }
}
