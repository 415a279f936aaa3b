//! One item of an answer, from its first frame to its last.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::protocol::{AudioFormat, FunctionCall, Id, Item, ItemStatus, Message, Part, Role};

use super::conversation::{Conversation, Entry, Sound, show};
use super::outbox::Outbox;
use super::usage::{Tokens, spoken_tokens};
use super::{id, words};

/// How many words a transcript is ahead of the first sound (protocol.md section 5.2: several).
const TRANSCRIPT_LEAD: usize = 3;

/// An item that is being sent.
#[derive(Debug)]
pub(super) struct OutputItem {
    response_id: Id,
    id: Id,
    output_index: usize,
    /// The item before it in the conversation, as it was when this one began.
    previous: Option<Id>,
    body: Body,
    /// What is still to be sent, one delta each.
    pending: VecDeque<Delta>,
    /// Spoken words whose sound is not in line yet.
    unsounded: VecDeque<String>,
    /// How many words were put in line.
    words: usize,
}

/// What an item is begun with.
#[derive(Debug)]
pub(super) enum Begin {
    /// A message.
    Message,
    /// A call of a function.
    Call(String),
}

/// What the item holds so far.
#[derive(Debug)]
enum Body {
    Text(String),
    Speech {
        transcript: String,
        format: AudioFormat,
        /// Whether the client gets the sound.
        is_sent: bool,
    },
    Call {
        name: String,
        call_id: Id,
        arguments: String,
    },
}

#[derive(Debug)]
enum Delta {
    /// A piece of text, transcript or arguments.
    Words(String),
    /// The sound of a piece of transcript.
    Sound(String),
    /// Sound that a voice has made.
    Recorded(Bytes),
}

/// How answers are given: in writing, aloud in a format, or aloud where the client does not get the sound.
#[derive(Debug, Clone, Copy)]
pub(super) enum Delivery {
    Written,
    Spoken(AudioFormat),
    Elsewhere(AudioFormat),
}

impl OutputItem {
    /// Announces the item. Without a conversation it belongs to a response out of band, of which the
    /// conversation is told nothing (protocol.md section 5.12).
    pub(super) fn open(
        response_id: Id,
        output_index: usize,
        begin: Begin,
        delivery: Delivery,
        conversation: Option<&mut Conversation>,
        out: &mut Outbox,
    ) -> Self {
        let mut item = Self {
            response_id,
            id: id::new("item_"),
            output_index,
            previous: None,
            body: Body::new(begin, delivery),
            pending: VecDeque::new(),
            unsounded: VecDeque::new(),
            words: 0,
        };
        let entry = item.entry(ItemStatus::InProgress);
        let shown = entry.shown();
        out.send("response.output_item.added", item.output_fields(&shown));
        if let Some(conversation) = conversation {
            item.previous = conversation.append(entry);
            let fields = json!({"previous_item_id": item.previous, "item": shown});
            out.send("conversation.item.added", fields);
        }
        if let Some(part) = item.body.part("") {
            let mut fields = item.part_fields();
            fields["part"] = part;
            out.send("response.content_part.added", fields);
        }
        item
    }

    /// Whether it is a message, which more can be said in.
    pub(super) fn is_message(&self) -> bool {
        !matches!(self.body, Body::Call { .. })
    }

    pub(super) fn has_more(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Puts more in line: words of a message, or arguments of a call. The transcript leads by a few words; then words
    /// and sounds alternate.
    pub(super) fn push(&mut self, text: &str, conversation: Option<&mut Conversation>) {
        for piece in words::pieces(text) {
            self.pending.push_back(Delta::Words(piece.to_owned()));
            self.words += 1;
            if !matches!(self.body, Body::Speech { .. }) {
                continue;
            }
            if words::is_spoken(piece) {
                self.unsounded.push_back(piece.to_owned());
            }
            if self.words >= TRANSCRIPT_LEAD {
                self.pending.extend(self.unsounded.pop_front().map(Delta::Sound));
            }
        }
        if let Some(conversation) = conversation {
            conversation.change(&self.id, |entry| {
                if let Sound::Spoken { words, .. } = &mut entry.sound {
                    words.push_str(text);
                }
            });
        }
    }

    /// Puts words of a message in line whose sound is known, and then the sound, if the message is spoken.
    pub(super) fn push_spoken(
        &mut self,
        text: &str,
        mut sound: Bytes,
        conversation: Option<&mut Conversation>,
    ) {
        let Body::Speech { format, .. } = self.body else {
            return self.push(text, conversation);
        };
        self.complete();
        self.pending
            .extend(words::pieces(text).map(|piece| Delta::Words(piece.to_owned())));
        let millis = words::SPOKEN.as_millis() as u64;
        let step = usize::try_from(format.bytes_per_second() * millis / 1_000).unwrap_or(usize::MAX);
        while !sound.is_empty() {
            let piece = sound.split_to(step.min(sound.len()));
            self.pending.push_back(Delta::Recorded(piece));
        }
    }

    /// Puts in line what was held back until now, since nothing more is to come.
    pub(super) fn complete(&mut self) {
        self.pending.extend(self.unsounded.drain(..).map(Delta::Sound));
    }

    /// Sends the next delta and tells what it costs; none when all were sent.
    pub(super) fn advance(
        &mut self,
        conversation: Option<&mut Conversation>,
        out: &mut Outbox,
    ) -> Option<Tokens> {
        match self.pending.pop_front()? {
            Delta::Words(piece) => {
                let fields = match &self.body {
                    Body::Call { call_id, .. } => self.call_fields(call_id),
                    Body::Text(_) | Body::Speech { .. } => self.part_fields(),
                };
                out.send_delta(self.body.delta_kind(), fields, &piece);
                self.body.text_mut().push_str(&piece);
                Some(Tokens {
                    text: 1,
                    ..Tokens::default()
                })
            }
            Delta::Sound(piece) => {
                let audio = words::sound(&piece, self.body.format());
                Some(self.sound(&audio, false, conversation, out))
            }
            Delta::Recorded(audio) => Some(self.sound(&audio, true, conversation, out)),
        }
    }

    fn sound(
        &self,
        audio: &[u8],
        is_recorded: bool,
        conversation: Option<&mut Conversation>,
        out: &mut Outbox,
    ) -> Tokens {
        let Body::Speech { format, is_sent, .. } = self.body else {
            return Tokens::default();
        };
        let length = audio.len() as u64;
        if is_sent {
            let mut fields = self.part_fields();
            fields["delta"] = base64_simd::STANDARD.encode_to_string(audio).into();
            out.send("response.output_audio.delta", fields);
        }
        if let Some(conversation) = conversation {
            conversation.change(&self.id, |entry| {
                if let Sound::Spoken {
                    bytes,
                    recorded,
                    truncated: false,
                    ..
                } = &mut entry.sound
                {
                    *bytes += length;
                    if is_recorded {
                        recorded.extend_from_slice(audio);
                    }
                }
            });
        }
        Tokens {
            audio: spoken_tokens(format.millis(length)),
            ..Tokens::default()
        }
    }

    /// Sends the closing frames, in the recorded order, and returns the finished item.
    pub(super) fn close(
        self,
        status: ItemStatus,
        conversation: Option<&mut Conversation>,
        out: &mut Outbox,
    ) -> Value {
        self.close_body(out);
        let item = self.item(status);
        let shown = show(&item);
        if let Some(conversation) = conversation {
            let previous = conversation.previous_when_done(self.previous.as_ref());
            let fields = json!({"previous_item_id": previous, "item": shown});
            out.send("conversation.item.done", fields);
            conversation.change(&self.id, |entry| entry.finish(item));
        }
        out.send("response.output_item.done", self.output_fields(&shown));
        shown
    }

    fn close_body(&self, out: &mut Outbox) {
        match &self.body {
            Body::Text(text) => self.close_part("response.output_text.done", "text", text, out),
            Body::Speech { transcript, .. } => {
                out.send("response.output_audio.done", self.part_fields());
                self.close_part(
                    "response.output_audio_transcript.done",
                    "transcript",
                    transcript,
                    out,
                );
            }
            Body::Call {
                name,
                call_id,
                arguments,
            } => {
                let mut fields = self.call_fields(call_id);
                fields["name"] = name.as_str().into();
                fields["arguments"] = arguments.as_str().into();
                out.send("response.function_call_arguments.done", fields);
            }
        }
    }

    fn close_part(&self, kind: &str, key: &str, text: &str, out: &mut Outbox) {
        let mut fields = self.part_fields();
        fields[key] = text.into();
        out.send(kind, fields);
        let mut fields = self.part_fields();
        fields["part"] = self.body.part(text).unwrap_or_default();
        out.send("response.content_part.done", fields);
    }

    fn output_fields(&self, item: &Value) -> Value {
        json!({"response_id": self.response_id, "output_index": self.output_index, "item": item})
    }

    fn part_fields(&self) -> Value {
        json!({
            "response_id": self.response_id,
            "item_id": self.id,
            "output_index": self.output_index,
            "content_index": 0,
        })
    }

    fn call_fields(&self, call_id: &Id) -> Value {
        json!({
            "response_id": self.response_id,
            "item_id": self.id,
            "output_index": self.output_index,
            "call_id": call_id,
        })
    }

    fn entry(&self, status: ItemStatus) -> Entry {
        let mut entry = Entry::new(self.id.clone(), self.item(status));
        if let Body::Speech { format, .. } = self.body {
            entry.sound = Sound::Spoken {
                words: String::new(),
                recorded: Vec::new(),
                format,
                bytes: 0,
                truncated: false,
            };
        }
        entry
    }

    /// The item as it is now; while it is in progress it has no content.
    fn item(&self, status: ItemStatus) -> Item {
        let (id, status) = (Some(self.id.clone()), Some(status));
        let content = match &self.body {
            Body::Call {
                name,
                call_id,
                arguments,
            } => {
                return Item::FunctionCall(FunctionCall {
                    id,
                    status,
                    name: name.clone(),
                    call_id: call_id.to_string(),
                    arguments: arguments.clone(),
                });
            }
            _ if status == Some(ItemStatus::InProgress) => Vec::new(),
            Body::Text(text) => vec![Part::OutputText { text: text.clone() }],
            Body::Speech { transcript, .. } => {
                vec![Part::OutputAudio {
                    audio: None,
                    transcript: Some(transcript.clone()),
                }]
            }
        };
        Item::Message(Message {
            id,
            status,
            role: Role::Assistant,
            content,
        })
    }
}

impl Body {
    fn new(begin: Begin, delivery: Delivery) -> Self {
        match (begin, delivery) {
            (Begin::Call(name), _) => Self::Call {
                name,
                call_id: id::call(),
                arguments: String::new(),
            },
            (Begin::Message, Delivery::Written) => Self::Text(String::new()),
            (Begin::Message, Delivery::Spoken(format) | Delivery::Elsewhere(format)) => Self::Speech {
                transcript: String::new(),
                format,
                is_sent: matches!(delivery, Delivery::Spoken(_)),
            },
        }
    }

    /// How it sounds; what is not spoken has no sound.
    fn format(&self) -> AudioFormat {
        match self {
            Self::Speech { format, .. } => *format,
            Self::Text(_) | Self::Call { .. } => AudioFormat::default(),
        }
    }

    fn delta_kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "response.output_text.delta",
            Self::Speech { .. } => "response.output_audio_transcript.delta",
            Self::Call { .. } => "response.function_call_arguments.delta",
        }
    }

    fn text_mut(&mut self) -> &mut String {
        match self {
            Self::Text(text) | Self::Speech { transcript: text, .. } | Self::Call { arguments: text, .. } => {
                text
            }
        }
    }

    /// The content part, whose type is not that of the finished item (protocol.md section 3.3). Calls have none.
    fn part(&self, text: &str) -> Option<Value> {
        match self {
            Self::Text(_) => Some(json!({"type": "text", "text": text})),
            Self::Speech { .. } => Some(json!({"type": "audio", "transcript": text})),
            Self::Call { .. } => None,
        }
    }
}
