use serde::{Deserialize, Serialize};

use super::lenient;

/// Tokens that one response used, as the server counted them (protocol.md section 7). Absent counts are zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input and output together.
    #[serde(deserialize_with = "lenient::or_default")]
    pub total_tokens: u64,
    /// What went in: the whole conversation so far, not this turn alone.
    #[serde(deserialize_with = "lenient::or_default")]
    pub input_tokens: u64,
    /// What came out.
    #[serde(deserialize_with = "lenient::or_default")]
    pub output_tokens: u64,
    /// The input by modality.
    #[serde(deserialize_with = "lenient::or_default")]
    pub input_token_details: InputTokenDetails,
    /// The output by modality.
    #[serde(deserialize_with = "lenient::or_default")]
    pub output_token_details: OutputTokenDetails,
}

impl Usage {
    /// Adds another response's tokens: a sum for billing, not the size of a context.
    pub fn add(&mut self, other: &Self) {
        add(&mut self.total_tokens, other.total());
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        self.input_token_details.add(&other.input_token_details);
        let (own, more) = (&mut self.output_token_details, &other.output_token_details);
        add(&mut own.text_tokens, more.text_tokens);
        add(&mut own.audio_tokens, more.audio_tokens);
    }

    /// The total, worked out where the server left it out.
    pub fn total(&self) -> u64 {
        if self.total_tokens > 0 {
            self.total_tokens
        } else {
            self.input_tokens.saturating_add(self.output_tokens)
        }
    }
}

/// The numbers are a server's: whatever they are, they must not overflow.
fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// Input tokens by modality; the cached ones are part of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InputTokenDetails {
    /// Text.
    #[serde(deserialize_with = "lenient::or_default")]
    pub text_tokens: u64,
    /// Audio.
    #[serde(deserialize_with = "lenient::or_default")]
    pub audio_tokens: u64,
    /// Images.
    #[serde(deserialize_with = "lenient::or_default")]
    pub image_tokens: u64,
    /// How many of the input tokens came from the cache.
    #[serde(deserialize_with = "lenient::or_default")]
    pub cached_tokens: u64,
    /// The cached ones by modality.
    #[serde(deserialize_with = "lenient::or_default")]
    pub cached_tokens_details: TokenCounts,
}

impl InputTokenDetails {
    fn add(&mut self, other: &Self) {
        add(&mut self.text_tokens, other.text_tokens);
        add(&mut self.audio_tokens, other.audio_tokens);
        add(&mut self.image_tokens, other.image_tokens);
        add(&mut self.cached_tokens, other.cached_tokens);
        let (own, more) = (&mut self.cached_tokens_details, &other.cached_tokens_details);
        add(&mut own.text_tokens, more.text_tokens);
        add(&mut own.audio_tokens, more.audio_tokens);
        add(&mut own.image_tokens, more.image_tokens);
    }
}

/// Tokens by modality.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenCounts {
    /// Text.
    #[serde(deserialize_with = "lenient::or_default")]
    pub text_tokens: u64,
    /// Audio.
    #[serde(deserialize_with = "lenient::or_default")]
    pub audio_tokens: u64,
    /// Images.
    #[serde(deserialize_with = "lenient::or_default")]
    pub image_tokens: u64,
}

/// Output tokens by modality.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputTokenDetails {
    /// Text.
    #[serde(deserialize_with = "lenient::or_default")]
    pub text_tokens: u64,
    /// Audio.
    #[serde(deserialize_with = "lenient::or_default")]
    pub audio_tokens: u64,
}

/// What transcribing the user's audio cost; priced apart from the responses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TranscriptionUsage {
    /// Counted in tokens.
    Tokens {
        /// Input and output together.
        #[serde(default)]
        total_tokens: u64,
        /// The audio that went in.
        #[serde(default)]
        input_tokens: u64,
        /// The text that came out.
        #[serde(default)]
        output_tokens: u64,
    },
    /// Counted by the length of the audio.
    Duration {
        /// Seconds, which may have a fraction.
        #[serde(default)]
        seconds: f64,
    },
}

/// What transcribing cost in all. Servers count in tokens or in seconds, so one of them may be zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TranscriptionTotals {
    /// Input and output together.
    pub total_tokens: u64,
    /// The audio that went in.
    pub input_tokens: u64,
    /// The text that came out.
    pub output_tokens: u64,
    /// Seconds of audio, where they are what is counted.
    pub seconds: f64,
}

impl TranscriptionTotals {
    /// Adds what one transcription cost.
    pub fn add(&mut self, usage: &TranscriptionUsage) {
        match usage {
            TranscriptionUsage::Tokens {
                total_tokens,
                input_tokens,
                output_tokens,
            } => {
                let sum = input_tokens.saturating_add(*output_tokens);
                let total = if *total_tokens > 0 { *total_tokens } else { sum };
                add(&mut self.total_tokens, total);
                add(&mut self.input_tokens, *input_tokens);
                add(&mut self.output_tokens, *output_tokens);
            }
            TranscriptionUsage::Duration { seconds } => self.seconds += seconds.max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcription_is_added_up_in_the_unit_it_comes_in() {
        let tokens = |total_tokens| TranscriptionUsage::Tokens {
            total_tokens,
            input_tokens: 30,
            output_tokens: 12,
        };
        let mut totals = TranscriptionTotals::default();
        for usage in [
            tokens(42),
            tokens(0),
            TranscriptionUsage::Duration { seconds: 2.5 },
            TranscriptionUsage::Duration { seconds: 1.0 },
        ] {
            totals.add(&usage);
        }
        let expected = TranscriptionTotals {
            total_tokens: 84,
            input_tokens: 60,
            output_tokens: 24,
            seconds: 3.5,
        };
        assert_eq!(totals, expected);
    }
}
