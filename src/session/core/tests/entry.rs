//! Opening a session (protocol.md sections 1.4 to 1.6 and 5.13; span rules L1, L3, N1, M1).

use super::*;

const CREATED: &str = r#"{"type":"session.created","session":{"id":"sess_1","model":"gpt-realtime"}}"#;

fn greeting() -> Rig {
    let mut rig = Rig::new(agents());
    rig.carry_out();
    rig
}

/// Checks that opening failed, that the agent's span says why, and that nothing is left to wait for.
fn failure(rig: &mut Rig) -> SessionError {
    let error = rig.failed.take().expect("it failed");
    assert!(rig.ended && !rig.opened);
    let span = rig.span("Triage");
    assert_eq!(span.error.as_ref().unwrap().message, error.to_string());
    assert_eq!(rig.core.poll_output().map(|_| ()), None);
    error
}

#[test]
fn settings_are_sent_when_the_server_has_spoken_and_the_session_opens_when_they_are_taken() {
    let mut rig = greeting();
    assert_eq!(rig.sent(), [""; 0]);
    rig.frame(CREATED);
    assert_eq!(rig.sent(), ["session.update"]);
    assert!(!rig.opened);
    rig.updated();
    assert!(rig.opened);
    let Some(SessionEvent::SessionStart {
        agent,
        model,
        session_id,
        trace_id,
    }) = rig.events.first()
    else {
        panic!("no start")
    };
    assert_eq!((agent.as_str(), model.as_str()), ("Triage", "gpt-realtime"));
    assert_eq!(session_id.as_deref(), Some("sess_1"));
    assert_eq!(*trace_id, rig.trace.id().map(|id| id.to_string()));
}

#[test]
fn any_event_but_an_error_counts_as_connected() {
    let mut rig = greeting();
    rig.server(json!({"type": "conversation.created", "conversation": {"id": "conv_1"}}));
    assert_eq!(rig.sent(), ["session.update"]);
}

#[test]
fn an_error_and_a_close_are_a_refusal() {
    for code in ["invalid_api_key", "insufficient_quota", "something_new"] {
        let mut rig = greeting();
        rig.error(code, None);
        assert!(rig.failed.is_none(), "the close tells whether it means it");
        rig.close(3000, "invalid_request_error.x");
        let SessionError::Refused { error } = failure(&mut rig) else {
            panic!("another error")
        };
        assert_eq!(error.code(), code);
    }
}

#[test]
fn a_fatal_error_is_a_refusal_even_if_no_close_follows() {
    let mut rig = greeting();
    rig.error("invalid_api_key", None);
    let asked = rig.now;
    rig.wait_for_deadline();
    assert!(rig.now <= asked + 3 * SECOND);
    assert!(matches!(failure(&mut rig), SessionError::Refused { .. }));
}

#[test]
fn a_close_alone_is_told_with_code_and_reason() {
    let mut rig = greeting();
    rig.close(4000, "invalid_request_error.missing_model");
    let error = failure(&mut rig);
    assert!(
        error
            .to_string()
            .contains("4000: invalid_request_error.missing_model"),
        "{error}"
    );
    assert!(error.advice().unwrap().contains("model"));
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let mut rig = greeting();
    let started = rig.now;
    rig.wait(20 * SECOND);
    rig.input(Input::Time);
    assert!(rig.failed.is_none());
    rig.wait_for_deadline();
    assert_eq!(rig.now, started + 30 * SECOND);
    assert!(matches!(failure(&mut rig), SessionError::Timeout(limit) if limit == 30 * SECOND));
}

#[test]
fn the_time_to_open_counts_from_the_call_not_from_each_step() {
    let mut rig = Rig::with(agents(), |options| options.open_limit = 10 * SECOND);
    let started = rig.now;
    rig.wait(8 * SECOND);
    rig.carry_out();
    rig.wait(SECOND);
    rig.frame(CREATED);
    rig.sent.clear();
    rig.wait_for_deadline();
    assert_eq!(rig.now, started + 10 * SECOND);
    assert!(rig.opened, "settings not answered in time count as taken");
}

#[test]
fn an_agent_that_takes_too_long_to_resolve_is_given_up() {
    let mut rig = Rig::with(agents(), |options| options.open_limit = 10 * SECOND);
    rig.wait_for_deadline();
    assert!(matches!(failure(&mut rig), SessionError::Timeout(_)));
}

#[test]
fn a_server_that_never_answers_settings_is_taken_to_have_accepted() {
    let mut rig = greeting();
    rig.frame(CREATED);
    let asked = rig.now;
    rig.wait_for_deadline();
    assert_eq!(rig.now, asked + 5 * SECOND);
    assert!(rig.opened);
    rig.sent.clear();
    rig.switch_to("Billing");
    assert_eq!(rig.sent(), ["session.update"]);
    assert!(
        matches!(rig.replies[..], [(7, Ok(()))]),
        "no change of agent waits for it again"
    );
}

#[test]
fn refused_settings_fail_the_entry() {
    let mut rig = greeting();
    rig.frame(CREATED);
    let update = rig.sent_of("session.update").remove(0);
    rig.error("unknown_parameter", update["event_id"].as_str());
    let SessionError::Settings { error } = failure(&mut rig) else {
        panic!("another error")
    };
    assert_eq!(error.code(), "unknown_parameter");
}

#[test]
fn refused_settings_are_known_by_their_parameter_where_the_id_is_missing() {
    let mut rig = greeting();
    rig.frame(CREATED);
    rig.server(json!({"type": "error", "error": {"type": "invalid_request_error", "code": "unknown_parameter",
        "message": "Unknown parameter: 'session.modalities'.", "param": "session.modalities", "event_id": null}}));
    assert!(matches!(failure(&mut rig), SessionError::Settings { .. }));
}

#[test]
fn an_error_about_something_else_does_not_fail_the_entry() {
    let mut rig = greeting();
    rig.frame(CREATED);
    rig.error("server_error", None);
    rig.updated();
    assert!(rig.opened);
    assert_eq!(rig.errors(), ["server_error"]);
}

#[test]
fn a_joined_call_is_configured_at_once_and_opens_without_session_created() {
    let mut rig = Rig::with(agents(), |options| options.joins_a_call = true);
    rig.carry_out();
    assert_eq!(rig.sent(), ["session.update"]);
    rig.created("r1");
    rig.transcript("r1", "a", "the call ");
    rig.transcript("r1", "a", "goes on");
    rig.updated();
    assert!(rig.opened);
    assert_eq!(rig.words(), ["the call goes on"]);
}

#[test]
fn a_joined_call_that_is_refused_says_so() {
    for code in ["invalid_api_key", "call_id_not_found"] {
        let mut rig = Rig::with(agents(), |options| options.joins_a_call = true);
        rig.carry_out();
        rig.error(code, None);
        rig.close(4000, "invalid_request_error.x");
        let SessionError::Refused { error } = failure(&mut rig) else {
            panic!("another error")
        };
        assert_eq!(error.code(), code);
    }
}

#[test]
fn l3_a_connection_that_fails_ends_the_span_with_the_original_error() {
    let mut rig = Rig::new(agents());
    let resolved = rig.resolve("Triage").unwrap();
    while rig.core.poll_output().is_some() {}
    rig.core.handle(rig.now, Input::Resolved(Ok(Arc::new(resolved))));
    while rig.core.poll_output().is_some() {}
    let refused = ConnectError::Unreachable {
        host: "h".into(),
        reason: "refused".into(),
    };
    rig.input(Input::Connected(Err(refused)));
    let SessionError::Connect(error) = failure(&mut rig) else {
        panic!("another error")
    };
    assert_eq!(error.to_string(), "cannot reach h: refused");
}

#[test]
fn l3_an_agent_that_cannot_be_resolved_ends_the_span_with_the_original_error() {
    let mut rig = Rig::new(Agents::new(Agent::new("Triage").handoff("Nobody")));
    rig.carry_out();
    assert!(matches!(failure(&mut rig), SessionError::Resolve(_)));
}

#[test]
fn n1_a_session_without_tracing_asks_for_none_on_the_server() {
    let mut agents = agents();
    agents.settings.config.tracing = Some(Some(json!("auto")));
    for server_tracing in [true, false] {
        let mut rig = Rig::with(agents.clone(), |options| options.server_tracing = server_tracing);
        rig.carry_out();
        rig.frame(CREATED);
        let update = rig.sent_of("session.update").remove(0);
        assert_eq!(update["session"].get("tracing").is_some(), server_tracing);
    }
}

#[test]
fn m1_the_span_tells_what_was_sent() {
    let mut rig = greeting();
    rig.frame(CREATED);
    let update = rig.sent_of("session.update").remove(0);
    let sent: Vec<_> = update["session"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert_eq!(sent, ["weather", "time", "transfer_to_billing"]);
    rig.command(Command::Close);
    let span = rig.span("Triage");
    let SpanData::Agent { tools, handoffs, .. } = &span.data else {
        panic!("not an agent")
    };
    assert_eq!(
        tools.as_deref(),
        Some(&["weather".to_owned(), "time".to_owned()][..])
    );
    assert_eq!(handoffs.as_deref(), Some(&["Billing".to_owned()][..]));
}
