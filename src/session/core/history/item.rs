//! What one entry of the conversation holds, and how it takes in what events say of it.

use serde::Serialize;
use serde_json::Value;

use crate::protocol::{FunctionCall, Id, Item, ItemStatus, Message, Part, Role};

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
        /// How much was heard of what an answer said aloud, in milliseconds, if it was cut off: its words are all that came,
        /// and the server no longer knows which of them were heard.
        heard_ms: Option<u64>,
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

pub(super) fn empty_answer(item_id: Id) -> HistoryItem {
    HistoryItem::Message {
        item_id,
        role: Role::Assistant,
        status: ItemStatus::InProgress,
        content: Vec::new(),
        heard_ms: None,
    }
}

pub(super) fn new_entry(item_id: Id, item: Item, is_final: bool) -> HistoryItem {
    match item {
        Item::Message(mut message) => {
            message.content.iter_mut().for_each(drop_audio);
            HistoryItem::Message {
                item_id,
                role: message.role,
                status: status(message.status, is_final),
                content: message.content,
                heard_ms: None,
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
pub(super) fn merge(entry: &mut HistoryItem, item: Item, is_final: bool) -> bool {
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
pub(super) fn transcript_at(content: &mut [Part], index: u32) -> Option<&mut Option<String>> {
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
pub(super) fn words_at(content: &mut Vec<Part>, index: u32, spoken: bool) -> Option<&mut String> {
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
