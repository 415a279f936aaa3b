//! The characters that things are drawn with, and the locale's say in it.

use std::borrow::Cow;
use std::env;

/// The characters that trees and bars are drawn with.
#[derive(Debug, Clone, Copy)]
pub struct Glyphs {
    /// Nothing but ASCII is shown.
    pub is_ascii: bool,
    /// A child that others follow.
    pub fork: &'static str,
    /// The last child.
    pub last_fork: &'static str,
    /// Past a parent that has more children.
    pub trunk: &'static str,
    /// What is left out.
    pub ellipsis: &'static str,
    /// A moment on the axis.
    pub tick: char,
    /// A cell that a bar fills.
    pub full: char,
    /// A cell of which a bar fills the left half.
    pub left: char,
    /// A cell of which a bar fills the right half.
    pub right: char,
    /// A cell of a bar whose end is not known.
    pub open: char,
    /// The moment in a bar when the first of an answer came.
    pub mark: char,
}

/// A width of indentation where nothing is drawn.
pub const INDENT: &str = "   ";

impl Glyphs {
    pub const UNICODE: Self = Self {
        is_ascii: false,
        fork: "├─ ",
        last_fork: "└─ ",
        trunk: "│  ",
        ellipsis: "…",
        tick: '╷',
        full: '━',
        left: '╸',
        right: '╺',
        open: '╍',
        mark: '╋',
    };
    const ASCII: Self = Self {
        is_ascii: true,
        fork: "|- ",
        last_fork: "`- ",
        trunk: "|  ",
        ellipsis: "...",
        tick: '|',
        full: '=',
        left: '=',
        right: '=',
        open: '-',
        mark: '+',
    };

    /// Those that the locale can show: where one is named that is not of UTF-8, ASCII.
    pub fn of_locale() -> Self {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let named = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
        Self::of_locale_named(named.as_deref())
    }

    /// Those that a locale of this name can show.
    pub fn of_locale_named(locale: Option<&str>) -> Self {
        let is_utf8 = |locale: &str| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        };
        if locale.is_none_or(is_utf8) {
            Self::UNICODE
        } else {
            Self::ASCII
        }
    }

    /// `text` in characters that can be shown.
    pub fn spell(self, text: &str) -> Cow<'_, str> {
        if !self.is_ascii || text.is_ascii() {
            return text.into();
        }
        let text = text.replace('→', "->").replace('µ', "u").replace('…', "...");
        text.replace(|c: char| !c.is_ascii(), "?").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides() {
        for utf8 in [None, Some("C.UTF-8"), Some("de_DE.utf8")] {
            assert_eq!(Glyphs::of_locale_named(utf8).fork, "├─ ");
        }
        for other in ["C", "POSIX", "de_DE.ISO-8859-1"] {
            assert_eq!(Glyphs::of_locale_named(Some(other)).fork, "|- ");
        }
    }

    #[test]
    fn ascii_spells_what_it_can() {
        assert_eq!(Glyphs::ASCII.spell("Zoë → Bob…  3 µs"), "Zo? -> Bob...  3 us");
        assert_eq!(Glyphs::UNICODE.spell("Zoë →"), "Zoë →");
    }
}
