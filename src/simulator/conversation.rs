//! The items of one conversation, in order.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::protocol::{AudioFormat, Id, Item, Message, Part, Role};

use super::Speech;
use super::refusal::{Refused, refusal, refusal_at};
use super::usage::Tokens;
use super::words;

/// One item with what the server knows of it beyond its wire form.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) item: Item,
    pub(super) sound: Sound,
}

/// The audio of an item; events leave it out, only retrieving shows it.
#[derive(Debug, Clone)]
pub(super) enum Sound {
    None,
    /// What the user said.
    Heard {
        audio: Bytes,
        format: AudioFormat,
        /// Whether the client may see the transcript, or only the brain.
        is_transcribed: bool,
    },
    /// What the model said. The bytes are made again from the words when they are asked for, since they are many.
    Spoken {
        words: String,
        /// The sound itself, where it was not made from the words.
        recorded: Vec<u8>,
        format: AudioFormat,
        /// How much of it was made, or was left by a truncation.
        bytes: u64,
        truncated: bool,
    },
}

impl Sound {
    /// Whole milliseconds.
    pub(super) fn millis(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Heard { audio, format, .. } => format.millis(audio.len() as u64),
            Self::Spoken { bytes, format, .. } => format.millis(*bytes),
        }
    }

    fn base64(&self) -> Option<String> {
        let encode = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
        match self {
            Self::None => None,
            Self::Heard { audio, .. } => Some(encode(audio)),
            Self::Spoken {
                words,
                recorded,
                format,
                bytes,
                ..
            } => {
                let mut audio = recorded.clone();
                if audio.is_empty() {
                    audio = words::pieces(words)
                        .flat_map(|piece| words::sound(piece, *format))
                        .collect();
                }
                audio.truncate(usize::try_from(*bytes).unwrap_or(usize::MAX));
                Some(encode(&audio))
            }
        }
    }
}

impl Entry {
    pub(super) fn new(id: Id, item: Item) -> Self {
        Self {
            id,
            item,
            sound: Sound::None,
        }
    }

    /// The item as events show it: without audio, and with the transcript of user audio even when it is null.
    pub(super) fn shown(&self) -> Value {
        let is_secret = matches!(
            self.sound,
            Sound::Heard {
                is_transcribed: false,
                ..
            }
        );
        let mut value = show(&self.item);
        for part in parts_mut(&mut value) {
            if part["type"] == "input_audio" {
                let transcript = if is_secret {
                    Value::Null
                } else {
                    part["transcript"].take()
                };
                *part = json!({"type": "input_audio", "transcript": transcript});
            }
        }
        value
    }

    /// The item as it is retrieved: with its audio.
    pub(super) fn retrieved(&self) -> Value {
        let mut value = self.shown();
        if let Value::Object(item) = &mut value {
            item.insert("object".into(), "realtime.item".into());
        }
        let audio = self.sound.base64();
        for part in parts_mut(&mut value) {
            if part["type"] == "input_audio" || part["type"] == "output_audio" {
                part["audio"] = audio.as_deref().into();
            }
        }
        value
    }

    pub(super) fn tokens(&self) -> Tokens {
        Tokens::of(&self.item, &self.sound)
    }

    /// Roughly how much memory the entry holds.
    fn weight(&self) -> usize {
        let audio = match &self.sound {
            Sound::Heard { audio, .. } => audio.len(),
            Sound::Spoken { words, recorded, .. } => words.len() + recorded.len(),
            Sound::None => 0,
        };
        let text = match &self.item {
            Item::Message(message) => message.content.iter().map(part_weight).sum(),
            Item::FunctionCall(call) => call.arguments.len(),
            Item::FunctionCallOutput(output) => output.output.len(),
            Item::Other(value) => value.to_string().len(),
        };
        // An item costs something even when it is empty.
        audio + text + 512
    }
}

fn part_weight(part: &Part) -> usize {
    match part {
        Part::InputImage { image_url, .. } => image_url.len(),
        part => part.words().map_or(0, str::len),
    }
}

/// The wire form of an item.
pub(super) fn show(item: &Item) -> Value {
    // An item has only string keys, so it always has a JSON form.
    serde_json::to_value(item).unwrap_or_default()
}

fn parts_mut(item: &mut Value) -> impl Iterator<Item = &mut Value> {
    let parts = item.get_mut("content").and_then(Value::as_array_mut);
    parts.into_iter().flatten()
}

/// Where a new item goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    End,
    Front,
    After(&'a str),
}

impl<'a> Place<'a> {
    /// From a `previous_item_id`; the empty string acts as if it were absent (protocol.md section 2).
    pub(super) fn from_previous(id: Option<&'a str>) -> Self {
        match id {
            None | Some("") => Self::End,
            Some("root") => Self::Front,
            Some(id) => Self::After(id),
        }
    }
}

/// The conversation that responses read and write.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) id: Id,
    entries: Vec<Entry>,
    /// Tokens of all items, kept up so that a response need not count a long conversation.
    tokens: Tokens,
    /// Memory held, and the most that may be.
    weight: usize,
    max_weight: usize,
}

impl Conversation {
    pub(super) fn new(id: Id, max_weight: usize) -> Self {
        Self {
            id,
            entries: Vec::new(),
            tokens: Tokens::default(),
            weight: 0,
            max_weight,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn tokens(&self) -> Tokens {
        self.tokens
    }

    pub(super) fn get(&self, id: &str) -> Option<&Entry> {
        self.position(id).map(|at| &self.entries[at])
    }

    /// Looks from the end, where most of what is asked for is.
    fn position(&self, id: &str) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.id == id)
    }

    pub(super) fn has_call(&self, call_id: &str) -> bool {
        let is_it =
            |entry: &Entry| matches!(&entry.item, Item::FunctionCall(call) if call.call_id == call_id);
        self.entries.iter().rev().any(is_it)
    }

    /// Whether the model has been heard.
    pub(super) fn has_speech(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry.sound, Sound::Spoken { .. }))
    }

    /// Takes in an item and tells which one is before it now.
    ///
    /// # Errors
    /// When the place is after an item that does not exist, or the conversation holds all it may.
    pub(super) fn insert(&mut self, entry: Entry, place: Place<'_>) -> Refused<Option<Id>> {
        if self.weight.saturating_add(entry.weight()) > self.max_weight {
            let message = format!(
                "The conversation holds {} bytes and may hold {}. Delete items or open another session.",
                self.weight, self.max_weight
            );
            return Err(refusal("conversation_too_large", message));
        }
        let at = match place {
            Place::End => self.entries.len(),
            Place::Front => 0,
            Place::After(id) => self.position(id).map(|at| at + 1).ok_or_else(|| {
                let message = format!("Error creating item: the item with id '{id}' does not exist.");
                refusal("item_create_invalid_previous_item_id", message)
            })?,
        };
        Ok(self.put(at, entry))
    }

    /// Puts an item of the model at the end; a running answer is not refused for size.
    pub(super) fn append(&mut self, entry: Entry) -> Option<Id> {
        self.put(self.entries.len(), entry)
    }

    fn put(&mut self, at: usize, entry: Entry) -> Option<Id> {
        self.weight += entry.weight();
        self.tokens += entry.tokens();
        self.entries.insert(at, entry);
        at.checked_sub(1).map(|before| self.entries[before].id.clone())
    }

    /// The item before one, as `conversation.item.done` gives it for items of the model: the service says null
    /// where that is the conversation's very first item (protocol.md, trap 3).
    pub(super) fn previous_when_done<'a>(&self, previous: Option<&'a Id>) -> Option<&'a Id> {
        previous.filter(|id| self.entries.first().is_none_or(|first| first.id != **id))
    }

    /// Changes an item in place. A missing one was deleted meanwhile, which is no mistake.
    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut Entry)) {
        let Some(at) = self.position(id) else { return };
        let entry = &mut self.entries[at];
        self.weight -= entry.weight();
        self.tokens -= entry.tokens();
        change(entry);
        self.weight += entry.weight();
        self.tokens += entry.tokens();
    }

    /// Takes an item out.
    ///
    /// # Errors
    /// When there is none of that id.
    pub(super) fn delete(&mut self, id: &str) -> Refused<()> {
        let Some(at) = self.position(id) else {
            return Err(no_item("delete", "deleting", id));
        };
        let entry = self.entries.remove(at);
        self.weight -= entry.weight();
        self.tokens -= entry.tokens();
        Ok(())
    }

    /// The item as it is retrieved.
    ///
    /// # Errors
    /// When there is none of that id.
    pub(super) fn retrieve(&self, id: &str) -> Refused<Value> {
        let entry = self
            .get(id)
            .ok_or_else(|| no_item("retrieve", "retrieving", id))?;
        Ok(entry.retrieved())
    }

    /// Cuts the model's speech to what was heard, and forgets its transcript.
    ///
    /// # Errors
    /// When there is no such item, it is not the model's speech, or it is shorter than that.
    pub(super) fn truncate(&mut self, id: &str, content_index: u64, end_ms: u64) -> Refused<()> {
        let entry = self
            .get(id)
            .ok_or_else(|| no_item("truncate", "truncating", id))?;
        let length = entry.sound.millis();
        if !matches!(entry.sound, Sound::Spoken { .. }) || length == 0 || content_index != 0 {
            return Err(refusal(
                "unsupported_content_type",
                "Only model output audio messages can be truncated",
            ));
        }
        if end_ms > length {
            return Err(refusal_at(
                "invalid_value",
                "audio_end_ms",
                format!("Audio content of {length}ms is already shorter than {end_ms}ms"),
            ));
        }
        self.change(id, |entry| entry.cut(end_ms));
        Ok(())
    }
}

impl Entry {
    /// Takes the finished form of an item that was in progress; what a truncation took from it stays gone.
    pub(super) fn finish(&mut self, item: Item) {
        self.item = item;
        if matches!(self.sound, Sound::Spoken { truncated: true, .. }) {
            self.forget_transcript();
        }
    }

    /// The user's speech, where nobody has said yet what it means.
    pub(super) fn wordless_speech(&self) -> Option<Speech> {
        match &self.sound {
            Sound::Heard {
                audio,
                format,
                is_transcribed: false,
            } => Some(Speech {
                audio: audio.clone(),
                format: *format,
            }),
            _ => None,
        }
    }

    /// Takes what the user said, which the client need not be told.
    pub(super) fn understand(&mut self, words: &str, is_shown: bool) {
        if let Sound::Heard { is_transcribed, .. } = &mut self.sound {
            *is_transcribed = is_shown;
        }
        if let Item::Message(message) = &mut self.item {
            for part in &mut message.content {
                if let Part::InputAudio { transcript, .. } = part {
                    *transcript = Some(words.to_owned());
                }
            }
        }
    }

    fn cut(&mut self, end_ms: u64) {
        if let Sound::Spoken {
            bytes,
            truncated,
            format,
            ..
        } = &mut self.sound
        {
            *bytes = end_ms * format.bytes_per_second() / 1_000;
            *truncated = true;
        }
        self.forget_transcript();
    }

    fn forget_transcript(&mut self) {
        if let Item::Message(Message {
            role: Role::Assistant,
            content,
            ..
        }) = &mut self.item
        {
            for part in content {
                if let Part::OutputAudio { transcript, .. } = part {
                    *transcript = None;
                }
            }
        }
    }
}

fn no_item(verb: &str, doing: &str, id: &str) -> Box<crate::protocol::ApiError> {
    refusal(
        &format!("item_{verb}_invalid_item_id"),
        format!("Error {doing} item: the item with id '{id}' does not exist."),
    )
}
