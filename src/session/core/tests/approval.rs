//! Calls that wait to be approved (protocol.md section 6.5, rule 6; span rules L2, P3, P4).

use super::*;
use crate::context::{Condition, Template};
use crate::session::Decision;
use crate::tool::ManagedTool;

/// A refund of more than 10 has to be approved, a deletion always.
fn careful() -> Agents {
    let amount =
        json!({"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]});
    let tool = |name: &str, parameters: Value| {
        FunctionTool::new(name, "", parameters, |_| async { Ok(ToolOutput::from("unused")) })
    };
    let above = Condition::new("args.amount > limit").unwrap();
    let desk = Agent::new("Desk")
        .tool(tool("weather", json!({"type": "object"})))
        .tool(tool("refund", amount).approval(above))
        .tool(tool("delete", json!({"type": "object"})).approval(true))
        .handoff("Billing");
    let mut agents = Agents::new(desk).with(Agent::new("Billing").handoff("Desk"));
    agents.context = json!({"limit": 10});
    agents
}

/// A call that waits to be approved.
fn waiting() -> Rig {
    let mut rig = Rig::open_with(careful());
    rig.created("r1");
    rig.call("r1", "call_1", "refund", r#"{"amount": 11}"#);
    rig.done("r1");
    rig
}

impl Rig {
    pub(super) fn decide(&mut self, call_id: &str, decision: Decision) -> Result<(), SessionError> {
        let call_id = call_id.to_owned();
        self.command(Command::Decide {
            call_id,
            decision,
            ticket: 9,
        });
        let Some((9, result)) = self.replies.pop() else {
            panic!("no reply")
        };
        result
    }

    /// The calls that the application was asked about since the test last looked.
    pub(super) fn asked(&mut self) -> Vec<String> {
        let asked = |event| match event {
            SessionEvent::ToolApprovalRequired { call_id, .. } => Some(call_id),
            _ => None,
        };
        self.events.drain(..).filter_map(asked).collect()
    }

    /// What the model was told since the test last looked.
    pub(super) fn outputs(&mut self) -> Vec<String> {
        let outputs = self.sent_of("conversation.item.create");
        outputs
            .iter()
            .filter_map(|frame| frame["item"]["output"].as_str().map(str::to_owned))
            .collect()
    }

    fn metadata(&self, span: &str) -> Value {
        serde_json::to_value(&self.span(span).metadata).unwrap()
    }
}

#[test]
fn a_call_waits_until_it_is_approved_and_then_runs() {
    let mut rig = waiting();
    let [
        _,
        SessionEvent::HistoryAdded { .. },
        asked @ SessionEvent::ToolApprovalRequired { .. },
        ..,
    ] = &rig.events[..]
    else {
        panic!("{:?}", rig.events)
    };
    assert_eq!(
        serde_json::to_value(asked).unwrap(),
        json!({"type": "tool_approval_required", "agent": "Desk", "tool": "refund", "call_id": "call_1",
            "arguments": r#"{"amount": 11}"#})
    );
    assert_eq!((rig.runs.len(), rig.turns().len()), (0, 0));
    rig.wait(ms(700));
    rig.decide("call_1", Decision::approve()).unwrap();
    assert!(matches!(rig.events[..], [SessionEvent::ToolStart { .. }]));
    assert_eq!(rig.runs[0].call.arguments, json!({"amount": 11}));
    rig.wait(ms(300));
    rig.tool_done("call_1", "paid");
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
    let span = rig.span("refund");
    assert_eq!(span.duration(), Some(SECOND), "it carries the wait");
    assert_eq!(span.error, None);
    assert_eq!(
        rig.metadata("refund"),
        json!({"call_id": "call_1", "approval": "approved", "approval_waited_ms": 700})
    );
}

#[test]
fn p4_an_approved_call_runs_in_the_scope_of_its_span() {
    let mut rig = waiting();
    rig.decide("call_1", Decision::approve()).unwrap();
    let scope = rig.runs[0].scope.clone();
    let inner = scope.span_at(SpanData::custom("inner"), rig.now);
    inner.finish_at(rig.now);
    rig.tool_done("call_1", "paid");
    assert_eq!(rig.span("inner").parent_id, Some(rig.span("refund").id));
}

#[test]
fn a_rejected_call_is_told_to_the_model_which_goes_on() {
    let mut rig = waiting();
    rig.sent.clear();
    rig.decide("call_1", Decision::reject()).unwrap();
    assert_eq!(rig.sent[0]["item"]["output"], "Tool execution was not approved.");
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
    assert_eq!(rig.runs.len(), 0);
    let error = rig.span("refund").error.clone().unwrap();
    assert_eq!(error.message, "Tool call was not approved");
    assert_eq!(rig.metadata("refund")["approval"], "rejected");
    let end = rig.events.iter().find_map(|event| match event {
        SessionEvent::ToolEnd { error, .. } => error.as_deref(),
        _ => None,
    });
    assert_eq!(end, Some("not approved"));
    let started = |event: &SessionEvent| matches!(event, SessionEvent::ToolStart { .. });
    assert!(!rig.events.iter().any(started));
}

#[test]
fn what_a_refusal_says_is_the_persons_or_the_tools_or_the_files_word() {
    let refund = || FunctionTool::new("refund", "", json!({}), |_| async { Ok(ToolOutput::from("x")) });
    let template = |text: &str| Template::new(text).unwrap();
    let own = ManagedTool::new(Arc::new(refund().approval(true)));
    for (tool, decision, told) in [
        (
            own.clone(),
            Decision::reject().message("Not today."),
            "Not today.",
        ),
        (own.clone(), Decision::reject(), "No refund for now."),
        (
            own.refusal_message(template("Leave {{ tool }} alone.")),
            Decision::reject(),
            "Leave refund alone.",
        ),
    ] {
        let mut agents = Agents::new(Agent::new("Desk").tool(tool));
        agents.tool_refusal_message = Some(template("No {{ tool }} for now."));
        let mut rig = Rig::open_with(agents);
        rig.created("r1");
        rig.call("r1", "call_1", "refund", "{}");
        rig.decide("call_1", decision).unwrap();
        assert_eq!(rig.outputs(), [told]);
    }
}

#[test]
fn a_condition_is_over_the_arguments_and_the_context() {
    let mut rig = Rig::open_with(careful());
    rig.created("r1");
    rig.call("r1", "call_1", "refund", r#"{"amount": 10}"#);
    assert_eq!((rig.runs.len(), rig.asked().len()), (1, 0));
    rig.core.options.context.merge(json!({"limit": 5}));
    rig.call("r1", "call_2", "refund", r#"{"amount": 10, "again": true}"#);
    assert_eq!((rig.runs.len(), rig.asked()), (1, vec!["call_2".to_owned()]));
    // What was asked stays asked.
    rig.core.options.context.merge(json!({"limit": 100}));
    rig.decide("call_2", Decision::approve()).unwrap();
    assert_eq!(rig.runs.len(), 2);
}

#[test]
fn nobody_is_asked_about_invalid_arguments() {
    let mut rig = Rig::open_with(careful());
    rig.created("r1");
    rig.call("r1", "call_1", "refund", r#"{"amount": "a lot"}"#);
    rig.call("r1", "call_2", "refund", "{}");
    rig.done("r1");
    assert_eq!((rig.runs.len(), rig.asked().len()), (0, 0));
    let frames = std::mem::take(&mut rig.sent);
    let told = |at: usize| frames[at]["item"]["output"].as_str().unwrap().to_owned();
    assert!(told(0).contains("invalid arguments: amount: "), "{}", told(0));
    assert!(told(1).contains("invalid arguments: "), "{}", told(1));
    assert_eq!(frames[2]["type"], "response.create");
    assert_eq!(rig.spans("refund").len(), 2);
}

#[test]
fn a_call_whose_condition_cannot_be_told_is_not_run() {
    let mut rig = Rig::open_with(careful());
    rig.core.options.context.merge(json!({"limit": null}));
    rig.created("r1");
    rig.call("r1", "call_1", "refund", r#"{"amount": 1}"#);
    assert_eq!((rig.runs.len(), rig.asked().len()), (0, 0));
    let outputs = rig.outputs();
    assert!(outputs[0].contains("it can't be told whether"), "{outputs:?}");
    assert!(rig.span("refund").error.is_some());
}

#[test]
fn the_session_goes_on_while_a_call_waits() {
    let mut rig = Rig::open_with(in_line(careful()));
    rig.created("r1");
    rig.call("r1", "call_1", "delete", "{}");
    assert!(!rig.core.is_blocked(), "not even tools in line wait for a person");
    rig.call("r1", "call_2", "weather", "{}");
    rig.tool_done("call_2", "sunny");
    rig.done("r1");
    assert_eq!(
        rig.creates(),
        0,
        "the model goes on once all its calls are served"
    );
    rig.say("are you still there?");
    assert_eq!(rig.creates(), 1);
    rig.created("r2");
    rig.done("r2");
    assert_eq!(rig.turns(), [], "a call waits");
    rig.decide("call_1", Decision::reject()).unwrap();
    assert_eq!(rig.creates(), 1);
    rig.created("r3");
    rig.done("r3");
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}

#[test]
fn always_holds_for_what_waits_and_for_what_comes_in_this_session() {
    for (decision, runs) in [(Decision::approve(), 3), (Decision::reject().message("no"), 0)] {
        let mut rig = waiting();
        rig.created("r2");
        rig.call("r2", "call_2", "refund", r#"{"amount": 12}"#);
        rig.call("r2", "call_3", "delete", "{}");
        assert_eq!(rig.asked(), ["call_1", "call_2", "call_3"]);
        rig.decide("call_2", decision.always()).unwrap();
        rig.call("r2", "call_4", "refund", r#"{"amount": 13}"#);
        assert_eq!((rig.runs.len(), rig.asked().len()), (runs, 0));
        assert_eq!(rig.outputs(), vec!["no"; 3 - runs]);
        rig.decide("call_3", Decision::approve()).unwrap();
    }
}

#[test]
fn once_is_once() {
    let mut rig = waiting();
    rig.decide("call_1", Decision::approve()).unwrap();
    rig.created("r2");
    rig.call("r2", "call_2", "refund", r#"{"amount": 12}"#);
    assert_eq!(rig.asked().last().map(String::as_str), Some("call_2"));
}

#[test]
fn a_decision_on_what_does_not_wait_is_an_error() {
    let mut rig = waiting();
    let error = rig.decide("call_9", Decision::approve().always()).unwrap_err();
    assert_eq!(error.to_string(), "no call `call_9` waits for approval");
    rig.decide("call_1", Decision::approve()).unwrap();
    assert!(rig.decide("call_1", Decision::reject()).is_err());
    assert_eq!(rig.runs.len(), 1);
    rig.tool_done("call_1", "paid");
    assert!(rig.decide("call_1", Decision::approve()).is_err());
}

#[test]
fn a_call_told_of_again_is_asked_about_once() {
    let mut rig = waiting();
    rig.call("r1", "call_1", "refund", r#"{"amount": 11}"#);
    let output = vec![call_item("call_1", "refund", r#"{"amount": 11}"#)];
    rig.done_with("r1", json!({"status": "completed", "output": output}));
    assert_eq!(rig.asked(), ["call_1"]);
}

#[test]
fn a_handoff_settles_what_waits() {
    let mut rig = Rig::open_with(careful());
    rig.created("r1");
    rig.call("r1", "call_1", "delete", "{}");
    rig.call("r1", "call_2", "transfer_to_billing", "{}");
    rig.done("r1");
    assert_eq!(rig.sent(), ["session.update"]);
    rig.updated();
    let frames = std::mem::take(&mut rig.sent);
    assert_eq!(
        frames[0]["item"]["output"],
        "The tool delete was not run: it was not approved before Billing took over."
    );
    assert_eq!(frames[1]["item"]["output"], r#"{"assistant":"Billing"}"#);
    assert_eq!(frames[2]["type"], "response.create");
    assert_eq!(frames.len(), 3);
    let error = rig.span("delete").error.clone().unwrap();
    assert_eq!(error.message, "Tool call was not approved before a handoff");
    assert_eq!(rig.metadata("delete")["approval"], "withdrawn");
    assert!(rig.decide("call_1", Decision::approve()).is_err());
}

#[test]
fn a_handoff_that_fails_settles_nothing() {
    let mut rig = waiting();
    rig.sent.clear();
    rig.switch_to("Billing");
    let update = rig.sent_of("session.update").remove(0);
    rig.error("cannot_update_voice", update["event_id"].as_str());
    rig.decide("call_1", Decision::approve()).unwrap();
    assert_eq!(rig.runs.len(), 1);
}

#[test]
fn l2_the_end_of_the_session_settles_what_waits() {
    let mut rig = waiting();
    rig.wait(SECOND);
    rig.command(Command::Close);
    let span = rig.span("refund");
    let error = span.error.clone().unwrap();
    assert_eq!(error.message, "The session ended before the call was approved");
    assert_eq!(span.parent_id, Some(rig.span("Desk").id));
    assert_eq!(
        rig.metadata("refund"),
        json!({"call_id": "call_1", "approval": "withdrawn", "approval_waited_ms": 1_000})
    );
}

#[test]
fn what_waits_counts_to_the_bound() {
    let mut rig = Rig::open_with(careful());
    rig.created("r1");
    for number in 0..300 {
        let tool = ["delete", "weather"][number % 2];
        rig.call("r1", &format!("call_{number}"), tool, "{}");
    }
    let open = rig.runs.len() + rig.core.calls.approvals.waiting();
    assert_eq!(open, 256);
    assert_eq!(rig.errors(), vec!["too_many_calls"; 44]);
}
