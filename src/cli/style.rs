//! How text on stderr looks, with colours and without.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

/// Colours text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    enabled: bool,
}

impl Paint {
    pub fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    pub fn is_enabled(self) -> bool {
        self.enabled
    }

    /// What matters less than the words.
    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    pub fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub fn error(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    pub fn warning(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default().bold(), text)
    }

    pub fn help(self, text: &str) -> String {
        self.with(AnsiColor::Cyan.on_default().bold(), text)
    }

    /// Names of tools and agents.
    pub fn name(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// What belongs to spans of a kind.
    pub fn kind(self, kind: &str, text: &str) -> String {
        let color = match kind {
            "agent" => AnsiColor::Blue,
            "generation" | "response" => AnsiColor::Magenta,
            "speech" | "speech_group" | "transcription" => AnsiColor::Cyan,
            "guardrail" => AnsiColor::Yellow,
            _ => AnsiColor::Green,
        };
        self.with(color.on_default(), text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.enabled {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// `text` without control characters, which could make a terminal do things, and without those that turn the direction
/// of what follows; line breaks and tabs may stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_harmful = |c: char| (c.is_control() && c != '\n' && c != '\t') || turns(c);
    if text.contains(is_harmful) {
        text.replace(is_harmful, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// `text` in one line of at most `limit` characters, harmless to a terminal.
pub fn in_one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        line += word;
        if words.peek().is_some() {
            line.push(' ');
        }
        if line.len() > 4 * limit {
            break;
        }
    }
    let mut shown: String = harmless(&line).chars().take(limit).collect();
    if shown.chars().count() < line.chars().count() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(
            harmless("a\x1b[31mb\r\u{9b}c\nd\te"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}c\nd\te"
        );
        assert_eq!(harmless("a\u{202e}b\u{2069}"), "a\u{fffd}b\u{fffd}");
        assert!(matches!(harmless("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_text_is_shown_in_one_line() {
        assert_eq!(in_one_line(" two\n  lines\x07", 80), "two lines\u{fffd}");
        assert_eq!(in_one_line("abcdef", 3), "abc…");
        assert_eq!(in_one_line(&"ü ".repeat(10_000), 4), "ü ü …");
    }

    #[test]
    fn colour_is_only_there_when_enabled() {
        assert_eq!(Paint::new(false).error("x"), "x");
        assert!(Paint::new(true).error("x").contains("\x1b["));
    }
}
