use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Item, SessionConfig};

/// What a client says to the server (protocol.md section 2).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum ClientEvent {
    /// Changes the session's settings; all of it or nothing takes effect.
    #[serde(rename = "session.update")]
    SessionUpdate {
        /// The settings to change.
        session: Box<SessionConfig>,
    },
    /// Adds user audio.
    #[serde(rename = "input_audio_buffer.append")]
    AudioAppend {
        /// Sound in the session's input format, 15 MiB at the most.
        #[serde(serialize_with = "base64")]
        audio: Bytes,
    },
    /// Ends the user's turn by hand.
    #[serde(rename = "input_audio_buffer.commit")]
    AudioCommit,
    /// Forgets the audio not yet committed.
    #[serde(rename = "input_audio_buffer.clear")]
    AudioClear,
    /// Adds an item at the end of the conversation.
    #[serde(rename = "conversation.item.create")]
    ItemCreate {
        /// The new item.
        item: Item,
    },
    /// Asks for an item whole.
    #[serde(rename = "conversation.item.retrieve")]
    ItemRetrieve {
        /// The item.
        item_id: String,
    },
    /// Tells the server how much of an item was heard.
    #[serde(rename = "conversation.item.truncate")]
    ItemTruncate {
        /// The assistant's item.
        item_id: String,
        /// The part, 0 in practice.
        content_index: u32,
        /// Milliseconds that were heard; never more than the item has.
        audio_end_ms: u64,
    },
    /// Takes an item out of the conversation.
    #[serde(rename = "conversation.item.delete")]
    ItemDelete {
        /// The item.
        item_id: String,
    },
    /// Asks for an answer.
    #[serde(rename = "response.create")]
    ResponseCreate {
        /// What is different for this answer only; keys as in protocol.md section 2.
        #[serde(skip_serializing_if = "Option::is_none")]
        response: Option<Map<String, Value>>,
    },
    /// Stops an answer.
    #[serde(rename = "response.cancel")]
    ResponseCancel {
        /// The answer; without it the running one of the conversation.
        #[serde(skip_serializing_if = "Option::is_none")]
        response_id: Option<String>,
    },
    /// Any event as the application wrote it.
    #[serde(untagged)]
    Raw(Map<String, Value>),
}

impl ClientEvent {
    /// A message of the user.
    pub fn user_text(text: impl Into<String>) -> Self {
        Self::ItemCreate {
            item: Item::user_text(text),
        }
    }

    /// The text of the frame. Every event bears an `event_id`, since only by it can an error be told to belong to
    /// an event; a raw event keeps its own if it has one.
    ///
    /// # Errors
    /// None in practice: every event has a JSON form.
    pub fn to_frame(&self, event_id: &str) -> serde_json::Result<String> {
        match self {
            Self::Raw(event) if event.contains_key("event_id") => serde_json::to_string(event),
            event => serde_json::to_string(&Frame { event_id, event }),
        }
    }
}

#[derive(Serialize)]
struct Frame<'a> {
    event_id: &'a str,
    #[serde(flatten)]
    event: &'a ClientEvent,
}

fn base64<S: Serializer>(audio: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64_simd::STANDARD.encode_to_string(audio))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frame(event: ClientEvent) -> Value {
        serde_json::from_str(&event.to_frame("event_1").unwrap()).unwrap()
    }

    #[test]
    fn frames_bear_type_and_event_id() {
        assert_eq!(
            frame(ClientEvent::AudioAppend {
                audio: Bytes::from_static(b"abc")
            }),
            json!({"event_id": "event_1", "type": "input_audio_buffer.append", "audio": "YWJj"})
        );
        assert_eq!(
            frame(ClientEvent::ResponseCreate { response: None }),
            json!({"event_id": "event_1", "type": "response.create"})
        );
        assert_eq!(
            frame(ClientEvent::SessionUpdate {
                session: Box::default()
            }),
            json!({"event_id": "event_1", "type": "session.update", "session": {"type": "realtime"}})
        );
    }

    #[test]
    fn a_raw_event_keeps_its_own_id() {
        let Value::Object(event) = json!({"type": "response.create", "event_id": "mine"}) else {
            unreachable!()
        };
        assert_eq!(frame(ClientEvent::Raw(event.clone())), Value::Object(event));
    }
}
