//! What guardrails over tools let pass, and what follows when one objects (span rules L2, P4).

use super::guardrails::guardrail;
use super::*;
use crate::session::Decision;
use crate::tool::{Approval, ManagedGuardrail, ManagedTool, Tool};

/// A refund that has to be approved, with guardrails before and after that, and over what it answers.
fn guarded(approval: impl Into<Approval>) -> Agents {
    let tool = FunctionTool::new("refund", "", json!({"type": "object"}), |_| async {
        Ok(ToolOutput::from("unused"))
    });
    let early = ManagedGuardrail::new(Arc::new(guardrail("early"))).before_approval();
    let refund = ManagedTool::new(Arc::new(tool.approval(approval)))
        .input_guardrail(guardrail("limit"))
        .input_guardrail(early)
        .input_guardrail(guardrail("fraud"))
        .output_guardrail(guardrail("secrets"));
    Agents::new(Agent::new("Desk").tool(refund).handoff("Billing")).with(Agent::new("Billing"))
}

/// A session in which the refund was called.
fn called(approval: impl Into<Approval>) -> Rig {
    let mut rig = Rig::open_with(guarded(approval));
    rig.created("r1");
    rig.call("r1", "call_1", "refund", r#"{"euros": 5}"#);
    rig.done("r1");
    rig
}

/// A session in which the refund has answered.
fn answered() -> Rig {
    let mut rig = called(false);
    (0..3).for_each(|_| rig.judge(Verdict::Pass));
    rig.tool_done("call_1", "card 4111");
    rig
}

fn events_of(rig: &Rig) -> Vec<Value> {
    let kinds = [
        "guardrail",
        "tool_start",
        "tool_end",
        "warning",
        "tool_approval_required",
    ];
    let events = rig
        .events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap());
    events
        .filter(|event| kinds.iter().any(|kind| event["type"] == *kind))
        .collect()
}

#[test]
fn a_call_passes_guardrails_a_person_and_guardrails_again_before_it_runs_and_its_answer_after() {
    let mut rig = called(true);
    assert_eq!(rig.looking(), ["early"]);
    let Subject::ToolInput { tool, arguments } = &rig.checks[0].check.subject else {
        panic!("not a call")
    };
    assert_eq!((tool.as_str(), arguments), ("refund", &json!({"euros": 5})));
    assert_eq!(rig.asked(), [""; 0]);
    rig.judge(Verdict::Pass);
    assert_eq!(rig.asked(), ["call_1"]);
    rig.decide("call_1", Decision::approve()).unwrap();
    assert_eq!(rig.looking(), ["limit", "fraud"]);
    rig.judge(Verdict::Pass);
    assert_eq!(rig.runs.len(), 0, "one of two has not said anything");
    rig.judge(Verdict::Pass);
    assert_eq!(rig.runs.len(), 1);
    rig.tool_done("call_1", "paid");
    let Subject::ToolOutput { output, .. } = &rig.checks[0].check.subject else {
        panic!("not an answer")
    };
    assert_eq!(output, "paid");
    assert_eq!(rig.outputs(), [""; 0]);
    rig.judge(Verdict::Pass);
    assert_eq!(rig.outputs(), ["paid"]);
    rig.input(Input::Time);
    let kinds: Vec<Value> = events_of(&rig)
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(kinds, ["tool_start", "tool_end"]);
}

#[test]
fn a_call_that_a_guardrail_objects_to_is_not_made() {
    let mut rig = called(true);
    rig.judge(Verdict::Reject(Some("Too much.".into())));
    assert_eq!((rig.runs.len(), rig.checks.len()), (0, 0));
    let [guardrail, end] = &events_of(&rig)[..] else {
        panic!("{:?}", rig.events)
    };
    assert_eq!(
        *guardrail,
        json!({"type": "guardrail", "guardrail": "early", "agent": "Desk", "where": "tool_input",
            "message": "Too much.", "response_id": "r1", "tool": "refund", "call_id": "call_1"})
    );
    assert_eq!(
        (&end["output"], &end["error"]),
        (&json!("Too much."), &json!("the guardrail `early` objected"))
    );
    let frames = std::mem::take(&mut rig.sent);
    assert_eq!(frames[0]["item"]["output"], "Too much.");
    assert_eq!(frames[1]["type"], "response.create", "the model goes on");
    let span = rig.span("refund");
    let error = span.error.as_ref().unwrap();
    assert_eq!(error.message, "Tool call was stopped by a guardrail");
    assert_eq!(
        error.data,
        Some(json!({"tool_name": "refund", "guardrail": "early"}))
    );
    assert_eq!(serde_json::to_value(&span.data).unwrap()["output"], "Too much.");
}

#[test]
fn the_first_objection_settles_it() {
    let mut rig = called(false);
    rig.judge(Verdict::Pass);
    rig.judge(Verdict::Reject(None));
    rig.judge(Verdict::Reject(None));
    let objections = events_of(&rig)
        .iter()
        .filter(|event| event["type"] == "guardrail")
        .count();
    assert_eq!(objections, 1);
    assert_eq!(
        rig.outputs(),
        ["The call was not made: the guardrail `limit` objects to it."]
    );
    let error = rig.span("fraud").error.clone().unwrap();
    assert_eq!(error.message, "Another guardrail was first");
}

#[test]
fn an_answer_that_a_guardrail_objects_to_is_withheld_from_the_model_and_the_trace() {
    let mut rig = answered();
    rig.judge(Verdict::Reject(None));
    let told = "The answer is withheld: the guardrail `secrets` objects to it.";
    assert_eq!(rig.outputs(), [told]);
    let span = rig.span("refund");
    assert_eq!(serde_json::to_value(&span.data).unwrap()["output"], told);
    assert!(!format!("{span:?}{:?}{:?}", rig.events, rig.history()).contains("4111"));
}

#[test]
fn what_the_model_would_hear_of_a_failure_is_looked_at_too() {
    let mut rig = called(false);
    (0..3).for_each(|_| rig.judge(Verdict::Pass));
    rig.tool_failed("call_1", "no such card: 4111");
    let Subject::ToolOutput { output, .. } = &rig.checks[0].check.subject else {
        panic!("not an answer")
    };
    assert_eq!(output, "The tool refund failed: no such card: 4111");
    rig.judge(Verdict::Reject(Some("It failed.".into())));
    assert_eq!(rig.outputs(), ["It failed."]);
}

#[test]
fn a_guardrail_that_cannot_tell_lets_no_call_and_no_answer_pass() {
    let mut rig = called(false);
    rig.judged(Err(GuardrailError::new("no such program: /opt/secret")));
    assert_eq!(rig.runs.len(), 0);
    let told = "The tool refund failed: it was not run, as the guardrail `early` could not look at that";
    assert_eq!(rig.outputs(), [told]);
    let warning = &events_of(&rig)[0];
    assert_eq!(
        warning["message"],
        "the guardrail `early` could not look at a call of refund: no such program: /opt/secret"
    );
    let mut rig = answered();
    rig.judged(Err(GuardrailError::new("no")));
    let told = "The tool refund failed: it ran, but its answer is withheld, as the guardrail `secrets` could not look at that";
    assert_eq!(rig.outputs(), [told]);
}

#[test]
fn a_guardrail_may_end_the_session_and_no_span_stays_open() {
    let mut rig = called(false);
    rig.judge(Verdict::Pass);
    rig.judge(Verdict::Stop(None));
    assert!(rig.ended);
    assert_eq!(
        rig.end_reason().to_string(),
        "the guardrail `limit` ended the session"
    );
    assert_eq!(rig.started.load(Ordering::Relaxed), rig.memory.spans().len());
    let error = rig.span("refund").error.clone().unwrap();
    assert_eq!(error.message, "Tool call was stopped by a guardrail");
    assert_eq!(rig.outputs(), [""; 0]);
}

#[test]
fn the_turn_waits_for_guardrails_and_so_do_events_where_tools_run_in_line() {
    let mut rig = Rig::open_with(in_line(guarded(false)));
    rig.created("r1");
    rig.call("r1", "call_1", "refund", "{}");
    assert!(rig.core.is_blocked());
    rig.done("r1");
    assert_eq!(rig.turns(), []);
    (0..3).for_each(|_| rig.judge(Verdict::Pass));
    rig.tool_done("call_1", "paid");
    assert!(rig.core.is_blocked());
    assert_eq!(rig.creates(), 0);
    rig.judge(Verdict::Pass);
    assert!(!rig.core.is_blocked());
    assert_eq!(rig.creates(), 1);
}

#[test]
fn p4_checks_hang_under_the_call_and_the_close_ends_them() {
    for answered_before in [false, true] {
        let mut rig = if answered_before {
            answered()
        } else {
            called(false)
        };
        rig.command(Command::Close);
        let (name, why) = match answered_before {
            false => ("early", "The session ended before the call was checked"),
            true => (
                "secrets",
                "The session ended before the tool's output was checked",
            ),
        };
        let (call, check) = (rig.span("refund"), rig.span(name));
        assert_eq!(check.parent_id, Some(call.id));
        let errors = [&call, &check].map(|span| span.error.as_ref().unwrap().message.clone());
        assert_eq!(errors, [why, "The session ended before the check was done"]);
        assert_eq!(rig.started.load(Ordering::Relaxed), rig.memory.spans().len());
    }
}

#[test]
fn guardrails_of_what_is_wrapped_count_too_and_no_handoff_waits_for_any() {
    let tool = FunctionTool::new("note", "", json!({"type": "object"}), |_| async {
        Ok(ToolOutput::from("unused"))
    });
    let inner = ManagedTool::new(Arc::new(tool)).input_guardrail(guardrail("inner"));
    let outer = ManagedTool::new(Arc::new(inner)).output_guardrail(guardrail("outer"));
    let shown = format!("{:?}", outer.guardrails());
    assert_eq!(shown, r#"ToolGuardrails { input: ["inner"], output: ["outer"] }"#);
    let handoff = crate::agent::Handoff::to("Billing").on_handoff(outer);
    let agents = Agents::new(Agent::new("Desk").handoff(handoff)).with(Agent::new("Billing"));
    let mut rig = Rig::open_with(agents);
    rig.created("r1");
    rig.call("r1", "call_1", "transfer_to_billing", "{}");
    assert_eq!(
        (rig.runs.len(), rig.errors()),
        (0, vec!["handoff_failed".to_owned()])
    );
}
