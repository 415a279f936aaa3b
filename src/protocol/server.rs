use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::lenient::{self, Text};
use super::{ApiError, Id, Item, Response, SessionInfo, TranscriptionUsage, Usage};

/// What a server says (protocol.md section 3), as far as a session acts on it. The deltas borrow from the frame.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerEvent<'a> {
    /// The session is open.
    SessionCreated(SessionInfo),
    /// The session's settings as they are now.
    SessionUpdated(SessionInfo),
    /// Something went wrong; the session stays open unless a close follows.
    Error(ApiError),
    /// An item is in the conversation, perhaps still being made.
    ItemAdded(ItemEvent),
    /// An item is whole.
    ItemDone(ItemEvent),
    /// An item as it was asked for, with its audio.
    ItemRetrieved(ItemEvent),
    /// An item was cut to what was heard.
    ItemTruncated(ItemRef),
    /// An item is gone.
    ItemDeleted(ItemRef),
    /// Words of the user's speech, as they are made out.
    InputTranscriptDelta(TextDelta<'a>),
    /// What the user said.
    InputTranscriptDone(InputTranscript),
    /// The user's speech could not be transcribed.
    InputTranscriptFailed(InputTranscriptFailure),
    /// The user's audio became an item.
    AudioCommitted(ItemRef),
    /// The user began to speak.
    SpeechStarted(ItemRef),
    /// The user stopped speaking.
    SpeechStopped(ItemRef),
    /// Nobody spoke for long.
    IdleTimeout(ItemRef),
    /// An answer begins.
    ResponseCreated(Box<Response>),
    /// An answer has ended, in whatever way.
    ResponseDone(Box<Response>),
    /// The answer starts another item.
    OutputItemAdded(OutputItem),
    /// An item of the answer is whole.
    OutputItemDone(OutputItem),
    /// Written words.
    TextDelta(TextDelta<'a>),
    /// Words of what is spoken.
    TranscriptDelta(TextDelta<'a>),
    /// Sound.
    AudioDelta(AudioDelta<'a>),
    /// No more sound for this part.
    AudioDone(PartRef),
    /// All written words of a part.
    TextDone(PartText),
    /// All words spoken in a part.
    TranscriptDone(PartText),
    /// Any event that a session does not act on.
    Other(Cow<'a, str>),
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextDelta<'a> {
    /// The answer it belongs to; empty where the server does not say.
    pub response_id: Cow<'a, str>,
    /// The item it belongs to.
    pub item_id: Cow<'a, str>,
    /// The part of the item.
    pub content_index: u32,
    /// The words.
    pub delta: Cow<'a, str>,
}

/// A piece of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioDelta<'a> {
    /// The answer it belongs to; empty where the server does not say.
    pub response_id: Cow<'a, str>,
    /// The item it belongs to.
    pub item_id: Cow<'a, str>,
    /// The part of the item.
    pub content_index: u32,
    /// Base64; need not hold whole samples.
    pub base64: Cow<'a, str>,
}

/// An item and its place.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ItemEvent {
    /// The item before it: none for the first, or where the server does not say.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub previous_item_id: Option<Id>,
    /// The item.
    pub item: Item,
}

/// An item of an answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OutputItem {
    /// The answer, where the server says.
    #[serde(default, deserialize_with = "lenient::id")]
    pub response_id: Option<Id>,
    /// The item.
    pub item: Item,
}

/// An item by name, with the times that some events give.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ItemRef {
    /// The item; empty where the server does not say.
    #[serde(default = "no_id", deserialize_with = "lenient::id_or_empty")]
    pub item_id: Id,
    /// The item before it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub previous_item_id: Option<Id>,
    /// Where it begins, in milliseconds of all audio sent in the session.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub audio_start_ms: Option<u64>,
    /// Where it ends, likewise; for a truncation in milliseconds of the item.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub audio_end_ms: Option<u64>,
}

/// A part of an item by name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PartRef {
    /// The answer; empty where the server does not say.
    #[serde(default = "no_id", deserialize_with = "lenient::id_or_empty")]
    pub response_id: Id,
    /// The item.
    #[serde(default = "no_id", deserialize_with = "lenient::id_or_empty")]
    pub item_id: Id,
    /// The part.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub content_index: u32,
}

/// The whole text of a part.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PartText {
    /// Where it belongs.
    #[serde(flatten)]
    pub part: PartRef,
    /// The words.
    #[serde(default, alias = "transcript", deserialize_with = "lenient::or_default")]
    pub text: String,
}

/// What the user said.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InputTranscript {
    /// The user's item.
    #[serde(default = "no_id", deserialize_with = "lenient::id_or_empty")]
    pub item_id: Id,
    /// The part.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub content_index: u32,
    /// The words.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub transcript: String,
    /// What it cost.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub usage: Option<TranscriptionUsage>,
    /// `in_progress` on servers that send it again and again.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub status: Option<String>,
}

/// Why the user's speech could not be transcribed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InputTranscriptFailure {
    /// The user's item.
    #[serde(default = "no_id", deserialize_with = "lenient::id_or_empty")]
    pub item_id: Id,
    /// The reason.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub error: ApiError,
}

fn no_id() -> Id {
    Id::from("")
}

/// A frame that is no event: not JSON, without a type, or one of a known type that lacks what it is about.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableEvent {
    /// The frame is not a JSON object.
    #[error("the server sent a frame that is not a JSON event: {0}")]
    NotJson(#[source] serde_json::Error),
    /// The frame has no `type`.
    #[error("the server sent an event without a `type`")]
    NoType,
    /// What the type promises is not there.
    #[error("the server sent a `{kind}` event that cannot be read: {source}")]
    Malformed {
        /// The event's type.
        kind: String,
        /// What is missing or wrong.
        source: serde_json::Error,
    },
}

/// The fields of all deltas; what else a frame has is passed over without being built.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    response_id: Text<'a>,
    #[serde(borrow, default)]
    item_id: Text<'a>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    content_index: u32,
    #[serde(borrow, default)]
    delta: Text<'a>,
}

impl<'a> Head<'a> {
    fn text(self) -> TextDelta<'a> {
        TextDelta {
            response_id: self.response_id.0,
            item_id: self.item_id.0,
            content_index: self.content_index,
            delta: self.delta.0,
        }
    }

    fn audio(self) -> AudioDelta<'a> {
        let TextDelta {
            response_id,
            item_id,
            content_index,
            delta,
        } = self.text();
        AudioDelta {
            response_id,
            item_id,
            content_index,
            base64: delta,
        }
    }
}

impl<'a> ServerEvent<'a> {
    /// Reads the text of one frame.
    ///
    /// # Errors
    /// When the frame is not a JSON object with a `type`, or a known event lacks what it is about. Neither ends a
    /// session.
    pub fn parse(frame: &'a str) -> Result<Self, UnreadableEvent> {
        let head: Head<'a> = serde_json::from_str(frame).map_err(UnreadableEvent::NotJson)?;
        Ok(match &*head.kind.0 {
            "response.output_audio.delta" | "response.audio.delta" => Self::AudioDelta(head.audio()),
            "response.output_audio_transcript.delta" | "response.audio_transcript.delta" => {
                Self::TranscriptDelta(head.text())
            }
            "response.output_text.delta" | "response.text.delta" => Self::TextDelta(head.text()),
            "conversation.item.input_audio_transcription.delta" => Self::InputTranscriptDelta(head.text()),
            "" => return Err(UnreadableEvent::NoType),
            _ => return Self::parse_rare(head.kind.0, frame),
        })
    }

    /// Whether this is one of the deltas, which make up nearly all of the traffic.
    pub fn is_delta(&self) -> bool {
        matches!(
            self,
            Self::AudioDelta(_)
                | Self::TextDelta(_)
                | Self::TranscriptDelta(_)
                | Self::InputTranscriptDelta(_)
        )
    }

    /// The events that come a few times a turn: read as a tree and then by their type.
    fn parse_rare(kind: Cow<'a, str>, frame: &'a str) -> Result<Self, UnreadableEvent> {
        let body = Body { kind: &kind, frame };
        Ok(match &*kind {
            "session.created" => Self::SessionCreated(SessionInfo::from_value(&body.field("session")?)),
            "session.updated" => Self::SessionUpdated(SessionInfo::from_value(&body.field("session")?)),
            "error" => Self::Error(body.error()?),
            "conversation.item.added" | "conversation.item.created" => Self::ItemAdded(body.read()?),
            "conversation.item.done" => Self::ItemDone(body.read()?),
            "conversation.item.retrieved" => Self::ItemRetrieved(body.read()?),
            "conversation.item.truncated" => Self::ItemTruncated(body.read()?),
            "conversation.item.deleted" => Self::ItemDeleted(body.read()?),
            "conversation.item.input_audio_transcription.completed" => {
                Self::InputTranscriptDone(body.read()?)
            }
            "conversation.item.input_audio_transcription.failed" => Self::InputTranscriptFailed(body.read()?),
            "input_audio_buffer.committed" => Self::AudioCommitted(body.read()?),
            "input_audio_buffer.speech_started" => Self::SpeechStarted(body.read()?),
            "input_audio_buffer.speech_stopped" => Self::SpeechStopped(body.read()?),
            "input_audio_buffer.timeout_triggered" => Self::IdleTimeout(body.read()?),
            "response.created" => Self::ResponseCreated(Box::new(body.response()?)),
            "response.done" => Self::ResponseDone(Box::new(body.response()?)),
            "response.output_item.added" => Self::OutputItemAdded(body.read()?),
            "response.output_item.done" => Self::OutputItemDone(body.read()?),
            "response.output_audio.done" | "response.audio.done" => Self::AudioDone(body.read()?),
            "response.output_text.done" | "response.text.done" => Self::TextDone(body.read()?),
            "response.output_audio_transcript.done" | "response.audio_transcript.done" => {
                Self::TranscriptDone(body.read()?)
            }
            _ => Self::Other(kind),
        })
    }
}

/// A frame whose type is known.
struct Body<'a> {
    kind: &'a str,
    frame: &'a str,
}

impl Body<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, UnreadableEvent> {
        serde_json::from_str(self.frame).map_err(|source| self.malformed(source))
    }

    fn field(&self, name: &str) -> Result<Value, UnreadableEvent> {
        let mut event: Value = self.read()?;
        Ok(event.get_mut(name).map(Value::take).unwrap_or_default())
    }

    /// An error event; some servers send the error as plain text.
    fn error(&self) -> Result<ApiError, UnreadableEvent> {
        Ok(match self.field("error")? {
            Value::String(message) => ApiError {
                message,
                ..ApiError::default()
            },
            error => serde_json::from_value(error).unwrap_or_default(),
        })
    }

    /// A response; xAI puts the usage beside it (protocol.md section 7).
    fn response(&self) -> Result<Response, UnreadableEvent> {
        #[derive(Deserialize)]
        struct Event {
            response: Response,
            #[serde(default, deserialize_with = "lenient::or_default")]
            usage: Option<Usage>,
        }
        let Event { mut response, usage } = self.read()?;
        if response.usage.as_ref().is_none_or(|own| *own == Usage::default()) {
            response.usage = usage.or(response.usage);
        }
        Ok(response)
    }

    fn malformed(&self, source: serde_json::Error) -> UnreadableEvent {
        UnreadableEvent::Malformed {
            kind: self.kind.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_borrow_from_the_frame() {
        let frame = r#"{"type":"response.output_text.delta","event_id":"e","response_id":"r","item_id":"i",
            "output_index":0,"content_index":2,"delta":"héllo","obfuscation":"xx"}"#;
        let ServerEvent::TextDelta(delta) = ServerEvent::parse(frame).unwrap() else {
            panic!("not a delta")
        };
        assert!(matches!(delta.delta, Cow::Borrowed("héllo")));
        assert_eq!(
            (&*delta.response_id, &*delta.item_id, delta.content_index),
            ("r", "i", 2)
        );
    }

    #[test]
    fn escapes_are_undone() {
        let frame = r#"{"delta":"a\n\"b\"","type":"response.text.delta","item_id":null}"#;
        let ServerEvent::TextDelta(delta) = ServerEvent::parse(frame).unwrap() else {
            panic!("not a delta")
        };
        assert_eq!((&*delta.delta, &*delta.item_id), ("a\n\"b\"", ""));
    }

    #[test]
    fn unknown_events_pass() {
        let event =
            ServerEvent::parse(r#"{"type":"ping","delta":{"a":[1,{}]},"content_index":null}"#).unwrap();
        assert_eq!(event, ServerEvent::Other("ping".into()));
    }

    #[test]
    fn frames_that_are_no_events_say_so() {
        for frame in ["", "[]", "nonsense", "{", "{}", r#"{"type":7}"#] {
            assert!(ServerEvent::parse(frame).is_err(), "{frame}");
        }
        let error = ServerEvent::parse(r#"{"type":"conversation.item.added"}"#).unwrap_err();
        assert!(error.to_string().contains("`conversation.item.added`"), "{error}");
    }

    #[test]
    fn usage_beside_the_response_counts() {
        let frame = r#"{"type":"response.done","usage":{"input_tokens":3,"output_tokens":4,"grok_tokens":1},
            "response":{"id":"r","status":"completed","status_details":"unimplemented","usage":{}}}"#;
        let ServerEvent::ResponseDone(response) = ServerEvent::parse(frame).unwrap() else {
            panic!("not done")
        };
        assert_eq!(response.usage.unwrap().total(), 7);
        assert_eq!(
            (response.status, response.conversation_id),
            (ResponseStatus::Completed, None)
        );
    }

    use super::super::ResponseStatus;
}
