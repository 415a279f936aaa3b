//! What an answer that is under way has said so far.

use crate::protocol::{Id, Usage};

/// An answer that is under way.
#[derive(Debug, Default)]
pub(super) struct Answer {
    items: Vec<Item>,
    pub(super) usage: Option<Usage>,
    /// Where in its window the first call that it made is told, among the happenings and the lines: what it said stands
    /// before that, though the end of an answer is told after its calls.
    pub(super) first_call: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Item {
    id: Id,
    words: String,
    /// Whether words of it came piece by piece; else they are those of its entry in the conversation.
    in_pieces: bool,
}

impl Answer {
    /// More words have come.
    pub(super) fn grow(&mut self, id: &Id, delta: &str) {
        let item = match self.items.iter_mut().rev().find(|item| item.id == *id) {
            Some(item) => item,
            None => self.begin(id),
        };
        if !std::mem::replace(&mut item.in_pieces, true) {
            item.words.clear();
        }
        item.words.push_str(delta);
    }

    /// The conversation has a new entry.
    pub(super) fn add(&mut self, id: &Id, words: String) {
        if self.items.iter().all(|item| item.id != *id) {
            self.begin(id).words = words;
        }
    }

    /// An entry has changed; it need not be of this answer.
    pub(super) fn update(&mut self, id: &Id, words: String) {
        let own = self.items.iter_mut().find(|item| item.id == *id);
        if let Some(item) = own.filter(|item| !item.in_pieces) {
            item.words = words;
        }
    }

    fn begin(&mut self, id: &Id) -> &mut Item {
        self.items.push(Item {
            id: id.clone(),
            words: String::new(),
            in_pieces: false,
        });
        let last = self.items.len() - 1;
        &mut self.items[last]
    }

    /// All that it said.
    pub(super) fn words(&self) -> String {
        let spoken = self.items.iter().map(|item| item.words.trim());
        let spoken: Vec<_> = spoken.filter(|words| !words.is_empty()).collect();
        spoken.join("\n")
    }
}
