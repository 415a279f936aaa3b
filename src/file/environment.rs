//! Values from the environment: `${NAME}` in a string stands for one, and `$${` for the characters `${`.

use std::ops::Range;

use super::diagnostics::Diagnostic;

/// Looks up a variable of the environment.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Why a `${…}` could not be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The reference as it was written.
    reference: String,
    reason: Reason,
}

#[derive(Debug, PartialEq, Eq)]
enum Reason {
    Missing,
    NoName,
    NotClosed,
}

impl Failure {
    /// The mistake, in a value that has `span` and is written as `source`.
    pub fn within(&self, source: &str, span: &Range<usize>) -> Diagnostic {
        let start = source.find(&self.reference).map(|offset| span.start + offset);
        let place = start.map_or(span.clone(), |start| start..start + self.reference.len());
        let escape = "write `$${` for the characters `${` themselves";
        match self.reason {
            Reason::Missing => {
                let name = self.reference.trim_start_matches("${").trim_end_matches('}');
                Diagnostic::at(place, format!("the environment variable `{name}` is not set"))
                    .help(format!("set it before the run, or {escape}"))
            }
            Reason::NoName => Diagnostic::at(
                place,
                format!("`{}` does not name an environment variable", self.reference),
            )
            .help(format!("names are made of letters, digits and `_`; {escape}")),
            Reason::NotClosed => Diagnostic::at(place, "a `}` is missing after `${`").help(escape),
        }
    }
}

/// Replaces each `${NAME}` in `text`, or tells of all that can't be.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<String, Vec<Failure>> {
    let mut expanded = String::with_capacity(text.len());
    let mut failures = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded += before;
            expanded += "${";
            rest = &reference[2..];
            continue;
        }
        expanded += before;
        match value_of(reference, environment) {
            Ok((value, length)) => {
                expanded += &value;
                rest = &reference[length..];
            }
            Err(failure) => {
                rest = &reference[failure.reference.len()..];
                failures.push(failure);
            }
        }
    }
    expanded += rest;
    if failures.is_empty() {
        Ok(expanded)
    } else {
        Err(failures)
    }
}

/// The value of the reference that `text` starts with, and the reference's length.
fn value_of(text: &str, environment: &Environment) -> Result<(String, usize), Failure> {
    let fail = |length: usize, reason| Failure {
        reference: text[..length].to_owned(),
        reason,
    };
    let name_end = 2 + text[2..].bytes().take_while(|byte| is_name_byte(*byte)).count();
    let close = text
        .find('}')
        .filter(|close| !text[2..*close].contains(['\n', '$']));
    let close = close.ok_or_else(|| fail(name_end, Reason::NotClosed))?;
    let name = &text[2..close];
    if name_end != close || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(fail(close + 1, Reason::NoName));
    }
    let value = environment(name).ok_or_else(|| fail(close + 1, Reason::Missing))?;
    Ok((value, close + 1))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada(name: &str) -> Option<String> {
        (name == "USER_NAME").then(|| "Ada ${X}".to_owned())
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(expand("Hi ${USER_NAME}!", &ada), Ok("Hi Ada ${X}!".into()));
        assert_eq!(expand("costs $5 {x}", &ada), Ok("costs $5 {x}".into()));
    }

    #[test]
    fn a_doubled_dollar_sign_keeps_the_characters() {
        assert_eq!(
            expand("$${USER_NAME} $$ ${USER_NAME}", &ada),
            Ok("${USER_NAME} $$ Ada ${X}".into())
        );
    }

    #[test]
    fn every_failure_is_told() {
        let failures = expand("${A} ${not a name} ${} ${USER_NAME} ${B ${1}", &ada).unwrap_err();
        let reasons: Vec<_> = failures.into_iter().map(|f| (f.reference, f.reason)).collect();
        assert_eq!(
            reasons,
            [
                ("${A}".to_owned(), Reason::Missing),
                ("${not a name}".to_owned(), Reason::NoName),
                ("${}".to_owned(), Reason::NoName),
                ("${B".to_owned(), Reason::NotClosed),
                ("${1}".to_owned(), Reason::NoName),
            ]
        );
    }
}
