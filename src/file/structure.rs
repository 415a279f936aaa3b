//! The shape of a file: which keys there may be and what kinds of values they take. A schema decides; here its
//! findings are put into words for people.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::Value;

use super::diagnostics::Diagnostic;
use super::document::Node;
use super::names::nearest;

/// A kind of file: what it may hold, and what people are told about it.
pub(crate) struct Form {
    schema: Value,
    validator: Validator,
    hints: Hints,
}

/// What to tell people about keys and values that are easily got wrong. Places are JSON pointers into the file.
pub(crate) struct Hints {
    /// What is right instead of an unknown key in the table at a place.
    pub unknown_key: fn(&str, &str) -> Option<&'static str>,
    /// An example of what may stand at a place.
    pub example: fn(&str) -> Option<&'static str>,
}

impl Form {
    /// The kind of file that a schema describes.
    ///
    /// # Errors
    /// When the schema is broken.
    pub fn new(schema: Value, hints: Hints) -> Result<Self, String> {
        let validator = jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())?;
        Ok(Self {
            schema,
            validator,
            hints,
        })
    }

    /// All that is wrong with the shape of the file `root`.
    fn check(&self, root: &Node) -> Vec<Diagnostic> {
        let explainer = Explainer {
            root,
            form: Some(self),
        };
        explainer.explain_all(&self.validator)
    }
}

/// All that is wrong with the shape of the file `root`, by the form of its kind if that could be made.
pub(crate) fn check_shape(form: &Result<Form, String>, root: &Node) -> Vec<Diagnostic> {
    match form {
        Ok(form) => form.check(root),
        Err(error) => vec![Diagnostic::whole(format!(
            "can't be checked, as its own schema is broken: {error}"
        ))],
    }
}

/// All the mistakes that `validator` finds in `node`, where no more is known of its schema than they say.
pub(crate) fn explain_all(node: &Node, validator: &Validator) -> Vec<Diagnostic> {
    let explainer = Explainer {
        root: node,
        form: None,
    };
    explainer.explain_all(validator)
}

/// Puts the findings of a validator into words.
struct Explainer<'a> {
    /// What was validated.
    root: &'a Node,
    /// What it was validated against; none where no more is known than the findings themselves say.
    form: Option<&'a Form>,
}

impl Explainer<'_> {
    fn explain_all(&self, validator: &Validator) -> Vec<Diagnostic> {
        let value = self.root.to_json();
        let errors = validator.iter_errors(&value);
        errors.flat_map(|error| self.explain(&error)).collect()
    }

    fn place(&self, pointer: &str) -> &Node {
        self.root.at(pointer).unwrap_or(self.root)
    }

    fn explain(&self, error: &ValidationError<'_>) -> Vec<Diagnostic> {
        use ValidationErrorKind as Kind;
        let pointer = error.instance_path().as_str();
        let node = self.place(pointer);
        if node.is_unusable() {
            return Vec::new();
        }
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => unexpected
                .iter()
                .map(|key| self.unknown_key(error, node, key))
                .collect(),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.explain_branches(error, context)
            }
            Kind::Required { property } => self.missing_key(error, node, property).into_iter().collect(),
            Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } => {
                vec![self.mismatch(pointer, &expectations(error))]
            }
            _ => vec![
                Diagnostic::at(node.span.clone(), self.out_of_bounds(error))
                    .maybe_help(self.example(pointer)),
            ],
        }
    }

    fn unknown_key(&self, error: &ValidationError<'_>, table: &Node, key: &str) -> Diagnostic {
        let known = self.known_keys(error);
        let span = table.get(key).map_or(&table.span, |node| &node.key_span);
        let hint = self
            .form
            .and_then(|form| (form.hints.unknown_key)(error.instance_path().as_str(), key));
        let help = hint
            .map(str::to_owned)
            .or_else(|| nearest(key, known.iter().copied()).map(|near| format!("did you mean `{near}`?")))
            .unwrap_or_else(|| format!("known keys here: {}", listed(&known, "and", '`')));
        Diagnostic::at(span.clone(), format!("unknown key `{key}`")).help(help)
    }

    /// A missing key is no mistake of its own where an unknown one looks like it.
    fn missing_key(&self, error: &ValidationError<'_>, table: &Node, property: &Value) -> Option<Diagnostic> {
        let key = property.as_str()?;
        let known = self.known_keys(error);
        let mut unknown = table
            .entries()
            .map(|(key, _)| key)
            .filter(|key| !known.contains(key));
        if unknown.any(|unknown| nearest(unknown, known.iter().copied()) == Some(key)) {
            return None;
        }
        let example = self.example(&format!("{}/{key}", error.instance_path()));
        let mistake = Diagnostic::at(table.key_span.clone(), format!("`{key}` is missing"));
        Some(mistake.maybe_help(example))
    }

    fn known_keys(&self, error: &ValidationError<'_>) -> Vec<&str> {
        let properties = self.keyword(error, "properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect()
    }

    /// An example of what may stand at `pointer`.
    fn example(&self, pointer: &str) -> Option<&'static str> {
        self.form.and_then(|form| (form.hints.example)(pointer))
    }

    /// The mistake of a value that is none of what was expected.
    fn mismatch(&self, pointer: &str, expected: &[String]) -> Diagnostic {
        let node = self.place(pointer);
        let words: Vec<&str> = expected.iter().map(String::as_str).collect();
        let near = node.text().and_then(|text| nearest_word(&text.written, &words));
        let found = match node.text() {
            Some(_) if words.iter().any(|word| word.starts_with('"')) => String::new(),
            _ => format!(", found {}", node.kind()),
        };
        let help = near.map(|near| format!("did you mean {near}?"));
        Diagnostic::at(
            node.span.clone(),
            format!("expected {}{found}", listed(&words, "or", ' ')),
        )
        .maybe_help(help.or_else(|| self.example(pointer).map(str::to_owned)))
    }

    /// What is wrong with a number, a length or a count.
    fn out_of_bounds(&self, error: &ValidationError<'_>) -> String {
        use ValidationErrorKind as Kind;
        match error.kind() {
            Kind::Minimum { .. } | Kind::Maximum { .. } => self.out_of_range(error),
            Kind::MinItems { .. } | Kind::MaxItems { .. } => self.wrong_length(error),
            Kind::MaxLength { limit } => format!("too long: at most {limit} characters are allowed"),
            Kind::MinProperties { .. } => "at least one entry is expected here".to_owned(),
            _ => error.masked().to_string(),
        }
    }

    fn out_of_range(&self, error: &ValidationError<'_>) -> String {
        let limit = |name| self.keyword(error, name).and_then(Value::as_f64);
        match (limit("minimum"), limit("maximum")) {
            (Some(least), Some(most)) => format!("out of range: it must be from {least} to {most}"),
            (Some(least), None) => format!("out of range: it must be at least {least}"),
            (None, Some(most)) => format!("out of range: it must be at most {most}"),
            (None, None) => error.masked().to_string(),
        }
    }

    fn wrong_length(&self, error: &ValidationError<'_>) -> String {
        let limit = |name| self.keyword(error, name).and_then(Value::as_u64);
        match (limit("minItems"), limit("maxItems")) {
            (Some(1), Some(1)) => "exactly one item is expected here".to_owned(),
            (Some(least), Some(most)) => format!("{least} to {most} items are expected here"),
            (Some(1), None) => "at least one item is expected here".to_owned(),
            _ => error.masked().to_string(),
        }
    }

    /// The value of another keyword in the part of the schema that `error` comes from.
    fn keyword(&self, error: &ValidationError<'_>, name: &str) -> Option<&Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.form?.schema.pointer(parent)?.get(name)
    }

    /// A value that fits none of several shapes: tells what is wrong with it by the shape that it comes nearest.
    fn explain_branches(
        &self,
        error: &ValidationError<'_>,
        branches: &[Vec<ValidationError<'_>>],
    ) -> Vec<Diagnostic> {
        let here = error.instance_path().as_str();
        let of_its_kind = branches
            .iter()
            .filter(|errors| !errors.iter().any(|error| is_mismatch(error, here)));
        let candidates: Vec<_> = of_its_kind.collect();
        let nearest = candidates
            .iter()
            .min_by_key(|errors| (errors.iter().any(is_wrong_tag), errors.len()));
        let Some(nearest) = nearest else {
            return vec![self.mismatch(here, &expectations(error))];
        };
        let Some(wrong) = nearest.iter().find(|error| is_wrong_tag(error)) else {
            return nearest.iter().flat_map(|error| self.explain(error)).collect();
        };
        let all = candidates.iter().flat_map(|errors| errors.iter());
        let tags: Vec<_> = all
            .filter(|error| is_wrong_tag(error))
            .flat_map(expectations)
            .collect();
        vec![self.mismatch(wrong.instance_path().as_str(), &tags)]
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
            let words = context
                .iter()
                .filter_map(|errors| most_telling(errors))
                .flat_map(expectations);
            words.for_each(|word| {
                if !all.contains(&word) {
                    all.push(word)
                }
            });
            all
        }
        _ => Vec::new(),
    }
}

/// A list of words says more than "a string".
fn most_telling<'a, 'b>(errors: &'a [ValidationError<'b>]) -> Option<&'a ValidationError<'b>> {
    let is_list = |error: &&ValidationError<'_>| {
        matches!(
            error.kind(),
            ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. }
        )
    };
    errors.iter().find(is_list).or(errors.first())
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
