//! What is said of a span wherever spans are shown as a tree.

use std::borrow::Cow;

use realtime_run::trace::{SpanData, SpanRecord, TreeNode, TreeSpan};

use super::cell::Cell;
use crate::cli::duration;
use crate::cli::glyphs::{Glyphs, INDENT};
use crate::cli::style::{Paint, in_one_line};

/// Characters of a name or an error that are shown.
pub const SHOWN: usize = 120;

/// The kind of span.
pub fn kind(node: &TreeNode) -> &'static str {
    node.record().map_or("span", |record| record.data.kind())
}

/// What tells it from its siblings.
pub fn name(node: &TreeNode, glyphs: Glyphs) -> String {
    let label = match node.record() {
        Some(record) => record.data.label(),
        None => Cow::Owned(node.id().to_string()),
    };
    words(&label, glyphs)
}

/// A text of whatever origin in a few words that a terminal can show.
pub fn words(text: &str, glyphs: Glyphs) -> String {
    glyphs.spell(&in_one_line(text, SHOWN)).into_owned()
}

/// How long it took; empty if it has not ended.
pub fn took(node: &TreeNode, glyphs: Glyphs) -> String {
    let took = node.record().and_then(SpanRecord::duration);
    took.map_or_else(String::new, |took| {
        glyphs.spell(&duration::show(took)).into_owned()
    })
}

/// What is out of the ordinary about a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remark<'a> {
    /// The work went wrong.
    Error(&'a str),
    /// Something else.
    Note(&'static str),
}

impl<'a> Remark<'a> {
    /// All of them.
    pub fn of(node: &'a TreeNode) -> Vec<Self> {
        let mut remarks = Vec::new();
        match &node.span {
            TreeSpan::Recorded(_) => {}
            TreeSpan::Circular(_) => remarks.push(Self::Note("its parents lead in a circle")),
            TreeSpan::Missing { .. } => {
                remarks.push(Self::Note("not recorded: it had not ended, or was lost"))
            }
        }
        if let Some(record) = node.record() {
            if record.ended_at.is_none() {
                remarks.push(Self::Note("not ended"));
            }
            if let SpanData::Guardrail { triggered: true, .. } = record.data {
                remarks.push(Self::Note("triggered"));
            }
            if let Some(error) = &record.error {
                remarks.push(Self::Error(&error.message));
            }
        }
        remarks
    }

    /// It in words, in a line of so many columns.
    pub fn show(self, columns: usize, glyphs: Glyphs, paint: Paint) -> String {
        let cell = Cell::new(columns, glyphs);
        let cell = match self {
            Self::Error(message) => cell
                .with("error:", |text| paint.error(text))
                .with(&format!(" {}", words(message, glyphs)), str::to_owned),
            Self::Note(note) => cell.with(note, |text| paint.warning(text)),
        };
        cell.into_text()
    }
}

/// The lines that join the nodes of a tree, asked for node by node.
#[derive(Debug)]
pub struct Branches {
    glyphs: Glyphs,
    /// How many levels are drawn; what is deeper stands side by side.
    levels: usize,
    /// Whether a level takes two columns instead of three.
    narrow: bool,
    /// For each level above, whether more comes there.
    open: Vec<bool>,
}

impl Branches {
    pub fn new(glyphs: Glyphs, levels: usize) -> Self {
        Self {
            glyphs,
            levels,
            narrow: false,
            open: Vec::new(),
        }
    }

    /// The same where columns are few.
    pub fn narrow(self) -> Self {
        Self { narrow: true, ..self }
    }

    /// What stands before the node.
    pub fn before(&mut self, node: &TreeNode) -> String {
        self.open.truncate(node.depth);
        let mut text = self.trunks();
        if node.depth >= self.levels {
            text += self.glyphs.ellipsis;
            text.push(' ');
        } else {
            let fork = if node.is_last {
                self.glyphs.last_fork
            } else {
                self.glyphs.fork
            };
            text.extend(self.level(fork));
        }
        self.open.push(!node.is_last);
        text
    }

    /// What stands before more lines about the node that was asked for last.
    pub fn trunks(&self) -> String {
        let trunk = |open: &bool| if *open { self.glyphs.trunk } else { INDENT };
        let drawn = self.open.iter().take(self.levels).map(trunk);
        drawn.flat_map(|level| self.level(level)).collect()
    }

    fn level<'a>(&self, drawn: &'a str) -> impl Iterator<Item = char> + use<'a> {
        let narrow = self.narrow;
        let mut place = 0..;
        drawn.chars().filter(move |_| place.next() != Some(1) || !narrow)
    }
}
