//! Texts in a file that have a syntax of their own, such as templates and patterns, and where in them mistakes are.

use std::ops::Range;
use std::sync::Arc;

use regex::Regex;

use super::diagnostics::{Diagnostic, OtherFile};
use super::document::{Node, Text};

/// Where a template, or another text with a syntax of its own, stands.
pub(crate) struct Passage<'a> {
    /// What to underline where nothing closer is known.
    whole: Range<usize>,
    pub text: &'a str,
    /// Where `text` begins, if it stands in the file as it is.
    start: Option<usize>,
    /// Whether its words may be shown.
    pub is_shown: bool,
    file: Option<Arc<OtherFile>>,
}

impl<'a> Passage<'a> {
    /// Where the text of `node` stands in a file that was written as `source`.
    pub fn of(source: &str, node: &Node, text: &'a Text) -> Self {
        let is_shown = !node.is_from_environment();
        let written = source.get(node.span.clone()).filter(|_| is_shown);
        Self {
            whole: node.span.clone(),
            text: &text.value,
            start: written
                .and_then(|written| written.find(text.value.as_str()))
                .map(|offset| node.span.start + offset),
            is_shown,
            file: None,
        }
    }

    /// The whole of another file, which is called `name`.
    pub fn of_file(name: &str, text: &'a str) -> Self {
        Self {
            whole: 0..text.len(),
            text,
            start: Some(0),
            is_shown: true,
            file: Some(Arc::new(OtherFile {
                name: name.to_owned(),
                text: text.to_owned(),
            })),
        }
    }

    /// A mistake in some bytes of the text, or in the whole of it.
    pub fn mistake(&self, range: Option<Range<usize>>, message: String) -> Diagnostic {
        let place = match (self.start, range) {
            (Some(start), Some(range)) => start + range.start..start + range.end,
            _ => self.whole.clone(),
        };
        Diagnostic::at(place, message).in_file(self.file.clone())
    }

    /// Where `name` is first spoken of.
    pub fn find(&self, name: &str) -> Option<Range<usize>> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let from = ["{{", "{%"]
            .iter()
            .filter_map(|mark| self.text.find(mark))
            .min()
            .unwrap_or(0);
        self.text[from..].match_indices(name).find_map(|(at, _)| {
            let (start, end) = (from + at, from + at + name.len());
            let is_whole = !self.text[..start].ends_with(is_part)
                && !self.text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
            is_whole.then_some(start..end)
        })
    }
}

/// What is wrong with a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidPattern {
    message: String,
    /// The bytes of the expression that are wrong, where that is known.
    pub(crate) range: Option<Range<usize>>,
}

/// Reads a regular expression in the syntax of the crate `regex`.
///
/// # Errors
/// When that is no regular expression, or one of unreasonable size.
pub(crate) fn pattern(text: &str) -> Result<Regex, InvalidPattern> {
    // The crate `regex` tells the place of a mistake only in a drawing; its parser tells it in numbers.
    Regex::new(text).map_err(|error| {
        let (message, span) = match regex_syntax::parse(text) {
            Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), Some(*error.span())),
            Err(regex_syntax::Error::Translate(error)) => (error.kind().to_string(), Some(*error.span())),
            _ => (error.to_string(), None),
        };
        let range = span.map(|span| span.start.offset..span.end.offset);
        InvalidPattern { message, range }
    })
}

/// What is wrong with the regular expression `node` in a file that was written as `source`.
pub(crate) fn check_pattern(source: &str, node: &Node) -> Option<Diagnostic> {
    let text = node.text()?;
    let error = pattern(&text.value).err()?;
    let place = Passage::of(source, node, text);
    let message = match place.is_shown {
        true => format!("this pattern can't be read: {error}"),
        false => "this pattern can't be read".to_owned(),
    };
    let mistake = place.mistake(error.range, message);
    Some(
        mistake.help(
            "patterns are regular expressions as the crate `regex` reads them, best between single quotes",
        ),
    )
}
