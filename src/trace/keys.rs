//! Names of what spans and traces tell in their metadata: what their fields have no place for.

/// Of a function span: the model's id of the call.
pub const CALL_ID: &str = "call_id";
/// Of the function span of a call that had to be approved: what came of that, `approved`, `rejected` or `withdrawn`.
pub const APPROVAL: &str = "approval";
/// Of the same: how long the call waited for it, in milliseconds.
pub const APPROVAL_WAITED_MS: &str = "approval_waited_ms";
/// Of a generation span, and of one of a guardrail that looked at an answer: the server's id of the response.
pub const RESPONSE_ID: &str = "response_id";
/// Of a generation span: when the user's turn that it answers had ended, in RFC 3339. Only on the first answer to a
/// turn.
pub const TURN_ENDED_AT: &str = "turn_ended_at";
/// Of the same span: what that end is known by, `speech_stopped`, `speech_stopped_arrival`, `last_sample` or `message`.
pub const TURN_ENDED_BY: &str = "turn_ended_by";
/// Of the generation span that brought the first word after a user's turn: how long after its end, in milliseconds.
pub const FIRST_WORD_MS: &str = "first_word_ms";
/// Of the one that brought the first sound: the same.
pub const FIRST_AUDIO_MS: &str = "first_audio_ms";
/// Of the speech span of that sound: how long after the end of the user's turn it was heard, in milliseconds.
pub const FIRST_PLAYED_MS: &str = "first_played_ms";
/// Of a speech span: how much of it was heard, in milliseconds.
pub const HEARD_MS: &str = "heard_ms";
/// Of a speech span: who says what was heard, `reports` of the application or the `clock`.
pub const PLAYED_BY: &str = "played_by";
/// Of a generation span: when the first word, sound or call of it came, in RFC 3339.
pub const FIRST_CONTENT_AT: &str = "first_content_at";
/// Of a generation span: how many messages went in before those that are told.
pub const INPUT_LEFT_OUT: &str = "input_messages_left_out";
/// Of a transcription span: what transcribing cost.
pub const USAGE: &str = "usage";
/// Of a trace: the span of another system that it hangs under, as a W3C `traceparent`. The name of that header, too.
pub const TRACEPARENT: &str = "traceparent";
/// Of a trace that hangs under one: what the systems involved have to say, as a W3C `tracestate`. The name of that header,
/// too.
pub const TRACESTATE: &str = "tracestate";

/// All of them: ids, times and counts, in which nothing is said.
pub(super) const STRUCTURE: &[&str] = &[
    CALL_ID,
    APPROVAL,
    APPROVAL_WAITED_MS,
    RESPONSE_ID,
    TURN_ENDED_AT,
    TURN_ENDED_BY,
    FIRST_WORD_MS,
    FIRST_AUDIO_MS,
    FIRST_PLAYED_MS,
    HEARD_MS,
    PLAYED_BY,
    FIRST_CONTENT_AT,
    INPUT_LEFT_OUT,
    USAGE,
    TRACEPARENT,
    TRACESTATE,
];
