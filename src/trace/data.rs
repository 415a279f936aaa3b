//! What a span tells about the work it covers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::JsonMap;
use super::time::Timestamp;

/// What a span tells about its work: one variant for each kind of span, with that kind's fields.
///
/// Serialized it is the `span_data` object of the wire form: `type`, then the fields in this order, absent ones as
/// `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SpanData {
    /// The time during which one agent is in charge.
    Agent {
        /// The agent's name.
        name: String,
        /// Names of the agents it can hand off to (rules M1 and M3); `None` if not known yet.
        handoffs: Option<Vec<String>>,
        /// Names of its tools as the model sees them (rules M1 and M3); `None` if not known yet.
        tools: Option<Vec<String>>,
        /// Name of the type its answers have.
        output_type: Option<String>,
    },
    /// One call of a tool.
    Function {
        /// The tool's name as the model sees it.
        name: String,
        /// The arguments, as text.
        input: Option<String>,
        /// The result, as text; [`SpanData::text_of`] makes it from a JSON value.
        output: Option<String>,
        /// About the MCP server that ran it, if one did.
        mcp_data: Option<Value>,
    },
    /// The charge passing from one agent to another.
    Handoff {
        /// The outgoing agent.
        from_agent: Option<String>,
        /// The incoming agent.
        to_agent: Option<String>,
    },
    /// One check by a guardrail.
    Guardrail {
        /// The guardrail's name.
        name: String,
        /// Whether it stopped what it checked.
        triggered: bool,
    },
    /// Listing the tools of an MCP server.
    McpTools {
        /// The server's name.
        server: Option<String>,
        /// The names it listed.
        result: Option<Vec<String>>,
    },
    /// One answer of a model, with its content.
    Generation {
        /// What went in: a list of messages.
        input: Option<Value>,
        /// What came out: a list of messages.
        output: Option<Value>,
        /// The model's name.
        model: Option<String>,
        /// The model's settings: an object.
        model_config: Option<Value>,
        /// Tokens used: an object.
        usage: Option<Value>,
    },
    /// One answer of a model that is kept by the server, by its id.
    Response {
        /// The response's id at the server.
        response_id: Option<String>,
        /// Tokens used: an object.
        usage: Option<Value>,
    },
    /// Speech turned into text.
    Transcription {
        /// The audio.
        input: AudioContent,
        /// The text.
        output: Option<String>,
        /// The model's name.
        model: Option<String>,
        /// The model's settings: an object.
        model_config: Option<Value>,
    },
    /// Text turned into speech.
    Speech {
        /// The text.
        input: Option<String>,
        /// The audio.
        output: AudioContent,
        /// The model's name.
        model: Option<String>,
        /// The model's settings: an object.
        model_config: Option<Value>,
        /// When the first piece of audio came.
        first_content_at: Option<Timestamp>,
    },
    /// Several pieces of speech that belong together.
    SpeechGroup {
        /// The whole text.
        input: Option<String>,
    },
    /// Work of the application's own.
    Custom {
        /// What the application calls it.
        name: String,
        /// Whatever it tells about it.
        data: JsonMap,
    },
}

/// Audio in a span. Its bytes stay out unless the application asks for them: then `data` is base64, else empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioContent {
    /// The audio in base64, or nothing.
    pub data: String,
    /// The audio's format, as `pcm`.
    pub format: String,
}

impl AudioContent {
    /// Audio of which only the format is told.
    pub fn omitted(format: impl Into<String>) -> Self {
        Self {
            data: String::new(),
            format: format.into(),
        }
    }
}

impl SpanData {
    /// An agent of which no more than its name is known yet.
    pub fn agent(name: impl Into<String>) -> Self {
        Self::Agent {
            name: name.into(),
            handoffs: None,
            tools: None,
            output_type: None,
        }
    }

    /// A tool call of which no more than the tool's name is known yet.
    pub fn function(name: impl Into<String>) -> Self {
        Self::Function {
            name: name.into(),
            input: None,
            output: None,
            mcp_data: None,
        }
    }

    /// A handoff between two agents.
    pub fn handoff(from_agent: impl Into<String>, to_agent: impl Into<String>) -> Self {
        Self::Handoff {
            from_agent: Some(from_agent.into()),
            to_agent: Some(to_agent.into()),
        }
    }

    /// A check by a guardrail that has not objected yet.
    pub fn guardrail(name: impl Into<String>) -> Self {
        Self::Guardrail {
            name: name.into(),
            triggered: false,
        }
    }

    /// Work of the application's own, without further data.
    pub fn custom(name: impl Into<String>) -> Self {
        Self::Custom {
            name: name.into(),
            data: JsonMap::new(),
        }
    }

    /// Takes out the content of the work: what went in and what came out, as text, audio, arguments or result, and the
    /// data of the application's own spans, which may be anything.
    ///
    /// Names, models and their settings, ids, usage and outcomes stay. So do times, metadata (labels that the application
    /// chose for finding a span) and errors, with one exception: what a tool said of its failure, which is as much its
    /// output as what it says of its success, goes too.
    pub fn remove_content(&mut self) {
        match self {
            Self::Function { input, output, .. } => (*input, *output) = (None, None),
            Self::Generation { input, output, .. } => (*input, *output) = (None, None),
            Self::Transcription { input, output, .. } => {
                input.data.clear();
                *output = None;
            }
            Self::Speech { input, output, .. } => {
                output.data.clear();
                *input = None;
            }
            Self::SpeechGroup { input } => *input = None,
            Self::Custom { data, .. } => data.clear(),
            Self::Agent { .. }
            | Self::Handoff { .. }
            | Self::Guardrail { .. }
            | Self::McpTools { .. }
            | Self::Response { .. } => {}
        }
    }

    /// The text by which a function span carries `value`: a string as it is, anything else as JSON.
    pub fn text_of(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// The tokens that an answer of a model used: an object.
    pub fn usage(&self) -> Option<&Value> {
        match self {
            Self::Generation { usage, .. } | Self::Response { usage, .. } => usage.as_ref(),
            _ => None,
        }
    }

    /// The kind of span, as the wire form's `type` has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Agent { .. } => "agent",
            Self::Function { .. } => "function",
            Self::Handoff { .. } => "handoff",
            Self::Guardrail { .. } => "guardrail",
            Self::McpTools { .. } => "mcp_tools",
            Self::Generation { .. } => "generation",
            Self::Response { .. } => "response",
            Self::Transcription { .. } => "transcription",
            Self::Speech { .. } => "speech",
            Self::SpeechGroup { .. } => "speech_group",
            Self::Custom { .. } => "custom",
        }
    }

    /// The few words by which a person tells this span from its siblings: a name, a model, `Triage → Billing`;
    /// empty if there is nothing to tell.
    pub fn label(&self) -> Cow<'_, str> {
        match self {
            Self::Agent { name, .. }
            | Self::Function { name, .. }
            | Self::Guardrail { name, .. }
            | Self::Custom { name, .. } => name.into(),
            Self::Handoff { from_agent, to_agent } => {
                let [from, to] = [from_agent, to_agent].map(|agent| agent.as_deref().unwrap_or("?"));
                format!("{from} → {to}").into()
            }
            Self::McpTools { server, .. } => server.as_deref().unwrap_or_default().into(),
            Self::Generation { model, .. }
            | Self::Transcription { model, .. }
            | Self::Speech { model, .. } => model.as_deref().unwrap_or_default().into(),
            Self::Response { response_id, .. } => response_id.as_deref().unwrap_or_default().into(),
            Self::SpeechGroup { .. } => "".into(),
        }
    }
}

/// What went wrong in the work a span covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanError {
    /// What happened, for a person.
    pub message: String,
    /// Details, for a program: an object.
    pub data: Option<Value>,
}

impl SpanError {
    /// An error without details.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// The same error with details.
    pub fn with_data(self, data: Value) -> Self {
        Self {
            data: Some(data),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_kind_is_the_type_on_the_wire() {
        let audio = AudioContent::omitted("pcm");
        let all = [
            SpanData::agent("a"),
            SpanData::function("f"),
            SpanData::handoff("a", "b"),
            SpanData::Guardrail {
                name: "g".into(),
                triggered: true,
            },
            SpanData::McpTools {
                server: None,
                result: None,
            },
            SpanData::Generation {
                input: None,
                output: None,
                model: None,
                model_config: None,
                usage: None,
            },
            SpanData::Response {
                response_id: None,
                usage: None,
            },
            SpanData::Transcription {
                input: audio.clone(),
                output: None,
                model: None,
                model_config: None,
            },
            SpanData::Speech {
                input: None,
                output: audio,
                model: None,
                model_config: None,
                first_content_at: None,
            },
            SpanData::SpeechGroup { input: None },
            SpanData::custom("c"),
        ];
        for data in all {
            assert_eq!(serde_json::to_value(&data).unwrap()["type"], data.kind());
        }
    }

    #[test]
    fn text_of_a_value_is_json_unless_it_is_text() {
        assert_eq!(SpanData::text_of(&json!("sunny")), "sunny");
        assert_eq!(
            SpanData::text_of(&json!({"hits": 2, "ok": true})),
            r#"{"hits":2,"ok":true}"#
        );
        assert_eq!(SpanData::text_of(&Value::Null), "null");
    }
}
