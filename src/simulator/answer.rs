//! One response, from `response.created` to `response.done`, advanced one delta at a time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use serde_json::{Value, json};

use crate::protocol::{ApiError, Id, ItemStatus, ResponseStatus, Usage};

use super::brain::{CutOff, Output, Reply};
use super::conversation::{Conversation, Entry};
use super::id;
use super::outbox::Outbox;
use super::output_item::{Begin, Delivery, OutputItem};
use super::settings::Settings;
use super::usage::{Tokens, bill, spoken_ms};

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
    /// What is still to come.
    reply: Reply,
    /// What has come and is not begun.
    next: Option<Next>,
    /// A message that is whole, and is told to be so once the call after it has begun: the service's items overlap there
    /// (protocol.md section 5.6).
    commentary: Option<OutputItem>,
    current: Option<OutputItem>,
    /// Items already whole, as `response.done` lists them.
    finished: Vec<Value>,
    cost: Cost,
    stage: Stage,
}

/// How far the client has been told of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not at all: nobody has asked for it, and it may hold nothing.
    Unannounced,
    Running,
    /// `response.done` was sent; only faults follow it.
    Over,
}

/// What a reply gave: an output, or its end.
#[derive(Debug)]
enum Next {
    Output(Output),
    End,
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
#[derive(Debug)]
enum Ending {
    Completed,
    CutOff(CutOff),
    Failed(ApiError),
    Cancelled(Cancel),
}

/// Who ended an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancel {
    /// The client asked for it.
    Client,
    /// The user began to speak.
    Turn,
}

impl Cancel {
    fn reason(self) -> &'static str {
        match self {
            Self::Client => "client_cancelled",
            Self::Turn => "turn_detected",
        }
    }
}

impl Answer {
    /// Announces a response. `conversation_id` is none for one out of band.
    pub(super) fn open(
        question: Question,
        conversation_id: Option<Id>,
        metadata: Value,
        out: &mut Outbox,
    ) -> Self {
        let mut answer = Self::new(&question.settings, conversation_id, metadata);
        answer.question = Some(question);
        answer.announce(out);
        answer
    }

    /// A response that nobody has asked for; it is announced when it has something to hold.
    pub(super) fn unasked(settings: &Settings, conversation_id: Id, reply: Reply) -> Self {
        let mut answer = Self::new(settings, Some(conversation_id), Value::Null);
        answer.reply = reply;
        answer
    }

    fn new(settings: &Settings, conversation_id: Option<Id>, metadata: Value) -> Self {
        Self {
            id: id::new("resp_"),
            conversation_id,
            metadata,
            output_modalities: settings.output_modalities().clone(),
            max_output_tokens: settings.max_output_tokens().clone(),
            audio: settings.response_audio(),
            delivery: settings.delivery(),
            reply: Vec::new().into(),
            next: None,
            commentary: None,
            current: None,
            finished: Vec::new(),
            cost: Cost::default(),
            question: None,
            stage: Stage::Unannounced,
        }
    }

    fn announce(&mut self, out: &mut Outbox) {
        if self.stage == Stage::Unannounced {
            self.stage = Stage::Running;
            let response = self.shown(ResponseStatus::InProgress, Value::Null, None);
            out.send("response.created", json!({ "response": response }));
        }
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
    pub(super) fn begin(&mut self, reply: Reply, cost: Cost) {
        self.reply = reply;
        self.cost = cost;
    }

    /// Whether it is running, as the client sees it.
    pub(super) fn is_active(&self) -> bool {
        self.stage == Stage::Running
    }

    /// Whether it writes to the conversation, which only one response at a time may.
    pub(super) fn is_default(&self) -> bool {
        self.is_active() && self.conversation_id.is_some()
    }

    /// Whether there is something to send; learns what comes next, if that is known.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() && !self.current.as_ref().is_some_and(OutputItem::has_more) {
            let next = ready!(self.reply.poll_next(cx));
            self.next = Some(next.map_or(Next::End, Next::Output));
        }
        Poll::Ready(())
    }

    /// Sends the next piece. Returns the answer while there is more to come.
    pub(super) fn advance(mut self, conversation: &mut Conversation, out: &mut Outbox) -> Option<Self> {
        if self.is_active() && self.is_over_limit() {
            self.end(Ending::CutOff(CutOff::MaxOutputTokens), conversation, out);
            return None;
        }
        let into = self.conversation_id.is_some().then_some(&mut *conversation);
        if let Some(item) = &mut self.current
            && let Some(cost) = item.advance(into, out)
        {
            self.close_commentary(conversation, out);
            if cost.audio > 0 && self.cost.output.audio == 0 {
                self.tell_playing("started", out);
            }
            self.cost.output += cost;
            return Some(self);
        }
        match self.next.take() {
            Some(Next::Output(output)) => self.take(output, conversation, out),
            Some(Next::End) if self.stage == Stage::Running => {
                if self.has_held_back() {
                    self.next = Some(Next::End);
                } else {
                    self.end(Ending::Completed, conversation, out);
                    return None;
                }
            }
            Some(Next::End) => return None,
            None => {}
        }
        Some(self)
    }

    /// Begins what the reply gave.
    fn take(&mut self, output: Output, conversation: &mut Conversation, out: &mut Outbox) {
        if let Output::Fault(fault) = output {
            return out.send_fault(fault);
        }
        if self.stage == Stage::Over {
            return;
        }
        self.announce(out);
        let goes_on = match &output {
            Output::Say(_) | Output::Spoken { .. } => {
                self.current.as_ref().is_some_and(OutputItem::is_message)
            }
            Output::Arguments(_) | Output::CutOff(_) | Output::Fail(_) => true,
            _ => false,
        };
        if !goes_on && self.has_held_back() {
            self.next = Some(Next::Output(output));
            return;
        }
        match output {
            Output::Say(words) => {
                if !goes_on {
                    self.open_item(Begin::Message, conversation, out);
                }
                self.push(&words, conversation);
            }
            Output::Spoken { words, sound } => {
                if !goes_on {
                    self.open_item(Begin::Message, conversation, out);
                }
                let conversation = self.writes_to(conversation);
                if let Some(item) = &mut self.current {
                    item.push_spoken(&words, sound, conversation);
                }
            }
            Output::Call { name, arguments } => {
                self.open_item(Begin::Call(name), conversation, out);
                self.push(&arguments, conversation);
            }
            Output::Arguments(more) => {
                if self.current.as_ref().is_some_and(|item| !item.is_message()) {
                    self.push(&more, conversation);
                }
            }
            Output::Done => self.end(Ending::Completed, conversation, out),
            Output::CutOff(why) => self.end(Ending::CutOff(why), conversation, out),
            Output::Fail(error) => self.end(Ending::Failed(error), conversation, out),
            Output::Fault(_) => {}
        }
    }

    /// Whether the item that is being sent must be completed before anything else can begin.
    fn has_held_back(&mut self) -> bool {
        self.current.as_mut().is_some_and(|item| {
            item.complete();
            item.has_more()
        })
    }

    fn open_item(&mut self, begin: Begin, conversation: &mut Conversation, out: &mut Outbox) {
        let is_overtaken = self.current.as_ref().is_some_and(OutputItem::is_message);
        if is_overtaken && matches!(begin, Begin::Call(_)) {
            self.commentary = self.current.take();
        } else {
            self.close_item(ItemStatus::Completed, conversation, out);
        }
        let index = self.finished.len() + usize::from(self.commentary.is_some());
        let response_id = self.id.clone();
        let conversation = self.writes_to(conversation);
        let item = OutputItem::open(response_id, index, begin, self.delivery, conversation, out);
        self.current = Some(item);
    }

    fn push(&mut self, text: &str, conversation: &mut Conversation) {
        let conversation = self.writes_to(conversation);
        if let Some(item) = &mut self.current {
            item.push(text, conversation);
        }
    }

    /// Closes the message that the call after it has overtaken.
    fn close_commentary(&mut self, conversation: &mut Conversation, out: &mut Outbox) {
        if let Some(item) = self.commentary.take() {
            let item = item.close(ItemStatus::Completed, self.writes_to(conversation), out);
            self.finished.push(item);
        }
    }

    fn close_item(&mut self, status: ItemStatus, conversation: &mut Conversation, out: &mut Outbox) {
        // All its words were sent, whatever becomes of the call.
        self.close_commentary(conversation, out);
        if let Some(item) = self.current.take() {
            let item = item.close(status, self.writes_to(conversation), out);
            self.finished.push(item);
        }
    }

    /// Ends the answer where it is.
    pub(super) fn cancel(mut self, why: Cancel, conversation: &mut Conversation, out: &mut Outbox) {
        self.end(Ending::Cancelled(why), conversation, out);
    }

    /// How long what was said up to now sounds, in milliseconds.
    pub(super) fn spoken_ms(&self) -> u64 {
        spoken_ms(self.cost.output.audio)
    }

    fn is_over_limit(&self) -> bool {
        let made = self.cost.output.text + self.cost.output.audio;
        let has_more = self.current.as_ref().is_some_and(OutputItem::has_more)
            || matches!(
                self.next,
                Some(Next::Output(
                    Output::Say(_) | Output::Spoken { .. } | Output::Call { .. } | Output::Arguments(_)
                ))
            );
        has_more && self.max_output_tokens.as_u64().is_some_and(|max| made >= max)
    }

    fn end(&mut self, ending: Ending, conversation: &mut Conversation, out: &mut Outbox) {
        let (status, details) = match ending {
            Ending::Completed => (ResponseStatus::Completed, Value::Null),
            Ending::CutOff(why) => (
                ResponseStatus::Incomplete,
                json!({"type": "incomplete", "reason": why.as_str()}),
            ),
            Ending::Failed(error) => {
                let error = json!({"type": error.kind, "code": error.code, "message": error.message});
                (ResponseStatus::Failed, json!({"type": "failed", "error": error}))
            }
            Ending::Cancelled(why) => (
                ResponseStatus::Cancelled,
                json!({"type": "cancelled", "reason": why.reason()}),
            ),
        };
        let item_status = match status {
            ResponseStatus::Completed => ItemStatus::Completed,
            _ => ItemStatus::Incomplete,
        };
        self.close_item(item_status, conversation, out);
        let usage = bill(self.cost.input, self.cost.output, self.cost.seen);
        let response = self.shown(status, details, Some(&usage));
        out.send("response.done", json!({ "response": response }));
        out.send("rate_limits.updated", rate_limits(&usage));
        self.stage = Stage::Over;
        if self.cost.output.audio > 0 {
            self.tell_playing("stopped", out);
        }
    }

    /// Where the sound goes elsewhere, the client is told when it plays (protocol.md section 5.13).
    fn tell_playing(&self, what: &str, out: &mut Outbox) {
        if let Delivery::Elsewhere(_) = self.delivery {
            let kind = format!("output_audio_buffer.{what}");
            out.send(&kind, json!({"response_id": self.id}));
        }
    }

    fn writes_to<'a>(&self, conversation: &'a mut Conversation) -> Option<&'a mut Conversation> {
        self.conversation_id.is_some().then_some(conversation)
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

/// Waits until one of the answers has something to send, and puts that one first. One that has not begun waits until the
/// user is understood.
pub(super) async fn one_ready(answers: &mut VecDeque<Answer>, is_understood: bool) {
    poll_fn(|cx| {
        for _ in 0..answers.len() {
            if let Some(first) = answers.front_mut() {
                let is_ready = if first.is_waiting() {
                    is_understood
                } else {
                    first.poll_ready(cx).is_ready()
                };
                if is_ready {
                    return Poll::Ready(());
                }
            }
            answers.rotate_left(1);
        }
        Poll::Pending
    })
    .await
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
