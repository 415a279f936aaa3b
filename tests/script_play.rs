//! Scripts played in whole sessions with the simulator: what each act does, and what each kind of event comes to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/chat_server.rs"]
mod chat_server;
#[path = "support/scripts.rs"]
mod scripts;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use insta::assert_snapshot;
use realtime_run::agent::AgentFile;
use realtime_run::recording::Recording;
use realtime_run::script::{Act, EventKind, Judge, PlayOptions, Progress, SpanExpectation, Verdict, play};
use realtime_run::session::Session;
use realtime_run::simulator::{Options, Replay, ReplayMode, Scenario, Simulator, Speed};
use realtime_run::transport::{Endpoint, Recorder};
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
                expect_with(EventKind::ToolCall, |own| {
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
            [expect_with(EventKind::Guardrail, |own| {
                own.name = Some("no_secrets".into());
                own.agent = Some("Desk".into());
            })],
        ),
        say(
            "My invoice",
            [expect_with(EventKind::Handoff, |own| {
                own.agent = Some("Billing".into())
            })],
        ),
        say(
            "fail",
            [expect_with(EventKind::Error, |own| {
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
            [expect_with(EventKind::ToolResult, |own| {
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
            vec![expect_with(EventKind::Handoff, |own| {
                own.agent = Some("Billing".into())
            })],
        ),
        say(
            "hello",
            [expect_with(EventKind::Response, |own| {
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

#[tokio::test]
async fn the_turns_before_the_time_is_up_are_told() {
    let options = PlayOptions {
        until: Some(tokio::time::Instant::now() + Duration::from_millis(1_500)),
        ..PlayOptions::default()
    };
    let script = script([
        say("hello", [answer("here")]),
        say("hang", [answer("x"), absent(EventKind::Error)]),
        say("hello", [answer("here")]),
    ]);
    let outcome = perform_with(AGENTS, SCENARIO, Options::default(), &script, options).await;
    assert_snapshot!(show(&outcome));
}

#[tokio::test]
async fn a_judge_gets_no_more_time_than_there_is() {
    let claimed = expect_with(EventKind::Response, |own| own.judge = Some("it is kind".into()));
    let server = chat_server::ChatServer::start().await;
    let options = PlayOptions {
        until: Some(tokio::time::Instant::now() + Duration::from_millis(1_500)),
        judge: Some(Judge::new(&server.url(), "tiny", None, Judge::LIMIT).unwrap()),
        ..PlayOptions::default()
    };
    let script = script([say("hello", [claimed])]);
    let play = perform_with(AGENTS, SCENARIO, Options::default(), &script, options);
    let (outcome, ()) = tokio::join!(play, async { server.asked().await.until_hung_up().await });
    let reason = "the time of the whole run was up in turn 1 (says \"hello\")".to_owned();
    assert_eq!(outcome.verdict, Verdict::TimedOut { reason });
    assert_eq!(outcome.turns.len(), 1);
}

#[tokio::test]
async fn a_language_model_rules_on_what_was_said() {
    let claimed = |claim: &str| expect_with(EventKind::Response, |own| own.judge = Some(claim.into()));
    let script = script([
        say("hello", [claimed("it is a greeting")]),
        say("hello", [claimed("it is an insult")]),
    ]);
    let server = chat_server::ChatServer::start().await;
    let answer = |content: &str| json!({"choices": [{"message": {"content": content}}]}).to_string();
    let rule = async {
        let asked = server.asked().await;
        asked
            .answer("200 OK", &answer(r#"{"holds": true, "reason": "It greets."}"#))
            .await;
        let asked = server.asked().await;
        asked
            .answer("200 OK", &answer(r#"{"holds": false, "reason": "It is kind."}"#))
            .await;
    };
    let options = PlayOptions {
        judge: Some(Judge::new(&server.url(), "tiny", None, Judge::LIMIT).unwrap()),
        ..PlayOptions::default()
    };
    let play = perform_with(AGENTS, SCENARIO, Options::default(), &script, options);
    let (outcome, ()) = tokio::join!(play, rule);
    assert_eq!(
        outcome.turns[0].findings[0].ruling.as_ref().unwrap().reason,
        "It greets."
    );
    assert_snapshot!(show(&outcome));
}

#[tokio::test]
async fn a_judge_that_can_not_be_asked_breaks_the_run() {
    let claimed = expect_with(EventKind::Response, |own| {
        own.judge = Some("it is a greeting".into())
    });
    let script = script([say("hello", [claimed]), say("hello", [])]);
    let server = chat_server::ChatServer::start().await;
    let options = PlayOptions {
        judge: Some(Judge::new(&server.url(), "tiny", None, Judge::LIMIT).unwrap()),
        ..PlayOptions::default()
    };
    let play = perform_with(AGENTS, SCENARIO, Options::default(), &script, options);
    let refuse = async { server.asked().await.answer("500 Oops", "").await };
    let (outcome, ()) = tokio::join!(play, refuse);
    assert_snapshot!(show(&outcome));
    assert_snapshot!(show(&perform(AGENTS, SCENARIO, &script).await));
}

#[tokio::test]
async fn the_trace_is_held_against_what_is_expected_of_it() {
    let mut script = script([say("How is the weather?", [])]);
    let span = |kind: &str, name: Option<&str>| SpanExpectation {
        place: place(9),
        kind: kind.into(),
        name: name.map(str::to_owned),
        parent: None,
        count: (1, None),
        error: None,
        min_duration: None,
        max_duration: None,
    };
    script.spans = vec![
        span("agent", Some("Desk")),
        SpanExpectation {
            parent: Some("Desk".into()),
            error: Some(false),
            count: (1, Some(1)),
            ..span("function", Some("get_weather"))
        },
        SpanExpectation {
            parent: Some(String::new()),
            ..span("agent", None)
        },
        SpanExpectation {
            count: (2, Some(2)),
            max_duration: Some(Duration::from_secs(60)),
            ..span("generation", None)
        },
        SpanExpectation {
            count: (0, Some(0)),
            ..span("handoff", None)
        },
    ];
    let outcome = perform(AGENTS, SCENARIO, &script).await;
    assert_snapshot!(show(&outcome));
    script.spans.extend([
        span("function", Some("get_time")),
        span("mcp_tools", None),
        SpanExpectation {
            parent: Some(String::new()),
            error: Some(true),
            min_duration: Some(Duration::from_secs(60)),
            ..span("function", Some("get_weather"))
        },
        SpanExpectation {
            count: (0, Some(0)),
            ..span("function", None)
        },
        SpanExpectation {
            count: (3, None),
            ..span("generation", None)
        },
    ]);
    let outcome = perform(AGENTS, SCENARIO, &script).await;
    assert_snapshot!(without_times(&show(&outcome)));
}

/// How long spans took is in brackets.
fn without_times(shown: &str) -> String {
    let times = regex::Regex::new(r"\d+(\.\d+)? m?s\b").unwrap();
    times
        .replace_all(shown, "[time]")
        .replace("[time], not at least [time]", "[time], not at least 60 s")
}

#[tokio::test]
async fn a_recording_is_played_as_a_real_server_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let expectations = || {
        [
            say(
                "How is the weather?",
                [expect(EventKind::ToolCall), answer("sunny in rome")],
            ),
            say("hello", [answer("here")]),
        ]
    };
    let scenario = Scenario::parse("scenario.toml", SCENARIO).unwrap();
    let recorder = Recorder::create(&path, true).unwrap();
    let options = Options::default().with_scenario(&scenario);
    let played = script(expectations());
    let recorded = perform_on(
        AGENTS,
        options,
        Some(recorder.clone()),
        &played,
        PlayOptions::default(),
    );
    let recorded = recorded.await;
    assert_eq!(recorded.verdict, Verdict::Passed, "{}", show(&recorded));
    recorder.finish();
    let replay = || Replay::new(&Recording::load(&path).unwrap(), ReplayMode::Strict).speed(Speed::MAX);
    let options = || Options {
        replay: Some(replay()),
        ..Options::default()
    };
    let same = perform_on(
        AGENTS,
        options(),
        None,
        &script(expectations()),
        PlayOptions::default(),
    )
    .await;
    assert_eq!(same.verdict, Verdict::Passed, "{}", show(&same));
    assert_eq!((&same.usage, show(&same)), (&recorded.usage, show(&recorded)));
    let other = script([say("How is the weather?", [answer("rain")])]);
    assert_snapshot!(show(
        &perform_on(AGENTS, options(), None, &other, PlayOptions::default()).await
    ));
}

#[tokio::test]
async fn tokens_and_waits_and_progress_are_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let options = PlayOptions {
        on_turn: Some(Arc::new(move |progress: Progress| {
            keep.lock().unwrap().push((progress.turn, progress.turns));
        })),
        ..PlayOptions::default()
    };
    let late = r#"
        [[steps]]
        then = [{ wait_ms = 120 }, { say = "Late, but here." }]
        repeat = true
    "#;
    let within = |millis| {
        expect_with(EventKind::Response, |own| {
            own.within = Some(Duration::from_millis(millis))
        })
    };
    let script = script([say("hello", [within(20_000)]), say("hello", [within(100)])]);
    let outcome = perform_with(AGENTS, late, Options::default(), &script, options).await;
    assert_eq!(outcome.verdict, Verdict::Failed);
    assert_eq!(*told.lock().unwrap(), [(1, 2), (2, 2)]);
    let turn = &outcome.turns[0];
    assert!(turn.first_word.unwrap() >= Duration::from_millis(120), "{turn:?}");
    assert!(turn.first_word.unwrap() <= turn.duration, "{turn:?}");
    assert_eq!(turn.first_sound, None);
    assert!(outcome.turns[1].began_at >= turn.duration);
    assert!(outcome.usage.total() > 0);
    assert!(outcome.trace_id.is_some());
}

#[tokio::test]
async fn dropping_the_play_ends_the_session() {
    let scenario = Scenario::parse("scenario.toml", SCENARIO).unwrap();
    let options = Options::default().with_scenario(&scenario);
    let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
    let agents = AgentFile::parse("agents.toml", AGENTS, Path::new("."))
        .unwrap()
        .agents;
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let session = Session::builder(agents)
        .endpoint(endpoint)
        .connect()
        .await
        .unwrap();
    let handle = session.handle();
    let (begun, has_begun) = tokio::sync::oneshot::channel::<()>();
    let begun = Mutex::new(Some(begun));
    let options = PlayOptions {
        on_turn: Some(Arc::new(move |_| drop(begun.lock().unwrap().take()))),
        ..PlayOptions::default()
    };
    let script = script([say("hang", [])]);
    tokio::select! {
        _ = play(&script, session, options) => panic!("it can't end"),
        _ = has_begun => {}
    }
    tokio::time::timeout(LIMIT, handle.closed()).await.unwrap();
}
