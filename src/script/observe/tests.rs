use proptest::prelude::*;

use super::*;
use crate::protocol::{ApiError, Id, ItemStatus, Part};
use crate::tool::GuardrailPlace;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn start() -> SessionEvent {
    SessionEvent::AgentStart {
        agent: "Desk".into(),
        response_id: None,
    }
}

fn end(status: ResponseStatus) -> SessionEvent {
    SessionEvent::AgentEnd {
        agent: "Desk".into(),
        response_id: None,
        status,
        reason: None,
    }
}

fn words(item: &str, words: &str) -> SessionEvent {
    SessionEvent::TextDelta {
        item_id: item.into(),
        content_index: 0,
        delta: words.into(),
    }
}

fn message(item: &str, words: &str) -> Box<HistoryItem> {
    Box::new(HistoryItem::Message {
        item_id: Id::from(item),
        role: Role::Assistant,
        status: ItemStatus::Completed,
        content: vec![Part::OutputText { text: words.into() }],
        heard_ms: None,
    })
}

fn call_entry(call_id: &str) -> SessionEvent {
    SessionEvent::HistoryAdded {
        item: Box::new(HistoryItem::ToolCall {
            item_id: Id::from("entry"),
            call_id: call_id.into(),
            name: "refund".into(),
            arguments: r#"{"euros":5}"#.into(),
            status: ItemStatus::InProgress,
            output: None,
        }),
    }
}

fn approval(call_id: &str) -> SessionEvent {
    SessionEvent::ToolApprovalRequired {
        agent: "Desk".into(),
        tool: "refund".into(),
        call_id: call_id.into(),
        arguments: r#"{"euros":5}"#.into(),
    }
}

fn tool_start(call_id: &str) -> SessionEvent {
    SessionEvent::ToolStart {
        agent: "Desk".into(),
        tool: "refund".into(),
        call_id: call_id.into(),
        arguments: r#"{"euros":5}"#.into(),
    }
}

fn tool_end(call_id: &str) -> SessionEvent {
    SessionEvent::ToolEnd {
        agent: "Desk".into(),
        tool: "refund".into(),
        call_id: call_id.into(),
        output: "done".into(),
        error: None,
    }
}

fn interrupted() -> SessionEvent {
    SessionEvent::AudioInterrupted {
        item_id: "item".into(),
        content_index: 0,
        played_ms: 5,
    }
}

fn turn_end() -> SessionEvent {
    SessionEvent::TurnEnd {
        status: ResponseStatus::Completed,
        reason: None,
    }
}

fn usage() -> SessionEvent {
    SessionEvent::Usage {
        response_id: None,
        usage: Usage {
            total_tokens: 7,
            ..Usage::default()
        },
    }
}

/// What is seen of these, each a millisecond after the one before, the first at one.
fn see(observer: &mut Observer, events: &[SessionEvent]) -> Window {
    for (place, event) in events.iter().enumerate() {
        observer.note(at(place as u64 + 1), event);
    }
    observer.next_window(at(events.len() as u64 + 1))
}

fn kinds(window: &Window) -> Vec<&'static str> {
    window.happened.iter().map(|own| own.kind.as_str()).collect()
}

fn transcript(window: &Window) -> Vec<&str> {
    window.lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn what_an_answer_says_comes_before_what_it_calls() {
    let window = see(
        &mut Observer::default(),
        &[
            start(),
            words("a", "Let me "),
            words("a", "see."),
            call_entry("c"),
            tool_start("c"),
            usage(),
            end(ResponseStatus::Completed),
            tool_end("c"),
            turn_end(),
        ],
    );
    assert_eq!(kinds(&window), ["response", "usage", "tool_call", "tool_result"]);
    assert_eq!(transcript(&window), ["Let me see.", r#"({"euros":5}) → done"#]);
    assert_eq!(
        (window.happened[0].after, window.first_word),
        (at(7), Some(at(2)))
    );
    assert_eq!(window.happened[3].args, Some(serde_json::json!({"euros": 5})));
}

#[test]
fn a_call_is_told_once_in_whatever_way_it_is_heard_of() {
    let refused = [start(), call_entry("c"), tool_end("c")];
    let approved = [start(), approval("c"), tool_start("c"), tool_end("c")];
    let withheld = [
        start(),
        call_entry("c"),
        SessionEvent::Guardrail {
            guardrail: "limits".into(),
            agent: "Desk".into(),
            place: GuardrailPlace::ToolInput,
            message: None,
            response_id: None,
            tool: Some("refund".into()),
            call_id: Some("c".into()),
        },
        tool_end("c"),
    ];
    for (events, expected) in [
        (&refused[..], vec!["tool_call", "tool_result"]),
        (&approved, vec!["tool_call", "tool_result"]),
        (&withheld, vec!["tool_call", "guardrail", "tool_result"]),
    ] {
        let window = see(&mut Observer::default(), events);
        assert_eq!(kinds(&window), expected);
        assert_eq!(
            window.happened[0].args,
            Some(serde_json::json!({"euros": 5})),
            "{expected:?}"
        );
    }
}

#[test]
fn a_call_waits_until_it_is_settled() {
    for settling in [tool_start("c"), tool_end("c")] {
        let mut observer = Observer::default();
        observer.note(at(1), &approval("c"));
        assert_eq!(observer.waiting().collect::<Vec<_>>(), [("c", "refund")]);
        observer.note(at(2), &settling);
        assert_eq!(observer.waiting().count(), 0);
    }
}

#[test]
fn an_answer_is_cut_off_once_however_it_is_heard_of() {
    let cut = [
        start(),
        words("a", "It "),
        interrupted(),
        interrupted(),
        end(ResponseStatus::Cancelled),
    ];
    let mut observer = Observer::default();
    let window = see(&mut observer, &cut);
    assert_eq!(kinds(&window), ["interrupted", "response"]);
    assert_eq!(window.happened[1].status, ResponseStatus::Cancelled);
    let window = see(&mut observer, &[start(), end(ResponseStatus::Cancelled)]);
    assert_eq!(kinds(&window), ["interrupted"], "another answer");
}

#[test]
fn words_that_come_only_whole_are_heard_too() {
    let whole = [
        start(),
        SessionEvent::HistoryAdded {
            item: message("a", ""),
        },
        SessionEvent::HistoryUpdated {
            item: message("a", "All at once."),
        },
        SessionEvent::HistoryUpdated {
            item: message("another", "of an answer before"),
        },
        end(ResponseStatus::Completed),
    ];
    assert_eq!(
        transcript(&see(&mut Observer::default(), &whole)),
        ["All at once."]
    );
    let pieces = [
        start(),
        SessionEvent::HistoryAdded {
            item: message("a", ""),
        },
        words("a", "Piece by piece."),
        SessionEvent::HistoryUpdated {
            item: message("a", "Piece"),
        },
        end(ResponseStatus::Completed),
    ];
    assert_eq!(
        transcript(&see(&mut Observer::default(), &pieces)),
        ["Piece by piece."]
    );
}

#[test]
fn an_answer_that_went_wrong_is_an_error_and_a_fault() {
    for status in [ResponseStatus::Failed, ResponseStatus::Incomplete] {
        let events = [start(), words("a", "Half"), end(status), turn_end()];
        let window = see(&mut Observer::default(), &events);
        assert_eq!(kinds(&window), ["response", "error"]);
        assert_eq!(window.faults.len(), 1, "{:?}", window.faults);
    }
    let refused = SessionEvent::TurnEnd {
        status: ResponseStatus::Failed,
        reason: Some("refused".into()),
    };
    let error = SessionEvent::Error {
        error: ApiError::default(),
    };
    let window = see(&mut Observer::default(), &[error, refused]);
    assert_eq!(
        (kinds(&window), window.faults),
        (vec!["error"], vec!["the answer failed: refused".to_owned()])
    );
}

#[test]
fn what_the_user_said_is_filled_in_when_it_is_known() {
    let mut observer = Observer::default();
    observer.user_begins("(what is in a.wav)");
    let heard = |words: &str| SessionEvent::InputTranscript {
        item_id: "u".into(),
        transcript: words.into(),
        usage: None,
    };
    let events = [
        start(),
        words("a", "Hello."),
        end(ResponseStatus::Completed),
        heard("hi"),
    ];
    assert_eq!(
        transcript(&see(&mut observer, &events)),
        ["(what is in a.wav): hi", "Hello."]
    );
    assert_eq!(transcript(&see(&mut observer, &[heard("late")])), ["late"]);
}

#[test]
fn times_count_from_the_end_of_what_the_user_said() {
    let mut observer = Observer::default();
    observer.begin_turn(at(0));
    observer.user_begins("hello");
    observer.user_ended(at(3));
    let window = see(
        &mut observer,
        &[
            start(),
            words("a", "x"),
            words("a", "y"),
            end(ResponseStatus::Completed),
        ],
    );
    assert_eq!(
        (window.first_word, window.happened[0].after),
        (Some(at(0)), at(1))
    );
}

fn any_event() -> impl Strategy<Value = SessionEvent> {
    let id = (0..3u8).prop_map(|id| id.to_string());
    prop_oneof![
        Just(start()),
        Just(usage()),
        Just(interrupted()),
        Just(turn_end()),
        id.clone().prop_map(|id| words(&id, "word ")),
        id.clone().prop_map(|id| call_entry(&id)),
        id.clone().prop_map(|id| approval(&id)),
        id.clone().prop_map(|id| tool_start(&id)),
        id.clone().prop_map(|id| tool_end(&id)),
        id.prop_map(|id| SessionEvent::HistoryAdded {
            item: message(&id, "whole")
        }),
        prop_oneof![
            Just(end(ResponseStatus::Completed)),
            Just(end(ResponseStatus::Cancelled)),
            Just(end(ResponseStatus::Failed)),
        ],
    ]
}

proptest! {
    #[test]
    fn in_whatever_order_events_come_nothing_is_lost(
        turns in proptest::collection::vec(proptest::collection::vec(any_event(), 0..20), 1..4)
    ) {
        let mut observer = Observer::default();
        for events in turns {
            let count = |is_meant: fn(&SessionEvent) -> bool| events.iter().filter(|event| is_meant(event)).count();
            let results = count(|event| matches!(event, SessionEvent::ToolEnd { .. }));
            let window = see(&mut observer, &events);
            let seen = |kind: EventKind| window.happened.iter().filter(|own| own.kind == kind).count();
            prop_assert_eq!(seen(EventKind::ToolResult), results);
            let tools = window.lines.iter().filter(|line| matches!(line.speaker, Speaker::Tool(_)));
            prop_assert_eq!(tools.clone().filter(|line| line.text.ends_with('→')).count(), 0);
            let outputs = tools.map(|line| line.text.matches("→ done").count()).sum::<usize>();
            prop_assert_eq!(outputs, results);
        }
    }
}
