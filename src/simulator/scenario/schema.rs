//! What a scenario file may hold: the types that it is read into, and from which its JSON schema is made. The comments
//! on the fields are the schema's descriptions.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a simulated Realtime server says and does, and what it does wrong.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ScenarioContent {
    /// What happens when the model is to answer and no step fits: `auto` makes an answer up as the simulator does without
    /// a scenario, `fail` fails the response. `auto` if absent.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// Whether the steps are taken in their order: then only the next one can fit. If absent, the first that fits is taken.
    #[serde(default)]
    pub in_order: bool,
    /// What chance goes by: with the same seed, the first session, the second and so on go the same way each time. Each
    /// goes its own way each time, if absent.
    pub seed: Option<u32>,
    /// What is made out of the user's speech: one entry for each time the user speaks.
    #[serde(default)]
    pub transcripts: Vec<TranscriptEntry>,
    /// What the server says and does. Each step is taken once, unless it repeats.
    #[serde(default)]
    pub steps: Vec<StepSection>,
    /// What is wrong with the server all along.
    #[serde(default)]
    pub faults: FaultsSection,
}

/// What happens when no step fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Otherwise {
    #[default]
    Auto,
    Fail,
}

/// What is made out of one stretch of the user's speech.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum TranscriptEntry {
    /// The words.
    Words(String),
    /// Nothing, because the transcription fails.
    Failure(TranscriptFailure),
}

/// A transcription that fails.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct TranscriptFailure {
    /// With what.
    pub fail: ErrorSection,
}

/// Something the server says or does.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct StepSection {
    /// When it fits; whenever the model is to answer, if absent.
    pub when: Option<WhenEntry>,
    /// How likely it is taken when it fits, from 0 (never) to 1 (always, as if absent). If it is not, the next one that
    /// fits may be.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub chance: Option<f64>,
    /// Whether it is taken as often as it fits, instead of once.
    #[serde(default)]
    pub repeat: bool,
    /// What happens then, in this order. An empty list is an answer without words.
    pub then: Vec<ActionEntry>,
}

/// When a step fits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum WhenEntry {
    /// When something happens that the model is not asked to answer.
    Happens(Happening),
    /// When the model is to answer to something.
    Answers(WhenSection),
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Happening {
    /// The client changes the session. A step without words or calls opens no response then.
    SessionUpdate,
}

/// What the model is to answer to; one of these.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct WhenSection {
    /// The user's words, if they contain this; upper and lower case are the same.
    pub user_says: Option<String>,
    /// The user's words, if they match this regular expression.
    pub user_matches: Option<String>,
    /// The output of this function.
    pub tool_output: Option<String>,
}

/// One thing that happens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ActionEntry {
    /// One that needs no more words.
    Word(Word),
    /// One with more about it.
    Table(Box<ActionSection>),
}

/// One thing that happens, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// The response is complete. Only needed where faults follow it.
    Done,
    /// Nothing more comes: the response stays in progress until the client cancels it.
    StaySilent,
    /// The connection ends without a close frame.
    Drop,
    /// The session has reached its greatest length: an error, and a close.
    Expire,
}

/// One thing that happens, with more about it: `say`, `call`, `hand_off`, `fail`, `cut_off` and `wait_ms` are what good
/// servers do, the others are faults.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ActionSection {
    /// Words, spoken with their transcript or written, as the session has it. Several in a row are one message.
    pub say: Option<String>,
    /// With `say`: the milliseconds between its words; as fast as the simulator is, if absent.
    #[schemars(range(max = 60_000))]
    pub pace_ms: Option<u32>,
    /// The name of a function to call. Several are calls of one response.
    pub call: Option<String>,
    /// With `call` and `hand_off`: the arguments, as a table, or as text that need be no JSON; none if absent.
    pub arguments: Option<ArgumentsEntry>,
    /// The name of an agent to hand over to, by its function `transfer_to_…`.
    pub hand_off: Option<String>,
    /// The response fails, with this error.
    pub fail: Option<ErrorSection>,
    /// The response is cut off, and incomplete, because of this.
    pub cut_off: Option<CutOffEntry>,
    /// So many milliseconds pass; before the first words, they are late.
    #[schemars(range(max = 3_600_000))]
    pub wait_ms: Option<u32>,
    /// An event as a table, which is given an `event_id`; or a text frame as it is, which need be no JSON.
    pub send: Option<SendEntry>,
    /// A binary frame with this text.
    pub send_binary: Option<String>,
    /// A retrieved item with audio of so many bytes.
    #[schemars(range(max = 268_435_456))]
    pub huge_item_bytes: Option<u32>,
    /// The server closes the connection with this code.
    #[schemars(range(min = 1000, max = 4999))]
    pub close: Option<u16>,
    /// With `close`: the close reason.
    #[schemars(length(max = 123))]
    pub reason: Option<String>,
    /// The server reads nothing for so many milliseconds, so that it answers no ping either.
    #[schemars(range(max = 3_600_000))]
    pub deaf_ms: Option<u32>,
}

/// The arguments of a call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ArgumentsEntry {
    /// As they are.
    Text(String),
    /// As a JSON object.
    Table(Map<String, Value>),
}

/// What is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum SendEntry {
    /// A frame as it is.
    Text(String),
    /// An event.
    Event(Map<String, Value>),
}

/// Why a response is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CutOffEntry {
    MaxOutputTokens,
    ContentFilter,
}

/// An error; what is absent is made up.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(super) struct ErrorSection {
    /// Its class, such as `server_error`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its code, such as `rate_limit_exceeded`.
    pub code: Option<String>,
    /// What it says.
    pub message: Option<String>,
}

/// What is wrong with the server all along.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct FaultsSection {
    /// It refuses every client: with `invalid_api_key`, `missing_model`, `invalid_model`, `beta_api_shape_disabled` or
    /// `insufficient_quota` after the handshake, or with a status instead of it, such as `http-429`.
    pub refuse: Option<String>,
    /// Keys that are null in every event, such as `previous_item_id`.
    #[serde(default)]
    pub null_keys: Vec<String>,
    /// Types of events that come twice, such as `response.output_item.done`.
    #[serde(default)]
    pub duplicate: Vec<String>,
    /// So many deltas of each response come once more, after its `response.done`.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub late_deltas: u32,
    /// Every frame is held back for so many milliseconds.
    #[serde(default)]
    #[schemars(range(max = 60_000))]
    pub frame_delay_ms: u32,
}
