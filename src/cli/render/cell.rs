//! Text in columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::glyphs::Glyphs;

/// Columns that `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text`, or as much of it as has room in so many columns and a sign that there is more.
pub fn fit(text: &str, room: usize, glyphs: Glyphs) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let rest = room.saturating_sub(width(glyphs.ellipsis));
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or(0);
        taken <= rest
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    shown.extend(glyphs.ellipsis.chars().take(room));
    shown
}

/// `text` at the right end of so many columns.
pub fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Columns with pieces of text one behind the other, each in its own colour.
#[derive(Debug)]
pub struct Cell {
    text: String,
    room: usize,
    glyphs: Glyphs,
}

impl Cell {
    pub fn new(columns: usize, glyphs: Glyphs) -> Self {
        Self {
            text: String::new(),
            room: columns,
            glyphs,
        }
    }

    /// The same with a piece more, as much of it as there is room for.
    pub fn with(mut self, piece: &str, paint: impl Fn(&str) -> String) -> Self {
        let shown = fit(piece, self.room, self.glyphs);
        if !shown.is_empty() {
            self.room -= width(&shown);
            self.text += &paint(&shown);
        }
        self
    }

    /// What is in it.
    pub fn into_text(self) -> String {
        self.text
    }

    /// What is in it, and what fills it up.
    pub fn into_filled(self) -> String {
        self.text + &" ".repeat(self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_the_columns_that_it_takes() {
        let glyphs = Glyphs::of_locale_named(None);
        assert_eq!(fit("abcdef", 6, glyphs), "abcdef");
        assert_eq!(fit("abcdef", 5, glyphs), "abcd…");
        assert_eq!(fit("日本語", 5, glyphs), "日本…");
        assert_eq!(fit("日本語", 4, glyphs), "日…");
        assert_eq!(fit("abc", 1, glyphs), "…");
        assert_eq!(fit("abc", 0, glyphs), "");
        let ascii = Glyphs::of_locale_named(Some("C"));
        assert_eq!(fit("abcdef", 5, ascii), "ab...");
        assert_eq!(fit("abcdef", 2, ascii), "..");
    }

    #[test]
    fn a_cell_is_as_wide_as_it_says() {
        let glyphs = Glyphs::of_locale_named(None);
        let cell = |columns| {
            Cell::new(columns, glyphs)
                .with("ab ", str::to_owned)
                .with("cde", |text| format!("<{text}>"))
        };
        assert_eq!(cell(8).into_filled(), "ab <cde>  ");
        assert_eq!(cell(5).into_filled(), "ab <c…>");
        assert_eq!(cell(3).into_filled(), "ab ");
        assert_eq!(cell(2).into_text(), "a…");
    }
}
