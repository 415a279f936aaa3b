use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::Renderer;
use annotate_snippets::{AnnotationKind, Group, Level, Snippet, normalize_untrusted_str};

/// One mistake in an agent file.
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
}

impl Diagnostic {
    /// A mistake at `span`.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: Some(span),
            label: None,
            help: None,
        }
    }

    /// A mistake of the whole file.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            label: None,
            help: None,
        }
    }

    pub(super) fn label(mut self, text: impl Into<String>) -> Self {
        self.label = Some(text.into());
        self
    }

    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    pub(super) fn maybe_help(mut self, text: Option<impl Into<String>>) -> Self {
        self.help = text.map(Into::into);
        self
    }
}

/// All mistakes of one agent file, in the order of the file; never empty. Values taken from the environment are
/// in none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    source_name: String,
    text: String,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// `source_name` is what people know the file by; `text` is what the spans count in.
    pub(super) fn new(source_name: &str, text: &str, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|diagnostic| diagnostic.span.as_ref().map(|span| (span.start, span.end)));
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
    /// with colours if `color`. A line break ends it.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let rendered = self
            .list
            .iter()
            .map(|diagnostic| renderer.render(&[self.report(diagnostic)]) + "\n");
        rendered.collect::<Vec<_>>().join("\n")
    }

    fn report<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let group = match &diagnostic.span {
            Some(span) => {
                let annotation = AnnotationKind::Primary
                    .span(self.within(span))
                    .label(diagnostic.label.as_deref());
                let snippet = Snippet::source(&self.text)
                    .path(&self.source_name)
                    .annotation(annotation);
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

    /// The span, kept inside the text and on the bounds of its characters, as rendering requires.
    fn within(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        start..self.text.ceil_char_boundary(span.end.max(start))
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}
