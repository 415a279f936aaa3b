//! The report for programs.

use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::wire::{Attempt, Report};
use crate::cli::keys::Keys;
use crate::cli::smoke::results::{Results, ScriptResult};

/// The report as JSON, laid out.
pub fn report(results: &Results, keys: &Keys) -> serde_json::Result<String> {
    let attempts = results.scripts.iter().flat_map(ScriptResult::attempts);
    let report = clean(&Report::new(results, attempts.map(Attempt::new)), keys)?;
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// The JSON Schema of reports.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<Report<Attempt>>();
    schema.insert("title".to_owned(), "A report of smoke tests".into());
    schema.to_value()
}

/// What something tells as JSON, without the keys.
pub fn clean(told: &impl Serialize, keys: &Keys) -> serde_json::Result<Value> {
    let mut told = serde_json::to_value(told)?;
    hide(&mut told, keys);
    Ok(told)
}

/// Takes the keys out of every text. What is read by JSON's parser is not nested deeper than that allows.
fn hide(told: &mut Value, keys: &Keys) {
    match told {
        Value::String(text) => *text = keys.clean(text),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, keys)),
        Value::Object(fields) => {
            let hidden = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                hide(&mut value, keys);
                (keys.clean(&name), value)
            });
            *fields = hidden.collect();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::smoke::report::samples::{self, HOSTILE, KEY};

    fn keys() -> Keys {
        [KEY.to_owned()].into_iter().collect()
    }

    fn told() -> Value {
        serde_json::from_str(&report(&samples::results(), &keys()).unwrap()).unwrap()
    }

    #[test]
    fn the_schema_in_the_repository_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/report.schema.json");
        let fresh = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(path, &fresh).unwrap();
        }
        assert!(
            fs::read_to_string(path).unwrap_or_default() == fresh,
            "docs/report.schema.json is stale: UPDATE_SCHEMA=1 cargo test --bin realtime-run report writes it anew"
        );
    }

    #[test]
    fn a_report_follows_the_schema_and_names_nothing_that_it_does_not() {
        let mut closed = schema();
        close(&mut closed);
        let validator = jsonschema::draft202012::new(&closed).unwrap();
        let mistakes: Vec<_> = validator
            .iter_errors(&told())
            .map(|error| error.to_string())
            .collect();
        assert_eq!(mistakes, [""; 0]);
    }

    /// Refuses fields that the schema does not name.
    fn close(schema: &mut Value) {
        if let Value::Object(fields) = schema {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(close);
        }
    }

    #[test]
    fn it_tells_how_each_stands_and_what_is_not_known_is_null() {
        let told = told();
        let scripts = told["scripts"].as_array().unwrap();
        let status: Vec<_> = scripts
            .iter()
            .map(|script| script["status"].as_str().unwrap())
            .collect();
        assert_eq!(
            status,
            ["passed", "flaky", "failed", "broken", "not_run", "flaky"]
        );
        assert_eq!(scripts[2]["name"], HOSTILE);
        assert_eq!(
            (&scripts[4]["pass_rate"], &scripts[4]["first_word"]),
            (&Value::Null, &Value::Null)
        );
        let broken = &scripts[3]["runs"][0]["attempts"][0];
        assert_eq!(broken["status"], "broken");
        assert_eq!(broken["turns"][0]["expectations"][0]["met"], Value::Null);
        assert_eq!(broken["turns"][0]["duration_ms"], 1204.5);
        assert_eq!(told["totals"]["tokens"]["total"], 9 * 1_500);
        assert_eq!(told["totals"]["first_word"]["p50_ms"], 320.0);
    }

    #[test]
    fn no_key_is_in_it() {
        assert!(told().to_string().contains("It speaks of Oslo. ***"));
        assert!(!told().to_string().contains(KEY));
    }
}
