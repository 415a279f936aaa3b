//! What becomes of the calls that a model makes (protocol.md section 6.5).

use super::*;

/// The arguments of the only tool that was asked to run.
fn arguments(rig: &Rig) -> &Value {
    let [run] = &rig.runs[..] else {
        panic!("{} tools run", rig.runs.len())
    };
    &run.call.arguments
}

#[test]
fn a_call_runs_once_whatever_number_of_events_tell_of_it() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.call("r1", "call_1", "weather", "{}");
    rig.tool_done("call_1", "sunny");
    let output = vec![call_item("call_1", "weather", "{}")];
    rig.done_with("r1", json!({"status": "completed", "output": output}));
    assert_eq!(rig.runs.len(), 1);
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
    assert_eq!(rig.errors(), [""; 0]);
}

#[test]
fn a_call_that_only_the_end_of_the_answer_tells_of_is_run() {
    let mut rig = Rig::open();
    rig.created("r1");
    let output = vec![call_item("call_1", "weather", "{}")];
    rig.done_with("r1", json!({"status": "completed", "output": output}));
    assert_eq!(rig.runs.len(), 1);
}

#[test]
fn a_call_that_is_not_complete_is_not_run() {
    let mut rig = Rig::open();
    rig.created("r1");
    for status in ["in_progress", "incomplete"] {
        let mut item = call_item("call_1", "weather", "{\"ci");
        item["status"] = status.into();
        rig.server(json!({"type": "response.output_item.done", "response_id": "r1", "item": item}));
        rig.server(json!({"type": "conversation.item.added", "item": item}));
    }
    let mut item = call_item("call_1", "weather", "{\"ci");
    item["status"] = "incomplete".into();
    rig.done_with("r1", json!({"status": "cancelled", "output": [item]}));
    assert_eq!(rig.runs.len(), 0);
}

#[test]
fn a_call_id_used_for_another_call_is_an_error() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", r#"{"city": "Rome"}"#);
    rig.call("r1", "call_1", "weather", r#"{"city": "Oslo"}"#);
    rig.call("r1", "call_1", "time", r#"{"city": "Rome"}"#);
    assert_eq!(rig.runs.len(), 1);
    assert_eq!(rig.errors(), ["invalid_call", "invalid_call"]);
}

#[test]
fn a_call_without_an_id_is_an_error() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "", "weather", "{}");
    assert_eq!(rig.runs.len(), 0);
    assert_eq!(rig.errors(), ["invalid_call"]);
}

#[test]
fn an_unknown_tool_is_told_to_the_model_without_asking_for_an_answer() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "fly", "{}");
    rig.done("r1");
    let created = rig.sent_of("conversation.item.create");
    assert_eq!(created[0]["item"]["output"], "Tool fly not found");
    assert_eq!(rig.creates(), 0);
    let Some(SessionEvent::TurnEnd { status, .. }) = rig.events.last() else {
        panic!("no end of the turn")
    };
    assert_eq!(*status, ResponseStatus::Failed);
    assert_eq!(rig.errors(), ["tool_not_found"]);
    assert!(rig.span("fly").error.is_some());
}

#[test]
fn an_output_may_go_before_the_end_of_the_answer_the_create_only_after() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.tool_done("call_1", "sunny");
    let created = rig.sent_of("conversation.item.create");
    assert_eq!(created[0]["item"]["type"], "function_call_output");
    assert_eq!(created[0]["item"]["call_id"], "call_1");
    assert_eq!(created[0]["item"]["output"], "sunny");
    assert_eq!(rig.creates(), 0);
    rig.done("r1");
    assert_eq!(rig.sent(), ["response.create"]);
}

#[test]
fn parallel_calls_have_one_answer_after_the_last_output() {
    let orders = [
        ["call_1", "call_2", "done"],
        ["call_1", "done", "call_2"],
        ["done", "call_2", "call_1"],
    ];
    for order in orders {
        let mut rig = Rig::open();
        rig.created("r1");
        rig.call("r1", "call_1", "weather", "{}");
        rig.call("r1", "call_2", "time", "{}");
        for step in order {
            assert_eq!(rig.creates(), 0, "{order:?} before {step}");
            match step {
                "done" => rig.done("r1"),
                call => rig.tool_done(call, "x"),
            }
        }
        assert_eq!(rig.creates(), 1, "{order:?}");
        assert_eq!(rig.turns(), []);
    }
}

#[test]
fn a_call_announced_after_another_has_ended_is_waited_for() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.tool_done("call_1", "x");
    rig.call("r1", "call_2", "time", "{}");
    rig.done("r1");
    assert_eq!(rig.creates(), 0);
    rig.tool_done("call_2", "y");
    assert_eq!(rig.creates(), 1);
}

#[test]
fn a_slow_tool_does_not_hold_up_what_the_user_says_meanwhile() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.done("r1");
    rig.say("are you still there?");
    assert_eq!(rig.creates(), 1);
    rig.created("r2");
    rig.done("r2");
    rig.tool_done("call_1", "sunny");
    assert_eq!(rig.creates(), 1);
}

#[test]
fn a_failed_tool_is_told_to_the_model_and_answered() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.done("r1");
    rig.tool_failed("call_1", "no such city");
    let frames = std::mem::take(&mut rig.sent);
    assert_eq!(
        frames[0]["item"]["output"],
        "The tool weather failed: no such city"
    );
    assert_eq!(frames[1]["type"], "response.create");
    let error = rig.span("weather").error.clone().unwrap();
    assert_eq!(
        error.data,
        Some(json!({"tool_name": "weather", "error": "no such city"}))
    );
    let end = |event: &&SessionEvent| matches!(event, SessionEvent::ToolEnd { error: Some(_), .. });
    assert_eq!(rig.events.iter().filter(end).count(), 1);
}

#[test]
fn arguments_are_json_if_they_can_be_and_text_if_not() {
    for (written, read) in [
        (r#"{"city": "Rome"}"#, json!({"city": "Rome"})),
        ("{  \n  \"city\": \"Rome\" \n} \n", json!({"city": "Rome"})),
        ("", json!({})),
        (" \n", json!({})),
        ("{\"city\": ", json!("{\"city\": ")),
    ] {
        let mut rig = Rig::open();
        rig.created("r1");
        rig.call("r1", "call_1", "weather", written);
        assert_eq!(*arguments(&rig), read, "{written:?}");
        let Some(SessionEvent::ToolStart { arguments, .. }) = rig.events.last() else {
            panic!("no tool started")
        };
        assert_eq!(arguments, written);
    }
}

#[test]
fn values_reach_the_model_as_json_text() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    let result = Ok(ToolOutput::from(json!({"celsius": 22})));
    rig.input(Input::ToolDone {
        call_id: "call_1".into(),
        result,
    });
    assert_eq!(rig.sent[0]["item"]["output"], r#"{"celsius":22}"#);
}

#[test]
fn tools_that_run_at_once_have_a_bound() {
    let mut rig = Rig::open();
    rig.created("r1");
    for number in 0..300 {
        rig.call("r1", &format!("call_{number}"), "weather", "{}");
    }
    rig.done("r1");
    let refused = 300 - rig.runs.len();
    assert!(refused > 0 && rig.runs.len() >= 256);
    assert_eq!(rig.errors(), vec!["too_many_calls"; refused]);
    assert_eq!(rig.sent_of("conversation.item.create").len(), refused);
    for run in std::mem::take(&mut rig.runs) {
        rig.tool_done(&run.call.call_id, "sunny");
    }
    assert_eq!(rig.creates(), 1);
}

#[test]
fn tools_in_line_hold_up_the_events_that_follow() {
    let mut rig = Rig::open_with(in_line(agents()));
    rig.created("r1");
    assert!(!rig.core.is_blocked());
    rig.call("r1", "call_1", "weather", "{}");
    assert!(rig.core.is_blocked());
    rig.tool_done("call_1", "sunny");
    assert!(!rig.core.is_blocked());
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    assert!(!rig.core.is_blocked(), "in the background they do not");
}

#[test]
fn an_answer_calls_the_tools_it_began_with() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.switch_to("Billing");
    rig.updated();
    rig.call("r1", "call_1", "weather", "{}");
    assert_eq!(rig.runs.len(), 1);
    assert_eq!(rig.runs[0].call.agent, "Triage");
}

#[test]
fn a_tool_output_that_races_with_the_servers_own_answer_is_not_sent_again() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.done("r1");
    rig.tool_done("call_1", "sunny");
    let create = rig.sent_of("response.create").remove(0);
    rig.created("by_vad");
    rig.error(
        "conversation_already_has_active_response",
        create["event_id"].as_str(),
    );
    rig.done("by_vad");
    assert_eq!(rig.sent(), [""; 0]);
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}

#[test]
fn a_result_nobody_waits_for_is_passed_over() {
    let mut rig = Rig::open();
    rig.tool_done("call_9", "x");
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn a_servers_own_mcp_items_are_kept_and_not_run() {
    let mut rig = Rig::open();
    rig.created("r1");
    let item =
        json!({"id": "m", "type": "mcp_call", "server_label": "docs", "name": "weather", "arguments": "{}"});
    rig.server(json!({"type": "conversation.item.added", "item": item}));
    rig.server(json!({"type": "response.mcp_call.in_progress", "item_id": "m"}));
    rig.server(json!({"type": "response.output_item.done", "response_id": "r1", "item": item}));
    assert_eq!(rig.runs.len(), 0);
    assert!(matches!(&rig.history()[..], [HistoryItem::Other { .. }]));
}
