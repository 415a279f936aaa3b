//! The conversation as the application sees it (protocol.md section 6.4; traps 3, 8, 9, 21).

use super::*;
use crate::protocol::ItemStatus;

fn item_done(rig: &mut Rig, previous: Option<&str>, item: Value) {
    rig.server(json!({"type": "conversation.item.done", "previous_item_id": previous, "item": item}));
}

fn said(id: &str, role: &str, content: Value) -> Value {
    json!({"id": id, "type": "message", "role": role, "status": "completed", "content": content})
}

fn ids(rig: &Rig) -> Vec<String> {
    rig.core.history().map(|item| item.id().to_string()).collect()
}

/// The kinds of history events since the test last looked.
fn told(rig: &mut Rig) -> Vec<&'static str> {
    let kind = |event| match event {
        SessionEvent::HistoryAdded { .. } => Some("added"),
        SessionEvent::HistoryUpdated { .. } => Some("updated"),
        SessionEvent::HistoryRemoved { .. } => Some("removed"),
        _ => None,
    };
    rig.events.drain(..).filter_map(kind).collect()
}

#[test]
fn the_place_told_first_holds() {
    let mut rig = Rig::open();
    rig.message_added("u", None, "user");
    rig.message_added("a", Some("u"), "assistant");
    item_done(
        &mut rig,
        None,
        said("a", "assistant", json!([{"type": "output_text", "text": "hi"}])),
    );
    item_done(
        &mut rig,
        Some(""),
        said("u", "user", json!([{"type": "input_text", "text": "hello"}])),
    );
    assert_eq!(ids(&rig), ["u", "a"]);
    assert_eq!(rig.words(), ["hello", "hi"]);
}

#[test]
fn an_item_goes_after_the_one_named_else_to_the_end() {
    let mut rig = Rig::open();
    rig.message_added("a", None, "user");
    rig.message_added("c", Some("never seen"), "user");
    rig.message_added("b", Some("a"), "user");
    rig.message_added("d", Some(""), "user");
    assert_eq!(ids(&rig), ["a", "b", "c", "d"]);
}

#[test]
fn deltas_grow_an_answer_without_telling_its_history_each_time() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.message_added("a", None, "assistant");
    assert_eq!(told(&mut rig), ["added"]);
    rig.transcript("r1", "a", "one ");
    rig.transcript("r1", "a", "two");
    assert_eq!(told(&mut rig), [""; 0]);
    item_done(
        &mut rig,
        None,
        said(
            "a",
            "assistant",
            json!([{"type": "output_audio", "transcript": null}]),
        ),
    );
    assert_eq!(told(&mut rig), ["updated"]);
    assert_eq!(rig.words(), ["one two"]);
}

#[test]
fn an_answer_never_announced_is_told_when_its_first_words_come() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.transcript("r1", "a", "one ");
    rig.transcript("r1", "a", "two");
    assert_eq!(told(&mut rig), ["added"]);
    let done = said(
        "a",
        "assistant",
        json!([{"type": "output_audio", "transcript": "one two"}]),
    );
    rig.server(json!({"type": "response.output_item.done", "response_id": "r1", "item": done}));
    assert_eq!(told(&mut rig), ["updated"]);
}

#[test]
fn an_answer_told_only_as_a_whole_is_kept() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.server(
        json!({"type": "response.output_text.done", "response_id": "r1", "item_id": "a", "text": "whole"}),
    );
    assert_eq!(rig.words(), ["whole"]);
    let done = said(
        "b",
        "assistant",
        json!([{"type": "output_text", "text": "second"}]),
    );
    rig.server(json!({"type": "response.output_item.done", "response_id": "r1", "item": done}));
    assert_eq!(rig.words(), ["whole", "second"]);
}

#[test]
fn items_of_one_answer_may_overlap() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.transcript("r1", "a", "left ");
    rig.transcript("r1", "b", "right ");
    rig.transcript("r1", "a", "over");
    rig.transcript("r1", "b", "there");
    assert_eq!(rig.words(), ["left over", "right there"]);
}

#[test]
fn a_done_that_still_says_in_progress_is_complete() {
    let mut rig = Rig::open();
    rig.message_added("a", None, "assistant");
    let mut item = said("a", "assistant", json!([]));
    item["status"] = "in_progress".into();
    item_done(&mut rig, None, item);
    let HistoryItem::Message { status, .. } = &rig.history()[0] else {
        panic!("not a message")
    };
    assert_eq!(*status, ItemStatus::Completed);
}

#[test]
fn a_transcript_goes_into_the_users_sound_wherever_it_is() {
    let mut rig = Rig::open();
    let parts =
        json!([{"type": "input_text", "text": "listen: "}, {"type": "input_audio", "transcript": null}]);
    let mut item = said("u", "user", parts);
    item["status"] = "in_progress".into();
    rig.server(json!({"type": "conversation.item.added", "item": item}));
    rig.server(
        json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": "u",
        "content_index": 0, "transcript": "hello", "usage": {"type": "duration", "seconds": 3}}),
    );
    assert_eq!(rig.words(), ["listen: hello"]);
    let HistoryItem::Message { status, .. } = &rig.history()[0] else {
        panic!("not a message")
    };
    assert_eq!(*status, ItemStatus::Completed);
}

#[test]
fn a_transcript_may_come_before_its_item_and_again_and_again() {
    let mut rig = Rig::open();
    let transcript = |words: &str, status: &str| {
        json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": "u",
            "transcript": words, "status": status})
    };
    rig.server(
        json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": "u", "delta": "he"}),
    );
    rig.server(transcript("hel", "in_progress"));
    rig.server(transcript("hello", "completed"));
    rig.message_added("u", None, "user");
    assert_eq!(rig.words(), ["hello"]);
    let whole = |event: &&SessionEvent| matches!(event, SessionEvent::InputTranscript { .. });
    assert_eq!(rig.events.iter().filter(whole).count(), 1);
}

#[test]
fn a_failed_transcription_is_told_and_changes_nothing() {
    let mut rig = Rig::open();
    rig.message_added("u", None, "user");
    rig.events.clear();
    rig.server(
        json!({"type": "conversation.item.input_audio_transcription.failed", "item_id": "u",
        "error": {"type": "server_error", "code": "DeploymentNotFound", "message": "no"}}),
    );
    assert!(matches!(
        &rig.events[..],
        [SessionEvent::InputTranscriptFailed { .. }]
    ));
}

#[test]
fn a_call_is_one_entry_with_its_output() {
    let mut rig = Rig::open();
    rig.message_added("u", None, "user");
    rig.created("r1");
    rig.call("r1", "call_1", "weather", r#"{"city":"Rome"}"#);
    rig.tool_done("call_1", "sunny");
    item_done(
        &mut rig,
        Some("item_call_1"),
        json!({"id": "o", "type": "function_call_output", "call_id": "call_1", "output": "sunny"}),
    );
    rig.message_added("a", Some("o"), "assistant");
    assert_eq!(ids(&rig), ["u", "item_call_1", "a"]);
    let HistoryItem::ToolCall {
        status,
        output,
        arguments,
        ..
    } = &rig.history()[1]
    else {
        panic!("not a call")
    };
    assert_eq!(
        (*status, output.as_deref()),
        (ItemStatus::Completed, Some("sunny"))
    );
    assert_eq!(arguments, r#"{"city":"Rome"}"#);
}

#[test]
fn a_removed_item_is_gone_and_told() {
    let mut rig = Rig::open();
    rig.message_added("a", None, "user");
    rig.events.clear();
    rig.server(json!({"type": "conversation.item.deleted", "item_id": "a"}));
    rig.server(json!({"type": "conversation.item.deleted", "item_id": "a"}));
    assert_eq!(told(&mut rig), ["removed"]);
}

#[test]
fn an_item_that_is_back_under_its_old_id_grows() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.message_added("a", None, "assistant");
    rig.transcript("r1", "a", "old");
    rig.server(json!({"type": "conversation.item.deleted", "item_id": "a"}));
    rig.message_added("a", None, "assistant");
    rig.transcript("r1", "a", "new");
    assert_eq!(rig.words(), ["new"]);
}

#[test]
fn the_beta_dialect_reads_the_same() {
    let mut rig = Rig::open();
    rig.server(
        json!({"type": "response.created", "response": {"id": "r1", "conversation_id": "c", "output": null}}),
    );
    rig.server(
        json!({"type": "conversation.item.created", "previous_item_id": "", "item":
        {"id": "a", "object": "realtime.item", "type": "message", "role": "assistant", "content": null}}),
    );
    rig.server(json!({"type": "response.audio_transcript.delta", "response_id": "r1", "item_id": "a", "delta": "hi"}));
    rig.server(json!({"type": "response.audio_transcript.done", "response_id": "r1", "item_id": "a", "transcript": "hi!"}));
    rig.server(
        json!({"type": "response.done", "response": {"id": "r1", "status": "completed",
        "status_details": "unimplemented", "voice": {"name": "a", "type": "b"}, "usage": {}}}),
    );
    assert_eq!(rig.words(), ["hi!"]);
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}

#[test]
fn unknown_events_and_frames_that_are_none_end_nothing() {
    let mut rig = Rig::open();
    rig.server(json!({"type": "ping", "timestamp": 1}));
    rig.server(json!({"type": "input_audio_buffer.dtmf_event_received", "event": "9"}));
    assert_eq!(rig.events, []);
    rig.frame("nonsense");
    rig.frame("{\"type\":\"conversation.item.added\"}");
    assert_eq!(rig.errors(), ["unreadable_event", "unreadable_event"]);
    rig.say("still there?");
    assert_eq!(rig.creates(), 1);
}

#[test]
fn usage_is_told_per_answer_and_summed_at_the_end_whatever_the_numbers() {
    let mut rig = Rig::open();
    for id in ["r1", "r2"] {
        rig.created(id);
        let usage = json!({"total_tokens": u64::MAX, "input_tokens": u64::MAX, "output_tokens": 7,
            "input_token_details": {"cached_tokens": u64::MAX, "text_tokens": -4},
            "output_token_details": {"audio_tokens": 5, "reasoning_tokens": 2}});
        rig.done_with(id, json!({"status": "completed", "usage": usage}));
    }
    rig.command(Command::Close);
    let Some(SessionEvent::SessionEnd { usage, .. }) = rig.events.last() else {
        panic!("no end")
    };
    assert_eq!((usage.total_tokens, usage.output_tokens), (u64::MAX, 14));
    assert_eq!(usage.output_token_details.audio_tokens, 10);
}
