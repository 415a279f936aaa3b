//! When answers are asked for and stopped (protocol.md sections 6.1, 5.10, 5.12).

use super::*;

#[test]
fn a_message_is_sent_and_then_answered() {
    let mut rig = Rig::open();
    rig.say("hello");
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
}

#[test]
fn every_event_bears_an_id_of_its_own() {
    let mut rig = Rig::open();
    rig.say("hello");
    let ids: Vec<_> = rig
        .sent
        .iter()
        .map(|frame| frame["event_id"].to_string())
        .collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id != "null"), "{ids:?}");
}

#[test]
fn a_message_goes_out_at_once_its_request_when_the_answer_has_ended() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.sent.clear();
    rig.say("two");
    assert_eq!(rig.sent(), ["conversation.item.create"]);
    rig.done("r1");
    assert_eq!(rig.sent(), ["response.create"]);
}

#[test]
fn waiting_requests_are_served_by_one_answer() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.say("two");
    rig.say("three");
    rig.sent.clear();
    rig.done("r1");
    assert_eq!(rig.creates(), 1);
    rig.created("r2");
    rig.done("r2");
    assert_eq!(rig.creates(), 0);
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}

#[test]
fn a_request_of_the_applications_own_is_sent_as_it_is_and_alone() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.raw(
        json!({"type": "response.create", "event_id": "mine", "response": {"instructions": "Be brief."}}),
    );
    rig.say("two");
    rig.sent.clear();
    rig.done("r1");
    let creates = rig.sent_of("response.create");
    assert_eq!(creates.len(), 1);
    assert_eq!(creates[0]["event_id"], "mine");
    assert_eq!(creates[0]["response"]["instructions"], "Be brief.");
    rig.created("r2");
    rig.done("r2");
    assert_eq!(rig.creates(), 1, "the message's request was not merged with it");
}

#[test]
fn a_refused_create_frees_the_slot_and_ends_the_turn_as_failed() {
    let mut rig = Rig::open();
    rig.say("one");
    let create = rig.sent_of("response.create").remove(0);
    rig.error("invalid_value", create["event_id"].as_str());
    assert_eq!(rig.turns(), [ResponseStatus::Failed]);
    rig.say("two");
    assert_eq!(rig.creates(), 1);
}

#[test]
fn an_error_about_another_event_does_not_free_the_slot() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.sent.clear();
    rig.error("invalid_value", Some("audio_99"));
    rig.error("invalid_value", None);
    rig.say("two");
    assert_eq!(rig.creates(), 0);
    assert_eq!(rig.errors(), ["invalid_value", "invalid_value"]);
}

#[test]
fn an_error_without_an_id_frees_the_slot_if_its_words_are_about_the_create() {
    for code in ["bad_response_create", "conversation_already_has_active_response"] {
        let mut rig = Rig::open();
        rig.say("one");
        rig.sent.clear();
        rig.error(code, None);
        rig.say("two");
        assert_eq!(rig.creates(), 1, "{code}");
    }
}

#[test]
fn a_refused_create_gives_up_one_request_and_keeps_the_others_it_covered() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.say("two");
    rig.say("three");
    rig.sent.clear();
    rig.done("r1");
    let create = rig.sent_of("response.create").remove(0);
    rig.error("server_error", create["event_id"].as_str());
    assert_eq!(rig.creates(), 1);
}

#[test]
fn an_answer_the_server_began_by_itself_takes_the_slot() {
    let mut rig = Rig::open();
    rig.say("one");
    let create = rig.sent_of("response.create").remove(0);
    rig.created("by_vad");
    rig.error(
        "conversation_already_has_active_response",
        create["event_id"].as_str(),
    );
    assert_eq!(rig.errors(), [""; 0], "a race lost is no error");
    rig.say("two");
    assert_eq!(rig.creates(), 0);
    rig.done("by_vad");
    assert_eq!(rig.creates(), 1);
}

#[test]
fn the_end_of_another_answer_does_not_free_the_slot() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.say("two");
    rig.sent.clear();
    rig.done("r0");
    assert_eq!(rig.creates(), 0);
}

#[test]
fn an_end_told_twice_counts_once() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.say("two");
    let done = json!({"status": "completed", "usage": {"total_tokens": 10}});
    rig.done_with("r1", done.clone());
    rig.say("three");
    rig.sent.clear();
    rig.done_with("r1", done);
    assert_eq!(rig.creates(), 0, "one create is on its way already");
    let used =
        |event: &&SessionEvent| matches!(event, SessionEvent::Usage { .. } | SessionEvent::AgentEnd { .. });
    assert_eq!(rig.events.iter().filter(used).count(), 2);
}

#[test]
fn a_beginning_told_twice_or_after_the_end_counts_once() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.created("r1");
    rig.done("r1");
    rig.created("r1");
    let starts = |event: &&SessionEvent| matches!(event, SessionEvent::AgentStart { .. });
    assert_eq!(rig.events.iter().filter(starts).count(), 1);
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
    rig.sent.clear();
    rig.say("two");
    assert_eq!(rig.creates(), 1);
}

#[test]
fn an_answer_that_fails_before_it_begins_frees_the_slot() {
    let mut rig = Rig::open();
    rig.say("one");
    let error = json!({"type": "server_error", "code": "rate_limit_exceeded", "message": "slow down"});
    rig.done_with(
        "r1",
        json!({"status": "failed", "status_details": {"type": "failed", "error": error}}),
    );
    let Some(SessionEvent::TurnEnd { status, reason }) = rig.events.last() else {
        panic!("no end of the turn")
    };
    assert_eq!(*status, ResponseStatus::Failed);
    assert_eq!(reason.as_deref(), Some("slow down (rate_limit_exceeded)"));
}

#[test]
fn answers_without_ids_are_sequenced_too() {
    for id in [json!(null), json!("")] {
        let mut rig = Rig::open();
        for _ in 0..2 {
            rig.say("one");
            rig.say("two");
            rig.sent.clear();
            rig.server(json!({"type": "response.created", "response": {"id": id}}));
            assert_eq!(rig.creates(), 0);
            rig.server(json!({"type": "response.done", "response": {"id": id, "status": "completed"}}));
            assert_eq!(rig.creates(), 1);
            rig.server(json!({"type": "response.created", "response": {"id": id}}));
            rig.server(json!({"type": "response.done", "response": {"id": id, "status": "completed"}}));
        }
        assert_eq!(
            rig.turns(),
            [ResponseStatus::Completed, ResponseStatus::Completed]
        );
    }
}

#[test]
fn a_cancel_names_its_answer_and_is_sent_once() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.sent.clear();
    rig.command(Command::Interrupt);
    rig.command(Command::Interrupt);
    let cancels = rig.sent_of("response.cancel");
    assert_eq!(cancels.len(), 1);
    assert_eq!(cancels[0]["response_id"], "r1");
}

#[test]
fn without_an_answer_there_is_nothing_to_cancel() {
    let mut rig = Rig::open();
    rig.command(Command::Interrupt);
    rig.say("one");
    rig.created("r1");
    rig.done("r1");
    rig.sent.clear();
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn a_cancel_before_the_answer_begins_is_sent_when_it_does() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent_of("response.cancel").len(), 0);
    rig.created("r1");
    assert_eq!(rig.sent_of("response.cancel")[0]["response_id"], "r1");
    rig.events.clear();
    rig.transcript("r1", "a", "too late");
    assert_eq!(rig.events, []);
}

#[test]
fn a_cancel_that_came_too_late_is_no_error() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.command(Command::Interrupt);
    rig.done("r1");
    rig.error("response_cancel_not_active", None);
    assert_eq!(rig.errors(), [""; 0]);
    rig.say("two");
    rig.created("r2");
    rig.sent.clear();
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent_of("response.cancel")[0]["response_id"], "r2");
}

fn out_of_band(rig: &mut Rig) {
    rig.raw(json!({"type": "response.create", "response": {"conversation": "none"}}));
}

fn out_of_band_event(kind: &str, id: &str) -> Value {
    json!({"type": kind, "response": {"id": id, "conversation_id": null, "status": "completed"}})
}

#[test]
fn an_answer_out_of_band_runs_beside_the_conversations_own() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.sent.clear();
    out_of_band(&mut rig);
    assert_eq!(rig.creates(), 1, "it waits for nothing");
    rig.server(out_of_band_event("response.created", "side"));
    rig.events.clear();
    rig.server(
        json!({"type": "response.output_text.delta", "response_id": "side", "item_id": "x",
        "content_index": 0, "delta": "aside"}),
    );
    assert!(matches!(&rig.events[..], [SessionEvent::TextDelta { .. }]));
    assert_eq!(rig.history(), [], "it is no part of the conversation");
    rig.done("r1");
    assert_eq!(rig.turns(), [], "but the turn waits for it");
    rig.server(out_of_band_event("response.done", "side"));
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}

#[test]
fn an_item_made_out_of_band_is_no_part_of_the_conversation() {
    let mut rig = Rig::open();
    out_of_band(&mut rig);
    rig.server(out_of_band_event("response.created", "side"));
    rig.server(json!({"type": "response.output_item.done", "response_id": "side", "item":
        {"id": "x", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "aside"}]}}));
    assert_eq!(rig.history(), []);
}

#[test]
fn an_answer_out_of_band_that_fails_before_it_begins_ends_the_turn() {
    let mut rig = Rig::open();
    rig.say("one");
    out_of_band(&mut rig);
    rig.sent.clear();
    rig.server(out_of_band_event("response.done", "side"));
    rig.say("two");
    assert_eq!(
        rig.creates(),
        0,
        "the conversation's own create is still on its way"
    );
    rig.created("r1");
    rig.done("r1");
    rig.created("r2");
    rig.done("r2");
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}

#[test]
fn a_turn_ends_once_and_only_when_nothing_is_left() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.done("r1");
    assert_eq!(rig.turns(), []);
    rig.tool_done("call_1", "sunny");
    assert_eq!(rig.turns(), []);
    rig.created("r2");
    rig.done_with(
        "r2",
        json!({"status": "incomplete", "status_details": {"reason": "max_output_tokens"}}),
    );
    rig.server(json!({"type": "rate_limits.updated", "rate_limits": []}));
    assert_eq!(rig.turns(), [ResponseStatus::Incomplete]);
}
