//! A span for each item that the model says aloud.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::{Core, HistoryItem, messages};
use crate::protocol::{Id, Item, OutputItem, Response};
use crate::session::{PlayedBy, in_millis};
use crate::trace::{AudioContent, Context, Span, SpanData, SpanError, Timestamp, keys};

/// Announced items that may still be spoken, at the most.
const MAX_ANNOUNCED: usize = 16;
/// Open spans at the most; as many as there is sound to be played of.
const MAX_OPEN: usize = 64;
/// How far an application that reports what it plays may be behind the clock before its speech is taken for heard.
const PLAYBACK_LAG: Duration = Duration::from_secs(5);
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

    /// The next piece of sound is taken for the first of its item.
    pub(super) fn expect_other(&mut self) {
        self.current = None;
    }

    /// Writes on the span of an item how long after the user's turn something was.
    pub(super) fn mark(&mut self, item_id: &str, key: &str, after: Duration) {
        if let Some(speech) = self.get_mut(item_id) {
            speech.span.set_metadata(key, in_millis(after));
        }
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

    fn get_mut(&mut self, item_id: &str) -> Option<&mut Speech> {
        self.open.iter_mut().find(|own| *own.item_id == *item_id)
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
        if self.responses.has_ended(response_id.as_ref()) {
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
        if !self.is_recording() {
            return;
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
            self.finish_heard(oldest, None);
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

    /// All sound of an item is here. By the clock it is known when it will have been heard; an application that reports
    /// may be somewhat behind that.
    pub(super) fn end_speech(&mut self, item_id: &Id) {
        let by_clock = self.playback.ends_at(item_id).unwrap_or(self.now).max(self.now);
        let heard_at = match self.playback.source() {
            PlayedBy::Clock => by_clock,
            PlayedBy::Reports if self.playback.is_heard(item_id) => self.now,
            PlayedBy::Reports => by_clock + PLAYBACK_LAG,
        };
        if let Some(speech) = self.speeches.get_mut(item_id) {
            speech.ended_at.get_or_insert(self.now);
            speech.heard_at.get_or_insert(heard_at);
        }
    }

    /// The application has played some of an item: if that is all, its speech is over.
    pub(super) fn hasten_speech(&mut self, item_id: &str) {
        let is_heard = self.playback.is_heard(item_id);
        if is_heard && let Some(speech) = self.speeches.get_mut(item_id) {
            speech.heard_at = speech.heard_at.map(|at| at.min(self.now));
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
            self.finish_speech(speech, Some(heard_ms), Some(error));
        }
    }

    /// The item is gone, and its words with it.
    pub(super) fn drop_speech(&mut self, item_id: &Id) {
        for speech in self.speeches.take(|own| own.item_id == *item_id) {
            self.finish_heard(speech, None);
        }
    }

    /// Finishes the spans of what has been heard to its end.
    pub(super) fn finish_heard_speeches(&mut self) {
        if self.speeches.open.is_empty() {
            return;
        }
        let now = self.now;
        let is_heard = |own: &Speech| own.heard_at.is_some_and(|at| at <= now);
        if self.speeches.open.iter().any(is_heard) {
            self.hear_by_clock();
        }
        for speech in self.speeches.take(is_heard) {
            self.finish_heard(speech, None);
        }
    }

    /// The session is over.
    pub(super) fn give_up_speeches(&mut self) {
        for speech in self.speeches.take(|_| true) {
            let is_cut_off = speech.ended_at.is_none();
            let error = is_cut_off.then(|| SpanError::new("The session ended before the speech was whole"));
            self.finish_heard(speech, error);
        }
    }

    /// Finishes a span of which as much was heard as can be told now.
    fn finish_heard(&mut self, speech: Speech, error: Option<SpanError>) {
        let heard_ms = self.playback.heard_ms(&speech.item_id, self.now);
        self.finish_speech(speech, heard_ms, error);
    }

    fn finish_speech(&mut self, speech: Speech, heard_ms: Option<u64>, error: Option<SpanError>) {
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
        if let Some(heard_ms) = heard_ms {
            span.set_metadata(keys::HEARD_MS, heard_ms);
            span.set_metadata(keys::PLAYED_BY, self.playback.source().as_str());
        }
        if let Some(error) = error {
            span.set_error(error);
        }
        span.finish_at(ended_at.unwrap_or(self.now));
        self.speeches.remember(item_id);
    }
}
