//! Voices and ears that are programs: one that makes sound of text, one that makes text of sound.

mod command;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::audio::{self, AudioReader, Channels, WavWriter};
use crate::protocol::{ApiError, AudioFormat};

pub use self::command::SpeechCommand;
use super::brain::{Output, Pen, Reply};
use super::{Speech, Transcriber, Transcription};

/// The most that a program may write: ten minutes of sound at 48 kHz, or as many bytes of text as nobody says in one turn.
const MOST_SOUND: usize = 10 * 60 * 48_000 * 2;
const MOST_TEXT: usize = 64 << 10;
/// The most characters that are spoken at once, where no sentence ends before.
const LONGEST: usize = 300;

impl Transcriber for SpeechCommand {
    fn transcribe(&self, speech: Speech) -> Transcription {
        let command = self.clone();
        Box::pin(async move {
            let sound = wav(&speech).map_err(|error| failure("stt_failed", error.to_string()))?;
            let text = command.run(sound, MOST_TEXT).await;
            let text = text.map_err(|why| failure("stt_failed", why))?;
            Ok(String::from_utf8_lossy(&text).trim().to_owned())
        })
    }
}

/// A file of what was said.
fn wav(speech: &Speech) -> io::Result<Vec<u8>> {
    let file = io::Cursor::new(Vec::new());
    let mut wav = WavWriter::new(file, Channels::Mono, audio::sample_rate(speech.format))?;
    wav.write(audio::decode(&speech.audio, speech.format))?;
    wav.finish().map(io::Cursor::into_inner)
}

/// The reply with its words spoken by a program, sentence by sentence.
pub(super) fn spoken(mut reply: Reply, voice: Arc<SpeechCommand>, format: AudioFormat) -> Reply {
    Reply::written(move |pen| async move {
        let mut speaker = Speaker {
            voice,
            format,
            pen,
            unspoken: String::new(),
        };
        if let Err(why) = speaker.speak_all(&mut reply).await {
            let failure = Output::Fail(failure("tts_failed", why));
            speaker.pen.write(failure).await;
        }
    })
}

struct Speaker {
    voice: Arc<SpeechCommand>,
    format: AudioFormat,
    pen: Pen,
    /// Words of a sentence that has not ended.
    unspoken: String,
}

impl Speaker {
    async fn speak_all(&mut self, reply: &mut Reply) -> Result<(), String> {
        while let Some(output) = poll_fn(|cx| reply.poll_next(cx)).await {
            match output {
                Output::Say(words) => {
                    self.unspoken.push_str(&words);
                    while let Some(end) = sentence_end(&self.unspoken) {
                        let rest = self.unspoken.split_off(end);
                        let sentence = std::mem::replace(&mut self.unspoken, rest);
                        self.speak(sentence).await?;
                    }
                }
                other => {
                    self.speak_rest().await?;
                    self.pen.write(other).await;
                }
            }
        }
        self.speak_rest().await
    }

    async fn speak_rest(&mut self) -> Result<(), String> {
        match std::mem::take(&mut self.unspoken) {
            rest if rest.is_empty() => Ok(()),
            rest => self.speak(rest).await,
        }
    }

    async fn speak(&self, words: String) -> Result<(), String> {
        if !words.chars().any(char::is_alphanumeric) {
            let sound = Vec::new().into();
            self.pen.write(Output::Spoken { words, sound }).await;
            return Ok(());
        }
        let bytes = self
            .voice
            .run(words.trim().as_bytes().to_vec(), MOST_SOUND)
            .await?;
        let sound = AudioReader::from_bytes("stdout", bytes, self.format)
            .and_then(|mut file| file.read_to_end())
            .map_err(|error| format!("what it wrote to stdout is unfit: {}", error.problem))?;
        self.pen.write(Output::Spoken { words, sound }).await;
        Ok(())
    }
}

/// Where the first sentence ends, if it has: behind its mark and the white space that shows that it is one.
fn sentence_end(text: &str) -> Option<usize> {
    let mut after_mark = false;
    for (count, (at, c)) in text.char_indices().enumerate() {
        if (after_mark && c.is_whitespace()) || c == '\n' || (count >= LONGEST && c.is_whitespace()) {
            return Some(at + c.len_utf8());
        }
        after_mark =
            matches!(c, '.' | '!' | '?' | '…' | ':' | ';') || (after_mark && matches!(c, '"' | ')' | '”'));
    }
    None
}

fn failure(code: &str, why: String) -> ApiError {
    ApiError {
        kind: "server_error".into(),
        code: Some(code.into()),
        message: why,
        ..ApiError::default()
    }
}

/// How long a program may take for one sentence or one turn.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Option<&str> {
        sentence_end(text).map(|end| text.split_at(end).0)
    }

    #[test]
    fn sentences_end_where_white_space_follows_a_mark() {
        assert_eq!(end("It is 12.5 degrees. And"), Some("It is 12.5 degrees. "));
        assert_eq!(end("He said \"no!\" and"), Some("He said \"no!\" "));
        assert_eq!(end("one\ntwo"), Some("one\n"));
        assert_eq!(end("It is 12.5"), None);
        assert_eq!(end("Done."), None, "more may follow without a space");
        let long = "word ".repeat(99);
        assert_eq!(end(&long).map(str::len), Some(305));
    }
}
