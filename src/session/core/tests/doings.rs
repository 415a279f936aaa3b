//! What tools do to a session: the input of a handoff, the end of the session, words for failures.

use super::*;
use crate::agent::Handoff;
use crate::context::Template;

fn tool(name: &str) -> FunctionTool {
    FunctionTool::new(name, "", json!({"type": "object"}), |_| async {
        Ok(ToolOutput::from("unused"))
    })
}

/// An agent whose handoff takes an input, which the model has just given.
fn handing_over() -> Rig {
    let handoff = Handoff::to("Billing").on_handoff(tool("record"));
    let triage = Agent::new("Triage").handoff(handoff).tool(tool("weather"));
    let mut rig = Rig::open_with(Agents::new(triage).with(Agent::new("Billing")));
    rig.created("r1");
    rig.call("r1", "call_1", "transfer_to_billing", r#"{"reason": "money"}"#);
    rig
}

#[test]
fn the_input_of_a_handoff_is_taken_before_the_charge_passes() {
    let mut rig = handing_over();
    assert_eq!(rig.sent(), [""; 0], "nothing is sent before the tool is done");
    assert_eq!(rig.runs[0].call.arguments, json!({"reason": "money"}));
    rig.done("r1");
    rig.tool_done("call_1", "kept");
    assert_eq!(rig.sent(), ["session.update"]);
    rig.updated();
    assert_eq!(rig.sent[0]["item"]["output"], r#"{"assistant":"Billing"}"#);
    rig.command(Command::Close);
    assert!(rig.span("Triage → Billing").error.is_none());
}

#[test]
fn p3_p4_what_takes_the_input_has_a_span_under_the_agent_in_charge_and_sees_it() {
    let mut rig = handing_over();
    let inner = rig.runs[0].scope.span(SpanData::custom("inner"));
    inner.finish_at(rig.now);
    rig.wait(ms(5));
    rig.tool_done("call_1", "kept");
    rig.updated();
    rig.command(Command::Close);
    let (record, triage) = (rig.span("record"), rig.span("Triage"));
    assert_eq!(rig.span("inner").parent_id, Some(record.id));
    assert_eq!(record.parent_id, Some(triage.id));
    assert_eq!(record.duration(), Some(ms(5)));
    let data = serde_json::to_value(&record.data).unwrap();
    let told = json!({"type": "function", "name": "record", "input": r#"{"reason": "money"}"#, "output": "kept",
        "mcp_data": null});
    assert_eq!(data, told);
}

#[test]
fn no_handoff_waits_for_approval() {
    let handoff = Handoff::to("Billing").on_handoff(tool("record").approval(true));
    let triage = Agent::new("Triage").handoff(handoff);
    let mut rig = Rig::open_with(Agents::new(triage).with(Agent::new("Billing")));
    rig.created("r1");
    rig.call("r1", "call_1", "transfer_to_billing", "{}");
    rig.done("r1");
    let told = rig.sent[0]["item"]["output"].as_str().unwrap().to_owned();
    assert!(told.contains("needs approval"), "{told}");
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
    assert_eq!(
        (rig.runs.len(), rig.errors()),
        (0, vec!["handoff_failed".to_owned()])
    );
    assert!(rig.span("record").error.is_some());
}

#[test]
fn l6_an_input_that_is_refused_leaves_the_old_agent_in_charge() {
    let mut rig = handing_over();
    rig.done("r1");
    rig.tool_failed("call_1", "no reason");
    assert_eq!(
        rig.sent[0]["item"]["output"],
        "The handoff to Billing failed: no reason"
    );
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
    assert_eq!(rig.errors(), ["handoff_failed"]);
    rig.command(Command::Close);
    let error = rig.span("Triage → Billing").error.clone().unwrap();
    assert_eq!(error.message, "Handoff failed: no reason");
    let error = rig.span("record").error.clone().unwrap();
    assert_eq!(error.message, "Error running tool");
    assert!(rig.spans("Billing").is_empty());
}

#[test]
fn l6_an_input_that_is_not_taken_in_time_leaves_the_old_agent_in_charge() {
    let mut rig = handing_over();
    rig.wait_for_deadline();
    assert_eq!(rig.errors(), ["handoff_failed"]);
    rig.tool_done("call_1", "too late");
    rig.command(Command::Close);
    let error = rig.span("record").error.clone().unwrap();
    assert_eq!(error.message, "It took longer than 120 s");
    assert!(rig.span("Triage → Billing").error.is_some());
    assert!(rig.spans("Billing").is_empty());
}

#[test]
fn a_session_may_end_while_an_input_is_taken() {
    let mut rig = handing_over();
    rig.command(Command::Close);
    assert!(rig.ended);
    assert!(rig.span("Triage → Billing").error.is_some());
    let error = rig.span("record").error.clone().unwrap();
    assert_eq!(error.message, "The session ended before the tool had finished");
}

#[test]
fn the_model_ends_the_session_with_the_turn() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.done("r1");
    let result = Ok(ToolOutput::EndSession("goodbye".to_owned()));
    rig.input(Input::ToolDone {
        call_id: "call_1".to_owned(),
        result,
    });
    assert_eq!(rig.sent[0]["item"]["output"], "goodbye");
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
    rig.created("r2");
    assert!(!rig.ended, "it may still say goodbye");
    rig.done("r2");
    assert!(rig.ended);
    assert_eq!(rig.end_reason(), EndReason::Closed);
    assert!(rig.span("Triage").error.is_none());
}

#[test]
fn failures_are_told_in_the_words_of_the_agents() {
    let mut agents = agents();
    agents.tool_error_message = Some(Template::new("Sorry: {{ tool }}: {{ error }}").unwrap());
    let mut rig = Rig::open_with(agents);
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.tool_failed("call_1", "too late");
    rig.call("r1", "call_2", "fly", "{}");
    let told: Vec<Value> = rig
        .sent_of("conversation.item.create")
        .iter()
        .map(|frame| frame["item"]["output"].clone())
        .collect();
    assert_eq!(
        told,
        ["Sorry: weather: too late", "Sorry: fly: there is no such tool"]
    );
    assert_eq!(rig.errors(), ["tool_not_found"]);
}
