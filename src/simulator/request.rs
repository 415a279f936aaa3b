//! The events that clients may send, key by key (protocol.md sections 2 and 4).

use serde_json::{Map, Value};

use super::refusal::{Refused, invalid_value, refusal};
use super::shape::Shape::{
    Any, Bool, Either, Integer, List, Map as AnyMap, Number, Object, OneOf, Only, Pairs, Tagged, Text,
};
use super::shape::{Field, Shape, TEXT, check_fields, optional, required};

/// One checked client event.
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) event_id: Option<String>,
    pub(super) body: Map<String, Value>,
}

/// The type of a client event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    SessionUpdate,
    AudioAppend,
    AudioCommit,
    AudioClear,
    OutputClear,
    ItemCreate,
    ItemRetrieve,
    ItemTruncate,
    ItemDelete,
    ResponseCreate,
    ResponseCancel,
}

/// A frame that is no good event, with the id to answer to.
pub(super) struct BadRequest {
    pub(super) event_id: Option<String>,
    pub(super) refusal: Box<crate::protocol::ApiError>,
}

impl Request {
    /// Reads the text of one frame and checks all its keys.
    pub(super) fn parse(frame: &str) -> Result<Self, BadRequest> {
        let Ok(Value::Object(body)) = serde_json::from_str(frame) else {
            return Err(BadRequest {
                event_id: None,
                refusal: refusal("invalid_json", "Invalid event: failed to parse JSON value."),
            });
        };
        let event_id = body.get("event_id").and_then(Value::as_str).map(str::to_owned);
        match check(&body) {
            Ok(kind) => Ok(Self { kind, event_id, body }),
            Err(refusal) => Err(BadRequest { event_id, refusal }),
        }
    }

    /// A string that the check has found to be there, or an optional one.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.body.get(key).and_then(Value::as_str)
    }
}

fn check(body: &Map<String, Value>) -> Refused<Kind> {
    let name = match body.get("type") {
        Some(Value::String(name)) => name.as_str(),
        _ => return Err(refusal("invalid_event", "The 'type' field is missing.")),
    };
    let Some((_, kind, fields)) = EVENTS.iter().find(|(known, ..)| *known == name) else {
        let names: Vec<_> = EVENTS.iter().map(|(known, ..)| *known).collect();
        return Err(invalid_value("type", name, &names));
    };
    if let Some(id) = body.get("event_id").filter(|id| !id.is_null()) {
        Text(512).check(id, "event_id")?;
    }
    check_fields(body, &["type", "event_id"], fields, "")?;
    Ok(*kind)
}

const ID: Shape = TEXT;

static EVENTS: &[(&str, Kind, &[Field])] = &[
    (
        "session.update",
        Kind::SessionUpdate,
        &[required(
            "session",
            Tagged(&[("realtime", SESSION), ("transcription", TRANSCRIPTION_SESSION)]),
        )],
    ),
    (
        "input_audio_buffer.append",
        Kind::AudioAppend,
        &[required("audio", TEXT)],
    ),
    ("input_audio_buffer.commit", Kind::AudioCommit, &[]),
    ("input_audio_buffer.clear", Kind::AudioClear, &[]),
    ("output_audio_buffer.clear", Kind::OutputClear, &[]),
    (
        "conversation.item.create",
        Kind::ItemCreate,
        &[required("item", Tagged(ITEM)), optional("previous_item_id", ID)],
    ),
    (
        "conversation.item.retrieve",
        Kind::ItemRetrieve,
        &[required("item_id", ID)],
    ),
    (
        "conversation.item.truncate",
        Kind::ItemTruncate,
        &[
            required("item_id", ID),
            required("content_index", Integer(0, i64::MAX)),
            required("audio_end_ms", Integer(0, i64::MAX)),
        ],
    ),
    (
        "conversation.item.delete",
        Kind::ItemDelete,
        &[required("item_id", ID)],
    ),
    (
        "response.create",
        Kind::ResponseCreate,
        &[optional("response", Object(RESPONSE))],
    ),
    (
        "response.cancel",
        Kind::ResponseCancel,
        &[optional("response_id", ID)],
    ),
];

/// One of them: audio always comes with its transcript.
const MODALITIES: Shape = Only(&OneOf(&["text", "audio"]));
const MAX_TOKENS: Shape = Either(&[Integer(1, 4_096), OneOf(&["inf"])]);
const TRANSCRIPTION: &[Field] = &[
    optional("model", TEXT),
    optional("language", TEXT),
    optional("prompt", TEXT),
    optional("delay", OneOf(&["minimal", "low", "medium", "high", "xhigh"])),
    optional("keywords", List(&TEXT)),
    optional("languages", List(&TEXT)),
];
const FORMAT: Shape = Tagged(&[
    ("audio/pcm", &[optional("rate", Integer(24_000, 24_000))]),
    ("audio/pcmu", &[]),
    ("audio/pcma", &[]),
]);
const VOICES: &[&str] = &[
    "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar",
];
const VOICE: Shape = Either(&[OneOf(VOICES), Object(&[required("id", TEXT)])]);
const METADATA: Shape = Pairs {
    max: 16,
    key: 64,
    value: 512,
};
const PROMPT: Shape = Object(&[
    required("id", TEXT),
    optional("version", TEXT),
    optional("variables", AnyMap),
]);
const REASONING: Shape = Object(&[optional(
    "effort",
    OneOf(&["minimal", "low", "medium", "high", "xhigh"]),
)]);
const TOOL_CHOICE: Shape = Either(&[
    OneOf(&["none", "auto", "required"]),
    Tagged(&[
        ("function", &[required("name", TEXT)]),
        ("mcp", &[required("server_label", TEXT), optional("name", TEXT)]),
    ]),
]);
const TOOLS: Shape = List(&Tagged(&[
    (
        "function",
        &[
            required("name", TEXT),
            optional("description", Text(1_024)),
            optional("parameters", AnyMap),
            optional("strict", Bool),
        ],
    ),
    (
        "mcp",
        &[
            required("server_label", TEXT),
            optional("server_url", TEXT),
            optional("connector_id", TEXT),
            optional("tunnel_id", TEXT),
            optional("authorization", TEXT),
            optional("headers", AnyMap),
            optional("allowed_tools", Any),
            optional("allowed_callers", List(&TEXT)),
            optional("require_approval", Any),
            optional("server_description", TEXT),
            optional("defer_loading", Bool),
        ],
    ),
]));
const TURN_DETECTION: Shape = Tagged(&[
    (
        "server_vad",
        &[
            optional("threshold", Number(0.0, 1.0)),
            optional("prefix_padding_ms", Integer(0, i64::MAX)),
            optional("silence_duration_ms", Integer(0, i64::MAX)),
            optional("idle_timeout_ms", Integer(5_000, 30_000)),
            optional("create_response", Bool),
            optional("interrupt_response", Bool),
        ],
    ),
    (
        "semantic_vad",
        &[
            optional("eagerness", OneOf(&["low", "medium", "high", "auto"])),
            optional("create_response", Bool),
            optional("interrupt_response", Bool),
        ],
    ),
]);
const INCLUDE: Shape = List(&OneOf(&["item.input_audio_transcription.logprobs"]));
const AUDIO_INPUT: Shape = Object(&[
    optional("format", FORMAT),
    optional("transcription", Object(TRANSCRIPTION)),
    optional(
        "noise_reduction",
        Object(&[
            required("type", OneOf(&["near_field", "far_field"])),
            optional("strength", Number(0.0, f64::MAX)),
        ]),
    ),
    optional("turn_detection", TURN_DETECTION),
]);
const AUDIO: Shape = Object(&[
    optional("input", AUDIO_INPUT),
    optional(
        "output",
        Object(&[
            optional("format", FORMAT),
            optional("voice", VOICE),
            optional("speed", Number(0.25, 1.5)),
        ]),
    ),
]);

const TRANSCRIPTION_SESSION: &[Field] = &[
    optional("audio", Object(&[optional("input", AUDIO_INPUT)])),
    optional("include", INCLUDE),
];

const SESSION: &[Field] = &[
    optional("model", TEXT),
    optional("output_modalities", MODALITIES),
    optional("instructions", TEXT),
    optional("audio", AUDIO),
    optional("tools", TOOLS),
    optional("tool_choice", TOOL_CHOICE),
    optional("max_output_tokens", MAX_TOKENS),
    optional(
        "tracing",
        Either(&[
            OneOf(&["auto"]),
            Object(&[
                optional("workflow_name", TEXT),
                optional("group_id", TEXT),
                optional("metadata", Any),
            ]),
        ]),
    ),
    optional(
        "truncation",
        Either(&[
            OneOf(&["auto", "disabled"]),
            Tagged(&[(
                "retention_ratio",
                &[
                    required("retention_ratio", Number(0.0, 1.0)),
                    optional(
                        "token_limits",
                        Object(&[optional("post_instructions", Integer(0, i64::MAX))]),
                    ),
                ],
            )]),
        ]),
    ),
    optional("prompt", PROMPT),
    optional("include", INCLUDE),
    optional("reasoning", REASONING),
    optional("parallel_tool_calls", Bool),
];

static RESPONSE: &[Field] = &[
    optional("conversation", OneOf(&["auto", "none"])),
    optional("input", List(&Tagged(INPUT_ITEM))),
    optional("instructions", TEXT),
    optional("output_modalities", MODALITIES),
    optional(
        "audio",
        Object(&[optional(
            "output",
            Object(&[optional("format", FORMAT), optional("voice", VOICE)]),
        )]),
    ),
    optional("tools", TOOLS),
    optional("tool_choice", TOOL_CHOICE),
    optional("max_output_tokens", MAX_TOKENS),
    optional("metadata", METADATA),
    optional("prompt", PROMPT),
    optional("reasoning", REASONING),
    optional("parallel_tool_calls", Bool),
];

const STATUS: Shape = OneOf(&["completed", "incomplete", "in_progress"]);
const OBJECT: Shape = OneOf(&["realtime.item"]);

const MESSAGE: &[Field] = &[
    optional("id", Text(32)),
    optional("object", OBJECT),
    optional("status", STATUS),
    required("role", OneOf(&["system", "user", "assistant"])),
    required("content", List(&Tagged(PART))),
];
const FUNCTION_CALL: &[Field] = &[
    optional("id", Text(32)),
    optional("object", OBJECT),
    optional("status", STATUS),
    required("name", TEXT),
    required("arguments", TEXT),
    optional("call_id", TEXT),
];
const FUNCTION_CALL_OUTPUT: &[Field] = &[
    optional("id", Text(32)),
    optional("object", OBJECT),
    optional("status", STATUS),
    required("call_id", TEXT),
    required("output", TEXT),
];
const MCP_APPROVAL_RESPONSE: &[Field] = &[
    optional("id", Text(32)),
    required("approval_request_id", TEXT),
    required("approve", Bool),
    optional("reason", TEXT),
];
const PART: &[(&str, &[Field])] = &[
    ("input_text", &[required("text", TEXT)]),
    (
        "input_audio",
        &[required("audio", TEXT), optional("transcript", TEXT)],
    ),
    (
        "input_image",
        &[
            required("image_url", TEXT),
            optional("detail", OneOf(&["auto", "low", "high"])),
        ],
    ),
    ("output_text", &[required("text", TEXT)]),
    // Speech of the model cannot be put in its mouth; the service asks for text instead.
    ("output_audio", &[required("text", TEXT)]),
];

static ITEM: &[(&str, &[Field])] = &[
    ("message", MESSAGE),
    ("function_call", FUNCTION_CALL),
    ("function_call_output", FUNCTION_CALL_OUTPUT),
    ("mcp_approval_response", MCP_APPROVAL_RESPONSE),
];

static INPUT_ITEM: &[(&str, &[Field])] = &[
    ("message", MESSAGE),
    ("function_call", FUNCTION_CALL),
    ("function_call_output", FUNCTION_CALL_OUTPUT),
    ("mcp_approval_response", MCP_APPROVAL_RESPONSE),
    ("item_reference", &[required("id", TEXT)]),
];
