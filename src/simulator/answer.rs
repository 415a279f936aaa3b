//! One response, from `response.created` to `response.done`, advanced one delta at a time.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::protocol::{Id, ItemStatus, ResponseStatus, Usage};

use super::brain::Output;
use super::conversation::{Conversation, Entry};
use super::id;
use super::outbox::Outbox;
use super::output_item::{Delivery, OutputItem};
use super::settings::Settings;
use super::usage::{Tokens, bill};

/// What a response is asked for.
#[derive(Debug)]
pub(super) struct Question {
    /// The session's settings with the response's own over them.
    pub(super) settings: Settings,
    /// What is read instead of the conversation.
    pub(super) input: Option<Vec<Entry>>,
}

/// A response that is being sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: Id,
    /// What the brain has not been asked yet.
    question: Option<Question>,
    /// The conversation it writes to; none when it is out of band.
    conversation_id: Option<Id>,
    metadata: Value,
    output_modalities: Value,
    max_output_tokens: Value,
    audio: Value,
    delivery: Delivery,
    /// Outputs not yet begun.
    outputs: VecDeque<Output>,
    current: Option<OutputItem>,
    /// Items already whole, as `response.done` lists them.
    finished: Vec<Value>,
    cost: Cost,
}

/// What an answer costs: known at its start, and growing with it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// All that the model read.
    pub(super) input: Tokens,
    /// What the response before this one read, which is cached.
    pub(super) seen: Tokens,
    /// What was made so far.
    pub(super) output: Tokens,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Completed,
    /// It reached `max_output_tokens`.
    TooLong,
    Cancelled,
}

impl Answer {
    /// Announces a response. `conversation_id` is none for one out of band.
    pub(super) fn open(
        question: Question,
        conversation_id: Option<Id>,
        metadata: Value,
        out: &mut Outbox,
    ) -> Self {
        let settings = &question.settings;
        let answer = Self {
            id: id::new("resp_"),
            conversation_id,
            metadata,
            output_modalities: settings.output_modalities().clone(),
            max_output_tokens: settings.max_output_tokens().clone(),
            audio: settings.response_audio(),
            delivery: if settings.speaks() {
                Delivery::Spoken(settings.output_format())
            } else {
                Delivery::Written
            },
            outputs: VecDeque::new(),
            current: None,
            finished: Vec::new(),
            cost: Cost::default(),
            question: Some(question),
        };
        let response = answer.shown(ResponseStatus::InProgress, Value::Null, None);
        out.send("response.created", json!({ "response": response }));
        answer
    }

    /// Whether the brain has yet to be asked.
    pub(super) fn is_waiting(&self) -> bool {
        self.question.is_some()
    }

    /// What the brain is to be asked, which it is once.
    pub(super) fn take_question(&mut self) -> Option<Question> {
        self.question.take()
    }

    /// Takes what the brain has answered.
    pub(super) fn begin(&mut self, outputs: Vec<Output>, cost: Cost) {
        self.outputs = outputs.into();
        self.cost = cost;
    }

    /// Whether it writes to the conversation, which only one response at a time may.
    pub(super) fn is_default(&self) -> bool {
        self.conversation_id.is_some()
    }

    /// Sends the next piece. Returns the answer while there is more to come.
    pub(super) fn advance(mut self, conversation: &mut Conversation, out: &mut Outbox) -> Option<Self> {
        if self.is_over_limit() {
            self.end(Ending::TooLong, conversation, out);
            return None;
        }
        if let Some(mut item) = self.current.take() {
            match item.advance(self.writes_to(conversation), out) {
                Some(cost) => {
                    self.cost.output += cost;
                    self.current = Some(item);
                }
                None => {
                    let item = item.close(ItemStatus::Completed, self.writes_to(conversation), out);
                    self.finished.push(item);
                }
            }
            return Some(self);
        }
        let Some(output) = self.outputs.pop_front() else {
            self.end(Ending::Completed, conversation, out);
            return None;
        };
        let (response_id, index) = (self.id.clone(), self.finished.len());
        let conversation = self.writes_to(conversation);
        self.current = Some(OutputItem::open(
            response_id,
            index,
            output,
            self.delivery,
            conversation,
            out,
        ));
        Some(self)
    }

    /// Ends the answer where it is, because the client wants it so.
    pub(super) fn cancel(self, conversation: &mut Conversation, out: &mut Outbox) {
        self.end(Ending::Cancelled, conversation, out);
    }

    fn is_over_limit(&self) -> bool {
        let made = self.cost.output.text + self.cost.output.audio;
        let has_more = self.current.as_ref().is_some_and(OutputItem::has_more) || !self.outputs.is_empty();
        has_more && self.max_output_tokens.as_u64().is_some_and(|max| made >= max)
    }

    fn end(mut self, ending: Ending, conversation: &mut Conversation, out: &mut Outbox) {
        if let Some(item) = self.current.take() {
            let item = item.close(ItemStatus::Incomplete, self.writes_to(conversation), out);
            self.finished.push(item);
        }
        let (status, details) = match ending {
            Ending::Completed => (ResponseStatus::Completed, Value::Null),
            Ending::TooLong => (
                ResponseStatus::Incomplete,
                json!({"type": "incomplete", "reason": "max_output_tokens"}),
            ),
            Ending::Cancelled => (
                ResponseStatus::Cancelled,
                json!({"type": "cancelled", "reason": "client_cancelled"}),
            ),
        };
        let usage = bill(self.cost.input, self.cost.output, self.cost.seen);
        let response = self.shown(status, details, Some(&usage));
        out.send("response.done", json!({ "response": response }));
        out.send("rate_limits.updated", rate_limits(&usage));
    }

    fn writes_to<'a>(&self, conversation: &'a mut Conversation) -> Option<&'a mut Conversation> {
        self.is_default().then_some(conversation)
    }

    /// The response object, with every key that the service sends (protocol.md section 3.3).
    fn shown(&self, status: ResponseStatus, details: Value, usage: Option<&Usage>) -> Value {
        json!({
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": self.finished,
            "conversation_id": self.conversation_id,
            "output_modalities": self.output_modalities,
            "max_output_tokens": self.max_output_tokens,
            "audio": self.audio,
            "usage": usage,
            "metadata": self.metadata,
        })
    }
}

/// A limit that is never reached: it fills up again before the next response.
fn rate_limits(usage: &Usage) -> Value {
    const LIMIT: u64 = 40_000;
    json!({"rate_limits": [{
        "name": "tokens",
        "limit": LIMIT,
        "remaining": LIMIT.saturating_sub(usage.total_tokens),
        "reset_seconds": 0.0,
    }]})
}
