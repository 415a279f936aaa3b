//! Checks what a client sends, before anything is done with it.

use serde_json::{Map, Value};

use super::refusal::{Refused, invalid_value, missing, refusal_at, unknown};

/// What a value of a client event may be.
pub(super) enum Shape {
    /// Anything at all.
    Any,
    /// A string of at most so many characters.
    Text(usize),
    /// A whole number within bounds, both included.
    Integer(i64, i64),
    /// A number within bounds, both included.
    Number(f64, f64),
    Bool,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An object with keys of the client's choosing.
    Map,
    /// An object with these keys only.
    Object(&'static [Field]),
    /// An object whose `type` says which other keys it has.
    Tagged(&'static [(&'static str, &'static [Field])]),
    List(&'static Shape),
    /// A list of exactly one.
    Only(&'static Shape),
    /// An object with strings under keys of the client's choosing: so many, and of so many characters.
    Pairs {
        max: usize,
        key: usize,
        value: usize,
    },
    /// Whichever of these has the value's JSON type.
    Either(&'static [Shape]),
}

/// One key of an object.
pub(super) struct Field {
    name: &'static str,
    required: bool,
    shape: Shape,
}

pub(super) const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        required: true,
        shape,
    }
}

/// A key that may be absent, or null, which means the same or clears a setting.
pub(super) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        required: false,
        shape,
    }
}

/// A string without a limit of its own; the size of the frame limits it.
pub(super) const TEXT: Shape = Shape::Text(usize::MAX);

impl Shape {
    /// Checks a value that lies at a dotted path of its event.
    pub(super) fn check(&self, value: &Value, path: &str) -> Refused<()> {
        match (self, value) {
            (Self::Any, _) | (Self::Bool, Value::Bool(_)) | (Self::Map, Value::Object(_)) => Ok(()),
            (Self::Text(max), Value::String(text)) => check_length(text, *max, path),
            (Self::Integer(min, max), Value::Number(number)) => match number.as_i64() {
                Some(n) if (*min..=*max).contains(&n) => Ok(()),
                Some(n) => Err(out_of_range(path, n, min, max)),
                None => Err(wrong_type(path, self, value)),
            },
            (Self::Number(min, max), Value::Number(number)) => match number.as_f64() {
                Some(n) if (*min..=*max).contains(&n) => Ok(()),
                _ => Err(out_of_range(path, number, min, max)),
            },
            (Self::OneOf(names), Value::String(name)) if names.contains(&name.as_str()) => Ok(()),
            (Self::OneOf(names), Value::String(name)) => Err(invalid_value(path, name, names)),
            (Self::Object(fields), Value::Object(object)) => check_fields(object, &[], fields, path),
            (Self::Tagged(variants), Value::Object(object)) => check_tagged(object, variants, path),
            (Self::List(shape), Value::Array(values)) => values
                .iter()
                .enumerate()
                .try_for_each(|(n, value)| shape.check(value, &format!("{path}[{n}]"))),
            (Self::Only(shape), Value::Array(values)) => match &values[..] {
                [value] => shape.check(value, &format!("{path}[0]")),
                _ => {
                    let message = format!(
                        "Invalid '{path}': expected exactly one value, but got {}.",
                        values.len()
                    );
                    Err(refusal_at("invalid_value", path, message))
                }
            },
            (Self::Pairs { max, key, value }, Value::Object(pairs)) => {
                check_pairs(pairs, *max, *key, *value, path)
            }
            (Self::Either(shapes), _) => match shapes.iter().find(|shape| shape.is_kind_of(value)) {
                Some(shape) => shape.check(value, path),
                None => Err(wrong_type(path, self, value)),
            },
            _ => Err(wrong_type(path, self, value)),
        }
    }

    /// Whether a value has the JSON type that this shape asks for.
    fn is_kind_of(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Text(_) | Self::OneOf(_) => value.is_string(),
            Self::Integer(..) | Self::Number(..) => value.is_number(),
            Self::Bool => value.is_boolean(),
            Self::Map | Self::Object(_) | Self::Tagged(_) | Self::Pairs { .. } => value.is_object(),
            Self::List(_) | Self::Only(_) => value.is_array(),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.is_kind_of(value)),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Any => "a value".into(),
            Self::Text(_) | Self::OneOf(_) => "a string".into(),
            Self::Integer(..) => "an integer".into(),
            Self::Number(..) => "a number".into(),
            Self::Bool => "a boolean".into(),
            Self::Map | Self::Object(_) | Self::Tagged(_) | Self::Pairs { .. } => "an object".into(),
            Self::List(_) | Self::Only(_) => "an array".into(),
            Self::Either(shapes) => shapes.iter().map(Self::name).collect::<Vec<_>>().join(" or "),
        }
    }
}

/// Checks the keys of an object; `implied` are keys that were checked already.
pub(super) fn check_fields(
    object: &Map<String, Value>,
    implied: &[&str],
    fields: &[Field],
    path: &str,
) -> Refused<()> {
    for (key, value) in object {
        if implied.contains(&key.as_str()) {
            continue;
        }
        let path = join(path, key);
        match fields.iter().find(|field| field.name == key) {
            None => return Err(unknown(&path)),
            Some(field) if value.is_null() && !field.required => {}
            Some(field) => field.shape.check(value, &path)?,
        }
    }
    match fields
        .iter()
        .find(|field| field.required && !object.contains_key(field.name))
    {
        Some(field) => Err(missing(&join(path, field.name))),
        None => Ok(()),
    }
}

fn check_tagged(
    object: &Map<String, Value>,
    variants: &[(&'static str, &'static [Field])],
    path: &str,
) -> Refused<()> {
    let tag_path = join(path, "type");
    let tag = object.get("type").ok_or_else(|| missing(&tag_path))?;
    let name = tag.as_str().ok_or_else(|| wrong_type(&tag_path, &TEXT, tag))?;
    match variants.iter().find(|(variant, _)| *variant == name) {
        Some((_, fields)) => check_fields(object, &["type"], fields, path),
        None => {
            let names: Vec<_> = variants.iter().map(|(name, _)| *name).collect();
            Err(invalid_value(&tag_path, name, &names))
        }
    }
}

fn check_pairs(
    pairs: &Map<String, Value>,
    max: usize,
    max_key: usize,
    max_value: usize,
    path: &str,
) -> Refused<()> {
    if pairs.len() > max {
        let message = format!("Invalid '{path}': too many pairs. Expected at most {max}.");
        return Err(refusal_at("object_above_max_properties", path, message));
    }
    pairs.iter().try_for_each(|(key, value)| {
        let path = join(path, key);
        check_length(key, max_key, &path)?;
        Shape::Text(max_value).check(value, &path)
    })
}

fn check_length(text: &str, max: usize, path: &str) -> Refused<()> {
    // Bytes are no fewer than characters, so the slow count is seldom needed.
    if text.len() <= max || text.chars().count() <= max {
        return Ok(());
    }
    Err(refusal_at(
        "string_above_max_length",
        path,
        format!("Invalid '{path}': string too long. Expected a string of at most {max} characters."),
    ))
}

fn out_of_range(
    path: &str,
    value: impl std::fmt::Display,
    min: impl std::fmt::Display,
    max: impl std::fmt::Display,
) -> Box<crate::protocol::ApiError> {
    let message = format!("Invalid '{path}': {value} is not between {min} and {max}.");
    refusal_at("invalid_value", path, message)
}

fn wrong_type(path: &str, expected: &Shape, value: &Value) -> Box<crate::protocol::ApiError> {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!(
        "Invalid type for '{path}': expected {}, but got {got} instead.",
        expected.name()
    );
    refusal_at("invalid_type", path, message)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static SHAPE: Shape = Shape::Object(&[
        required("name", Shape::Text(4)),
        optional("size", Shape::Integer(1, 9)),
        optional("kind", Shape::OneOf(&["a", "b"])),
        optional(
            "max",
            Shape::Either(&[Shape::Integer(1, 5), Shape::OneOf(&["inf"])]),
        ),
        optional(
            "list",
            Shape::List(&Shape::Tagged(&[
                ("x", &[required("n", Shape::Bool)]),
                ("y", &[]),
            ])),
        ),
        optional("only", Shape::Only(&Shape::Bool)),
        optional(
            "pairs",
            Shape::Pairs {
                max: 2,
                key: 3,
                value: 4,
            },
        ),
    ]);

    fn refused(value: Value) -> (String, String) {
        let error = SHAPE.check(&value, "it").unwrap_err();
        (error.code.unwrap(), error.param.unwrap())
    }

    fn pair(code: &str, path: &str) -> (String, String) {
        (code.into(), path.into())
    }

    #[test]
    fn what_fits_passes() {
        for value in [
            json!({"name": "äöüß"}),
            json!({"name": "a", "size": null, "max": "inf", "kind": "b"}),
            json!({"name": "", "only": [true], "pairs": {"a": "1234", "abc": ""}}),
            json!({"name": "", "max": 5, "list": [{"type": "x", "n": true}, {"type": "y"}]}),
        ] {
            assert!(SHAPE.check(&value, "it").is_ok(), "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_at_its_path() {
        assert_eq!(refused(json!({})), pair("missing_required_parameter", "it.name"));
        assert_eq!(refused(json!({"name": null})), pair("invalid_type", "it.name"));
        assert_eq!(
            refused(json!({"name": "12345"})),
            pair("string_above_max_length", "it.name")
        );
        assert_eq!(
            refused(json!({"name": "", "no": 1})),
            pair("unknown_parameter", "it.no")
        );
        assert_eq!(
            refused(json!({"name": "", "size": 10})),
            pair("invalid_value", "it.size")
        );
        assert_eq!(
            refused(json!({"name": "", "size": 1.5})),
            pair("invalid_type", "it.size")
        );
        assert_eq!(
            refused(json!({"name": "", "kind": "c"})),
            pair("invalid_value", "it.kind")
        );
        assert_eq!(
            refused(json!({"name": "", "max": "no"})),
            pair("invalid_value", "it.max")
        );
        assert_eq!(
            refused(json!({"name": "", "max": []})),
            pair("invalid_type", "it.max")
        );
        for (only, path) in [(json!([]), "it.only"), (json!([true, true]), "it.only")] {
            assert_eq!(
                refused(json!({"name": "", "only": only})),
                pair("invalid_value", path)
            );
        }
        for (pairs, code, path) in [
            (
                json!({"a": "", "b": "", "c": ""}),
                "object_above_max_properties",
                "it.pairs",
            ),
            (json!({"abcd": ""}), "string_above_max_length", "it.pairs.abcd"),
            (json!({"a": "12345"}), "string_above_max_length", "it.pairs.a"),
            (json!({"a": 1}), "invalid_type", "it.pairs.a"),
        ] {
            assert_eq!(refused(json!({"name": "", "pairs": pairs})), pair(code, path));
        }
        let list = json!({"name": "", "list": [{"type": "y"}, {"type": "x"}]});
        assert_eq!(refused(list), pair("missing_required_parameter", "it.list[1].n"));
        let list = json!({"name": "", "list": [{"type": "z"}]});
        assert_eq!(refused(list), pair("invalid_value", "it.list[0].type"));
        let list = json!({"name": "", "list": [{}]});
        assert_eq!(
            refused(list),
            pair("missing_required_parameter", "it.list[0].type")
        );
    }
}
