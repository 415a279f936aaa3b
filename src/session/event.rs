use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{HistoryItem, Latency, LatencySummary};
use crate::protocol::{ApiError, Id, ResponseStatus, TranscriptionTotals, TranscriptionUsage, Usage};
use crate::tool::GuardrailPlace;
use crate::transport::CloseReason;

/// What happens in a session, as the application hears of it.
///
/// What is large and rare is boxed, so that the deltas stay cheap to pass on.
///
/// Serialized, each is one JSON object with a `type`. Names and fields only ever grow: readers should pass over
/// what they do not know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionEvent {
    /// The session can be used.
    SessionStart {
        /// The server's id of the session.
        session_id: Option<Id>,
        /// The model that answers.
        model: String,
        /// The agent in charge.
        agent: String,
        /// The trace that the session's spans belong to, if there is one.
        trace_id: Option<String>,
    },
    /// An answer begins.
    AgentStart {
        /// The agent that answers.
        agent: String,
        /// The answer; absent on servers that give it no id.
        response_id: Option<Id>,
    },
    /// An answer has ended.
    AgentEnd {
        /// The agent that answered.
        agent: String,
        /// The answer.
        response_id: Option<Id>,
        /// How it ended.
        status: ResponseStatus,
        /// Why, unless it is complete.
        reason: Option<String>,
    },
    /// Written words of an answer.
    TextDelta {
        /// The item that grows.
        item_id: Id,
        /// Its part.
        content_index: u32,
        /// The new words.
        delta: String,
    },
    /// Words of what an answer says aloud.
    TranscriptDelta {
        /// The item that grows.
        item_id: Id,
        /// Its part.
        content_index: u32,
        /// The new words.
        delta: String,
    },
    /// Sound of an answer, in the session's output format.
    Audio {
        /// The item it belongs to.
        item_id: Id,
        /// Its part.
        content_index: u32,
        /// Whole samples; base64 when serialized.
        #[serde(serialize_with = "base64")]
        audio: Bytes,
    },
    /// All sound of a part has come.
    AudioEnd {
        /// The item.
        item_id: Id,
        /// Its part.
        content_index: u32,
    },
    /// Stop playing this item: the user or the application cut in.
    AudioInterrupted {
        /// The item.
        item_id: Id,
        /// Its part.
        content_index: u32,
        /// How much of it had been heard, in milliseconds.
        played_ms: u64,
    },
    /// The user began to speak.
    SpeechStarted {
        /// The item that the speech will become.
        item_id: Id,
        /// Where in all audio sent, in milliseconds.
        audio_start_ms: Option<u64>,
    },
    /// The user stopped speaking.
    SpeechStopped {
        /// The item that the speech becomes.
        item_id: Id,
        /// Where in all audio sent, in milliseconds.
        audio_end_ms: Option<u64>,
    },
    /// Words of the user's speech, as they are made out.
    InputTranscriptDelta {
        /// The user's item.
        item_id: Id,
        /// The new words.
        delta: String,
    },
    /// What the user said.
    InputTranscript {
        /// The user's item.
        item_id: Id,
        /// All of it.
        transcript: String,
        /// What transcribing cost.
        usage: Option<TranscriptionUsage>,
    },
    /// The user's speech could not be transcribed; the conversation goes on.
    InputTranscriptFailed {
        /// The user's item.
        item_id: Id,
        /// Why.
        error: Box<ApiError>,
    },
    /// Nobody spoke for as long as the session's idle timeout.
    InputAudioTimeoutTriggered {
        /// The user's (empty) item.
        item_id: Id,
    },
    /// A call of a tool waits until [`SessionHandle::decide`](super::SessionHandle::decide) approves or rejects it, or
    /// another agent takes charge. [`SessionEvent::ToolStart`] follows if it is approved, else [`SessionEvent::ToolEnd`].
    ToolApprovalRequired {
        /// The agent that called it.
        agent: String,
        /// The tool.
        tool: String,
        /// The call.
        call_id: String,
        /// The arguments as the model wrote them.
        arguments: String,
    },
    /// A tool runs.
    ToolStart {
        /// The agent that called it.
        agent: String,
        /// The tool.
        tool: String,
        /// The call.
        call_id: String,
        /// The arguments as the model wrote them.
        arguments: String,
    },
    /// A tool has answered or failed, or a call of it was not approved or was stopped by a guardrail.
    ToolEnd {
        /// The agent that called it.
        agent: String,
        /// The tool.
        tool: String,
        /// The call.
        call_id: String,
        /// What the model is told.
        output: String,
        /// What went wrong, if anything did.
        error: Option<String>,
    },
    /// A guardrail objects.
    Guardrail {
        /// The guardrail.
        guardrail: String,
        /// The agent whose words, or whose call, it objects to.
        agent: String,
        /// What it looked at.
        #[serde(rename = "where")]
        place: GuardrailPlace,
        /// Why, in the guardrail's words.
        message: Option<String>,
        /// The answer that it objects to, or that made the call.
        response_id: Option<Id>,
        /// The tool, where it objects to a call or to what came of it.
        tool: Option<String>,
        /// The call.
        call_id: Option<String>,
    },
    /// Another agent is in charge.
    Handoff {
        /// The agent before.
        from: String,
        /// The agent now.
        to: String,
    },
    /// The conversation has a new entry.
    HistoryAdded {
        /// The entry.
        item: Box<HistoryItem>,
    },
    /// An entry of the conversation has changed; deltas are not told this way.
    HistoryUpdated {
        /// The entry as it is now.
        item: Box<HistoryItem>,
    },
    /// An entry of the conversation is gone.
    HistoryRemoved {
        /// The entry.
        item_id: Id,
    },
    /// Tokens that one answer used.
    Usage {
        /// The answer.
        response_id: Option<Id>,
        /// The tokens.
        usage: Usage,
    },
    /// How long the user waited to be answered. Once for each turn that was answered with words or sound: before its
    /// [`SessionEvent::TurnEnd`], or, where the application reports what it plays and has not played any of it by then, as
    /// soon as it has. One that is never heard is told when the next turn is answered, or at the end of the session.
    Latency(Latency),
    /// Nothing is left to wait for: no answer, no tool, no handoff. The user's turn.
    TurnEnd {
        /// The worst status of the answers since the turn began.
        status: ResponseStatus,
        /// Why, unless it is complete.
        reason: Option<String>,
    },
    /// Something went wrong; the session goes on unless [`SessionEvent::SessionEnd`] follows.
    Error {
        /// What the server, or the session itself, says of it.
        error: ApiError,
    },
    /// The session lacks something that it can do without, such as an MCP server that is not required.
    Warning {
        /// What, and why.
        message: String,
    },
    /// An event as the server sent it; only if asked for.
    RawServerEvent {
        /// The event, credentials removed.
        event: Value,
    },
    /// An event as it is sent to the server; only if asked for.
    RawClientEvent {
        /// The event.
        event: Value,
    },
    /// The session is over. Nothing follows.
    SessionEnd {
        /// Why.
        reason: EndReason,
        /// Tokens of all answers, by modality.
        usage: Box<Usage>,
        /// What transcribing the user's speech cost: priced apart, and no part of `usage`.
        transcription_usage: Box<TranscriptionTotals>,
        /// How long the user waited to be answered, over all turns.
        latency: Box<LatencySummary>,
        /// How long the session could be used, in seconds.
        #[serde(rename = "duration_s", serialize_with = "seconds")]
        duration: Duration,
    },
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// The application closed it.
    Closed,
    /// The server closed it in an orderly way; a joined call has ended.
    ServerClosed {
        /// The server's close frame.
        close: CloseReason,
    },
    /// The connection broke, or the server closed it for another reason than the end of the conversation.
    Lost {
        /// What is known of it.
        close: CloseReason,
    },
    /// The server said that the session cannot go on.
    Failed {
        /// What it said.
        error: Box<ApiError>,
    },
    /// A guardrail wants the run to end.
    Guardrail {
        /// The guardrail.
        guardrail: String,
        /// Why, in the guardrail's words.
        message: Option<String>,
    },
    /// The session's own task was stopped: aborted, or its runtime ended.
    Aborted,
}

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("the session was closed"),
            Self::ServerClosed { close } => write!(f, "the server closed the session ({close})"),
            Self::Lost { close } => write!(f, "the connection was lost ({close})"),
            Self::Failed { error } => write!(f, "the server ended the session: {error}"),
            Self::Guardrail { guardrail, message } => {
                write!(f, "the guardrail `{guardrail}` ended the session")?;
                message.iter().try_for_each(|message| write!(f, ": {message}"))
            }
            Self::Aborted => f.write_str("the session was aborted"),
        }
    }
}

fn base64<S: Serializer>(audio: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64_simd::STANDARD.encode_to_string(audio))
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_millis() as f64 / 1_000.0)
}
