//! The server's side of one session, without I/O.

mod hearing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::protocol::Item;

use super::answer::{Answer, Cost, Question};
use super::brain::{Brain, Prompt};
use super::conversation::{Conversation, Entry, Place};
use super::input_audio::InputAudio;
use super::outbox::Outbox;
use super::refusal::{Refused, refusal};
use super::request::{BadRequest, Kind, Request};
use super::settings::Settings;
use super::transcriber::{Hearings, Transcriber};
use super::usage::Tokens;
use super::{Options, id, new_item};

/// The longest a session lasts (protocol.md section 1.5); the simulator announces it, and does not end it then.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Responses that may run at once: one in the conversation, the others out of band.
const MAX_ANSWERS: usize = 16;

/// One session as the server has it. Frames of the client go into [`receive`](Self::receive); frames for the client
/// are in [`outbox`](Self::outbox); [`advance`](Self::advance) makes the next piece of what is being said.
pub(super) struct Peer {
    settings: Settings,
    conversation: Conversation,
    input: InputAudio,
    /// Running responses, taken in turn.
    answers: VecDeque<Answer>,
    /// What the last response read, for the count of cached tokens.
    seen: Tokens,
    brain: Box<dyn Brain>,
    transcriber: Arc<dyn Transcriber>,
    /// Speech whose words are not known yet.
    pub(super) hearings: Hearings,
    pub(super) outbox: Outbox,
}

impl Peer {
    /// A session with a model, which greets with `session.created`.
    pub(super) fn open(model: &str, options: &Options) -> Self {
        let expires = SystemTime::now() + LIFETIME;
        let expires = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut peer = Self {
            settings: Settings::new(model, expires.as_secs()),
            conversation: Conversation::new(id::new("conv_"), options.limits.max_conversation_bytes),
            input: InputAudio::default(),
            answers: VecDeque::new(),
            seen: Tokens::default(),
            brain: (options.brain)(),
            transcriber: Arc::clone(&options.transcriber),
            hearings: Hearings::default(),
            outbox: Outbox::default(),
        };
        peer.outbox
            .send("session.created", json!({"session": peer.settings.echo()}));
        peer
    }

    /// Takes in the text of one frame.
    pub(super) fn receive(&mut self, frame: &str) {
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
    pub(super) fn receive_binary(&mut self) {
        let message = "Expected a text WebSocket message; got a binary one. Send events as JSON text.";
        self.outbox.send_error(&refusal("invalid_event", message));
    }

    /// Makes the next piece of a running response.
    pub(super) fn advance(&mut self) {
        if let Some(mut answer) = self.answers.pop_front() {
            self.ask(&mut answer);
            let going_on = answer.advance(&mut self.conversation, &mut self.outbox);
            self.answers.extend(going_on);
        }
    }

    /// Whether a response can go on: one that has not begun waits until the user is understood.
    pub(super) fn is_answering(&self) -> bool {
        match self.answers.front() {
            Some(next) => self.hearings.is_empty() || !next.is_waiting(),
            None => false,
        }
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
        self.outbox
            .send("session.updated", json!({"session": self.settings.echo()}));
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
        let outputs = self.brain.answer(&Prompt {
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
        answer.begin(outputs, cost);
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
            Some(id) => answer.id == id,
            None => answer.is_default(),
        };
        let active = self
            .answers
            .iter()
            .position(is_meant)
            .and_then(|at| self.answers.remove(at));
        let active = active.ok_or_else(|| {
            refusal(
                "response_cancel_not_active",
                "Cancellation failed: no active response found",
            )
        })?;
        active.cancel(&mut self.conversation, &mut self.outbox);
        Ok(())
    }
}
