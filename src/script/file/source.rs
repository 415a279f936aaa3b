//! A file that a script is made of: its own, or one that it includes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file::{Diagnostic, OtherFile};
use crate::script::Place;

/// A file that a script is made of.
#[derive(Debug)]
pub(super) struct Source {
    /// What people know it by.
    pub name: String,
    /// What paths in it count from.
    pub directory: PathBuf,
    /// The file as diagnostics show it, unless it is the script's own.
    pub other: Option<Arc<OtherFile>>,
    /// Where lines end.
    breaks: Vec<usize>,
}

impl Source {
    pub fn new(name: &str, text: &str, directory: &Path, other: Option<Arc<OtherFile>>) -> Self {
        Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
            other,
            breaks: text.match_indices('\n').map(|(at, _)| at).collect(),
        }
    }

    /// The place of some bytes of the file.
    pub fn place(&self, span: &Range<usize>) -> Place {
        Place {
            file: self.name.clone(),
            line: self.breaks.partition_point(|at| *at < span.start) + 1,
        }
    }

    /// Mistakes in this file, as mistakes of the script.
    pub fn own(&self, mistakes: Vec<Diagnostic>) -> impl Iterator<Item = Diagnostic> {
        mistakes
            .into_iter()
            .map(|mistake| mistake.in_file(self.other.clone()))
    }
}
