//! When guardrails look at an answer, and what follows when one objects (protocol.md section 6.6).

use super::*;

/// A guardrail that the test answers for.
pub(super) fn guardrail(name: &str) -> FunctionGuardrail {
    FunctionGuardrail::new(name, |_| async { unreachable!("the test answers") })
}

fn guarded(names: &[&str]) -> Agents {
    names
        .iter()
        .fold(agents(), |agents, name| agents.output_guardrail(guardrail(name)))
}

/// A session with one guardrail in which an answer has begun.
fn answering() -> Rig {
    let mut rig = Rig::open_with(guarded(&["polite"]));
    rig.created("r1");
    rig
}

fn reject() -> Verdict {
    Verdict::Reject(None)
}

/// The texts that guardrails were asked about and have not answered yet.
fn looked_at(rig: &Rig) -> Vec<&str> {
    let mut texts = Vec::new();
    for run in &rig.checks {
        match &run.check.subject {
            Subject::Output { text } => texts.push(text.as_str()),
            other => panic!("{other:?}"),
        }
    }
    texts
}

/// Names of the guardrails that objected since the test last looked.
fn objections(rig: &mut Rig) -> Vec<String> {
    let name = |event| match event {
        SessionEvent::Guardrail { guardrail, .. } => Some(guardrail),
        _ => None,
    };
    rig.events.drain(..).filter_map(name).collect()
}

fn words(count: usize) -> String {
    "é".repeat(count)
}

#[test]
fn words_are_looked_at_each_time_a_hundred_characters_have_come_and_at_the_end() {
    let mut rig = answering();
    rig.transcript("r1", "a", &words(99));
    assert_eq!(looked_at(&rig), [""; 0]);
    rig.transcript("r1", "a", "x");
    assert_eq!(looked_at(&rig), [words(99) + "x"]);
    rig.judge(Verdict::Pass);
    rig.transcript("r1", "a", &words(99));
    assert_eq!(looked_at(&rig), [""; 0]);
    rig.transcript("r1", "a", &words(350));
    assert_eq!(looked_at(&rig).len(), 1, "one look for one piece, however long");
    rig.judge(Verdict::Pass);
    rig.transcript("r1", "a", &words(50));
    assert_eq!(looked_at(&rig), [""; 0], "549 of 600");
    rig.transcript("r1", "a", &words(50));
    assert_eq!(looked_at(&rig).len(), 1);
    rig.judge(Verdict::Pass);
    rig.transcript("r1", "a", "!");
    rig.done("r1");
    assert!(looked_at(&rig)[0].ends_with('!'));
}

#[test]
fn what_was_looked_at_whole_is_not_looked_at_again_at_the_end() {
    let mut rig = answering();
    rig.transcript("r1", "a", &words(100));
    rig.judge(Verdict::Pass);
    let item = json!({"id": "a", "type": "message", "role": "assistant", "content":
        [{"type": "output_audio", "transcript": words(100)}]});
    rig.done_with("r1", json!({"status": "completed", "output": [item]}));
    assert_eq!(looked_at(&rig), [""; 0]);
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}

#[test]
fn the_end_tells_of_words_that_never_came_in_pieces() {
    let mut rig = answering();
    let item = json!({"id": "a", "type": "message", "role": "assistant", "content":
        [{"type": "output_text", "text": "hello"}]});
    rig.done_with("r1", json!({"status": "completed", "output": [item]}));
    assert_eq!(looked_at(&rig), ["hello"]);
    rig.server(json!({"type": "conversation.item.deleted", "item_id": "another"}));
    rig.judge(reject());
    assert_eq!(
        objections(&mut rig),
        ["polite"],
        "it was not this answer that was deleted"
    );
}

#[test]
fn a_guardrail_may_look_at_the_end_only() {
    let mut agents = guarded(&["polite"]);
    agents.guardrail_debounce = Debounce::End;
    let mut rig = Rig::open_with(agents);
    rig.created("r1");
    rig.transcript("r1", "a", &words(1_000));
    assert_eq!(looked_at(&rig), [""; 0]);
    rig.done("r1");
    assert_eq!(looked_at(&rig), [words(1_000)]);
}

#[test]
fn looks_do_not_pile_up_and_the_next_is_at_the_newest_words() {
    let mut rig = Rig::open_with(guarded(&["slow", "quick"]));
    rig.created("r1");
    rig.transcript("r1", "a", &words(100));
    assert_eq!(looked_at(&rig).len(), 2, "each guardrail on its own");
    let slow = rig.checks.remove(0);
    for _ in 0..3 {
        rig.transcript("r1", "a", &words(100));
        rig.judge(Verdict::Pass);
    }
    assert_eq!(looked_at(&rig), [words(400)], "the quick one keeps up");
    rig.judge(Verdict::Pass);
    let result = Ok(Verdict::Pass);
    rig.input(Input::GuardrailDone { id: slow.id, result });
    assert_eq!(looked_at(&rig), [words(400)]);
}

#[test]
fn an_objection_cuts_what_is_heard_and_stops_the_answer_whatever_the_server_does() {
    let mut rig = answering();
    rig.interrupts(true);
    rig.audio("r1", "a", 1_000);
    rig.transcript("r1", "a", &words(100));
    rig.sent.clear();
    rig.wait(ms(400));
    rig.judge(reject());
    let cut = &rig.sent[0];
    assert_eq!(
        (&cut["item_id"], &cut["audio_end_ms"]),
        (&json!("a"), &json!(400))
    );
    assert_eq!(rig.sent[1]["response_id"], "r1");
    let told = &rig.sent[2]["item"];
    assert_eq!(
        (&told["role"], &told["content"][0]["text"]),
        (&json!("user"), &json!("guardrail triggered: polite"))
    );
    assert_eq!(
        rig.sent(),
        [
            "conversation.item.truncate",
            "response.cancel",
            "conversation.item.create"
        ]
    );
    rig.audio("r1", "a", 100);
    rig.transcript("r1", "a", &words(100));
    let silent = |event: &SessionEvent| {
        !matches!(
            event,
            SessionEvent::TranscriptDelta { .. } | SessionEvent::Audio { .. }
        )
    };
    let after = rig
        .events
        .iter()
        .skip_while(|event| !matches!(event, SessionEvent::Guardrail { .. }));
    assert!(after.into_iter().all(silent), "what comes late is not passed on");
    rig.done_with("r1", json!({"status": "cancelled"}));
    assert_eq!(rig.sent(), ["response.create"]);
    assert_eq!(rig.checks.len(), 0);
}

#[test]
fn a_written_answer_is_cancelled_by_its_id_and_the_model_told_in_the_guardrail_s_words() {
    let mut rig = answering();
    rig.server(json!({"type": "response.output_text.delta", "response_id": "r1", "item_id": "a", "delta": words(100)}));
    rig.judge(Verdict::Reject(Some("Be polite.".into())));
    let cancel = &rig.sent[0];
    assert_eq!(
        (&cancel["type"], &cancel["response_id"]),
        (&json!("response.cancel"), &json!("r1"))
    );
    assert_eq!(rig.sent[1]["item"]["content"][0]["text"], "Be polite.");
    let event = rig
        .events
        .iter()
        .find(|event| matches!(event, SessionEvent::Guardrail { .. }));
    assert_eq!(
        serde_json::to_value(event).unwrap(),
        json!({"type": "guardrail", "guardrail": "polite", "agent": "Triage", "where": "output",
            "message": "Be polite.", "response_id": "r1", "tool": null, "call_id": null})
    );
}

#[test]
fn an_answer_is_objected_to_once() {
    let mut rig = Rig::open_with(guarded(&["one", "two"]));
    rig.created("r1");
    rig.transcript("r1", "a", &words(100));
    rig.judge(reject());
    rig.judge(reject());
    rig.done_with("r1", json!({"status": "cancelled"}));
    assert_eq!(objections(&mut rig), ["one"]);
    let span = rig.span("two");
    assert_eq!(
        span.error.as_ref().unwrap().message,
        "Another guardrail was first"
    );
}

#[test]
fn of_an_answer_that_has_ended_only_its_own_sound_is_stopped() {
    let mut rig = answering();
    rig.audio("r1", "a", 1_000);
    rig.transcript("r1", "a", "rude");
    rig.done("r1");
    rig.created("r2");
    rig.audio("r2", "b", 1_000);
    rig.sent.clear();
    rig.events.clear();
    rig.wait(ms(300));
    rig.judge(reject());
    assert_eq!(rig.sent.len(), 1, "{:?}", rig.sent);
    let cut = &rig.sent[0];
    assert_eq!(
        (&cut["item_id"], &cut["audio_end_ms"]),
        (&json!("a"), &json!(300))
    );
    rig.transcript("r2", "b", "hello");
    let is_heard = |event: &SessionEvent| matches!(event, SessionEvent::TranscriptDelta { .. });
    assert!(rig.events.iter().any(is_heard), "the newer answer goes on");
    rig.sent.clear();
    rig.wait(ms(200));
    rig.speech_started();
    assert_eq!(
        rig.sent[0]["audio_end_ms"], 200,
        "it moved up in the place of what was stopped"
    );
}

#[test]
fn after_the_end_of_an_answer_the_turn_waits_for_the_verdict() {
    let mut rig = answering();
    rig.transcript("r1", "a", "rude");
    rig.done("r1");
    assert_eq!(rig.turns(), []);
    rig.judge(reject());
    assert_eq!(rig.sent(), ["conversation.item.create", "response.create"]);
    assert_eq!(rig.turns(), []);
    rig.created("r2");
    rig.transcript("r2", "b", "polite");
    rig.done("r2");
    rig.judge(Verdict::Pass);
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}

#[test]
fn a_guardrail_that_fails_is_passed_over_and_told_of_once() {
    let mut rig = answering();
    for _ in 0..2 {
        rig.transcript("r1", "a", &words(100));
        rig.judged(Err(GuardrailError::new("no server")));
    }
    rig.done("r1");
    let warnings: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::Warning { message } => Some(message.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        warnings,
        ["the guardrail `polite` could not look at what Triage says: no server"]
    );
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
    let error = rig.span("polite").error.clone().unwrap();
    assert_eq!(error.message, "Error running guardrail");
    assert_eq!(
        error.data,
        Some(json!({"guardrail": "polite", "error": "no server"}))
    );
}

#[test]
fn a_verdict_on_what_is_gone_comes_too_late() {
    let mut rig = answering();
    rig.transcript("r1", "a", "rude");
    rig.done("r1");
    rig.server(json!({"type": "conversation.item.deleted", "item_id": "a"}));
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
    rig.judge(reject());
    assert_eq!((rig.sent(), objections(&mut rig)), (vec![], vec![]));
    let error = rig.span("polite").error.clone().unwrap();
    assert_eq!(error.message, "The item was deleted before the check was done");
}

#[test]
fn the_close_ends_checks_and_says_so() {
    let mut rig = answering();
    rig.transcript("r1", "a", &words(100));
    rig.command(Command::Close);
    let span = rig.span("polite");
    assert_eq!(
        span.error.as_ref().unwrap().message,
        "The session ended before the check was done"
    );
    rig.judge(reject());
    assert_eq!(objections(&mut rig), [""; 0]);
}

#[test]
fn a_guardrail_may_end_the_session() {
    let mut rig = answering();
    rig.transcript("r1", "a", &words(100));
    rig.judge(Verdict::Stop(Some("enough".into())));
    assert!(rig.ended);
    let reason = rig.end_reason();
    assert_eq!(
        reason.to_string(),
        "the guardrail `polite` ended the session: enough"
    );
    assert_eq!(
        serde_json::to_value(reason).unwrap(),
        json!({"kind": "guardrail", "guardrail": "polite", "message": "enough"})
    );
    assert_eq!(rig.started.load(Ordering::Relaxed), rig.memory.spans().len());
    assert!(rig.span("Triage").error.is_some());
}

#[test]
fn a_model_that_finds_no_words_that_pass_is_not_asked_for_ever() {
    let mut rig = Rig::open_with(guarded(&["polite"]));
    rig.say("hello");
    let mut asked = 0;
    for answer in 1..=10 {
        let creates = rig.creates();
        if creates == 0 {
            break;
        }
        asked += creates;
        let response = format!("r{answer}");
        rig.created(&response);
        rig.transcript(&response, &format!("a{answer}"), &words(100));
        rig.judge(reject());
        rig.done_with(&response, json!({"status": "cancelled"}));
    }
    assert_eq!(asked, 4);
    let Some(SessionEvent::TurnEnd { status, reason }) = rig.events.last() else {
        panic!("no end of the turn")
    };
    assert_eq!(*status, ResponseStatus::Failed);
    assert_eq!(
        reason.as_deref(),
        Some("the guardrail `polite` objected to 4 answers in a row")
    );
}

#[test]
fn an_answer_outside_the_conversation_is_stopped_without_a_word_to_the_model() {
    let mut rig = Rig::open_with(guarded(&["polite"]));
    rig.raw(json!({"type": "response.create", "response": {"conversation": "none"}}));
    rig.server(json!({"type": "response.created", "response": {"id": "o1", "conversation_id": null}}));
    rig.sent.clear();
    rig.transcript("o1", "a", &words(100));
    rig.judge(reject());
    assert_eq!(rig.sent[0]["response_id"], "o1");
    assert_eq!(rig.sent(), ["response.cancel"]);
    assert_eq!(objections(&mut rig), ["polite"]);
}

#[test]
fn of_an_interrupted_answer_only_what_was_passed_on_is_judged() {
    let mut rig = answering();
    rig.transcript("r1", "a", "hello");
    rig.command(Command::Interrupt);
    let item = json!({"id": "a", "type": "message", "role": "assistant", "content":
        [{"type": "output_audio", "transcript": "hello and more that nobody heard"}]});
    rig.done_with("r1", json!({"status": "cancelled", "output": [item]}));
    assert_eq!(looked_at(&rig), ["hello"]);
}

#[test]
fn p3_one_span_for_each_guardrail_and_answer_under_the_agent_in_charge_when_it_first_looked() {
    let mut rig = answering();
    rig.transcript("r1", "a", &words(100));
    let began = rig.now;
    rig.wait(ms(10));
    rig.switch_to("Billing");
    rig.updated();
    rig.judge(Verdict::Pass);
    rig.wait(ms(10));
    rig.transcript("r1", "a", &words(100));
    rig.done("r1");
    rig.judge(Verdict::Pass);
    let span = rig.span("polite");
    assert_eq!((span.started_at, span.ended_at), (began, Some(rig.now)));
    assert_eq!(span.parent_id, Some(rig.span("Triage").id));
    assert_eq!(span.data, SpanData::guardrail("polite"));
    rig.created("r2");
    rig.transcript("r2", "b", &words(100));
    rig.judge(reject());
    rig.command(Command::Close);
    let second = rig.spans("polite").pop().unwrap();
    assert_eq!(second.parent_id, Some(rig.span("Billing").id));
    assert!(matches!(second.data, SpanData::Guardrail { triggered: true, .. }));
}

#[test]
fn without_guardrails_nothing_is_looked_at_or_kept() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.transcript("r1", "a", &words(500));
    rig.done("r1");
    assert_eq!(rig.checks.len(), 0);
    assert_eq!(rig.turns(), [ResponseStatus::Completed]);
}
