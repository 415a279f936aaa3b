//! The wire types of the Realtime API.
//!
//! In: the text of one WebSocket frame. Out: a [`ServerEvent`]; and the other way a [`ClientEvent`] becomes the
//! text of a frame. Reading is tolerant, as real servers are not all alike: unknown events become
//! [`ServerEvent::Other`], unknown fields are passed over, absent and null fields take defaults, and the
//! names of the older beta dialect are understood. Text and audio deltas, which are nearly all of the
//! traffic, are read in one pass without building a JSON tree.
//!
//! Nothing here knows of sockets, agents or traces.

mod client;
mod error;
mod format;
mod handoff;
mod id;
mod item;
mod lenient;
mod response;
mod server;
mod session;
mod session_info;
mod usage;

pub use client::ClientEvent;
pub use error::ApiError;
pub use format::AudioFormat;
pub(crate) use handoff::transfer_tool;
pub use id::Id;
pub use item::{FunctionCall, FunctionCallOutput, Item, ItemStatus, Message, Part, Role};
pub use response::{Response, ResponseStatus, StatusDetails};
pub use server::{
    AudioDelta, InputTranscript, InputTranscriptFailure, ItemEvent, ItemRef, OutputItem, PartRef, PartText,
    ServerEvent, TextDelta, UnreadableEvent,
};
pub use session::{
    AudioConfig, AudioInputConfig, AudioOutputConfig, Eagerness, FunctionDefinition, MaxTokens, Modality,
    NoiseReduction, NoiseReductionType, SessionConfig, TranscriptionConfig, TurnDetection, Unlimited, Voice,
};
pub use session_info::SessionInfo;
pub use usage::{
    InputTokenDetails, OutputTokenDetails, TokenCounts, TranscriptionTotals, TranscriptionUsage, Usage,
};
