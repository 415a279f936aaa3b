//! The server's side of one session, without I/O.

mod hearing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::protocol::{AudioFormat, Item};

use super::answer::{Answer, Cancel, Cost, Question};
use super::brain::{Brain, Prompt, Reply};
use super::conversation::{Conversation, Entry, Place};
use super::input_audio::InputAudio;
use super::observer::Observer;
use super::opening::Start;
use super::outbox::Outbox;
use super::output_item::Delivery;
use super::refusal::{Refused, refusal, refusal_at};
use super::request::{BadRequest, Kind, Request};
use super::settings::Settings;
use super::transcriber::{Hearings, Transcriber};
use super::usage::Tokens;
use super::voice::{self, SpeechCommand};
use super::{Options, id, new_item};

/// Responses that may run at once: one in the conversation, the others out of band.
const MAX_ANSWERS: usize = 16;

/// One session as the server has it. Frames of the client go into [`receive`](Self::receive); frames for the client
/// are in [`outbox`](Self::outbox); [`advance`](Self::advance) makes the next piece of what is being said.
pub(super) struct Peer {
    settings: Settings,
    conversation: Conversation,
    input: InputAudio,
    /// Running responses, taken in turn.
    pub(super) answers: VecDeque<Answer>,
    /// What the last response read, for the count of cached tokens.
    seen: Tokens,
    /// How much audio there was when the answer in the conversation began.
    answer_began_ms: u64,
    brain: Box<dyn Brain>,
    /// What speaks; tones if none.
    voice: Option<Arc<SpeechCommand>>,
    transcriber: Arc<dyn Transcriber>,
    /// Speech whose words are not known yet.
    pub(super) hearings: Hearings,
    pub(super) outbox: Outbox,
}

impl Peer {
    /// A session, which greets with `session.created` unless it joins a call.
    pub(super) fn open(start: &Start, options: &Options, mut observer: Observer) -> Self {
        let expires = SystemTime::now() + options.lifetime();
        let expires_at = expires
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let settings = match start {
            Start::Conversation { model } => Settings::new(model, expires_at),
            Start::Call => Settings::of_call(expires_at),
            Start::Transcription => Settings::of_transcription(expires_at),
        };
        observer.opened(settings.session_id());
        let mut peer = Self {
            settings,
            conversation: Conversation::new(id::new("conv_"), options.limits.max_conversation_bytes),
            input: InputAudio::new(AudioFormat::default()),
            answers: VecDeque::new(),
            seen: Tokens::default(),
            answer_began_ms: 0,
            brain: (options.brain)(),
            voice: options.voice.clone().map(Arc::new),
            transcriber: Arc::clone(&options.transcriber),
            hearings: Hearings::default(),
            outbox: Outbox::new(options.faults.clone(), observer),
        };
        if !matches!(start, Start::Call) {
            peer.outbox
                .send("session.created", json!({"session": peer.settings.echo()}));
        }
        peer
    }

    /// Takes in the text of one frame.
    pub(super) fn receive(&mut self, frame: &str) {
        self.outbox.observer.received(frame);
        let (event_id, outcome) = match Request::parse(frame) {
            Ok(mut request) => (request.event_id.take(), self.perform(&request)),
            Err(BadRequest { event_id, refusal }) => (event_id, Err(refusal)),
        };
        if let Err(mut refusal) = outcome {
            refusal.event_id = event_id;
            self.outbox.send_error(&refusal);
        }
    }

    /// Takes in a frame that is not text.
    pub(super) fn receive_binary(&mut self, bytes: usize) {
        self.outbox.observer.received_binary(bytes);
        let message = "Expected a text WebSocket message; got a binary one. Send events as JSON text.";
        self.outbox.send_error(&refusal("invalid_event", message));
    }

    /// Says that the session's time is over; the connection is closed after that.
    pub(super) fn expire(&mut self, why: &str) {
        self.answers.clear();
        self.outbox.send_error(&refusal("session_expired", why));
    }

    /// Makes the next piece of a running response, and tells how long it sounds.
    pub(super) fn advance(&mut self) -> Duration {
        let Some(mut answer) = self.answers.pop_front() else {
            return Duration::ZERO;
        };
        self.ask(&mut answer);
        let (is_default, before) = (answer.is_default(), answer.spoken_ms());
        let answer = answer.advance(&mut self.conversation, &mut self.outbox);
        if is_default && !answer.as_ref().is_some_and(Answer::is_default) {
            self.await_user(before);
        }
        let Some(answer) = answer else {
            return Duration::ZERO;
        };
        let sounds = answer.spoken_ms() - before;
        self.answers.push_back(answer);
        Duration::from_millis(sounds)
    }

    fn perform(&mut self, request: &Request) -> Refused<()> {
        match request.kind {
            Kind::SessionUpdate => self.update_session(&request.body["session"]),
            Kind::AudioAppend => self.append_audio(request.text("audio").unwrap_or_default()),
            Kind::AudioCommit => self.commit_audio(),
            Kind::AudioClear => {
                self.clear_audio();
                Ok(())
            }
            Kind::OutputClear => self.clear_output(),
            Kind::ItemCreate => self.create_item(request),
            Kind::ItemRetrieve => self.retrieve_item(request),
            Kind::ItemTruncate => self.truncate_item(request),
            Kind::ItemDelete => self.delete_item(request),
            Kind::ResponseCreate => {
                self.create_response(request.body.get("response").and_then(Value::as_object))
            }
            Kind::ResponseCancel => self.cancel_response(request.text("response_id")),
        }
    }

    fn update_session(&mut self, change: &Value) -> Refused<()> {
        self.settings.update(change, self.conversation.has_speech())?;
        self.input.set_format(self.settings.input_format());
        self.outbox
            .send("session.updated", json!({"session": self.settings.echo()}));
        let reply = self.brain.session_updated(&Prompt {
            instructions: self.settings.instructions(),
            tools: &self.settings.functions(),
            tool_choice: &self.settings.tool_choice(),
            entries: self.conversation.entries(),
        });
        if let Some(reply) = reply {
            let reply = self.voiced(reply, &self.settings);
            let answer = Answer::unasked(&self.settings, self.conversation.id.clone(), reply);
            self.answers.push_back(answer);
        }
        Ok(())
    }

    fn announce(&mut self, fields: &Value) {
        self.outbox.send("conversation.item.added", fields.clone());
        self.outbox.send("conversation.item.done", fields.clone());
    }

    fn create_item(&mut self, request: &Request) -> Refused<()> {
        let entry = new_item::read(&request.body["item"], "item", self.settings.input_format())?;
        if let Item::FunctionCallOutput(output) = &entry.item
            && !self.conversation.has_call(&output.call_id)
        {
            let message = format!("Tool call ID '{}' not found in conversation.", output.call_id);
            return Err(refusal("invalid_tool_call_id", message));
        }
        let (shown, speech, item_id) = (entry.shown(), entry.wordless_speech(), entry.id.clone());
        let place = Place::from_previous(request.text("previous_item_id"));
        let previous = self.conversation.insert(entry, place)?;
        self.announce(&json!({"previous_item_id": previous, "item": shown}));
        if let Some(speech) = speech {
            self.listen_to(item_id, speech, false);
            self.understand_ready();
        }
        Ok(())
    }

    fn retrieve_item(&mut self, request: &Request) -> Refused<()> {
        let item = self
            .conversation
            .retrieve(request.text("item_id").unwrap_or_default())?;
        self.outbox
            .send("conversation.item.retrieved", json!({ "item": item }));
        Ok(())
    }

    fn truncate_item(&mut self, request: &Request) -> Refused<()> {
        let number = |key: &str| request.body.get(key).and_then(Value::as_u64).unwrap_or_default();
        let item_id = request.text("item_id").unwrap_or_default();
        let (content_index, audio_end_ms) = (number("content_index"), number("audio_end_ms"));
        self.conversation.truncate(item_id, content_index, audio_end_ms)?;
        self.outbox.send(
            "conversation.item.truncated",
            json!({"item_id": item_id, "content_index": content_index, "audio_end_ms": audio_end_ms}),
        );
        Ok(())
    }

    fn delete_item(&mut self, request: &Request) -> Refused<()> {
        let item_id = request.text("item_id").unwrap_or_default();
        self.conversation.delete(item_id)?;
        self.outbox
            .send("conversation.item.deleted", json!({ "item_id": item_id }));
        Ok(())
    }

    fn create_response(&mut self, overrides: Option<&Map<String, Value>>) -> Refused<()> {
        if self.settings.is_transcription() {
            let message = "A transcription session makes no responses.";
            return Err(refusal_at("invalid_value", "type", message));
        }
        let given = |key: &str| overrides.and_then(|response| response.get(key));
        let out_of_band = given("conversation").is_some_and(|conversation| conversation == "none");
        self.check_room(out_of_band)?;
        let input = match given("input").and_then(Value::as_array) {
            Some(items) => Some(self.read_input(items)?),
            None => None,
        };
        let settings = self.settings.overridden(overrides);
        let conversation_id = (!out_of_band).then(|| self.conversation.id.clone());
        let metadata = given("metadata").cloned().unwrap_or_default();
        let question = Question { settings, input };
        if !out_of_band {
            self.answer_began_ms = self.input.position_ms();
        }
        let mut answer = Answer::open(question, conversation_id, metadata, &mut self.outbox);
        if self.hearings.is_empty() {
            self.ask(&mut answer);
        }
        self.answers.push_back(answer);
        Ok(())
    }

    /// Asks the brain what an answer holds, unless it was asked.
    fn ask(&mut self, answer: &mut Answer) {
        let Some(Question { settings, input }) = answer.take_question() else {
            return;
        };
        let mut read = Tokens::of_text(settings.instructions());
        read += Tokens::of_text(&settings.tools_text());
        match &input {
            Some(entries) => entries.iter().for_each(|entry| read += entry.tokens()),
            None => read += self.conversation.tokens(),
        }
        let reply = self.brain.answer(&Prompt {
            instructions: settings.instructions(),
            tools: &settings.functions(),
            tool_choice: &settings.tool_choice(),
            entries: input.as_deref().unwrap_or(self.conversation.entries()),
        });
        let cost = Cost {
            input: read,
            seen: std::mem::replace(&mut self.seen, read),
            output: Tokens::default(),
        };
        let reply = self.voiced(reply, &settings);
        answer.begin(reply, cost);
    }

    /// The reply in the server's voice, if it has one.
    fn voiced(&self, reply: Reply, settings: &Settings) -> Reply {
        match (&self.voice, settings.delivery()) {
            (Some(voice), Delivery::Spoken(format) | Delivery::Elsewhere(format)) => {
                voice::spoken(reply, Arc::clone(voice), format)
            }
            _ => reply,
        }
    }

    /// Stops what plays in a call; elsewhere the client itself plays the sound (protocol.md section 2).
    fn clear_output(&mut self) -> Refused<()> {
        if !matches!(self.settings.delivery(), Delivery::Elsewhere(_)) {
            let message = "The output audio buffer is cleared over WebRTC and SIP only.";
            return Err(refusal_at("invalid_value", "type", message));
        }
        let active = self.answers.iter().find(|answer| answer.is_default());
        let fields = json!({"response_id": active.map(|answer| &answer.id)});
        self.outbox.send("output_audio_buffer.cleared", fields);
        Ok(())
    }

    /// Only one response at a time may write to the conversation (protocol.md section 5.12).
    fn check_room(&self, out_of_band: bool) -> Refused<()> {
        match self.answers.iter().find(|answer| answer.is_default()) {
            Some(active) if !out_of_band => {
                let message = format!(
                    "Conversation already has an active response in progress: {}. Wait until the response is \
                     finished before creating a new one.",
                    active.id
                );
                Err(refusal("conversation_already_has_active_response", message))
            }
            _ if self.answers.len() >= MAX_ANSWERS => {
                let message = format!("{MAX_ANSWERS} responses are in progress. Wait until one is finished.");
                Err(refusal("too_many_active_responses", message))
            }
            _ => Ok(()),
        }
    }

    /// The items that a response reads instead of the conversation.
    fn read_input(&self, items: &[Value]) -> Refused<Vec<Entry>> {
        let format = self.settings.input_format();
        let read = |(n, item): (usize, &Value)| match item["id"].as_str() {
            Some(id) if item["type"] == "item_reference" => {
                self.conversation.get(id).cloned().ok_or_else(|| {
                    let message = format!("Error creating response: the item with id '{id}' does not exist.");
                    refusal("item_reference_invalid_item_id", message)
                })
            }
            _ => new_item::read(item, &format!("response.input[{n}]"), format),
        };
        items.iter().enumerate().map(read).collect()
    }

    /// Ends the response of an id, or without one the conversation's (protocol.md section 5.10).
    fn cancel_response(&mut self, id: Option<&str>) -> Refused<()> {
        let is_meant = |answer: &Answer| match id {
            Some(id) => answer.is_active() && answer.id == id,
            None => answer.is_default(),
        };
        let active = self.answers.iter().position(is_meant);
        let active = active.and_then(|at| self.answers.remove(at)).ok_or_else(|| {
            refusal(
                "response_cancel_not_active",
                "Cancellation failed: no active response found",
            )
        })?;
        active.cancel(Cancel::Client, &mut self.conversation, &mut self.outbox);
        Ok(())
    }
}
