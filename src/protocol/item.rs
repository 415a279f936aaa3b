use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Id, lenient};

/// One entry of a conversation (protocol.md section 2). Kinds not listed here are kept as they came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// Something said by someone.
    Message(Message),
    /// The model asks for a function to be called.
    FunctionCall(FunctionCall),
    /// What a called function answered.
    FunctionCallOutput(FunctionCallOutput),
    /// Any other kind, such as those of server-side MCP.
    #[serde(untagged)]
    Other(Value),
}

impl Item {
    /// The item's id, where it has one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Message(message) => message.id.as_deref(),
            Self::FunctionCall(call) => call.id.as_deref(),
            Self::FunctionCallOutput(output) => output.id.as_deref(),
            Self::Other(value) => value.get("id").and_then(Value::as_str),
        }
    }

    /// A user message of one text part.
    pub fn user_text(text: impl Into<String>) -> Self {
        Self::Message(Message::user(vec![Part::InputText { text: text.into() }]))
    }
}

/// Something said: text, speech or an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// The id; a client may leave it to the server.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::or_default"
    )]
    pub id: Option<Id>,
    /// How far it has come; servers always say.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::or_default"
    )]
    pub status: Option<ItemStatus>,
    /// Who says it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub role: Role,
    /// What is said, part by part.
    #[serde(deserialize_with = "lenient::or_default")]
    pub content: Vec<Part>,
}

impl Message {
    /// A message of the user.
    pub fn user(content: Vec<Part>) -> Self {
        Self {
            role: Role::User,
            content,
            ..Self::default()
        }
    }

    /// The words of all parts, spoken or written, one after the other.
    pub fn text(&self) -> String {
        self.content.iter().filter_map(Part::words).collect()
    }
}

/// A function call that the model makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionCall {
    /// The item's id.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::or_default"
    )]
    pub id: Option<Id>,
    /// How far it has come.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::or_default"
    )]
    pub status: Option<ItemStatus>,
    /// The function's name.
    #[serde(deserialize_with = "lenient::or_default")]
    pub name: String,
    /// The id that the output must bear.
    #[serde(deserialize_with = "lenient::or_default")]
    pub call_id: String,
    /// The arguments as JSON text, which the model may have got wrong.
    #[serde(deserialize_with = "lenient::or_default")]
    pub arguments: String,
}

/// A function's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionCallOutput {
    /// The item's id.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::or_default"
    )]
    pub id: Option<Id>,
    /// The call that is answered.
    #[serde(deserialize_with = "lenient::or_default")]
    pub call_id: String,
    /// The answer: text, or JSON as text.
    #[serde(deserialize_with = "lenient::or_default")]
    pub output: String,
}

/// How far an item has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Still being made.
    InProgress,
    /// Whole.
    Completed,
    /// Cut short.
    Incomplete,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The application, to the model.
    System,
    /// The person.
    #[default]
    User,
    /// The model.
    Assistant,
    /// A role this protocol does not name.
    #[serde(other)]
    Other,
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text from a user or the application.
    InputText {
        /// The text.
        #[serde(default, deserialize_with = "lenient::or_default")]
        text: String,
    },
    /// Speech from a user.
    InputAudio {
        /// Base64 of the audio; servers leave it out of events.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "lenient::or_default"
        )]
        audio: Option<String>,
        /// What was said, once transcribed.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "lenient::or_default"
        )]
        transcript: Option<String>,
    },
    /// A picture from a user.
    InputImage {
        /// A data URI holding a PNG or JPEG.
        #[serde(default, deserialize_with = "lenient::or_default")]
        image_url: String,
        /// `auto`, `low` or `high`.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "lenient::or_default"
        )]
        detail: Option<String>,
    },
    /// Text from the model.
    #[serde(alias = "text")]
    OutputText {
        /// The text.
        #[serde(default, deserialize_with = "lenient::or_default")]
        text: String,
    },
    /// Speech from the model.
    #[serde(alias = "audio")]
    OutputAudio {
        /// Base64 of the audio; only in retrieved items.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "lenient::or_default"
        )]
        audio: Option<String>,
        /// What is said; gone from the server once the item was truncated.
        #[serde(default, deserialize_with = "lenient::or_default")]
        transcript: Option<String>,
    },
    /// Any other kind of part.
    #[serde(untagged)]
    Other(Value),
}

impl Part {
    /// The words of the part, spoken or written.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::InputText { text } | Self::OutputText { text } => Some(text),
            Self::InputAudio { transcript, .. } | Self::OutputAudio { transcript, .. } => {
                transcript.as_deref()
            }
            Self::InputImage { .. } | Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_without_content_or_with_odd_roles_are_read() {
        let item: Item =
            serde_json::from_value(json!({"id": "a", "type": "message", "role": "robot", "content": null}))
                .unwrap();
        let Item::Message(message) = item else {
            panic!("not a message")
        };
        assert_eq!((message.role, message.content.len()), (Role::Other, 0));
    }

    #[test]
    fn unknown_kinds_are_kept_whole() {
        let value = json!({"id": "m", "type": "mcp_call", "server_label": "docs"});
        let item: Item = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(item.id(), Some("m"));
        assert_eq!(serde_json::to_value(item).unwrap(), value);
    }

    #[test]
    fn beta_part_names_read_as_ga_ones() {
        let part: Part = serde_json::from_value(json!({"type": "audio", "transcript": "hi"})).unwrap();
        assert_eq!(
            part,
            Part::OutputAudio {
                audio: None,
                transcript: Some("hi".into())
            }
        );
    }
}
