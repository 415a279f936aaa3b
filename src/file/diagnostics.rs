//! Mistakes in files, and how people are told of them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::Renderer;
use annotate_snippets::{AnnotationKind, Group, Level, Snippet, normalize_untrusted_str};

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// The bytes of the file that are wrong; none where the file as a whole is.
    pub span: Option<Range<usize>>,
    /// What to say right beside the underlined text.
    pub label: Option<String>,
    /// What would be right.
    pub help: Option<String>,
    /// The file that the span counts in, where it is one that the file refers to.
    pub file: Option<Arc<OtherFile>>,
}

/// A file that another one refers to.
#[derive(Debug, PartialEq, Eq)]
pub struct OtherFile {
    /// Its path as the other one has it.
    pub name: String,
    /// What it holds.
    pub text: String,
}

impl Diagnostic {
    /// A mistake at `span`.
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: Some(span),
            label: None,
            help: None,
            file: None,
        }
    }

    /// A mistake of the whole file.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            label: None,
            help: None,
            file: None,
        }
    }

    /// A file that can't be made sense of although no check objected: one of the checks is missing.
    pub(crate) fn overlooked() -> Self {
        Self::whole("it can't be read, and the checks did not find out why")
    }

    /// What mistakes are ordered by: those of other files come last.
    fn place(&self) -> (Option<&str>, Option<(usize, usize)>) {
        let file = self.file.as_ref().map(|file| file.name.as_str());
        (file, self.span.as_ref().map(|span| (span.start, span.end)))
    }

    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        self.label = Some(text.into());
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    pub(crate) fn in_file(mut self, file: Option<Arc<OtherFile>>) -> Self {
        self.file = file;
        self
    }

    pub(crate) fn maybe_help(mut self, text: Option<impl Into<String>>) -> Self {
        self.help = text.map(Into::into);
        self
    }
}

/// How many mistakes are written out: a file of another kind altogether can have thousands.
const SHOWN: usize = 100;

/// All mistakes of one file, in the order of the file; never empty. Values taken from the environment are
/// in none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    source_name: String,
    text: String,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// `source_name` is what people know the file by; `text` is what the spans count in.
    pub(crate) fn new(source_name: &str, text: &str, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by(|a, b| a.place().cmp(&b.place()));
        list.dedup();
        Self {
            source_name: source_name.to_owned(),
            text: text.to_owned(),
            list,
        }
    }

    /// The mistakes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// The mistakes as text for people: file, line and column, the text underlined, and what would be right;
    /// with colours if `color`; at most 100 of them are written out. A line break ends it.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let shown = self.list.iter().take(SHOWN);
        let mut rendered: Vec<String> = shown
            .map(|diagnostic| renderer.render(&[self.report(diagnostic)]) + "\n")
            .collect();
        if let Some(more) = self.list.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            rendered.push(format!(
                "{}: {more} mistakes more are not shown\n",
                self.source_name
            ));
        }
        rendered.join("\n")
    }

    fn report<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let group = match &diagnostic.span {
            Some(span) => {
                let (name, text) = match &diagnostic.file {
                    Some(file) => (&file.name, &file.text),
                    None => (&self.source_name, &self.text),
                };
                let annotation = AnnotationKind::Primary
                    .span(within(text, span))
                    .label(diagnostic.label.as_deref());
                let snippet = Snippet::source(text).path(name).annotation(annotation);
                Level::ERROR
                    .primary_title(normalize_untrusted_str(&diagnostic.message))
                    .element(snippet)
            }
            None => {
                let message = format!("{}: {}", self.source_name, diagnostic.message);
                Group::with_title(Level::ERROR.primary_title(normalize_untrusted_str(&message)))
            }
        };
        match &diagnostic.help {
            Some(help) => group.element(Level::HELP.message(normalize_untrusted_str(help))),
            None => group,
        }
    }
}

/// The span, kept inside the text and on the bounds of its characters, as rendering requires.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end.max(start))
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_need_not_fit_the_text() {
        let text = "é = 1";
        for span in [1..2, 0..99, 99..100, Range { start: 3, end: 1 }] {
            let diagnostics = Diagnostics::new("file.toml", text, vec![Diagnostic::at(span, "odd")]);
            assert!(diagnostics.render(false).starts_with("error: odd"));
        }
    }

    #[test]
    fn a_flood_of_mistakes_is_counted() {
        let flood = (0..150).map(|at| Diagnostic::at(at..at + 1, "odd")).collect();
        let rendered = Diagnostics::new("file.toml", &"x\n".repeat(100), flood).render(false);
        assert_eq!(rendered.matches("error: odd").count(), 100);
        assert!(
            rendered.ends_with("file.toml: 50 mistakes more are not shown\n"),
            "{rendered}"
        );
    }

    #[test]
    fn mistakes_stand_in_the_order_of_the_file() {
        let list = vec![
            Diagnostic::at(5..6, "second"),
            Diagnostic::at(0..1, "first"),
            Diagnostic::at(5..6, "second"),
        ];
        let diagnostics = Diagnostics::new("file.toml", "1234567", list);
        let messages: Vec<&str> = diagnostics
            .iter()
            .map(|diagnostic| diagnostic.message.as_str())
            .collect();
        assert_eq!(messages, ["first", "second"]);
    }
}
