//! The report for programs.

use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::wire::{Attempt, Report};
use crate::cli::keys::Keys;
use crate::cli::smoke::results::Results;

/// The report as JSON, laid out.
pub fn report(results: &Results, keys: &Keys) -> serde_json::Result<String> {
    let report = clean(&Report::new(results, Attempt::new), keys)?;
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
