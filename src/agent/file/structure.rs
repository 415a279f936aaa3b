//! The shape of an agent file: which keys there may be and what kinds of values they take. The schema decides;
//! here its findings are put into words for people.

use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::Value;

use super::document::Node;
use super::{hints, schema};
use crate::agent::diagnostics::Diagnostic;
use crate::agent::names::nearest;

/// The schema of agent files, ready for use.
static AGENT_FILE: LazyLock<Result<(Value, Validator), String>> = LazyLock::new(|| {
    let schema = schema::json_schema();
    let validator = jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())?;
    Ok((schema, validator))
});

/// All that is wrong with the shape of the file `root`.
pub(super) fn check(root: &Node) -> Vec<Diagnostic> {
    match &*AGENT_FILE {
        Ok((schema, validator)) => {
            let value = root.to_json();
            let explainer = Explainer { root, schema };
            validator
                .iter_errors(&value)
                .flat_map(|error| explainer.explain(&error))
                .collect()
        }
        Err(error) => vec![Diagnostic::whole(format!(
            "can't be checked, as its own schema is broken: {error}"
        ))],
    }
}

/// All that is wrong with a JSON schema that the file holds at `node`.
pub(super) fn check_json_schema(node: &Node) -> Vec<Diagnostic> {
    let value = node.to_json();
    let explainer = Explainer {
        root: node,
        schema: &Value::Null,
    };
    let meta = jsonschema::draft202012::meta::validator();
    let mistakes: Vec<_> = meta
        .iter_errors(&value)
        .flat_map(|error| explainer.explain(&error))
        .collect();
    if !mistakes.is_empty() {
        return mistakes;
    }
    // A schema may follow the rules and still be of no use, such as one with a broken pattern.
    match jsonschema::draft202012::new(&value) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let place = explainer.place(error.instance_path().as_str());
            vec![Diagnostic::at(
                place.span.clone(),
                format!("this JSON schema is of no use: {}", error.masked()),
            )]
        }
    }
}

/// Puts the findings of a validator into words.
struct Explainer<'a> {
    /// What was validated.
    root: &'a Node,
    /// What it was validated against; null where no more is known than the findings themselves say.
    schema: &'a Value,
}

impl Explainer<'_> {
    fn place(&self, pointer: &str) -> &Node {
        self.root.at(pointer).unwrap_or(self.root)
    }

    fn explain(&self, error: &ValidationError<'_>) -> Vec<Diagnostic> {
        let node = self.place(error.instance_path().as_str());
        if node.is_unusable() {
            return Vec::new();
        }
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
                .iter()
                .map(|key| self.unknown_key(error, node, key))
                .collect(),
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                self.explain_branches(error, node, context)
            }
            _ => vec![self.explain_one(error, node)],
        }
    }

    fn explain_one(&self, error: &ValidationError<'_>, node: &Node) -> Diagnostic {
        use ValidationErrorKind as Kind;
        let here = |message: String| Diagnostic::at(node.span.clone(), message);
        match error.kind() {
            Kind::Required { property } => self.missing_key(error, node, property),
            Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } => {
                mismatch(node, &expectations(error))
            }
            Kind::Minimum { .. } | Kind::Maximum { .. } => here(self.out_of_range(error)),
            Kind::MinItems { .. } | Kind::MaxItems { .. } => here(self.wrong_length(error, "item")),
            Kind::MaxLength { limit } => here(format!("too long: at most {limit} characters are allowed")),
            Kind::MinProperties { .. } => here("this table is empty".to_owned()),
            _ => here(error.masked().to_string()),
        }
    }

    fn unknown_key(&self, error: &ValidationError<'_>, table: &Node, key: &str) -> Diagnostic {
        let known: Vec<&str> = self
            .keyword(error, "properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let span = table.get(key).map_or(&table.span, |node| &node.key_span);
        let help = hints::unknown_key(error.instance_path().as_str(), key)
            .map(str::to_owned)
            .or_else(|| nearest(key, known.iter().copied()).map(|near| format!("did you mean `{near}`?")))
            .unwrap_or_else(|| format!("the keys known here are {}", listed(&known, "and", '`')));
        Diagnostic::at(span.clone(), format!("unknown key `{key}`")).help(help)
    }

    fn missing_key(&self, error: &ValidationError<'_>, table: &Node, property: &Value) -> Diagnostic {
        let key = property.as_str().unwrap_or_default();
        let description = self
            .keyword(error, "properties")
            .and_then(|properties| properties.get(key)?.get("description")?.as_str());
        Diagnostic::at(table.key_span.clone(), format!("`{key}` is missing")).maybe_help(
            hints::missing_key(key)
                .map(str::to_owned)
                .or_else(|| description.map(|text| format!("`{key}`: {text}"))),
        )
    }

    fn out_of_range(&self, error: &ValidationError<'_>) -> String {
        let limit = |name| self.keyword(error, name).map(Value::to_string);
        match (limit("minimum"), limit("maximum")) {
            (Some(least), Some(most)) => format!("out of range: it must be from {least} to {most}"),
            (Some(least), None) => format!("out of range: it must be at least {least}"),
            (None, Some(most)) => format!("out of range: it must be at most {most}"),
            (None, None) => error.masked().to_string(),
        }
    }

    fn wrong_length(&self, error: &ValidationError<'_>, unit: &str) -> String {
        let limit = |name| self.keyword(error, name).and_then(Value::as_u64);
        match (limit("minItems"), limit("maxItems")) {
            (Some(1), Some(1)) => format!("exactly one {unit} is expected here"),
            (Some(least), Some(most)) => format!("from {least} to {most} {unit}s are expected here"),
            (Some(1), None) => format!("at least one {unit} is expected here"),
            _ => error.masked().to_string(),
        }
    }

    /// The value of another keyword in the part of the schema that `error` comes from.
    fn keyword(&self, error: &ValidationError<'_>, name: &str) -> Option<&Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(parent)?.get(name)
    }

    /// A value that fits none of several shapes: tells what is wrong with it by the shape that it comes nearest.
    fn explain_branches(
        &self,
        error: &ValidationError<'_>,
        node: &Node,
        branches: &[Vec<ValidationError<'_>>],
    ) -> Vec<Diagnostic> {
        let here = error.instance_path().as_str();
        let of_its_kind = branches
            .iter()
            .filter(|errors| !errors.iter().any(|error| is_mismatch(error, here)));
        let candidates: Vec<_> = of_its_kind.collect();
        let best = candidates
            .iter()
            .min_by_key(|errors| (errors.iter().any(is_wrong_tag), errors.len()));
        let Some(best) = best else {
            return vec![mismatch(node, &expectations(error))];
        };
        let tags = candidates
            .iter()
            .flat_map(|errors| errors.iter())
            .filter(|error| is_wrong_tag(error));
        match best.iter().find(|error| is_wrong_tag(error)) {
            Some(wrong) => {
                let tags: Vec<_> = tags.flat_map(expectations).collect();
                vec![mismatch(self.place(wrong.instance_path().as_str()), &tags)]
            }
            None => best.iter().flat_map(|error| self.explain(error)).collect(),
        }
    }
}

/// Whether `error` says that the value at `pointer` is of another kind altogether.
fn is_mismatch(error: &ValidationError<'_>, pointer: &str) -> bool {
    use ValidationErrorKind as Kind;
    error.instance_path().as_str() == pointer
        && match error.kind() {
            Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } => true,
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => context
                .iter()
                .all(|errors| errors.iter().any(|error| is_mismatch(error, pointer))),
            _ => false,
        }
}

/// Whether `error` is about the one word that tells shapes apart, such as `type`.
fn is_wrong_tag(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Constant { .. })
}

/// What a value that does not fit could be, in words.
fn expectations(error: &ValidationError<'_>) -> Vec<String> {
    use ValidationErrorKind as Kind;
    match error.kind() {
        Kind::Type {
            kind: TypeKind::Single(kind),
        } => vec![kind_of_value(*kind).to_owned()],
        Kind::Type {
            kind: TypeKind::Multiple(kinds),
        } => kinds.iter().map(|kind| kind_of_value(kind).to_owned()).collect(),
        Kind::Constant { expected_value } => vec![expected_value.to_string()],
        Kind::Enum { options } => options
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::to_string)
            .collect(),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            let mut all: Vec<String> = Vec::new();
            for expectation in context
                .iter()
                .filter_map(|errors| errors.first())
                .flat_map(expectations)
            {
                if !all.contains(&expectation) {
                    all.push(expectation);
                }
            }
            all
        }
        _ => Vec::new(),
    }
}

/// The mistake of a value that is none of what was expected.
fn mismatch(node: &Node, expected: &[String]) -> Diagnostic {
    let words: Vec<&str> = expected.iter().map(String::as_str).collect();
    let near = node.text().and_then(|text| nearest_word(&text.written, &words));
    let found = match node.text() {
        Some(_) if words.iter().all(|word| word.starts_with('"')) => String::new(),
        _ => format!(", found {}", node.kind()),
    };
    Diagnostic::at(
        node.span.clone(),
        format!("expected {}{found}", listed(&words, "or", ' ')),
    )
    .maybe_help(near.map(|near| format!("did you mean {near}?")))
}

fn nearest_word<'a>(written: &str, words: &[&'a str]) -> Option<&'a str> {
    let near = nearest(written, words.iter().map(|word| word.trim_matches('"')))?;
    words
        .iter()
        .copied()
        .find(|word| word.starts_with('"') && word.trim_matches('"') == near)
}

fn kind_of_value(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Null => "nothing",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "an array",
        JsonType::Object => "a table",
    }
}

/// `a`, `b` and `c`, each in `quote` unless that is a space.
fn listed(words: &[&str], last: &str, quote: char) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("{quote}{word}{quote}").trim_matches(' ').to_owned())
        .collect();
    match quoted.as_slice() {
        [] => "something else".to_owned(),
        [only] => only.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_agent_files_is_a_good_one() {
        assert!(AGENT_FILE.is_ok(), "{:?}", AGENT_FILE.as_ref().err());
    }
}
