//! The conversation as the session knows it (protocol.md section 6.4): a linked list with an index, so that an
//! item is put anywhere, found and changed at a cost that does not depend on how long the conversation is.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::protocol::{FunctionCall, FunctionCallOutput, Id, Item, ItemStatus, Message, Part, Role};

/// An entry of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum HistoryItem {
    /// Something said.
    Message {
        /// The item's id.
        item_id: Id,
        /// Who said it.
        role: Role,
        /// How far it has come.
        status: ItemStatus,
        /// What was said, without audio.
        content: Vec<Part>,
    },
    /// A tool that the model called.
    ToolCall {
        /// The item's id.
        item_id: Id,
        /// The call's id.
        call_id: String,
        /// The tool.
        name: String,
        /// The arguments as the model wrote them.
        arguments: String,
        /// Completed once the output was sent.
        status: ItemStatus,
        /// What the model was told.
        output: Option<String>,
    },
    /// An item of a kind that the session does not act on.
    Other {
        /// The item's id.
        item_id: Id,
        /// The item as it came.
        item: Value,
    },
}

impl HistoryItem {
    /// The item's id.
    pub fn id(&self) -> &Id {
        match self {
            Self::Message { item_id, .. } | Self::ToolCall { item_id, .. } | Self::Other { item_id, .. } => {
                item_id
            }
        }
    }

    /// The words of a message, spoken and written.
    pub fn text(&self) -> String {
        match self {
            Self::Message { content, .. } => content.iter().filter_map(Part::words).collect(),
            Self::ToolCall { .. } | Self::Other { .. } => String::new(),
        }
    }
}

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

    /// Marks an answer that was cut. Its words stay: the server forgets them, the application need not.
    pub(super) fn truncate(&mut self, item_id: &str) -> Change<'_> {
        let Some(item) = self.get_mut(item_id) else {
            return Change::None;
        };
        let HistoryItem::Message { status, .. } = item else {
            return Change::None;
        };
        *status = ItemStatus::Incomplete;
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

fn empty_answer(item_id: Id) -> HistoryItem {
    HistoryItem::Message {
        item_id,
        role: Role::Assistant,
        status: ItemStatus::InProgress,
        content: Vec::new(),
    }
}

fn new_entry(item_id: Id, item: Item, is_final: bool) -> HistoryItem {
    match item {
        Item::Message(mut message) => {
            message.content.iter_mut().for_each(drop_audio);
            HistoryItem::Message {
                item_id,
                role: message.role,
                status: status(message.status, is_final),
                content: message.content,
            }
        }
        Item::FunctionCall(FunctionCall {
            name,
            call_id,
            arguments,
            ..
        }) => HistoryItem::ToolCall {
            item_id,
            call_id,
            name,
            arguments,
            status: ItemStatus::InProgress,
            output: None,
        },
        Item::FunctionCallOutput(_) | Item::Other(_) => HistoryItem::Other {
            item_id,
            item: serde_json::to_value(item).unwrap_or_default(),
        },
    }
}

/// An item said to be done is complete, whatever else it says, unless it was cut (section 6.4, rule 6).
fn status(said: Option<ItemStatus>, is_final: bool) -> ItemStatus {
    match said {
        Some(ItemStatus::InProgress) | None if is_final => ItemStatus::Completed,
        Some(status) => status,
        None => ItemStatus::InProgress,
    }
}

/// Takes over what is new; says whether anything was.
fn merge(entry: &mut HistoryItem, item: Item, is_final: bool) -> bool {
    let before = entry.clone();
    match (&mut *entry, item) {
        (
            HistoryItem::Message {
                status: own, content, ..
            },
            Item::Message(message),
        ) => {
            if *own != ItemStatus::Incomplete {
                *own = status(message.status, is_final);
            }
            merge_content(content, message);
        }
        (
            HistoryItem::ToolCall {
                name,
                arguments,
                call_id,
                ..
            },
            Item::FunctionCall(call),
        ) => {
            for (own, new) in [
                (name, call.name),
                (arguments, call.arguments),
                (call_id, call.call_id),
            ] {
                if !new.is_empty() {
                    *own = new;
                }
            }
        }
        (HistoryItem::Other { item, .. }, Item::Other(new)) => *item = new,
        _ => {}
    }
    *entry != before
}

/// Parts merge by index; empty words never replace known ones, and pictures stay (section 6.4, rules 2 and 3).
fn merge_content(own: &mut Vec<Part>, message: Message) {
    if message.content.is_empty() {
        return;
    }
    let images: Vec<_> = match message
        .content
        .iter()
        .any(|part| matches!(part, Part::InputImage { .. }))
    {
        true => Vec::new(),
        false => own
            .extract_if(.., |part| matches!(part, Part::InputImage { .. }))
            .collect(),
    };
    let mut old = std::mem::take(own).into_iter();
    own.extend(images);
    own.extend(message.content.into_iter().map(|mut part| {
        drop_audio(&mut part);
        match old.next() {
            Some(known) if part.words().is_none_or(str::is_empty) && known.words().is_some() => known,
            _ => part,
        }
    }));
}

/// Audio is not kept: it would fill the memory, and the application has had it.
fn drop_audio(part: &mut Part) {
    if let Part::InputAudio { audio, .. } | Part::OutputAudio { audio, .. } = part {
        *audio = None;
    }
}

/// The transcript of a part of what the user said, or of the first that is sound where the server's index is not
/// one of sound.
fn transcript_at(content: &mut [Part], index: u32) -> Option<&mut Option<String>> {
    let is_sound = |part: &Part| matches!(part, Part::InputAudio { .. });
    let place = match content.get(index as usize).is_some_and(is_sound) {
        true => index as usize,
        false => content.iter().position(is_sound)?,
    };
    match content.get_mut(place)? {
        Part::InputAudio { transcript, .. } => Some(transcript),
        _ => None,
    }
}

/// The words of a part of an answer, made if the server never announced it. `None` for a part of another kind, or
/// far beyond the ones there are.
fn words_at(content: &mut Vec<Part>, index: u32, spoken: bool) -> Option<&mut String> {
    let index = index as usize;
    if index == content.len() {
        content.push(if spoken {
            Part::OutputAudio {
                audio: None,
                transcript: None,
            }
        } else {
            Part::OutputText { text: String::new() }
        });
    }
    match content.get_mut(index)? {
        Part::OutputText { text } => Some(text),
        Part::OutputAudio { transcript, .. } => Some(transcript.get_or_insert_default()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        history.truncate("a");
        history.upsert(assistant("a", json!([{"type": "output_audio"}])), None, true);
        let HistoryItem::Message { status, .. } = history.iter().next().unwrap() else {
            panic!("not a message")
        };
        assert_eq!(
            (*status, history.iter().next().unwrap().text().as_str()),
            (ItemStatus::Incomplete, "all of it")
        );
    }
}
