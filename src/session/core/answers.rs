//! What the model says and the user says: deltas, ends of answers, interruptions.

use super::playback::Cut;
use super::responses::Standing;
use super::{Core, tell};
use crate::protocol::{
    AudioDelta, ClientEvent, Id, InputTranscript, ItemRef, PartText, Response, ResponseStatus, ServerEvent,
    TextDelta,
};
use crate::session::SessionEvent;

impl Core {
    /// Handles the events that make up nearly all of the traffic. Says whether this was one.
    pub(super) fn on_delta(&mut self, event: &ServerEvent<'_>) -> bool {
        match event {
            ServerEvent::AudioDelta(delta) => self.on_audio(delta),
            ServerEvent::TextDelta(delta) => self.on_words(delta, false),
            ServerEvent::TranscriptDelta(delta) => self.on_words(delta, true),
            ServerEvent::InputTranscriptDelta(delta) => {
                let item_id = self.item_id(&delta.item_id);
                self.emit(SessionEvent::InputTranscriptDelta {
                    item_id,
                    delta: delta.delta.to_string(),
                });
            }
            _ => return false,
        }
        true
    }

    fn on_words(&mut self, words: &TextDelta<'_>, spoken: bool) {
        let TextDelta {
            response_id,
            item_id,
            content_index,
            delta,
        } = words;
        let standing = self.responses.standing(response_id);
        let is_live = standing == Standing::Live;
        let item_id = match standing {
            Standing::Late => return,
            Standing::Outside => Id::from(&**item_id),
            Standing::Live => self.keep_words(item_id, *content_index, delta, spoken),
        };
        self.note_content(response_id);
        if self.latencies.awaits_word() && is_live && !delta.is_empty() {
            self.note_first_word(response_id);
        }
        self.watch_words(response_id, &item_id, delta);
        let (content_index, delta) = (*content_index, delta.to_string());
        self.emit(if spoken {
            SessionEvent::TranscriptDelta {
                item_id,
                content_index,
                delta,
            }
        } else {
            SessionEvent::TextDelta {
                item_id,
                content_index,
                delta,
            }
        });
    }

    /// Adds words to their entry of the conversation; some servers never announce one.
    fn keep_words(&mut self, item_id: &str, content_index: u32, words: &str, spoken: bool) -> Id {
        let kept = self.history.append(item_id, content_index, words, spoken);
        kept.unwrap_or_else(|| {
            tell(&mut self.outputs, self.history.begin_answer(item_id));
            self.history.append(item_id, content_index, words, spoken);
            self.item_id(item_id)
        })
    }

    fn on_audio(&mut self, delta: &AudioDelta<'_>) {
        let standing = self.responses.standing(&delta.response_id);
        if standing == Standing::Late {
            return;
        }
        let item_id = self.item_id(&delta.item_id);
        let part = (&item_id, delta.content_index);
        let response_id = self.responses.known(&delta.response_id);
        match self.playback.receive(self.now, part, response_id, &delta.base64) {
            Ok(audio) if audio.is_empty() => {}
            Ok(audio) => {
                if self.speeches.is_other(&item_id) {
                    let response_id = response_id.cloned();
                    self.note_content(&delta.response_id);
                    self.begin_speech(&item_id, response_id);
                    if standing == Standing::Live && self.latencies.awaits_sound() {
                        self.note_first_sound(&delta.response_id, &item_id, delta.content_index);
                    }
                }
                let content_index = delta.content_index;
                self.emit(SessionEvent::Audio {
                    item_id,
                    content_index,
                    audio,
                });
            }
            Err(_) => self.complain(
                "invalid_audio",
                format!("the server sent audio for {item_id} that is no base64"),
            ),
        }
    }

    /// The id as an entry of the conversation holds it, to spare a copy for each delta.
    fn item_id(&self, item_id: &str) -> Id {
        self.history.known(item_id).unwrap_or_else(|| Id::from(item_id))
    }

    pub(super) fn on_words_done(&mut self, done: PartText, spoken: bool) {
        let PartText { part, text } = done;
        if self.responses.standing(&part.response_id) != Standing::Live {
            return;
        }
        if self.history.known(&part.item_id).is_none() {
            tell(&mut self.outputs, self.history.begin_answer(&part.item_id));
        }
        self.history
            .set_words(&part.item_id, part.content_index, text, spoken);
    }

    pub(super) fn on_response_created(&mut self, response: Response) {
        if self.responses.has_begun(response.id.as_ref()) {
            return;
        }
        let outside = response.is_out_of_band();
        let (in_conversation, cancel) = self.sequencer.created(response.id.as_ref(), outside);
        let Some(agent) = self.charge.agent() else { return };
        let name = agent.name.clone();
        self.responses
            .begin(response.id.clone(), agent.clone(), !in_conversation);
        self.begin_generation(&response, in_conversation);
        self.watch.answer_begins(in_conversation);
        if let Some(cancel) = cancel {
            self.responses.mute(response.id.as_ref());
            self.send("cancel", cancel);
        }
        self.emit(SessionEvent::AgentStart {
            agent: name,
            response_id: response.id,
        });
    }

    pub(super) fn on_response_done(&mut self, response: Response) {
        if self.responses.has_ended(response.id.as_ref()) {
            return;
        }
        self.end_generation(&response);
        self.end_speeches(&response);
        if response.status == ResponseStatus::Completed {
            self.run_calls_of(&response);
        }
        self.end_watch(&response);
        let outside = response.is_out_of_band();
        let Response {
            id,
            status,
            status_details,
            usage,
            ..
        } = response;
        self.sequencer.done(id.as_ref(), outside);
        let agent = self.responses.end(id.as_ref());
        let agent = agent
            .as_ref()
            .or(self.charge.agent())
            .map(|agent| agent.name.clone())
            .unwrap_or_default();
        let reason = status_details.and_then(|details| details.describe());
        self.turn.note(status, reason.clone());
        if let Some(usage) = usage {
            self.usage.add(&usage);
            self.emit(SessionEvent::Usage {
                response_id: id.clone(),
                usage,
            });
        }
        self.emit(SessionEvent::AgentEnd {
            agent,
            response_id: id,
            status,
            reason,
        });
    }

    pub(super) fn on_input_transcript(&mut self, done: InputTranscript) {
        let InputTranscript {
            item_id,
            content_index,
            transcript,
            usage,
            status,
        } = done;
        self.note_words(&item_id, &transcript);
        self.begin_transcription(&item_id);
        let change = self
            .history
            .set_input_transcript(&item_id, content_index, &transcript);
        tell(&mut self.outputs, change);
        // Some servers send it again and again while the user speaks (protocol.md section 3.4).
        if status.as_deref() != Some("in_progress") {
            if let Some(usage) = &usage {
                self.transcription_usage.add(usage);
            }
            self.end_transcription(&item_id, &transcript, usage.as_ref());
            self.emit(SessionEvent::InputTranscript {
                item_id,
                transcript,
                usage,
            });
        }
    }

    pub(super) fn on_deleted(&mut self, item_id: Id) {
        self.generations.forget(&item_id);
        self.drop_transcription(&item_id);
        self.drop_speech(&item_id);
        self.drop_watch(&item_id);
        self.playback.remove(&item_id);
        if self.history.remove(&item_id) {
            self.emit(SessionEvent::HistoryRemoved { item_id });
        }
    }

    /// The user speaks: what is playing stops. The server cuts off its answer itself if the session says so.
    pub(super) fn on_speech_started(&mut self, item: ItemRef) {
        let (item_id, audio_start_ms) = (item.item_id, item.audio_start_ms);
        self.emit(SessionEvent::SpeechStarted {
            item_id,
            audio_start_ms,
        });
        let had_sound = self.playback.has_sound();
        self.stop_playback();
        if had_sound && !self.info.interrupt_response {
            self.cancel_answer();
        }
    }

    /// The application wants silence: what is playing stops, and so does the answer.
    pub(super) fn interrupt(&mut self) {
        self.stop_playback();
        self.cancel_answer();
    }

    /// Cuts what is being heard, and tells the server how much of it was.
    fn stop_playback(&mut self) {
        self.hear_by_clock();
        let cuts = self
            .playback
            .interrupt(self.now, |id| self.sequencer.is_ongoing(id));
        self.tell_cuts(cuts);
    }

    /// Stops one answer, and never another: what is heard of it, and the answer itself if it goes on.
    pub(super) fn stop_answer(&mut self, response_id: Option<&Id>, goes_on: bool) {
        self.hear_by_clock();
        let cuts = self.playback.interrupt_answer(self.now, response_id, goes_on);
        self.tell_cuts(cuts);
        if goes_on {
            self.responses.mute(response_id);
            if let Some(cancel) = self.sequencer.cancel_only(response_id) {
                self.send("cancel", cancel);
            }
        }
    }

    fn tell_cuts(&mut self, cuts: Vec<Cut>) {
        for cut in cuts {
            let (item_id, content_index, played_ms) = (cut.item_id, cut.content_index, cut.heard_ms);
            self.responses.mute(cut.response_id.as_ref());
            self.give_up_sound(&item_id, content_index);
            self.cut_speech(&item_id, played_ms);
            tell(
                &mut self.outputs,
                self.history.truncate(&item_id, Some(played_ms)),
            );
            let truncate = ClientEvent::ItemTruncate {
                item_id: item_id.to_string(),
                content_index,
                audio_end_ms: played_ms,
            };
            self.send("truncate", truncate);
            self.emit(SessionEvent::AudioInterrupted {
                item_id,
                content_index,
                played_ms,
            });
        }
    }

    fn cancel_answer(&mut self) {
        if let Some(cancel) = self.sequencer.cancel() {
            let ClientEvent::ResponseCancel { response_id } = &cancel else {
                return;
            };
            self.responses.mute(response_id.as_deref().map(Id::from).as_ref());
            self.send("cancel", cancel);
        }
    }
}
