//! How the charge passes from agent to agent (protocol.md section 5.7; span rules L4 to L6, P1, P3).

use super::*;

/// An answer in which the model hands over to Billing.
fn handing_over() -> Rig {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "transfer_to_billing", "{}");
    rig
}

fn outputs(rig: &mut Rig) -> Vec<String> {
    let outputs = rig.sent_of("conversation.item.create");
    outputs
        .iter()
        .map(|frame| frame["item"]["output"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_handoff_sends_settings_then_the_output_then_asks_for_an_answer() {
    let mut rig = handing_over();
    assert_eq!(rig.sent(), ["session.update"]);
    rig.done("r1");
    assert_eq!(rig.sent(), [""; 0], "the old settings may still hold");
    rig.updated();
    assert_eq!(rig.sent[0]["item"]["output"], r#"{"assistant":"Billing"}"#);
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
    rig.created("r2");
    let Some(SessionEvent::AgentStart { agent, .. }) = rig.events.last() else {
        panic!("no answer began")
    };
    assert_eq!(agent, "Billing");
}

#[test]
fn l4_one_span_ends_when_the_next_starts() {
    let mut rig = handing_over();
    rig.wait(ms(300));
    rig.updated();
    rig.wait(ms(300));
    rig.command(Command::Close);
    let (triage, billing) = (rig.span("Triage"), rig.span("Billing"));
    assert_eq!(triage.ended_at, Some(billing.started_at));
    assert_eq!(
        billing.started_at.saturating_duration_since(triage.started_at),
        ms(300)
    );
    assert_eq!((triage.parent_id, billing.parent_id), (None, None), "P1");
    let handoff = rig.span("Triage → Billing");
    assert_eq!(handoff.parent_id, Some(triage.id));
    assert_eq!(handoff.ended_at, Some(billing.started_at));
}

#[test]
fn l5_a_manual_switch_does_the_same_and_asks_for_no_answer() {
    let mut rig = Rig::open();
    rig.switch_to("Billing");
    assert!(rig.replies.is_empty());
    rig.updated();
    assert!(matches!(rig.replies[..], [(7, Ok(()))]));
    assert_eq!(rig.sent(), ["session.update"]);
    rig.command(Command::Close);
    assert_eq!(rig.span("Triage").ended_at, Some(rig.span("Billing").started_at));
}

#[test]
fn l5_a_switch_to_the_agent_in_charge_starts_a_new_span() {
    let mut rig = Rig::open();
    rig.switch_to("Triage");
    rig.updated();
    rig.command(Command::Close);
    assert_eq!(rig.spans("Triage").len(), 2);
}

#[test]
fn l6_an_unknown_agent_leaves_the_old_one_in_charge() {
    let mut rig = Rig::open();
    rig.switch_to("Nobody");
    let Some((7, Err(error))) = rig.replies.pop() else {
        panic!("it switched")
    };
    assert!(
        error.to_string().contains("there is no agent `Nobody`"),
        "{error}"
    );
    assert_eq!(rig.sent(), [""; 0]);
    assert!(rig.span("Triage → Nobody").error.is_some());
    assert_eq!(rig.spans("Triage").len(), 0, "it goes on");
    rig.say("hello");
    rig.created("r1");
    assert!(matches!(rig.events.last(), Some(SessionEvent::AgentStart { agent, .. }) if agent == "Triage"));
}

#[test]
fn l6_refused_settings_leave_the_old_agent_in_charge_and_the_model_is_told() {
    let mut rig = handing_over();
    let update = rig.sent_of("session.update").remove(0);
    rig.done("r1");
    rig.error("cannot_update_voice", update["event_id"].as_str());
    assert!(outputs(&mut rig)[0].contains("cannot_update_voice"));
    assert_eq!(rig.errors(), ["handoff_failed"]);
    assert!(rig.span("Triage → Billing").error.is_some());
    assert_eq!(rig.spans("Triage").len(), 0, "it goes on");
    rig.created("r2");
    rig.call("r2", "call_2", "weather", "{}");
    assert_eq!(rig.runs.len(), 1);
}

#[test]
fn answers_wait_while_the_charge_passes() {
    let mut rig = Rig::open();
    rig.switch_to("Billing");
    rig.say("hello");
    assert_eq!(rig.sent(), ["session.update", "conversation.item.create"]);
    rig.updated();
    assert_eq!(rig.sent(), ["response.create"]);
}

#[test]
fn changes_happen_one_at_a_time_in_order() {
    let mut rig = Rig::open();
    rig.switch_to("Billing");
    rig.switch_to("Triage");
    assert_eq!(rig.sent(), ["session.update"]);
    rig.updated();
    assert_eq!(rig.sent(), ["session.update"]);
    rig.updated();
    assert_eq!(rig.replies.len(), 2);
}

#[test]
fn of_two_handoffs_at_once_the_first_counts() {
    let mut rig = handing_over();
    rig.call("r1", "call_2", "transfer_to_billing", r#"{"again": true}"#);
    rig.done("r1");
    rig.updated();
    let outputs = outputs(&mut rig);
    assert_eq!(outputs[0], r#"{"assistant":"Billing"}"#);
    assert!(outputs[1].contains("no longer in charge"), "{outputs:?}");
    assert_eq!(rig.spans("Triage → Billing").len(), 2);
}

#[test]
fn a_handoff_asked_for_by_an_agent_no_longer_in_charge_does_not_happen() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.switch_to("Billing");
    rig.updated();
    rig.sent.clear();
    rig.call("r1", "call_1", "transfer_to_billing", "{}");
    assert!(outputs(&mut rig)[0].contains("no longer in charge"));
    rig.command(Command::Close);
    assert_eq!(rig.spans("Billing").len(), 1);
}

#[test]
fn a_handoff_beside_a_tool_has_one_answer_after_both() {
    for tool_first in [true, false] {
        let mut rig = handing_over();
        rig.call("r1", "call_2", "weather", "{}");
        rig.done("r1");
        let mut steps: [fn(&mut Rig); 2] = [|rig| rig.tool_done("call_2", "sunny"), Rig::updated];
        if !tool_first {
            steps.reverse();
        }
        steps[0](&mut rig);
        assert_eq!(rig.creates(), 0, "tool first: {tool_first}");
        steps[1](&mut rig);
        assert_eq!(rig.creates(), 1, "tool first: {tool_first}");
    }
}

#[test]
fn p3_a_tool_that_outlives_a_handoff_keeps_its_parent_and_nothing_starts_under_a_finished_one() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.call("r1", "call_2", "transfer_to_billing", "{}");
    rig.updated();
    rig.wait(SECOND);
    rig.call("r1", "call_3", "time", "{}");
    rig.tool_done("call_1", "sunny");
    rig.tool_done("call_3", "noon");
    rig.command(Command::Close);
    let (triage, billing) = (rig.span("Triage"), rig.span("Billing"));
    assert_eq!(rig.span("weather").parent_id, Some(triage.id));
    assert_eq!(
        rig.span("time").parent_id,
        Some(billing.id),
        "Triage had ended when that began"
    );
}

#[test]
fn settings_of_the_applications_own_do_not_count_as_an_agents() {
    let mut rig = Rig::open();
    rig.raw(json!({"type": "session.update", "event_id": "mine", "session": {"type": "realtime", "instructions": "x"}}));
    rig.switch_to("Billing");
    rig.updated();
    assert!(rig.replies.is_empty(), "that was the answer to the first");
    rig.updated();
    assert_eq!(rig.replies.len(), 1);
}

#[test]
fn refused_settings_of_the_applications_own_are_an_error_and_hold_up_nothing() {
    let mut rig = Rig::open();
    rig.raw(json!({"type": "session.update", "event_id": "mine", "session": {"odd": 1}}));
    rig.error("unknown_parameter", Some("mine"));
    assert_eq!(rig.errors(), ["unknown_parameter"]);
    rig.switch_to("Billing");
    rig.updated();
    assert!(matches!(rig.replies[..], [(7, Ok(()))]));
}

#[test]
fn a_server_slow_to_answer_once_is_waited_for_again() {
    let mut rig = Rig::open();
    rig.switch_to("Billing");
    rig.wait_for_deadline();
    assert_eq!(rig.replies.len(), 1);
    rig.updated();
    rig.switch_to("Triage");
    assert_eq!(rig.replies.len(), 1);
    rig.updated();
    assert_eq!(rig.replies.len(), 2);
}

#[test]
fn l6_an_agent_that_takes_too_long_to_resolve_leaves_the_old_one_in_charge() {
    let mut rig = Rig::open();
    let agent = "Billing".to_owned();
    rig.core
        .handle(rig.now, Input::Command(Command::UpdateAgent { agent, ticket: 7 }));
    let wanted = rig.core.poll_output();
    assert!(matches!(wanted, Some(Output::Resolve { .. })), "{wanted:?}");
    rig.wait_for_deadline();
    assert!(matches!(rig.replies[..], [(7, Err(_))]));
    let late = rig.resolve("Billing").unwrap();
    rig.input(Input::Resolved(Ok(Arc::new(late))));
    assert_eq!(rig.sent(), [""; 0]);
    rig.command(Command::Close);
    assert_eq!(rig.spans("Billing").len(), 0);
}

#[test]
fn waiting_changes_have_a_bound() {
    let mut rig = Rig::open();
    for _ in 0..100 {
        rig.switch_to("Billing");
    }
    let refused = rig.replies.iter().filter(|(_, result)| result.is_err()).count();
    assert!(refused >= 60, "{refused}");
}
