//! Text in the pieces in which a model writes it.

use std::time::Duration;

use crate::audio;
use crate::protocol::AudioFormat;

/// How long one spoken piece sounds.
pub(super) const SPOKEN: Duration = Duration::from_millis(200);

/// The longest piece, in characters: writing without spaces comes in pieces too.
const LONGEST: usize = 12;

/// Splits text into words, each with the space before it, and marks of punctuation. The pieces together are the
/// text; each stands for one token.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, tail) = rest.split_at(piece_length(rest));
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The bytes of the first piece.
fn piece_length(text: &str) -> usize {
    let mut seen_word = false;
    for (count, (at, c)) in text.char_indices().enumerate() {
        if count == LONGEST || (seen_word && !c.is_alphanumeric()) {
            return at;
        }
        seen_word |= c.is_alphanumeric();
        if !seen_word && !c.is_whitespace() {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// So many tokens has a text.
pub(super) fn tokens(text: &str) -> u64 {
    pieces(text).count() as u64
}

/// How a piece sounds: a tone of its own for each word, nothing for punctuation.
pub(super) fn sound(piece: &str, format: AudioFormat) -> Vec<u8> {
    if !is_spoken(piece) {
        return Vec::new();
    }
    // FNV-1a: the same word has the same tone in every run.
    let hash = piece
        .trim()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    audio::tone(220.0 + (hash % 440) as f32, SPOKEN, format)
}

/// Whether a piece can be heard.
pub(super) fn is_spoken(piece: &str) -> bool {
    piece.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_in_words_and_marks() {
        let split: Vec<_> = pieces("Hi there! It is 12.5 degrees, \"really\"…").collect();
        assert_eq!(
            split,
            [
                "Hi", " there", "!", " It", " is", " 12", ".", "5", " degrees", ",", " \"", "really", "\"",
                "…"
            ]
        );
    }

    #[test]
    fn no_piece_is_long_and_none_is_lost() {
        for text in [
            "",
            "   ",
            "東京の天気はどうですか。今日はとても良い天気ですね",
            "a\n\n  b",
            &"x".repeat(99),
        ] {
            assert_eq!(pieces(text).collect::<String>(), text);
            assert!(pieces(text).all(|piece| !piece.is_empty() && piece.chars().count() <= LONGEST));
        }
    }

    #[test]
    fn words_sound_and_marks_do_not() {
        let format = AudioFormat::PCM24;
        assert_eq!(format.millis(sound(" there", format).len() as u64), 200);
        assert_ne!(sound("Hi", format), sound("there", format));
        assert_eq!(sound("Hi", format), sound(" Hi", format));
        assert!(sound("!", format).is_empty());
    }
}
