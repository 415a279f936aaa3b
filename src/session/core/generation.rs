//! A span for each answer of the model: what went in since the answer before, what came out, and what it cost.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::messages::{self, message};
use super::{Core, HistoryItem};
use crate::agent::ResolvedAgent;
use crate::protocol::{Id, Item, ItemStatus, Message, Response, ResponseStatus, Role, Usage};
use crate::session::in_millis;
use crate::trace::{Span, SpanData, SpanError, keys};

/// Items that wait for the answer they go into, at the most; the oldest are left out, and counted.
const MAX_WAITING: usize = 64;
/// Open spans at the most; a server that never ends its answers has the oldest ended for it.
const MAX_OPEN: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Generations {
    /// What came into the conversation since an answer last began.
    waiting: Input,
    open: Vec<Generation>,
}

/// What goes into an answer.
#[derive(Debug, Default)]
struct Input {
    /// Messages, each with the item it tells of: the user's words may become known later.
    messages: VecDeque<(Id, Value)>,
    /// How many there were before these.
    left_out: usize,
}

/// An answer that goes on.
#[derive(Debug)]
struct Generation {
    id: Option<Id>,
    span: Span,
    input: Input,
    voice: Option<Value>,
    /// Whether any of it has come.
    has_content: bool,
}

impl Generations {
    /// The voice that this answer speaks with.
    pub(super) fn voice(&self, response_id: Option<&Id>) -> Option<&Value> {
        let own = self.open.iter().find(|own| own.id.as_ref() == response_id);
        own.and_then(|own| own.voice.as_ref())
    }

    /// What the user said in an item has become known.
    fn hear(&mut self, item_id: &Id, words: &str) {
        let inputs = self.open.iter_mut().map(|own| &mut own.input);
        let messages = inputs
            .chain([&mut self.waiting])
            .flat_map(|input| &mut input.messages);
        for (_, message) in messages.filter(|(id, _)| id == item_id) {
            message["content"] = messages::cut(words).into();
        }
    }

    /// An item is gone before anything was made of it.
    pub(super) fn forget(&mut self, item_id: &Id) {
        self.waiting.messages.retain(|(id, _)| id != item_id);
    }

    /// Writes on the span of an answer how long after the user's turn something was.
    pub(super) fn mark(&mut self, response_id: &str, key: &str, after: Duration) {
        if let Some(generation) = self.get_mut(response_id) {
            generation.span.set_metadata(key, in_millis(after));
        }
    }

    /// The answer that something is of; some servers do not say.
    fn get_mut(&mut self, response_id: &str) -> Option<&mut Generation> {
        let own = |own: &&mut Generation| response_id.is_empty() || own.id.as_deref() == Some(response_id);
        self.open.iter_mut().find(own)
    }

    fn is_open(&self, id: &Id) -> bool {
        self.open.iter().any(|own| own.id.as_ref() == Some(id))
    }

    /// Takes out the answer that has ended: the one of that id, or on servers without ids the one that runs.
    fn take(&mut self, id: Option<&Id>) -> Option<Generation> {
        let own = |id: Option<&Id>| self.open.iter().position(|own| own.id.as_ref() == id);
        let place = match id {
            Some(_) => own(id).or_else(|| own(None)),
            None => own(None).or_else(|| self.open.len().checked_sub(1)),
        };
        Some(self.open.remove(place?))
    }
}

impl Input {
    fn push(&mut self, item_id: Id, message: Value) {
        if self.messages.len() == MAX_WAITING {
            self.messages.pop_front();
            self.left_out += 1;
        }
        self.messages.push_back((item_id, message));
    }
}

impl Generation {
    /// Writes what went in, which is known whole only now.
    fn write_input(&mut self) {
        let Input { messages, left_out } = std::mem::take(&mut self.input);
        if left_out > 0 {
            self.span.set_metadata(keys::INPUT_LEFT_OUT, left_out);
        }
        self.span.update(|data| {
            if let SpanData::Generation { input, .. } = data {
                *input = Some(messages.into_iter().map(|(_, message)| message).collect());
            }
        });
    }
}

impl Core {
    /// Takes note of an item that the server says is in the conversation, if it is new and the model did not make it.
    pub(super) fn note_input(&mut self, item: &Item) {
        if !self.is_recording() {
            return;
        }
        let Some(id) = item.id().filter(|id| self.history.known(id).is_none()) else {
            return;
        };
        let is_input = match item {
            // What the model is about to say is announced while it is still empty.
            Item::Message(message) => {
                message.role != Role::Assistant || message.status == Some(ItemStatus::Completed)
            }
            Item::FunctionCallOutput(_) => true,
            Item::FunctionCall(_) | Item::Other(_) => false,
        };
        let waiting = &mut self.generations.waiting;
        if let (true, Some(message)) = (is_input, message(item))
            && waiting.messages.iter().all(|(own, _)| *own != *id)
        {
            waiting.push(Id::from(id), message);
        }
    }

    /// What the user said in an item has become known. Of an item not announced this is the first that is heard.
    pub(super) fn note_words(&mut self, item_id: &Id, words: &str) {
        if !self.is_recording() {
            return;
        }
        let id = Some(item_id.clone()).filter(|id| !id.is_empty());
        self.note_input(&Item::Message(Message {
            id,
            ..Message::default()
        }));
        self.generations.hear(item_id, words);
    }

    /// Some of an answer has come. Asked for each delta, so the common case is short.
    pub(super) fn note_content(&mut self, response_id: &str) {
        if let Some(generation) = self.generations.get_mut(response_id)
            && !std::mem::replace(&mut generation.has_content, true)
        {
            let now = self.now.to_string();
            generation.span.set_metadata(keys::FIRST_CONTENT_AT, now);
        }
    }

    /// An answer has begun: its span starts, under the agent in charge (span rule P3). One outside the conversation
    /// leaves what waits to the next one inside.
    pub(super) fn begin_generation(&mut self, response: &Response, in_conversation: bool) {
        let is_open = |id| self.generations.is_open(id);
        if response.id.as_ref().is_some_and(is_open) {
            return;
        }
        let turn = in_conversation.then(|| self.answer_turn()).flatten();
        if !self.is_recording() {
            return;
        }
        if self.generations.open.len() == MAX_OPEN {
            let oldest = self.generations.open.remove(0);
            self.give_up_generation(oldest, "The server never ended the response");
        }
        let voice = response
            .voice()
            .cloned()
            .or_else(|| voice_of(self.charge.agent()?));
        let data = SpanData::Generation {
            input: None,
            output: None,
            model: Some(self.model()),
            model_config: model_config(response, voice.as_ref()),
            usage: None,
        };
        let mut span = self.charge.context().span_at(data, self.now);
        if let Some(id) = &response.id {
            span.set_metadata(keys::RESPONSE_ID, id.as_str());
        }
        let mut input = Input::default();
        if in_conversation {
            input = std::mem::take(&mut self.generations.waiting);
        }
        if let Some(turn) = turn {
            span.set_metadata(keys::TURN_ENDED_AT, turn.at.to_string());
            span.set_metadata(keys::TURN_ENDED_BY, turn.by.as_str());
        }
        self.generations.open.push(Generation {
            id: response.id.clone(),
            span,
            input,
            voice,
            has_content: false,
        });
    }

    /// An answer has ended, in whatever way.
    pub(super) fn end_generation(&mut self, response: &Response) {
        if !self.is_recording() {
            return;
        }
        let known = self.generations.take(response.id.as_ref());
        let Some(mut generation) = known.or_else(|| {
            self.begin_generation(response, !response.is_out_of_band());
            self.generations.open.pop()
        }) else {
            return;
        };
        generation.write_input();
        let messages: Vec<Value> = response
            .output
            .iter()
            .filter_map(|item| self.output(item))
            .collect();
        generation.span.update(|data| {
            if let SpanData::Generation { output, usage, .. } = data {
                *output = Some(messages.into());
                *usage = response.usage.as_ref().map(usage_details);
            }
        });
        if let Some(error) = error(response) {
            generation.span.set_error(error);
        }
        generation.span.finish_at(self.now);
    }

    /// The session is over.
    pub(super) fn give_up_generations(&mut self) {
        for generation in std::mem::take(&mut self.generations.open) {
            self.give_up_generation(generation, "The session ended before the response was done");
        }
    }

    fn give_up_generation(&self, mut generation: Generation, reason: &str) {
        generation.write_input();
        let status = json!({"status": ResponseStatus::InProgress.as_str()});
        generation
            .span
            .set_error(SpanError::new(reason).with_data(status));
        generation.span.finish_at(self.now);
    }

    /// What came out; the words of an answer that was cut are gone from the server, but not from here.
    fn output(&self, item: &Item) -> Option<Value> {
        let mut told = message(item)?;
        if let Item::Message(message) = item
            && message.text().is_empty()
            && let Some(kept) = message.id.as_ref().and_then(|id| self.history.get(id))
        {
            told["content"] = messages::cut(&HistoryItem::text(kept)).into();
        }
        Some(told)
    }

    /// The model that answers, as the server names it.
    pub(super) fn model(&self) -> String {
        self.info.model.as_ref().unwrap_or(&self.options.model).clone()
    }

    /// Whether the session leaves spans: else nothing is made for them (span rule N2).
    pub(super) fn is_recording(&self) -> bool {
        self.options.scope.is_recording()
    }
}

fn voice_of(agent: &ResolvedAgent) -> Option<Value> {
    let voice = agent.settings.config.audio.output.voice.as_ref();
    voice.and_then(|voice| serde_json::to_value(voice).ok())
}

/// How the answer is made, as far as the server says.
fn model_config(response: &Response, voice: Option<&Value>) -> Option<Value> {
    let modalities = response.output_modalities.as_ref().map(|names| json!(names));
    let settings: Map<String, Value> = [
        ("output_modalities", modalities.as_ref()),
        ("voice", voice),
        ("max_output_tokens", response.max_output_tokens.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.clone())))
    .collect();
    (!settings.is_empty()).then_some(settings.into())
}

fn usage_details(usage: &Usage) -> Value {
    let total_tokens = usage.total();
    let usage = Usage {
        total_tokens,
        ..usage.clone()
    };
    serde_json::to_value(usage).unwrap_or_default()
}

/// What the span says of an answer that did not end as it should.
fn error(response: &Response) -> Option<SpanError> {
    let message = match response.status {
        ResponseStatus::Completed | ResponseStatus::InProgress | ResponseStatus::Other => return None,
        ResponseStatus::Cancelled => "The response was cancelled",
        ResponseStatus::Incomplete => "The response is incomplete",
        ResponseStatus::Failed => "The response failed",
    };
    let details = response.status_details.clone().unwrap_or_default();
    let message = match details.describe() {
        Some(reason) => format!("{message}: {reason}"),
        None => message.to_owned(),
    };
    let error = details.error.unwrap_or_default();
    let kind = (!error.kind.is_empty()).then_some(error.kind);
    let mut data = Map::from_iter([("status".to_owned(), response.status.as_str().into())]);
    let known = [("reason", details.reason), ("type", kind), ("code", error.code)];
    data.extend(
        known
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into()))),
    );
    Some(SpanError::new(message).with_data(data.into()))
}
