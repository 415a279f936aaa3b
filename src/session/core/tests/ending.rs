//! The ends a session can come to (protocol.md section 5.17, traps 12 and 13; span rule L2).

use super::*;

#[test]
fn an_orderly_close_is_no_error() {
    let mut rig = Rig::open();
    rig.command(Command::Close);
    assert!(rig.ended);
    assert_eq!(rig.end_reason(), EndReason::Closed);
    assert_eq!(rig.span("Triage").error, None);
}

#[test]
fn nothing_is_done_after_the_end() {
    let mut rig = Rig::open();
    rig.command(Command::Close);
    rig.events.clear();
    rig.say("hello");
    rig.created("r1");
    rig.command(Command::Close);
    rig.close(1000, "");
    rig.input(Input::Aborted);
    assert_eq!((rig.sent(), rig.events.len()), (vec![], 0));
    assert_eq!(rig.spans("Triage").len(), 1);
    assert_eq!(rig.core.deadline(), None);
}

#[test]
fn only_a_normal_close_of_the_server_is_an_orderly_end() {
    for (code, orderly) in [
        (1000, true),
        (1005, true),
        (1001, false),
        (1006, false),
        (1011, false),
        (1013, false),
    ] {
        let mut rig = Rig::open();
        rig.close(code, "why");
        let reason = rig.end_reason();
        assert_eq!(
            matches!(reason, EndReason::ServerClosed { .. }),
            orderly,
            "{code}"
        );
        assert_eq!(rig.span("Triage").error.is_none(), orderly, "{code}");
        assert!(reason.to_string().contains(&format!("{code}: why")), "{reason}");
    }
}

#[test]
fn expiry_is_told_as_the_server_told_it() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.error("session_expired", None);
    rig.close(1001, "Your session hit the maximum duration of 60 minutes.");
    let EndReason::Failed { error } = rig.end_reason() else {
        panic!("another reason")
    };
    assert_eq!(error.code(), "session_expired");
}

#[test]
fn a_fatal_error_ends_the_session_even_if_no_close_follows() {
    let mut rig = Rig::open();
    rig.error("session_expired", None);
    assert!(!rig.ended);
    rig.wait_for_deadline();
    assert!(rig.ended);
    assert!(matches!(rig.end_reason(), EndReason::Failed { .. }));
}

#[test]
fn an_error_that_is_not_fatal_ends_nothing() {
    let mut rig = Rig::open();
    rig.error("server_error", None);
    assert_eq!(rig.core.deadline(), None);
    assert_eq!(rig.errors(), ["server_error"]);
}

#[test]
fn l2_what_still_runs_is_ended_with_an_error_that_says_so() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.call("r1", "call_1", "weather", "{}");
    rig.call("r1", "call_2", "transfer_to_billing", "{}");
    rig.wait(SECOND);
    rig.command(Command::Close);
    for name in ["weather", "Triage → Billing"] {
        let span = rig.span(name);
        assert!(
            span.error.as_ref().unwrap().message.contains("session ended"),
            "{name}"
        );
        assert_eq!(span.ended_at, Some(rig.now));
    }
}

#[test]
fn l2_an_aborted_session_says_so() {
    let mut rig = Rig::open();
    rig.input(Input::Aborted);
    assert_eq!(
        rig.span("Triage").error.as_ref().unwrap().message,
        "the session was aborted"
    );
    assert_eq!(rig.end_reason(), EndReason::Aborted);
}

#[test]
fn the_end_tells_how_long_the_session_could_be_used() {
    let mut rig = Rig::open();
    rig.wait(3 * SECOND);
    rig.command(Command::Close);
    let Some(SessionEvent::SessionEnd { duration, .. }) = rig.events.last() else {
        panic!("no end")
    };
    assert_eq!(*duration, 3 * SECOND);
}
