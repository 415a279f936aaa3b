//! The user's audio: from the buffer into the conversation, and into words.

use serde_json::json;

use crate::protocol::{ApiError, Id};
use crate::simulator::conversation::{Entry, Place, Sound};
use crate::simulator::refusal::Refused;
use crate::simulator::transcriber::{Heard, Speech};
use crate::simulator::{id, new_item, words};

use super::Peer;

const TRANSCRIPTION: &str = "conversation.item.input_audio_transcription";

impl Peer {
    pub(super) fn append_audio(&mut self, base64: &str) -> Refused<()> {
        self.input.append(base64)
    }

    pub(super) fn clear_audio(&mut self) {
        self.input.clear();
        self.outbox.send("input_audio_buffer.cleared", json!({}));
    }

    pub(super) fn commit_audio(&mut self) -> Refused<()> {
        let format = self.settings.input_format();
        let audio = self.input.commit(format)?;
        let speech = Speech { audio, format };
        let item_id = id::new("item_");
        let mut entry = Entry::new(item_id.clone(), new_item::heard(item_id.clone()));
        entry.sound = Sound::Heard {
            audio: speech.audio.clone(),
            format,
            is_transcribed: false,
        };
        let shown = entry.shown();
        let previous = self.conversation.insert(entry, Place::End)?;
        let fields = json!({"previous_item_id": previous, "item_id": item_id});
        self.outbox.send("input_audio_buffer.committed", fields);
        self.announce(&json!({"previous_item_id": previous, "item": shown}));
        self.listen_to(item_id, speech, self.settings.transcribes());
        Ok(())
    }

    /// Has speech made into words; the client is told them if it wants to know.
    pub(super) fn listen_to(&mut self, item_id: Id, speech: Speech, is_shown: bool) {
        let heard = Heard {
            item_id,
            duration: speech.duration(),
            is_shown,
        };
        match self.brain.hear(&speech) {
            Some(words) => self.understand(&heard, Ok(words)),
            None => {
                let work = self.transcriber.transcribe(speech);
                self.hearings.push(heard, work);
            }
        }
        while let Some((heard, words)) = self.hearings.ready() {
            self.understand(&heard, words);
        }
    }

    /// Takes the words of speech, or why there are none.
    pub(in crate::simulator) fn understand(&mut self, heard: &Heard, words: Result<String, ApiError>) {
        if heard.is_shown {
            self.tell_words(heard, &words);
        }
        if let Ok(words) = words {
            self.conversation
                .change(&heard.item_id, |entry| entry.understand(&words, heard.is_shown));
        }
    }

    fn tell_words(&mut self, heard: &Heard, outcome: &Result<String, ApiError>) {
        let place = json!({"item_id": heard.item_id, "content_index": 0});
        let words = match outcome {
            Ok(words) => words,
            Err(error) => {
                let mut fields = place;
                fields["error"] = json!({
                    "type": error.kind, "code": error.code, "message": error.message, "param": error.param,
                });
                return self.outbox.send(&format!("{TRANSCRIPTION}.failed"), fields);
            }
        };
        for piece in words::pieces(words) {
            let delta = format!("{TRANSCRIPTION}.delta");
            self.outbox.send_delta(&delta, place.clone(), piece);
        }
        let mut fields = place;
        fields["transcript"] = words.as_str().into();
        fields["usage"] = json!({"type": "duration", "seconds": heard.duration.as_secs_f64()});
        self.outbox.send(&format!("{TRANSCRIPTION}.completed"), fields);
    }
}
