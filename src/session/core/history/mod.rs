//! The conversation as the session knows it (protocol.md section 6.4): a linked list with an index, so that an
//! item is put anywhere, found and changed at a cost that does not depend on how long the conversation is.

mod item;

use std::collections::HashMap;

pub use self::item::HistoryItem;
use self::item::{empty_answer, merge, new_entry, transcript_at, words_at};
use crate::protocol::{FunctionCallOutput, Id, Item, ItemStatus, Part, Role};

/// What a change did.
#[derive(Debug, PartialEq)]
pub(super) enum Change<'a> {
    Added(&'a HistoryItem),
    Updated(&'a HistoryItem),
    None,
}

#[derive(Debug)]
struct Node {
    item: HistoryItem,
    before: Option<usize>,
    after: Option<usize>,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    /// Slots of removed items stay empty: few are ever removed.
    nodes: Vec<Option<Node>>,
    /// Where items are. The id of a tool's output leads to its call, so that what follows it finds its place.
    index: HashMap<Id, usize>,
    /// The answer that grows, and where it is: nearly every delta is for the same item as the one before.
    growing: Option<(Id, usize)>,
    first: Option<usize>,
    last: Option<usize>,
}

impl History {
    /// The conversation from its beginning.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &HistoryItem> {
        let mut next = self.first;
        std::iter::from_fn(move || {
            let node = self.node(next?)?;
            next = node.after;
            Some(&node.item)
        })
    }

    /// Puts in or changes what the server says of an item. `is_final` when it is said to be done.
    pub(super) fn upsert(&mut self, item: Item, previous: Option<&Id>, is_final: bool) -> Change<'_> {
        let Some(id) = item.id().filter(|id| !id.is_empty()).map(Id::from) else {
            return Change::None;
        };
        if let Item::FunctionCallOutput(output) = item {
            return self.link_output(id, &output);
        }
        if let Some(place) = self.index.get(&id).copied() {
            let Some(node) = self.nodes[place].as_mut() else {
                return Change::None;
            };
            let changed = merge(&mut node.item, item, is_final);
            return if changed {
                Change::Updated(&node.item)
            } else {
                Change::None
            };
        }
        let place = self.insert(new_entry(id, item, is_final), previous);
        self.node(place)
            .map_or(Change::None, |node| Change::Added(&node.item))
    }

    /// Makes the entry of an answer that the server never announced, if it at least has an id.
    pub(super) fn begin_answer(&mut self, item_id: &str) -> Change<'_> {
        if item_id.is_empty() {
            return Change::None;
        }
        let place = self.insert(empty_answer(Id::from(item_id)), None);
        self.node(place)
            .map_or(Change::None, |node| Change::Added(&node.item))
    }

    /// Adds words to an answer while they come. Returns the item's id, shared with the entry, if there is one.
    pub(super) fn append(
        &mut self,
        item_id: &str,
        content_index: u32,
        words: &str,
        spoken: bool,
    ) -> Option<Id> {
        let place = self.find_growing(item_id)?;
        let item = &mut self.nodes.get_mut(place)?.as_mut()?.item;
        if let HistoryItem::Message { content, .. } = item
            && let Some(text) = words_at(content, content_index, spoken)
        {
            text.push_str(words);
        }
        Some(item.id().clone())
    }

    fn find_growing(&mut self, item_id: &str) -> Option<usize> {
        if let Some((id, place)) = &self.growing
            && *id == *item_id
        {
            return Some(*place);
        }
        let (id, place) = self.index.get_key_value(item_id)?;
        self.growing = Some((id.clone(), *place));
        Some(*place)
    }

    /// Sets what a part of an answer says in the end.
    pub(super) fn set_words(&mut self, item_id: &str, content_index: u32, words: String, spoken: bool) {
        let Some(HistoryItem::Message { content, .. }) = self.get_mut(item_id) else {
            return;
        };
        if !words.is_empty()
            && let Some(text) = words_at(content, content_index, spoken)
        {
            *text = words;
        }
    }

    /// Sets what the user said. An item not announced is put at the end.
    pub(super) fn set_input_transcript(
        &mut self,
        item_id: &Id,
        content_index: u32,
        said: &str,
    ) -> Change<'_> {
        if let Some(place) = self.index.get(item_id).copied() {
            let Some(node) = self.nodes[place].as_mut() else {
                return Change::None;
            };
            let HistoryItem::Message { content, status, .. } = &mut node.item else {
                return Change::None;
            };
            if content.is_empty() {
                content.push(Part::InputAudio {
                    audio: None,
                    transcript: None,
                });
            }
            if let Some(transcript) = transcript_at(content, content_index) {
                *transcript = Some(said.to_owned());
                *status = ItemStatus::Completed;
            }
            return Change::Updated(&node.item);
        }
        let content = vec![Part::InputAudio {
            audio: None,
            transcript: Some(said.to_owned()),
        }];
        let item = HistoryItem::Message {
            item_id: item_id.clone(),
            role: Role::User,
            status: ItemStatus::Completed,
            content,
            heard_ms: None,
        };
        let place = self.insert(item, None);
        self.node(place)
            .map_or(Change::None, |node| Change::Added(&node.item))
    }

    /// Sets what the model was told in answer to its call.
    pub(super) fn set_output(&mut self, item_id: &str, text: &str) -> Change<'_> {
        let Some(item) = self.get_mut(item_id) else {
            return Change::None;
        };
        let HistoryItem::ToolCall { status, output, .. } = item else {
            return Change::None;
        };
        *status = ItemStatus::Completed;
        *output = Some(text.to_owned());
        Change::Updated(item)
    }

    /// Marks an answer that was cut after so many milliseconds. Its words stay: the server forgets them, the application
    /// need not. What was heard is known when it is cut; what the server says of it later counts only for cuts that the
    /// application made itself.
    pub(super) fn truncate(&mut self, item_id: &str, heard: Option<u64>) -> Change<'_> {
        let Some(item) = self.get_mut(item_id) else {
            return Change::None;
        };
        let HistoryItem::Message { status, heard_ms, .. } = item else {
            return Change::None;
        };
        let before = (*status, *heard_ms);
        *status = ItemStatus::Incomplete;
        *heard_ms = heard_ms.or(heard);
        if (*status, *heard_ms) == before {
            return Change::None;
        }
        Change::Updated(item)
    }

    /// Takes an item out; says whether it was there.
    pub(super) fn remove(&mut self, item_id: &str) -> bool {
        self.growing = None;
        let Some(place) = self.index.remove(item_id) else {
            return false;
        };
        if self.node(place).is_none_or(|node| *node.item.id() != *item_id) {
            return false; // the id of a tool's output, whose call stays
        }
        let Some(node) = self.nodes[place].take() else {
            return false;
        };
        *self.link_after(node.before) = node.after;
        *self.link_before(node.after) = node.before;
        true
    }

    /// The id of a known item, shared with its entry.
    pub(super) fn known(&self, item_id: &str) -> Option<Id> {
        if let Some((id, _)) = &self.growing
            && *id == *item_id
        {
            return Some(id.clone());
        }
        self.index.get_key_value(item_id).map(|(id, _)| id.clone())
    }

    /// A known item.
    pub(super) fn get(&self, item_id: &str) -> Option<&HistoryItem> {
        let place = *self.index.get(item_id)?;
        self.node(place).map(|node| &node.item)
    }

    fn node(&self, place: usize) -> Option<&Node> {
        self.nodes.get(place)?.as_ref()
    }

    fn get_mut(&mut self, item_id: &str) -> Option<&mut HistoryItem> {
        let place = *self.index.get(item_id)?;
        self.nodes.get_mut(place)?.as_mut().map(|node| &mut node.item)
    }

    /// Puts a new entry after `previous`, or at the end where that is unknown.
    fn insert(&mut self, item: HistoryItem, previous: Option<&Id>) -> usize {
        let place = self.nodes.len();
        let before = previous
            .and_then(|id| self.index.get(id).copied())
            .filter(|place| self.node(*place).is_some());
        let before = before.or(self.last);
        let after = before
            .and_then(|place| self.node(place))
            .and_then(|node| node.after);
        self.index.insert(item.id().clone(), place);
        self.nodes.push(Some(Node { item, before, after }));
        *self.link_after(before) = Some(place);
        *self.link_before(after) = Some(place);
        place
    }

    /// The link that leads on from a place, or to the first item.
    fn link_after(&mut self, place: Option<usize>) -> &mut Option<usize> {
        match place.and_then(|place| self.nodes[place].as_mut()) {
            Some(node) => &mut node.after,
            None => &mut self.first,
        }
    }

    /// The link that leads back from a place, or to the last item.
    fn link_before(&mut self, place: Option<usize>) -> &mut Option<usize> {
        match place.and_then(|place| self.nodes[place].as_mut()) {
            Some(node) => &mut node.before,
            None => &mut self.last,
        }
    }

    /// An output is part of its call's entry; only its place is remembered.
    fn link_output(&mut self, id: Id, output: &FunctionCallOutput) -> Change<'_> {
        // The call is nearly always among the last entries, and looking at more would cost ever more.
        const LOOK_BACK: usize = 32;
        let mut place = self.last;
        for _ in 0..LOOK_BACK {
            let Some((at, node)) = place.and_then(|at| Some((at, self.node(at)?))) else {
                break;
            };
            if matches!(&node.item, HistoryItem::ToolCall { call_id, .. } if *call_id == output.call_id) {
                self.index.insert(id, at);
                break;
            }
            place = node.before;
        }
        Change::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn item(value: Value) -> Item {
        serde_json::from_value(value).unwrap()
    }

    fn user(id: &str, text: &str) -> Item {
        item(
            json!({"id": id, "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_text", "text": text}]}),
        )
    }

    fn assistant(id: &str, content: Value) -> Item {
        item(
            json!({"id": id, "type": "message", "role": "assistant", "status": "in_progress", "content": content}),
        )
    }

    fn order(history: &History) -> Vec<&str> {
        history.iter().map(|item| item.id().as_str()).collect()
    }

    #[test]
    fn items_go_after_the_one_named_else_to_the_end() {
        let mut history = History::default();
        let root = Id::from("a");
        assert!(matches!(
            history.upsert(user("a", "1"), None, true),
            Change::Added(_)
        ));
        history.upsert(user("c", "3"), Some(&root), true);
        history.upsert(user("b", "2"), Some(&root), true);
        history.upsert(user("d", "4"), Some(&Id::from("gone")), true);
        history.upsert(user("e", "5"), Some(&Id::from("")), true);
        assert_eq!(order(&history), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn an_item_that_is_known_stays_where_it_is() {
        let mut history = History::default();
        history.upsert(user("a", "1"), None, false);
        history.upsert(user("b", "2"), None, false);
        assert_eq!(
            history.upsert(user("a", "1"), None, true),
            Change::None,
            "a done that says nothing new"
        );
        assert_eq!(order(&history), ["a", "b"]);
    }

    #[test]
    fn removed_items_leave_the_others_linked() {
        let mut history = History::default();
        for id in ["a", "b", "c"] {
            history.upsert(user(id, id), None, true);
        }
        assert!(history.remove("b") && !history.remove("b"));
        assert_eq!(order(&history), ["a", "c"]);
        assert!(history.remove("c") && history.remove("a"));
        history.upsert(user("d", "4"), Some(&Id::from("c")), true);
        assert_eq!(order(&history), ["d"]);
    }

    #[test]
    fn deltas_grow_an_answer_and_empty_words_never_shrink_it() {
        let mut history = History::default();
        history.upsert(assistant("a", json!([])), None, false);
        history.append("a", 0, "Hel", true);
        history.append("a", 0, "lo", true);
        let done = assistant("a", json!([{"type": "output_audio", "transcript": null}]));
        history.upsert(done, None, true);
        let said: Vec<_> = history.iter().map(HistoryItem::text).collect();
        assert_eq!(said, ["Hello"]);
        let HistoryItem::Message { status, .. } = history.iter().next().unwrap() else {
            panic!("not a message")
        };
        assert_eq!(*status, ItemStatus::Completed, "done counts as completed");
    }

    #[test]
    fn deltas_for_an_item_never_announced_make_one() {
        let mut history = History::default();
        assert_eq!(history.append("a", 0, "lost", false), None);
        history.begin_answer("a");
        history.append("a", 0, "hi", false);
        history.append("a", 7, "far beyond", false);
        assert_eq!(history.iter().map(HistoryItem::text).collect::<Vec<_>>(), ["hi"]);
    }

    #[test]
    fn pictures_stay_when_a_later_event_leaves_them_out() {
        let mut history = History::default();
        let picture = json!({"type": "input_image", "image_url": "data:image/png;base64,AA"});
        let text = json!({"type": "input_text", "text": "what is this?"});
        let message =
            |content: Value| item(json!({"id": "u", "type": "message", "role": "user", "content": content}));
        history.upsert(message(json!([picture, text])), None, false);
        history.upsert(message(json!([text])), None, true);
        let HistoryItem::Message { content, .. } = history.iter().next().unwrap() else {
            panic!("not a message")
        };
        assert_eq!(content.len(), 2);
    }

    #[test]
    fn a_transcript_may_come_before_its_item() {
        let mut history = History::default();
        let id = Id::from("u");
        assert!(matches!(
            history.set_input_transcript(&id, 0, "hello"),
            Change::Added(_)
        ));
        let late = item(json!({"id": "u", "type": "message", "role": "user",
            "content": [{"type": "input_audio", "transcript": null}]}));
        history.upsert(late, None, false);
        assert_eq!(
            history.iter().map(HistoryItem::text).collect::<Vec<_>>(),
            ["hello"]
        );
    }

    #[test]
    fn a_call_is_one_entry_with_its_output() {
        let mut history = History::default();
        let call =
            json!({"id": "c", "type": "function_call", "name": "f", "call_id": "call_1", "arguments": "{}"});
        history.upsert(item(call), None, true);
        assert!(matches!(history.set_output("c", "sunny"), Change::Updated(_)));
        history.upsert(user("u", "late"), None, true);
        let output =
            json!({"id": "o", "type": "function_call_output", "call_id": "call_1", "output": "sunny"});
        assert_eq!(history.upsert(item(output), None, true), Change::None);
        history.upsert(user("n", "next"), Some(&Id::from("o")), true);
        assert_eq!(order(&history), ["c", "n", "u"]);
        assert!(!history.remove("o"));
    }

    #[test]
    fn a_cut_answer_keeps_its_words_and_stays_cut() {
        let mut history = History::default();
        history.begin_answer("a");
        history.append("a", 0, "all of it", true);
        history.truncate("a", Some(250));
        assert_eq!(
            history.truncate("a", Some(251)),
            Change::None,
            "it is cut already"
        );
        history.upsert(assistant("a", json!([{"type": "output_audio"}])), None, true);
        let HistoryItem::Message { status, heard_ms, .. } = history.iter().next().unwrap() else {
            panic!("not a message")
        };
        assert_eq!(*heard_ms, Some(250));
        assert_eq!(
            (*status, history.iter().next().unwrap().text().as_str()),
            (ItemStatus::Incomplete, "all of it")
        );
    }
}
