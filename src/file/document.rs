//! TOML as a tree whose values know where they stand.

use std::borrow::Cow;
use std::ops::Range;

use indexmap::IndexMap;
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::diagnostics::Diagnostic;
use super::environment::{self, Environment};

/// A value of a file that still knows where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The bytes of the value; of a table under a header, the header.
    pub span: Range<usize>,
    /// The bytes of its key; of an array's item, the item.
    pub key_span: Range<usize>,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Text(Text),
    Integer(Number),
    Float(Number),
    Boolean(bool),
    Array(Vec<Node>),
    Table(IndexMap<String, Node>),
    /// Something that was reported already and can't be judged any further.
    Unusable,
}

/// A string before and after values from the environment were put in.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// What messages may show: `${NAME}` in place of the value, which may be a secret.
    pub written: String,
    pub value: String,
}

impl Node {
    /// Reads TOML. All mistakes are added to `mistakes`; a file with mistakes of syntax gives no tree, since
    /// what follows one is guesswork.
    pub fn parse(text: &str, environment: &Environment, mistakes: &mut Vec<Diagnostic>) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let span = table.span();
            let content = Reader {
                text,
                environment,
                mistakes,
            }
            .table(table.get_ref());
            return Some(Self {
                span: span.clone(),
                key_span: span,
                content,
            });
        }
        mistakes.extend(errors.into_iter().map(|error| {
            let end = text.len()..text.len();
            let help = (error.message() == "duplicate key")
                .then_some("a key can be given only once, and so can the header of a table");
            Diagnostic::at(error.span().unwrap_or(end), error.message()).maybe_help(help)
        }));
        None
    }

    /// The value under `key`, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Table(table) => table.get(key),
            _ => None,
        }
    }

    /// The entries of a table; nothing else has any.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let table = match &self.content {
            Content::Table(table) => Some(table),
            _ => None,
        };
        table
            .into_iter()
            .flatten()
            .map(|(key, node)| (key.as_str(), node))
    }

    /// The items of an array; nothing else has any.
    pub fn items(&self) -> &[Self] {
        match &self.content {
            Content::Array(items) => items,
            _ => &[],
        }
    }

    /// The string this is.
    pub fn text(&self) -> Option<&Text> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        pointer
            .split('/')
            .skip(1)
            .try_fold(self, |node, step| match &node.content {
                Content::Table(table) => table.get(&step.replace("~1", "/").replace("~0", "~")),
                Content::Array(items) => items.get(step.parse::<usize>().ok()?),
                _ => None,
            })
    }

    /// The value as JSON.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Text(text) => Value::String(text.value.clone()),
            Content::Integer(number) => Value::Number(number.clone()),
            Content::Float(number) => Value::Number(whole(number).unwrap_or_else(|| number.clone())),
            Content::Boolean(flag) => Value::Bool(*flag),
            Content::Array(items) => items.iter().map(Self::to_json).collect(),
            Content::Table(table) => Value::Object(entries_to_json(table)),
            Content::Unusable => Value::Null,
        }
    }

    /// What kind of value this is, in words for people.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Text(_) => "a string",
            Content::Integer(_) => "an integer",
            Content::Float(_) => "a float",
            Content::Boolean(_) => "a boolean",
            Content::Array(_) => "an array",
            Content::Table(_) => "a table",
            Content::Unusable => "something else",
        }
    }

    /// Whether a part of this was taken from the environment.
    pub fn is_from_environment(&self) -> bool {
        self.text().is_some_and(|text| text.written != text.value)
            || self.items().iter().any(Self::is_from_environment)
            || self.entries().any(|(_, node)| node.is_from_environment())
    }

    /// Whether a mistake in this very value was reported while it was read.
    pub fn is_unusable(&self) -> bool {
        matches!(self.content, Content::Unusable)
    }
}

/// The integer that a float is equal to. To JSON Schema 24.0 is an integer, so it must be one to serde too.
fn whole(number: &Number) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: up to here every integer is a float
    let float = number
        .as_f64()
        .filter(|float| float.fract() == 0.0 && float.abs() <= EXACT)?;
    Some(Number::from(float as i64))
}

fn entries_to_json(table: &IndexMap<String, Node>) -> Map<String, Value> {
    table
        .iter()
        .map(|(key, node)| (key.clone(), node.to_json()))
        .collect()
}

/// Turns the parser's tree into nodes.
struct Reader<'a> {
    text: &'a str,
    environment: &'a Environment<'a>,
    mistakes: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Content {
        let entry = |(key, value): (&Spanned<_>, _)| {
            (
                String::from(Cow::clone(key.get_ref())),
                self.node(value, key.span()),
            )
        };
        Content::Table(table.iter().map(entry).collect())
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, key_span: Range<usize>) -> Node {
        let span = value.span();
        let content = match value.get_ref() {
            DeValue::String(string) => self.string(string, &span),
            DeValue::Integer(integer) => self.integer(integer, &span),
            DeValue::Float(float) => self.float(float, &span),
            DeValue::Boolean(flag) => Content::Boolean(*flag),
            DeValue::Array(items) => {
                Content::Array(items.iter().map(|item| self.node(item, item.span())).collect())
            }
            DeValue::Table(table) => self.table(table),
            DeValue::Datetime(_) => {
                self.unusable(&span, "dates are not used here", "quote it to make it a string")
            }
        };
        Node {
            span,
            key_span,
            content,
        }
    }

    fn string(&mut self, written: &str, span: &Range<usize>) -> Content {
        let source = self.text.get(span.clone()).unwrap_or_default();
        match environment::expand(written, self.environment) {
            Ok(value) => Content::Text(Text {
                written: written.to_owned(),
                value,
            }),
            Err(failures) => {
                self.mistakes
                    .extend(failures.into_iter().map(|failure| failure.within(source, span)));
                Content::Unusable
            }
        }
    }

    fn integer(&mut self, integer: &DeInteger<'_>, span: &Range<usize>) -> Content {
        let (digits, radix) = (integer.as_str(), integer.radix());
        let signed = i64::from_str_radix(digits, radix).map(Number::from);
        match signed.or_else(|_| u64::from_str_radix(digits, radix).map(Number::from)) {
            Ok(number) => Content::Integer(number),
            Err(_) => self.unusable(
                span,
                "the number is too large",
                "the largest integer is 18446744073709551615",
            ),
        }
    }

    fn float(&mut self, float: &DeFloat<'_>, span: &Range<usize>) -> Content {
        match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Content::Float(number),
            None => self.unusable(
                span,
                "the number is not finite",
                "`inf` and `nan` are not used here",
            ),
        }
    }

    fn unusable(&mut self, span: &Range<usize>, message: &str, help: &str) -> Content {
        self.mistakes
            .push(Diagnostic::at(span.clone(), message).help(help));
        Content::Unusable
    }
}
