//! The user's audio: from the buffer into the conversation, and into words.

use std::future::ready;

use serde_json::json;

use crate::protocol::{ApiError, Id};
use crate::simulator::answer::{Answer, Cancel};
use crate::simulator::conversation::{Entry, Place, Sound};
use crate::simulator::input_audio::{Spoken, Turn};
use crate::simulator::refusal::Refused;
use crate::simulator::settings::TurnDetection;
use crate::simulator::transcriber::{Heard, Speech};
use crate::simulator::usage::transcription_bill;
use crate::simulator::{new_item, words};

use super::Peer;

const TRANSCRIPTION: &str = "conversation.item.input_audio_transcription";

impl Peer {
    pub(super) fn append_audio(&mut self, base64: &str) -> Refused<()> {
        let detection = self.settings.turn_detection();
        for turn in self.input.append(base64, detection.as_ref())? {
            let Some(detection) = &detection else { continue };
            // The append is not to blame for what is refused to the turns in it.
            if let Err(refusal) = self.take_turn(turn, detection) {
                self.outbox.send_error(&refusal);
            }
        }
        Ok(())
    }

    pub(super) fn clear_audio(&mut self) {
        self.input.clear();
        self.outbox.send("input_audio_buffer.cleared", json!({}));
    }

    pub(super) fn commit_audio(&mut self) -> Refused<()> {
        let spoken = self.input.commit()?;
        let (item_id, speech) = self.add_speech(spoken)?;
        self.listen_to(item_id, speech, self.settings.transcribes());
        self.understand_ready();
        Ok(())
    }

    /// What follows when the detector has found something (protocol.md sections 5.3, 5.8 and 5.9).
    fn take_turn(&mut self, turn: Turn, detection: &TurnDetection) -> Refused<()> {
        let (spoken, responds) = match turn {
            Turn::Started { item_id, start_ms } => {
                let fields = json!({"audio_start_ms": start_ms, "item_id": item_id});
                self.outbox.send("input_audio_buffer.speech_started", fields);
                if detection.interrupts_response {
                    self.interrupt();
                }
                return Ok(());
            }
            Turn::Stopped { end_ms, spoken } => {
                let fields = json!({"audio_end_ms": end_ms, "item_id": spoken.item_id});
                self.outbox.send("input_audio_buffer.speech_stopped", fields);
                (spoken, detection.creates_response)
            }
            Turn::TimedOut {
                start_ms,
                end_ms,
                spoken,
            } => {
                let fields =
                    json!({"audio_start_ms": start_ms, "audio_end_ms": end_ms, "item_id": spoken.item_id});
                self.outbox.send("input_audio_buffer.timeout_triggered", fields);
                (spoken, true)
            }
        };
        let (item_id, speech) = self.add_speech(spoken)?;
        self.listen_to(item_id, speech, self.settings.transcribes());
        let responded = if responds {
            self.create_response(None)
        } else {
            Ok(())
        };
        // The words come when the answer is announced already, as they do from the service.
        self.understand_ready();
        responded
    }

    /// Cuts off the answer in the conversation, since the user speaks.
    fn interrupt(&mut self) {
        let active = self.answers.iter().position(Answer::is_default);
        if let Some(answer) = active.and_then(|at| self.answers.remove(at)) {
            answer.cancel(Cancel::Turn, &mut self.conversation, &mut self.outbox);
        }
    }

    /// An answer is over that sounds so long: from its end on the user is expected to speak.
    pub(super) fn await_user(&mut self, spoken_ms: u64) {
        let played = self.answer_began_ms + spoken_ms;
        self.input.expect_speech(played.max(self.input.position_ms()));
    }

    /// Makes audio an item of the conversation.
    fn add_speech(&mut self, spoken: Spoken) -> Refused<(Id, Speech)> {
        let Spoken {
            item_id,
            audio,
            format,
        } = spoken;
        let speech = Speech { audio, format };
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
        Ok((item_id, speech))
    }

    /// Has speech made into words; the client is told them if it wants to know.
    pub(super) fn listen_to(&mut self, item_id: Id, speech: Speech, is_shown: bool) {
        let heard = Heard {
            item_id,
            duration: speech.duration(),
            is_shown,
        };
        let work = match self.brain.hear(&speech) {
            Some(outcome) => Box::pin(ready(outcome)),
            None => self.transcriber.transcribe(speech),
        };
        self.hearings.push(heard, work);
    }

    /// Takes what is known already of all that was heard.
    pub(super) fn understand_ready(&mut self) {
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
        fields["usage"] = transcription_bill(self.settings.transcription_model(), heard.duration, words);
        self.outbox.send(&format!("{TRANSCRIPTION}.completed"), fields);
    }
}
