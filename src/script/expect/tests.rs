use std::time::Duration;

use regex::Regex;
use serde_json::json;

use super::*;
use crate::protocol::{ResponseStatus, Usage};
use crate::script::{Act, Conditions, EventKind, Place};

fn place(line: usize) -> Place {
    Place {
        file: "test.toml".into(),
        line,
    }
}

fn expect(event: EventKind, set: impl FnOnce(&mut Conditions)) -> Expectation {
    let mut conditions = Conditions::default();
    set(&mut conditions);
    Expectation {
        place: place(0),
        event,
        conditions,
        absent: false,
    }
}

fn absent(event: EventKind, set: impl FnOnce(&mut Conditions)) -> Expectation {
    Expectation {
        absent: true,
        ..expect(event, set)
    }
}

/// A turn of which each expectation stands in a line of its own.
fn turn(expect: Vec<Expectation>) -> Turn {
    let mut turn = Turn {
        place: place(1),
        act: Act::Say("hello".into()),
        expect,
        any_order: false,
    };
    for (number, expectation) in turn.expect.iter_mut().enumerate() {
        expectation.place.line = number + 2;
    }
    turn
}

fn happens(kind: EventKind, after_ms: u64, set: impl FnOnce(&mut Happening)) -> Happening {
    let mut happening = Happening {
        agent: Some("Desk".into()),
        ..Happening::new(kind, Duration::from_millis(after_ms))
    };
    set(&mut happening);
    happening
}

fn answer(words: &str, after_ms: u64) -> Happening {
    happens(EventKind::Response, after_ms, |own| {
        own.words = words.into();
        own.usage = Some(Usage {
            total_tokens: 523,
            input_tokens: 480,
            output_tokens: 43,
            ..Usage::default()
        });
    })
}

fn call(name: &str, args: serde_json::Value) -> Happening {
    happens(EventKind::ToolCall, 100, |own| {
        own.name = Some(name.into());
        own.args = Some(args);
    })
}

fn show(findings: &[Finding]) -> String {
    let line = |finding: &Finding| match &finding.met {
        Met::Yes => format!("met: {}\n", finding.expected),
        Met::No { came } => format!("expected: {}\n    came: {came}\n", finding.expected),
        Met::Untold => format!("untold: {}\n", finding.expected),
    };
    findings.iter().map(line).collect()
}

fn judge(turn: &Turn, happened: &[Happening], ending: Ending) -> Vec<Finding> {
    findings(turn, happened, ending, &Rulings::new()).unwrap()
}

/// Each of them on its own, held against all that happened.
fn each(expect: Vec<Expectation>, happened: &[Happening]) -> String {
    let one = |own: Expectation| show(&judge(&turn(vec![own]), happened, Ending::Over));
    expect.into_iter().map(one).collect()
}

/// One of each kind.
fn a_turn_with_everything() -> Vec<Happening> {
    let (rome, milan) = (json!({"city": "Rome", "days": 3}), json!({"city": "Milan"}));
    vec![
        answer("Let me see.", 300),
        call("get_weather", rome.clone()),
        call("get_weather", milan),
        happens(EventKind::ToolResult, 400, |own| {
            own.name = Some("get_weather".into());
            own.args = Some(rome);
            own.words = "sunny, 24 degrees".into();
        }),
        happens(EventKind::ToolResult, 500, |own| {
            own.name = Some("refund".into());
            own.words = "no such order".into();
            own.status = ResponseStatus::Failed;
        }),
        happens(EventKind::Handoff, 600, |own| own.agent = Some("Billing".into())),
        happens(EventKind::Guardrail, 700, |own| {
            own.name = Some("no_cards".into());
            own.words = "a card number".into();
        }),
        happens(EventKind::Error, 800, |own| {
            own.agent = None;
            own.words = "slow down (rate_limit_exceeded)".into();
        }),
        happens(EventKind::Interrupted, 900, |_| {}),
        happens(EventKind::Response, 4_200, |own| {
            own.agent = Some("Billing".into());
            own.words = "It is sunny\n in Rome.".into();
            own.status = ResponseStatus::Cancelled;
        }),
        happens(EventKind::Usage, 4_300, |own| own.usage = answer("", 0).usage),
    ]
}

#[test]
fn each_kind_and_each_condition_is_met() {
    let claimed = || |own: &mut Conditions| own.agent = Some("Desk".into());
    let expectations = vec![
        expect(EventKind::Response, |own| own.text_contains = Some("ROME".into())),
        expect(EventKind::Response, |own| {
            own.text_matches = Some(Regex::new("(?i)^let .* see").unwrap());
        }),
        expect(EventKind::Response, |own| {
            own.within = Some(Duration::from_millis(300))
        }),
        expect(EventKind::Response, |own| own.max_tokens = Some(523)),
        expect(EventKind::ToolCall, |own| {
            own.name = Some("get_weather".into());
            own.args = Some(json!({"city": "Milan"}));
        }),
        expect(EventKind::ToolCall, claimed()),
        expect(EventKind::ToolResult, |own| own.text_contains = Some("24".into())),
        expect(EventKind::ToolResult, |own| own.name = Some("refund".into())),
        expect(EventKind::Handoff, |own| own.agent = Some("Billing".into())),
        expect(EventKind::Guardrail, |own| own.name = Some("no_cards".into())),
        expect(EventKind::Guardrail, claimed()),
        expect(EventKind::Error, |own| {
            own.text_contains = Some("rate_limit".into())
        }),
        expect(EventKind::Interrupted, claimed()),
        expect(EventKind::Usage, |own| own.max_tokens = Some(600)),
        absent(EventKind::Response, |own| {
            own.text_contains = Some("Paris".into())
        }),
        absent(EventKind::Handoff, |own| own.agent = Some("Sales".into())),
    ];
    let shown = each(expectations, &a_turn_with_everything());
    assert!(shown.lines().all(|line| line.starts_with("met: ")), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn each_kind_and_each_condition_is_missed_for_a_reason() {
    let expectations = vec![
        expect(EventKind::Response, |own| {
            own.text_contains = Some("Paris".into())
        }),
        expect(EventKind::Response, |own| {
            own.text_matches = Some(Regex::new("^Sunny").unwrap())
        }),
        expect(EventKind::Response, |own| {
            own.text_contains = Some("rome".into());
            own.within = Some(Duration::from_secs(3));
        }),
        expect(EventKind::Response, |own| own.max_tokens = Some(200)),
        expect(EventKind::Response, |own| {
            own.agent = Some("Desk".into());
            own.text_contains = Some("Rome".into());
        }),
        expect(EventKind::ToolCall, |own| own.name = Some("get_time".into())),
        expect(EventKind::ToolCall, |own| {
            own.name = Some("get_weather".into());
            own.args = Some(json!({"city": "Rome", "days": 5, "unit": "C"}));
        }),
        expect(EventKind::ToolResult, |own| {
            own.name = Some("refund".into());
            own.text_contains = Some("refunded".into());
        }),
        expect(EventKind::Handoff, |own| own.agent = Some("Sales".into())),
        expect(EventKind::Guardrail, |own| own.name = Some("no_secrets".into())),
        expect(EventKind::Error, |own| own.text_contains = Some("expired".into())),
        expect(EventKind::Interrupted, |own| {
            own.within = Some(Duration::from_millis(500))
        }),
        expect(EventKind::Usage, |own| own.max_tokens = Some(1)),
        absent(EventKind::ToolCall, |own| own.name = Some("get_weather".into())),
        absent(EventKind::Error, |_| {}),
    ];
    let shown = each(expectations, &a_turn_with_everything());
    assert!(!shown.contains("met: "), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn what_did_come_is_listed_where_nothing_of_the_kind_did() {
    let expectation = || {
        vec![expect(EventKind::ToolCall, |own| {
            own.name = Some("get_weather".into())
        })]
    };
    let mut shown = each(expectation(), &[]);
    shown += &each(expectation(), &[answer("Which city do you mean?", 200)]);
    let many: Vec<_> = (0..9)
        .map(|number| answer(&format!("Answer {number}"), 200))
        .collect();
    shown += &each(expectation(), &many);
    shown += &each(expectation(), &[answer(&"long ".repeat(100), 200)]);
    insta::assert_snapshot!(shown);
}

#[test]
fn expectations_hold_in_order_unless_the_turn_says_otherwise() {
    let contains = |text: &str| expect(EventKind::Response, |own| own.text_contains = Some(text.into()));
    let happened = [answer("first", 1), answer("second", 2), answer("third", 3)];
    let mut turn = turn(vec![contains("second"), contains("first"), contains("third")]);
    let ordered = judge(&turn, &happened, Ending::Over);
    turn.any_order = true;
    let unordered = judge(&turn, &happened, Ending::Over);
    assert!(
        unordered.iter().all(|finding| finding.met == Met::Yes),
        "{}",
        show(&unordered)
    );
    insta::assert_snapshot!(show(&ordered));
}

#[test]
fn each_happening_meets_one_expectation() {
    let any = || expect(EventKind::Response, |_| {});
    let findings = judge(&turn(vec![any(), any()]), &[answer("only", 1)], Ending::Over);
    insta::assert_snapshot!(show(&findings));
}

#[test]
fn what_is_not_decided_when_a_turn_is_cut_short_is_untold() {
    let expectations = || {
        turn(vec![
            expect(EventKind::Response, |_| {}),
            expect(EventKind::Handoff, |_| {}),
            absent(EventKind::Error, |_| {}),
            absent(EventKind::Response, |_| {}),
        ])
    };
    let happened = [answer("half", 1)];
    let mut shown = show(&judge(&expectations(), &happened, Ending::OutOfTime));
    shown += &show(&judge(&expectations(), &happened, Ending::BrokenOff));
    insta::assert_snapshot!(shown);
}

#[test]
fn a_language_model_is_asked_only_about_what_fits_otherwise() {
    let claimed = |claim: &str| {
        expect(EventKind::Response, |own| {
            own.judge = Some(claim.into());
            own.text_contains = Some("rome".into());
        })
    };
    let happened = [
        answer("Hello.", 1),
        answer("Rome is grey.", 2),
        answer("Rome is sunny.", 3),
    ];
    let turn = turn(vec![claimed("it is sunny"), claimed("it is warm")]);
    let mut rulings = Rulings::new();
    let mut asked = Vec::new();
    let found = loop {
        match findings(&turn, &happened, Ending::Over, &rulings) {
            Ok(found) => break found,
            Err(question) => {
                let holds = question.claim == "it is sunny" && question.words.contains("sunny");
                let reason = format!("the words are {:?}", question.words);
                asked.push((question.claim.clone(), question.words.clone()));
                rulings.insert(question, Ruling { holds, reason });
            }
        }
    };
    let asked: Vec<_> = asked
        .iter()
        .map(|(claim, words)| (claim.as_str(), words.as_str()))
        .collect();
    assert_eq!(
        asked,
        [
            ("it is sunny", "Rome is grey."),
            ("it is sunny", "Rome is sunny.")
        ],
        "nothing is left for the second"
    );
    assert_eq!(found[0].met, Met::Yes);
    assert!(found[0].ruling.as_ref().is_some_and(|ruling| ruling.holds));
    insta::assert_snapshot!(show(&found));

    let turn = Turn {
        any_order: true,
        ..turn
    };
    let ruled = Ruling {
        holds: false,
        reason: "it rains".into(),
    };
    let question = |claim: &str, words: &str| Question {
        claim: claim.into(),
        words: words.into(),
    };
    for words in ["Rome is grey.", "Rome is sunny."] {
        rulings.insert(question("it is warm", words), ruled.clone());
    }
    let found = findings(&turn, &happened, Ending::Over, &rulings).unwrap();
    assert_eq!(found[1].ruling, Some(ruled));
}

#[test]
fn why_the_judge_affirms_what_is_not_to_be_is_told() {
    let insulting = absent(EventKind::Response, |own| own.judge = Some("it insults".into()));
    let question = Question {
        claim: "it insults".into(),
        words: "Fool.".into(),
    };
    let ruling = Ruling {
        holds: true,
        reason: "it calls the user a fool".into(),
    };
    let rulings = Rulings::from([(question, ruling)]);
    let happened = [answer("Fool.", 1)];
    let found = findings(&turn(vec![insulting]), &happened, Ending::Over, &rulings).unwrap();
    insta::assert_snapshot!(show(&found));
}
