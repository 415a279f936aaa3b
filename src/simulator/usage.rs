//! What a response costs, counted the same way in every run (protocol.md section 7).

use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use serde_json::{Value, json};

use crate::protocol::{InputTokenDetails, Item, OutputTokenDetails, Part, TokenCounts, Usage};

use super::conversation::Sound;
use super::words;

/// Milliseconds of the user's and of the model's audio that make one token.
const HEARD_MS_PER_TOKEN: u64 = 100;
const SPOKEN_MS_PER_TOKEN: u64 = 50;
/// Tokens of a picture, whatever its size.
const IMAGE_TOKENS: u64 = 85;
/// The service's cache holds whole blocks of so many tokens.
const CACHE_BLOCK: u64 = 64;

/// Tokens by modality.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) text: u64,
    pub(super) audio: u64,
    pub(super) image: u64,
}

impl Tokens {
    pub(super) fn of_text(text: &str) -> Self {
        Self {
            text: words::tokens(text),
            ..Self::default()
        }
    }

    /// What an item costs as input.
    pub(super) fn of(item: &Item, sound: &Sound) -> Self {
        let mut tokens = match item {
            Item::Message(message) => {
                let images = message
                    .content
                    .iter()
                    .filter(|part| matches!(part, Part::InputImage { .. }));
                Self {
                    image: images.count() as u64 * IMAGE_TOKENS,
                    text: message
                        .content
                        .iter()
                        .filter_map(Part::words)
                        .map(words::tokens)
                        .sum(),
                    audio: 0,
                }
            }
            Item::FunctionCall(call) => Self::of_text(&call.arguments),
            Item::FunctionCallOutput(output) => Self::of_text(&output.output),
            Item::Other(value) => Self::of_text(&value.to_string()),
        };
        tokens.audio = match sound {
            Sound::None => 0,
            Sound::Heard { .. } => sound.millis().div_ceil(HEARD_MS_PER_TOKEN),
            Sound::Spoken { .. } => spoken_tokens(sound.millis()),
        };
        tokens
    }

    fn sum(self) -> u64 {
        self.text + self.audio + self.image
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.text += other.text;
        self.audio += other.audio;
        self.image += other.image;
    }
}

impl SubAssign for Tokens {
    fn sub_assign(&mut self, other: Self) {
        self.text -= other.text;
        self.audio -= other.audio;
        self.image -= other.image;
    }
}

/// Tokens of so much of the model's speech.
pub(super) fn spoken_tokens(millis: u64) -> u64 {
    millis.div_ceil(SPOKEN_MS_PER_TOKEN)
}

/// How long so many tokens of the model's speech sound, in milliseconds.
pub(super) fn spoken_ms(tokens: u64) -> u64 {
    tokens * SPOKEN_MS_PER_TOKEN
}

/// The bill of one response; `seen` is the input of the response before it, of which whole blocks were cached.
pub(super) fn bill(input: Tokens, output: Tokens, seen: Tokens) -> Usage {
    let cached = TokenCounts {
        text_tokens: seen.text.min(input.text) / CACHE_BLOCK * CACHE_BLOCK,
        audio_tokens: seen.audio.min(input.audio) / CACHE_BLOCK * CACHE_BLOCK,
        image_tokens: 0,
    };
    Usage {
        total_tokens: input.sum() + output.sum(),
        input_tokens: input.sum(),
        output_tokens: output.sum(),
        input_token_details: InputTokenDetails {
            text_tokens: input.text,
            audio_tokens: input.audio,
            image_tokens: input.image,
            cached_tokens: cached.text_tokens + cached.audio_tokens,
            cached_tokens_details: cached,
        },
        output_token_details: OutputTokenDetails {
            text_tokens: output.text,
            audio_tokens: output.audio,
        },
    }
}

/// What making words of speech costs: models of the gpt-4o family count tokens, others the time (protocol.md section 7).
pub(super) fn transcription_bill(model: &str, heard: Duration, transcript: &str) -> Value {
    if !model.starts_with("gpt-4o") {
        return json!({"type": "duration", "seconds": heard.as_secs_f64()});
    }
    let millis = u64::try_from(heard.as_millis()).unwrap_or(u64::MAX);
    let (input, output) = (millis.div_ceil(HEARD_MS_PER_TOKEN), words::tokens(transcript));
    json!({
        "type": "tokens",
        "total_tokens": input + output,
        "input_tokens": input,
        "output_tokens": output,
        "input_token_details": {"text_tokens": 0, "audio_tokens": input},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcriptions_cost_tokens_or_time() {
        let heard = Duration::from_millis(1_250);
        let bill = |model| transcription_bill(model, heard, "three short words");
        assert_eq!(bill("whisper-1"), json!({"type": "duration", "seconds": 1.25}));
        let tokens = bill("gpt-4o-mini-transcribe");
        assert_eq!(
            (
                &tokens["input_tokens"],
                &tokens["output_tokens"],
                &tokens["total_tokens"]
            ),
            (&json!(13), &json!(3), &json!(16))
        );
    }

    #[test]
    fn the_parts_add_up_and_the_cache_holds_whole_blocks() {
        let input = Tokens {
            text: 200,
            audio: 70,
            image: 85,
        };
        let output = Tokens {
            text: 5,
            audio: 10,
            image: 0,
        };
        let seen = Tokens {
            text: 130,
            audio: 63,
            image: 85,
        };
        let usage = bill(input, output, seen);
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.total_tokens),
            (355, 15, 370)
        );
        assert_eq!(usage.input_token_details.cached_tokens_details.text_tokens, 128);
        assert_eq!(usage.input_token_details.cached_tokens, 128);
    }
}
