//! A span for each item that the model says aloud.

use std::collections::VecDeque;

use serde_json::json;

use super::{Core, HistoryItem, messages};
use crate::protocol::{Id, Item, OutputItem, Response};
use crate::trace::{AudioContent, Context, Span, SpanData, SpanError, Timestamp};

/// Announced items that may still be spoken, at the most.
const MAX_ANNOUNCED: usize = 16;
/// Open spans at the most; as many as there is sound to be played of.
const MAX_OPEN: usize = 64;
/// Items that are still known to have been said: of some, pieces come late.
const MAX_SAID: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Speeches {
    /// The item that the last sound was of: nearly every piece is of the same one as the piece before.
    current: Option<Id>,
    announced: VecDeque<Announced>,
    open: Vec<Speech>,
    said: VecDeque<Id>,
}

/// An item of which no sound has come yet, perhaps none will.
#[derive(Debug)]
struct Announced {
    item_id: Id,
    since: Timestamp,
    /// The place under the agent that was in charge then (span rule P3).
    scope: Context,
}

/// An item of which sound has come.
#[derive(Debug)]
struct Speech {
    item_id: Id,
    response_id: Option<Id>,
    span: Span,
    /// What the end of the answer says was said; of an answer outside the conversation nothing else tells it.
    words: Option<String>,
    /// Since when all sound is here.
    ended_at: Option<Timestamp>,
    /// Until when it is heard. Until then it may be interrupted, so the span is kept.
    heard_at: Option<Timestamp>,
}

impl Speeches {
    /// Whether a piece of sound may be the first of its item.
    pub(super) fn is_other(&self, item_id: &Id) -> bool {
        self.current.as_ref() != Some(item_id)
    }

    /// When the first of those that are all here will have been heard.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open.iter().filter_map(|own| own.heard_at).min()
    }

    fn is_known(&self, item_id: &Id) -> bool {
        self.said.contains(item_id) || self.open.iter().any(|own| own.item_id == *item_id)
    }

    /// An item was said. On servers that give items no ids the next one has the same.
    fn remember(&mut self, item_id: Id) {
        self.current = None;
        if !item_id.is_empty() {
            self.said.truncate(MAX_SAID - 1);
            self.said.push_front(item_id);
        }
    }

    fn get_mut(&mut self, item_id: &Id) -> Option<&mut Speech> {
        self.open.iter_mut().find(|own| own.item_id == *item_id)
    }

    /// Takes out those of which it is true.
    fn take(&mut self, is_over: impl Fn(&Speech) -> bool) -> Vec<Speech> {
        self.open.extract_if(.., |own| is_over(own)).collect()
    }
}

impl Core {
    /// The answer begins another item. Some servers tell of an answer only thus.
    pub(super) fn on_output_item_added(&mut self, output: OutputItem) {
        let OutputItem { response_id, item } = output;
        if !self.is_recording() || self.responses.has_ended(response_id.as_ref()) {
            return;
        }
        if response_id.is_some() && !self.responses.has_begun(response_id.as_ref()) {
            let id = response_id.clone();
            let response = Response {
                id,
                ..Response::default()
            };
            self.begin_generation(&response, true);
        }
        if let Item::FunctionCall(_) = &item {
            self.note_content(response_id.as_deref().unwrap_or_default());
        }
        if let Item::Message(message) = item
            && let Some(item_id) = message.id
        {
            self.speeches.announced.truncate(MAX_ANNOUNCED - 1);
            self.speeches.announced.push_front(Announced {
                item_id,
                since: self.now,
                scope: self.charge.context(),
            });
        }
    }

    /// The first sound of an item: its span starts where the item began.
    pub(super) fn begin_speech(&mut self, item_id: &Id, response_id: Option<Id>) {
        self.speeches.current = Some(item_id.clone());
        if !self.is_recording() || self.speeches.is_known(item_id) {
            return;
        }
        if self.speeches.open.len() == MAX_OPEN {
            let oldest = self.speeches.open.remove(0);
            self.finish_speech(oldest, None);
        }
        let announced = &mut self.speeches.announced;
        let place = announced.iter().position(|own| own.item_id == *item_id);
        let (since, scope) = match place.and_then(|place| announced.remove(place)) {
            Some(Announced { since, scope, .. }) => (since, scope),
            None => (self.now, self.charge.context()),
        };
        let voice = self.generations.voice(response_id.as_ref());
        let data = SpanData::Speech {
            input: None,
            output: AudioContent::omitted(self.playback.format().name()),
            model: Some(self.model()),
            model_config: voice.map(|voice| json!({"voice": voice})),
            first_content_at: Some(self.now),
        };
        self.speeches.open.push(Speech {
            item_id: item_id.clone(),
            response_id,
            span: scope.span_at(data, since),
            words: None,
            ended_at: None,
            heard_at: None,
        });
    }

    /// All sound of an item is here.
    pub(super) fn end_speech(&mut self, item_id: &Id) {
        let heard_at = self.playback.ends_at(item_id).unwrap_or(self.now);
        if let Some(speech) = self.speeches.get_mut(item_id) {
            speech.ended_at.get_or_insert(self.now);
            speech.heard_at.get_or_insert(heard_at);
        }
    }

    /// An answer has ended, and so have all its items.
    pub(super) fn end_speeches(&mut self, response: &Response) {
        for item in &response.output {
            if let Item::Message(message) = item
                && let Some(speech) = message.id.as_ref().and_then(|id| self.speeches.get_mut(id))
            {
                speech.words = Some(message.text()).filter(|words| !words.is_empty());
            }
        }
        let own = self
            .speeches
            .open
            .iter()
            .filter(|own| own.response_id == response.id);
        let items: Vec<Id> = own.map(|own| own.item_id.clone()).collect();
        items.iter().for_each(|item_id| self.end_speech(item_id));
    }

    /// An item was cut after so many milliseconds.
    pub(super) fn cut_speech(&mut self, item_id: &Id, heard_ms: u64) {
        for speech in self.speeches.take(|own| own.item_id == *item_id) {
            let error = SpanError::new(format!("Interrupted after {heard_ms} ms were heard"));
            let error = error.with_data(json!({"heard_ms": heard_ms}));
            self.finish_speech(speech, Some(error));
        }
    }

    /// The item is gone, and its words with it.
    pub(super) fn drop_speech(&mut self, item_id: &Id) {
        for speech in self.speeches.take(|own| own.item_id == *item_id) {
            self.finish_speech(speech, None);
        }
    }

    /// Finishes the spans of what has been heard to its end.
    pub(super) fn finish_heard_speeches(&mut self) {
        if self.speeches.open.is_empty() {
            return;
        }
        let now = self.now;
        for speech in self.speeches.take(|own| own.heard_at.is_some_and(|at| at <= now)) {
            self.finish_speech(speech, None);
        }
    }

    /// The session is over.
    pub(super) fn give_up_speeches(&mut self) {
        for speech in self.speeches.take(|_| true) {
            let is_cut_off = speech.ended_at.is_none();
            let error = is_cut_off.then(|| SpanError::new("The session ended before the speech was whole"));
            self.finish_speech(speech, error);
        }
    }

    fn finish_speech(&mut self, speech: Speech, error: Option<SpanError>) {
        let Speech {
            item_id,
            mut span,
            words,
            ended_at,
            ..
        } = speech;
        let words = words.or_else(|| {
            let kept = self.history.get(&item_id).map(HistoryItem::text);
            kept.filter(|words| !words.is_empty())
        });
        span.update(|data| {
            if let SpanData::Speech { input, .. } = data {
                *input = words.as_deref().map(messages::cut);
            }
        });
        if let Some(error) = error {
            span.set_error(error);
        }
        span.finish_at(ended_at.unwrap_or(self.now));
        self.speeches.remember(item_id);
    }
}
