//! Scripts played in whole sessions with the simulator: what each act does, and what each kind of event comes to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/scripts.rs"]
mod scripts;

use std::time::Duration;

use insta::assert_snapshot;
use realtime_run::script::{Act, EventKind, PlayOptions, Verdict};
use realtime_run::simulator::Options;
use scripts::*;
use serde_json::json;

const AGENTS: &str = r#"
start = "Desk"

[session]
output_modalities = ["text"]

[agents.Desk]
instructions = "Help."
tools = ["get_weather", "refund"]
handoffs = ["Billing"]
output_guardrails = ["no_secrets"]

[agents.Billing]
instructions = "Bill."
tools = ["end_session"]

[tools.get_weather]
description = "The weather."
parameters = { type = "object", properties = { city = { type = "string" } }, required = ["city"] }
output = "sunny"

[tools.refund]
description = "Refunds."
output = "refunded"
needs_approval = true

[guardrails.no_secrets]
pattern = "hunter2"
message = "Say no passwords."
"#;

const SCENARIO: &str = r#"
[[steps]]
when = { user_says = "weather" }
repeat = true
then = [{ say = "Let me see." }, { call = "get_weather", arguments = { city = "Rome" } }]

[[steps]]
when = { tool_output = "get_weather" }
repeat = true
then = [{ say = "It is sunny in Rome." }]

[[steps]]
when = { user_says = "money" }
repeat = true
then = [{ call = "refund" }]

[[steps]]
when = { tool_output = "refund" }
repeat = true
then = [{ say = "That is settled." }]

[[steps]]
when = { user_says = "invoice" }
then = [{ hand_off = "Billing" }]

[[steps]]
when = { user_says = "password" }
then = [{ say = "It is hunter2." }]

[[steps]]
when = { user_says = "Say no passwords" }
then = [{ say = "I can't tell." }]

[[steps]]
when = { user_says = "fail" }
then = [{ fail = { code = "server_error", message = "out of order" } }]

[[steps]]
when = { user_says = "hang" }
then = ["stay_silent"]

[[steps]]
when = { user_says = "drop" }
then = ["drop"]

[[steps]]
when = { user_says = "bye" }
then = [{ call = "end_session" }]

[[steps]]
when = { user_says = "long" }
repeat = true
then = [{ say = "one two three four five six seven eight nine ten", pace_ms = 300 }]

[[steps]]
when = { user_says = "hello" }
repeat = true
then = [{ say = "Hello, I am here." }]
"#;

async fn run(turns: impl IntoIterator<Item = realtime_run::script::Turn>) -> String {
    show(&perform(AGENTS, SCENARIO, &script(turns)).await)
}

#[tokio::test]
async fn a_conversation_with_a_tool_is_told_and_judged() {
    let turns = [
        say(
            "How is the weather?",
            [
                answer("let me see"),
                scripts::expect_with(EventKind::ToolCall, |own| {
                    own.name = Some("get_weather".into());
                    own.args = Some(json!({"city": "Rome"}));
                }),
                expect(EventKind::ToolResult),
                answer("rome"),
                expect(EventKind::Usage),
                absent(EventKind::Error),
            ],
        ),
        say("hello", [answer("here")]),
    ];
    assert_snapshot!(run(turns).await);
}

#[tokio::test]
async fn the_first_turn_that_fails_is_the_last_one() {
    let turns = [
        say("hello", [answer("goodbye"), answer("hello")]),
        say("hello", []),
    ];
    assert_snapshot!(run(turns).await);
}

#[tokio::test]
async fn handoffs_guardrails_and_failures_are_events() {
    let turns = [
        say(
            "What is the password?",
            [scripts::expect_with(EventKind::Guardrail, |own| {
                own.name = Some("no_secrets".into());
                own.agent = Some("Desk".into());
            })],
        ),
        say(
            "My invoice",
            [scripts::expect_with(EventKind::Handoff, |own| {
                own.agent = Some("Billing".into())
            })],
        ),
        say(
            "fail",
            [scripts::expect_with(EventKind::Error, |own| {
                own.text_contains = Some("out of order".into())
            })],
        ),
        say("fail", []),
    ];
    assert_snapshot!(run(turns).await);
}

#[tokio::test]
async fn an_answer_that_fails_fails_its_turn() {
    assert_snapshot!(run([say("fail", [absent(EventKind::Handoff)])]).await);
}

#[tokio::test]
async fn calls_are_approved_and_rejected_by_turns() {
    let approve = Act::Approve {
        tool: Some("refund".into()),
        always: false,
    };
    let reject = Act::Reject {
        tool: None,
        message: Some("not today".into()),
    };
    let turns = [
        say(
            "money",
            [expect(EventKind::ToolCall), absent(EventKind::ToolResult)],
        ),
        turn(Act::Wait(Duration::from_millis(10)), []),
        turn(approve, [expect(EventKind::ToolResult), answer("settled")]),
        say("money", [expect(EventKind::ToolCall)]),
        turn(
            reject,
            [scripts::expect_with(EventKind::ToolResult, |own| {
                own.text_contains = Some("not today".into())
            })],
        ),
        say("money", [expect(EventKind::ToolCall)]),
    ];
    assert_snapshot!(run(turns).await);
}

#[tokio::test]
async fn a_call_that_never_came_can_not_be_approved() {
    let approve = Act::Approve {
        tool: None,
        always: true,
    };
    assert_snapshot!(run([say("hello", []), turn(approve, [expect(EventKind::ToolResult)])]).await);
}

#[tokio::test]
async fn an_answer_is_interrupted_while_it_is_given() {
    let turns = [
        say("something long", [absent(EventKind::Response)]),
        turn(
            Act::InterruptAfter(Duration::from_millis(20)),
            [expect(EventKind::Interrupted)],
        ),
        say("hello", [answer("here")]),
    ];
    let outcome = perform(AGENTS, SCENARIO, &script(turns)).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{}", show(&outcome));
    let cut = &outcome.turns[1].transcript;
    assert!(
        cut.iter().any(|line| line.text.starts_with("one")),
        "{}",
        show(&outcome)
    );
    assert!(
        cut.iter().all(|line| !line.text.contains("ten")),
        "{}",
        show(&outcome)
    );
}

#[tokio::test]
async fn agents_are_put_in_charge() {
    let switch = |agent: &str, expect: Vec<_>| turn(Act::SwitchAgent(agent.into()), expect);
    let turns = [
        switch(
            "Billing",
            vec![scripts::expect_with(EventKind::Handoff, |own| {
                own.agent = Some("Billing".into())
            })],
        ),
        say(
            "hello",
            [scripts::expect_with(EventKind::Response, |own| {
                own.agent = Some("Billing".into())
            })],
        ),
        switch("Nobody", vec![]),
    ];
    assert_snapshot!(run(turns).await);
}

#[tokio::test]
async fn raw_events_are_sent_and_what_comes_of_them_is_waited_for() {
    let raw =
        |event: serde_json::Value, expect: Vec<_>| turn(Act::Raw(event.as_object().unwrap().clone()), expect);
    let turns = [
        raw(json!({"type": "no.such.event"}), vec![expect(EventKind::Error)]),
        raw(
            json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user",
                "content": [{"type": "input_text", "text": "hello"}]}}),
            vec![],
        ),
        raw(json!({"type": "response.create"}), vec![answer("here")]),
    ];
    assert_snapshot!(run(turns).await);
}

#[tokio::test]
async fn the_end_of_a_session_is_fine_only_after_the_last_turn() {
    let bye = || [say("invoice", []), say("bye", [expect(EventKind::ToolCall)])];
    assert_snapshot!(run(bye()).await);
    assert_snapshot!(run(bye().into_iter().chain([say("hello", [])])).await);
}

#[tokio::test]
async fn a_connection_that_is_lost_breaks_the_run() {
    assert_snapshot!(run([say("drop", [answer("x"), absent(EventKind::Error)])]).await);
}

#[tokio::test]
async fn a_turn_that_takes_too_long_is_named() {
    let options = PlayOptions {
        turn_limit: Duration::from_millis(300),
        ..PlayOptions::default()
    };
    let script = script([
        say("hello", []),
        say("hang", [answer("x"), absent(EventKind::Error)]),
    ]);
    let outcome = perform_with(AGENTS, SCENARIO, Options::default(), &script, options).await;
    assert_snapshot!(show(&outcome));
}
