//! TOML files that people write, and every mistake in them.
//!
//! In: the text of a file. Out: a tree that knows where each value stands (`document`), with values from the environment
//! put in (`environment`); what of its shape does not follow a schema (`schema`, `structure`); where in texts with a
//! syntax of their own mistakes are (`passage`); and [`Diagnostics`], which show each mistake with its line, the text
//! underlined and what would be right. Which kinds of files there are, and what they mean, is known to the rooms that
//! read them.

mod diagnostics;
mod document;
mod environment;
mod names;
mod passage;
mod schema;
mod structure;
mod text;

use std::path::Path;

use toml::de::DeTable;

pub use diagnostics::{Diagnostic, Diagnostics, OtherFile};
pub(crate) use document::{Content, Node, Text};
pub(crate) use environment::Environment;
pub(crate) use names::{misspelt, nearest, quoted};
pub use passage::InvalidPattern;
pub(crate) use passage::{Passage, check_pattern, pattern};
pub(crate) use schema::json_schema;
pub(crate) use structure::{Form, Hints, check_shape, explain_all};
pub(crate) use text::read as read_text;

/// Reads the file at `path` and parses it. `parse` gets what people know the file by, its text, and the directory that
/// paths in it count from.
///
/// # Errors
/// All mistakes of the file, or why it can't be read at all.
pub(crate) fn load<T>(
    path: &Path,
    parse: impl FnOnce(&str, &str, &Path) -> Result<T, Diagnostics>,
) -> Result<T, Diagnostics> {
    let name = path.display().to_string();
    let unreadable = |reason: String| Diagnostics::new(&name, "", vec![Diagnostic::whole(reason)]);
    let text = read_text(path).map_err(|reason| unreadable(format!("can't be read: {reason}")))?;
    // What the file refers to may be needed after the process has moved to another directory.
    let absolute = std::path::absolute(path).map_err(|error| unreadable(error.to_string()))?;
    parse(&name, &text, absolute.parent().unwrap_or(Path::new("/")))
}

/// The keys at the top of the file at `path`, as far as it can be read: by them kinds of files are told apart.
pub fn top_level_keys(path: &Path) -> Vec<String> {
    let text = read_text(path).unwrap_or_default();
    let (table, _) = DeTable::parse_recoverable(&text);
    let keys = table.get_ref().keys();
    keys.map(|key| key.get_ref().to_string()).collect()
}
