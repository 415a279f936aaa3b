//! What a session cost, in one line.

use realtime_run::protocol::{TranscriptionTotals, Usage};

/// Tokens by modality, as `253 tokens: in 132 (119 text, 13 audio; 64 cached), out 121 (30 text, 91 audio)`, with what
/// transcribing the user cost beside them. None if nothing was used.
pub fn usage(usage: &Usage, transcription: &TranscriptionTotals) -> Option<String> {
    let mut parts = Vec::new();
    if usage.total() > 0 {
        let (input, output) = (&usage.input_token_details, &usage.output_token_details);
        let came_in = named(&[
            (input.text_tokens, "text"),
            (input.audio_tokens, "audio"),
            (input.image_tokens, "image"),
        ]);
        let cached = match input.cached_tokens {
            0 => String::new(),
            tokens => format!("{tokens} cached"),
        };
        let went_out = named(&[(output.text_tokens, "text"), (output.audio_tokens, "audio")]);
        parts.push(format!(
            "{} tokens: in {}{}, out {}{}",
            usage.total(),
            usage.input_tokens,
            bracketed(&[came_in, cached]),
            usage.output_tokens,
            bracketed(&[went_out]),
        ));
    }
    if transcription.total_tokens > 0 {
        parts.push(format!("transcription {} tokens", transcription.total_tokens));
    }
    if transcription.seconds > 0.0 {
        parts.push(format!("transcription {:.1} s", transcription.seconds));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Those that are not zero.
fn named(counts: &[(u64, &str)]) -> String {
    let used = counts.iter().filter(|(tokens, _)| *tokens > 0);
    let used: Vec<String> = used.map(|(tokens, kind)| format!("{tokens} {kind}")).collect();
    used.join(", ")
}

fn bracketed(parts: &[String]) -> String {
    let told: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    match told.as_slice() {
        [] => String::new(),
        told => format!(" ({})", told.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(tokens: serde_json::Value, transcription: TranscriptionTotals) -> Option<String> {
        usage(&serde_json::from_value(tokens).unwrap(), &transcription)
    }

    #[test]
    fn every_kind_of_token_that_was_used_is_told() {
        let tokens = json!({
            "total_tokens": 253, "input_tokens": 132, "output_tokens": 121,
            "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64},
            "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
        });
        let transcription = TranscriptionTotals {
            total_tokens: 42,
            seconds: 2.5,
            ..Default::default()
        };
        assert_eq!(
            line(tokens, transcription).unwrap(),
            "253 tokens: in 132 (119 text, 13 audio; 64 cached), out 121 (30 text, 91 audio); \
             transcription 42 tokens; transcription 2.5 s"
        );
    }

    #[test]
    fn what_a_server_does_not_tell_is_left_out() {
        let bare = json!({"input_tokens": 7, "output_tokens": 3});
        assert_eq!(
            line(bare, TranscriptionTotals::default()).unwrap(),
            "10 tokens: in 7, out 3"
        );
        assert_eq!(line(json!({}), TranscriptionTotals::default()), None);
    }
}
