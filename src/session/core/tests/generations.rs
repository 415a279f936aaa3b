//! The spans of answers: what they tell, and when they begin and end (span rules, "Beyond the reference").

use super::work::said;
use super::*;

#[test]
fn a_generation_tells_model_input_output_settings_and_usage() {
    let mut rig = Rig::open();
    rig.user("u", "hi");
    let start = rig.now;
    rig.server(
        json!({"type": "response.created", "response": {"id": "r1", "conversation_id": "conv_1",
        "output_modalities": ["text"], "max_output_tokens": "inf", "audio": {"output": {"voice": "marin"}}}}),
    );
    rig.wait(ms(70));
    let usage = json!({"input_tokens": 10, "output_tokens": 5, "input_token_details": {"cached_tokens": 4}});
    rig.done_with(
        "r1",
        json!({"status": "completed", "output": said("a", "hello"), "usage": usage}),
    );
    let span = rig.only("generation");
    assert_eq!((span.started_at, span.duration()), (start, Some(ms(70))));
    assert_eq!(span.error, None);
    let told = &rig.told("generation")[0];
    assert_eq!(told["input"], json!([{"role": "user", "content": "hi"}]));
    assert_eq!(told["output"], json!([{"role": "assistant", "content": "hello"}]));
    assert_eq!(told["model"], "gpt-realtime");
    let config = json!({"output_modalities": ["text"], "voice": "marin", "max_output_tokens": "inf"});
    assert_eq!(told["model_config"], config);
    assert_eq!(told["usage"]["total_tokens"], 15);
    assert_eq!(told["usage"]["input_token_details"]["cached_tokens"], 4);
}

#[test]
fn a_generation_has_what_went_in_since_the_one_before() {
    let mut rig = Rig::open();
    rig.user("u1", "first");
    rig.created("r1");
    rig.user("u2", "while it speaks");
    rig.item(json!({"id": "s", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "be kind"}]}));
    rig.done_with("r1", json!({"status": "completed", "output": said("a", "hello")}));
    rig.created("r2");
    rig.done("r2");
    let told = rig.told("generation");
    assert_eq!(told[0]["input"], json!([{"role": "user", "content": "first"}]));
    let expected =
        json!([{"role": "user", "content": "while it speaks"}, {"role": "system", "content": "be kind"}]);
    assert_eq!(told[1]["input"], expected);
}

#[test]
fn calls_come_out_and_their_outputs_go_in() {
    let mut rig = Rig::open();
    rig.created("r1");
    let call = call_item("c", "weather", "{\"city\":\"Rome\"}");
    rig.server(json!({"type": "conversation.item.added", "item": call}));
    rig.call("r1", "c", "weather", "{\"city\":\"Rome\"}");
    rig.done_with("r1", json!({"status": "completed", "output": [call]}));
    rig.tool_done("c", "sunny");
    rig.item(json!({"id": "o", "type": "function_call_output", "call_id": "c", "output": "sunny"}));
    rig.created("r2");
    rig.done("r2");
    let told = rig.told("generation");
    let function = json!({"name": "weather", "arguments": "{\"city\":\"Rome\"}"});
    let calls = json!([{"id": "c", "type": "function", "function": function}]);
    let came_out = json!([{"role": "assistant", "content": null, "tool_calls": calls}]);
    assert_eq!(told[0]["output"], came_out);
    let went_in = json!([{"role": "tool", "tool_call_id": "c", "content": "sunny"}]);
    assert_eq!(told[1]["input"], went_in);
}

#[test]
fn a_generation_tells_its_id_how_long_the_user_waited_and_when_it_began_to_show() {
    let mut rig = Rig::open();
    rig.say("hi");
    let asked = rig.now;
    rig.wait(ms(30));
    rig.created("r1");
    rig.wait(ms(50));
    rig.transcript("r1", "a", "hel");
    let shown = rig.now;
    rig.wait(ms(5));
    rig.transcript("r1", "a", "lo");
    rig.done("r1");
    rig.created("r2");
    rig.wait(ms(5));
    let call = call_item("c", "weather", "{}");
    rig.server(json!({"type": "response.output_item.added", "response_id": "r2", "item": call}));
    let called = rig.now;
    rig.done("r2");
    let told: Vec<Value> = rig
        .kind("generation")
        .iter()
        .map(|span| serde_json::to_value(&span.metadata).unwrap())
        .collect();
    let first = json!({"response_id": "r1", "turn_ended_at": asked, "turn_ended_by": "message",
        "first_content_at": shown, "first_word_ms": 80.0});
    let second = json!({"response_id": "r2", "first_content_at": called});
    assert_eq!(told, [first, second], "only the first answer is one to the user");
}

#[test]
fn a_spoken_turn_ends_when_the_user_stops_or_when_their_sound_is_committed() {
    let mut rig = Rig::open();
    rig.server(json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u"}));
    let stopped = rig.now;
    rig.wait(ms(20));
    rig.speaks("r1", "a");
    rig.done("r1");
    let audio = vec![0; 4800].into();
    rig.command(Command::Audio { audio, commit: true });
    let committed = rig.now;
    rig.wait(ms(20));
    rig.created("r2");
    rig.done("r2");
    let told: Vec<Value> = rig
        .kind("generation")
        .iter()
        .map(|span| span.metadata.as_ref().unwrap()["turn_ended_at"].clone())
        .collect();
    assert_eq!(told, [json!(stopped), json!(committed)]);
}

#[test]
fn what_the_user_said_is_told_as_soon_as_it_is_known() {
    let mut rig = Rig::open();
    for (response, known_in_time) in [("r1", true), ("r2", false)] {
        rig.user_audio(&format!("u_{response}"));
        rig.created(response);
        if known_in_time {
            rig.transcribed(&format!("u_{response}"), "good morning");
        }
        rig.done(response);
    }
    let told = rig.told("generation");
    assert_eq!(
        told[0]["input"],
        json!([{"role": "user", "content": "good morning"}])
    );
    assert_eq!(
        told[1]["input"],
        json!([{"role": "user", "content": [{"type": "input_audio"}]}])
    );
}

#[test]
fn what_was_deleted_before_the_answer_began_did_not_go_in() {
    let mut rig = Rig::open();
    rig.user("u1", "one");
    rig.user("u2", "two");
    rig.server(json!({"type": "conversation.item.deleted", "item_id": "u1"}));
    rig.created("r1");
    rig.done("r1");
    assert_eq!(
        rig.told("generation")[0]["input"],
        json!([{"role": "user", "content": "two"}])
    );
}

#[test]
fn what_waits_for_an_answer_is_bounded() {
    let mut rig = Rig::open();
    for number in 0..100 {
        rig.user(&format!("u{number}"), &"x".repeat(100_000));
    }
    rig.created("r1");
    rig.done("r1");
    let span = rig.only("generation");
    assert_eq!(span.metadata.as_ref().unwrap()["input_messages_left_out"], 36);
    let input = &rig.told("generation")[0]["input"];
    assert_eq!(input.as_array().unwrap().len(), 64);
    assert!(input.to_string().len() < 64 * 70_000);
}

#[test]
fn a_generation_that_did_not_end_well_tells_why() {
    let mut rig = Rig::open();
    let error = json!({"type": "requests", "code": "rate_limit_exceeded", "message": "Too many."});
    for (status, details) in [
        (
            "cancelled",
            json!({"type": "cancelled", "reason": "turn_detected"}),
        ),
        (
            "incomplete",
            json!({"type": "incomplete", "reason": "max_output_tokens"}),
        ),
        ("failed", json!({"type": "failed", "error": error})),
        ("failed", json!("unimplemented")),
    ] {
        rig.created(status);
        rig.done_with(status, json!({"status": status, "status_details": details}));
        rig.core.responses = Responses::default(); // so that the id can be used again
    }
    let errors: Vec<_> = rig
        .kind("generation")
        .iter()
        .map(|span| serde_json::to_value(&span.error).unwrap())
        .collect();
    assert_eq!(
        errors[0],
        json!({"message": "The response was cancelled: turn_detected",
            "data": {"status": "cancelled", "reason": "turn_detected"}})
    );
    assert_eq!(errors[1]["data"]["reason"], "max_output_tokens");
    assert_eq!(
        errors[2]["data"],
        json!({"status": "failed", "type": "requests", "code": "rate_limit_exceeded"})
    );
    assert!(errors[2]["message"].as_str().unwrap().contains("Too many."));
    assert_eq!(
        errors[3],
        json!({"message": "The response failed", "data": {"status": "failed"}})
    );
}

#[test]
fn an_answer_that_never_began_still_has_its_span() {
    let mut rig = Rig::open();
    rig.user("u", "hi");
    rig.done_with("r1", json!({"status": "failed"}));
    rig.done_with("r1", json!({"status": "failed"}));
    assert_eq!(
        rig.told("generation")[0]["input"],
        json!([{"role": "user", "content": "hi"}])
    );
    assert!(rig.only("generation").error.is_some());
}

#[test]
fn an_answer_known_only_by_its_items_begins_with_the_first() {
    let mut rig = Rig::open();
    let start = rig.now;
    rig.server(
        json!({"type": "response.output_item.added", "response_id": "r1", "item":
        {"id": "a", "type": "message", "role": "assistant", "status": "in_progress", "content": []}}),
    );
    rig.wait(ms(50));
    rig.done("r1");
    assert_eq!(rig.only("generation").started_at, start);
}

#[test]
fn the_words_of_a_cut_answer_are_those_that_were_kept() {
    let mut rig = Rig::open();
    rig.speaks("r1", "a");
    let output = json!([{"id": "a", "type": "message", "role": "assistant", "status": "incomplete",
        "content": [{"type": "output_audio", "transcript": null}]}]);
    rig.done_with("r1", json!({"status": "cancelled", "output": output}));
    let came_out = json!([{"role": "assistant", "content": "hello there"}]);
    assert_eq!(rig.told("generation")[0]["output"], came_out);
}

#[test]
fn an_answer_out_of_band_has_its_own_span_and_takes_nothing_from_the_conversation() {
    let mut rig = Rig::open();
    rig.user("u", "hi");
    rig.raw(json!({"type": "response.create", "response": {"conversation": "none"}}));
    rig.server(json!({"type": "response.created", "response": {"id": "side", "conversation_id": null}}));
    rig.created("r1");
    rig.server(json!({"type": "response.done", "response":
        {"id": "side", "status": "completed", "conversation_id": null, "output": said("b", "aside")}}));
    rig.done("r1");
    let told = rig.told("generation");
    assert_eq!(told[0]["input"], json!([]));
    assert_eq!(
        told[0]["output"],
        json!([{"role": "assistant", "content": "aside"}])
    );
    assert_eq!(told[1]["input"], json!([{"role": "user", "content": "hi"}]));
}
