//! Whether the arguments of a call have at least what is expected of them.

use serde_json::Value;

/// Differences that are told at the most; whoever has three of them will look at the whole.
const MAX_TOLD: usize = 3;

/// What of `expected` is not in `actual`, in words for people: objects may have more keys, all else is equal.
pub(super) fn differences(expected: &Value, actual: &Value) -> Vec<String> {
    let mut told = Vec::new();
    compare("args", expected, Some(actual), &mut told);
    told.truncate(MAX_TOLD);
    told
}

fn compare(path: &str, expected: &Value, actual: Option<&Value>, told: &mut Vec<String>) {
    match (expected, actual) {
        (expected, None) => told.push(format!("{path} is missing (expected {expected})")),
        (Value::Object(expected), Some(Value::Object(actual))) => {
            for (key, value) in expected {
                compare(&format!("{path}.{key}"), value, actual.get(key), told);
            }
        }
        (Value::Array(expected), Some(Value::Array(actual))) if expected.len() == actual.len() => {
            for (place, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(&format!("{path}[{place}]"), expected, Some(actual), told);
            }
        }
        (expected, Some(actual)) if are_equal(expected, actual) => {}
        (expected, Some(actual)) => told.push(format!("{path} is {actual}, not {expected}")),
    }
}

/// Numbers are equal by their value: models write 1 as well as 1.0.
fn are_equal(expected: &Value, actual: &Value) -> bool {
    match (expected.as_f64(), actual.as_f64()) {
        (Some(one), Some(other)) => one == other || expected == actual,
        _ => expected == actual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_may_have_more_and_all_else_is_equal() {
        let actual = json!({"city": "Rome", "days": 3.0, "at": {"hour": 9, "minute": 0}, "tags": ["a", {"b": 1, "c": 2}]});
        for expected in [
            json!({}),
            json!({"city": "Rome"}),
            json!({"days": 3}),
            json!({"at": {"hour": 9}}),
            json!({"tags": ["a", {"b": 1}]}),
        ] {
            assert_eq!(differences(&expected, &actual), [""; 0], "{expected}");
        }
    }

    #[test]
    fn each_difference_is_told_by_its_path() {
        let actual = json!({"city": "Milan", "at": {"hour": 9}, "tags": ["a", "b"], "note": null});
        let told = |expected: Value| differences(&expected, &actual);
        assert_eq!(
            told(json!({"city": "Rome", "at": {"hour": 10, "minute": 0}})),
            [
                r#"args.city is "Milan", not "Rome""#,
                "args.at.hour is 9, not 10",
                "args.at.minute is missing (expected 0)",
            ]
        );
        assert_eq!(
            told(json!({"tags": ["a", "c"]})),
            [r#"args.tags[1] is "b", not "c""#]
        );
        assert_eq!(
            told(json!({"tags": ["a"]})),
            [r#"args.tags is ["a","b"], not ["a"]"#]
        );
        assert_eq!(
            told(json!({"note": {"a": 1}})),
            [r#"args.note is null, not {"a":1}"#]
        );
        assert_eq!(told(json!({"a": 1, "b": 1, "c": 1, "d": 1})).len(), MAX_TOLD);
    }

    #[test]
    fn arguments_that_are_no_object_are_told_whole() {
        assert_eq!(
            differences(&json!({"city": "Rome"}), &json!("Rome")),
            [r#"args is "Rome", not {"city":"Rome"}"#]
        );
    }
}
