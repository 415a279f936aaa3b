//! The spans of answers, transcriptions and speech (span rules L2, N2, P3, and "Beyond the reference").

use super::*;

impl Rig {
    /// The finished spans of that kind, in the order in which they ended.
    fn kind(&self, kind: &str) -> Vec<Arc<SpanRecord>> {
        let mut spans = self.memory.spans();
        spans.retain(|span| span.data.kind() == kind);
        spans
    }

    fn only(&self, kind: &str) -> Arc<SpanRecord> {
        let spans = self.kind(kind);
        assert_eq!(spans.len(), 1, "spans of kind {kind}");
        spans[0].clone()
    }

    /// The `span_data` of the finished spans of that kind.
    fn told(&self, kind: &str) -> Vec<Value> {
        let data = |span: &Arc<SpanRecord>| serde_json::to_value(&span.data).unwrap();
        self.kind(kind).iter().map(data).collect()
    }

    /// The server has an item in the conversation.
    fn item(&mut self, item: Value) {
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.server(json!({"type": kind, "item": item}));
        }
    }

    fn user(&mut self, item: &str, text: &str) {
        self.item(
            json!({"id": item, "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_text", "text": text}]}),
        );
    }

    fn user_audio(&mut self, item: &str) {
        self.server(json!({"type": "input_audio_buffer.committed", "item_id": item}));
        self.item(
            json!({"id": item, "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_audio", "transcript": null}]}),
        );
    }

    fn transcribed(&mut self, item: &str, words: &str) {
        self.server(
            json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": item,
            "content_index": 0, "transcript": words, "usage": {"type": "duration", "seconds": 3}}),
        );
    }

    /// A spoken answer up to its first sound, 20 ms after its item and 30 ms after its own begin.
    fn speaks(&mut self, response: &str, item: &str) {
        self.created(response);
        self.wait(ms(10));
        let message = json!({"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []});
        self.server(json!({"type": "response.output_item.added", "response_id": response, "item": message}));
        self.server(json!({"type": "conversation.item.added", "item": message}));
        self.wait(ms(20));
        self.transcript(response, item, "hello there");
        self.audio(response, item, 1_000);
    }

    fn sound_ends(&mut self, response: &str, item: &str) {
        self.server(
            json!({"type": "response.output_audio.done", "response_id": response, "item_id": item,
            "content_index": 0}),
        );
    }
}

fn said(item: &str, text: &str) -> Value {
    json!([{"id": item, "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text}]}])
}

#[test]
fn a_generation_tells_model_input_output_settings_and_usage() {
    let mut rig = Rig::open();
    rig.user("u", "hi");
    let start = rig.now;
    rig.server(
        json!({"type": "response.created", "response": {"id": "r1", "conversation_id": "conv_1",
        "output_modalities": ["text"], "max_output_tokens": "inf", "audio": {"output": {"voice": "marin"}}}}),
    );
    rig.wait(ms(70));
    let usage = json!({"input_tokens": 10, "output_tokens": 5, "input_token_details": {"cached_tokens": 4}});
    rig.done_with(
        "r1",
        json!({"status": "completed", "output": said("a", "hello"), "usage": usage}),
    );
    let span = rig.only("generation");
    assert_eq!((span.started_at, span.duration()), (start, Some(ms(70))));
    assert_eq!(span.error, None);
    let told = &rig.told("generation")[0];
    assert_eq!(told["input"], json!([{"role": "user", "content": "hi"}]));
    assert_eq!(told["output"], json!([{"role": "assistant", "content": "hello"}]));
    assert_eq!(told["model"], "gpt-realtime");
    let config = json!({"output_modalities": ["text"], "voice": "marin", "max_output_tokens": "inf"});
    assert_eq!(told["model_config"], config);
    assert_eq!(told["usage"]["total_tokens"], 15);
    assert_eq!(told["usage"]["input_token_details"]["cached_tokens"], 4);
}

#[test]
fn a_generation_has_what_went_in_since_the_one_before() {
    let mut rig = Rig::open();
    rig.user("u1", "first");
    rig.created("r1");
    rig.user("u2", "while it speaks");
    rig.item(json!({"id": "s", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "be kind"}]}));
    rig.done_with("r1", json!({"status": "completed", "output": said("a", "hello")}));
    rig.created("r2");
    rig.done("r2");
    let told = rig.told("generation");
    assert_eq!(told[0]["input"], json!([{"role": "user", "content": "first"}]));
    let expected =
        json!([{"role": "user", "content": "while it speaks"}, {"role": "system", "content": "be kind"}]);
    assert_eq!(told[1]["input"], expected);
}

#[test]
fn calls_come_out_and_their_outputs_go_in() {
    let mut rig = Rig::open();
    rig.created("r1");
    let call = call_item("c", "weather", "{\"city\":\"Rome\"}");
    rig.server(json!({"type": "conversation.item.added", "item": call}));
    rig.call("r1", "c", "weather", "{\"city\":\"Rome\"}");
    rig.done_with("r1", json!({"status": "completed", "output": [call]}));
    rig.tool_done("c", "sunny");
    rig.item(json!({"id": "o", "type": "function_call_output", "call_id": "c", "output": "sunny"}));
    rig.created("r2");
    rig.done("r2");
    let told = rig.told("generation");
    let function = json!({"name": "weather", "arguments": "{\"city\":\"Rome\"}"});
    let calls = json!([{"id": "c", "type": "function", "function": function}]);
    let came_out = json!([{"role": "assistant", "content": null, "tool_calls": calls}]);
    assert_eq!(told[0]["output"], came_out);
    let went_in = json!([{"role": "tool", "tool_call_id": "c", "content": "sunny"}]);
    assert_eq!(told[1]["input"], went_in);
}

#[test]
fn a_generation_tells_its_id_how_long_the_user_waited_and_when_it_began_to_show() {
    let mut rig = Rig::open();
    rig.say("hi");
    let asked = rig.now;
    rig.wait(ms(30));
    rig.created("r1");
    rig.wait(ms(50));
    rig.transcript("r1", "a", "hel");
    let shown = rig.now;
    rig.wait(ms(5));
    rig.transcript("r1", "a", "lo");
    rig.done("r1");
    rig.created("r2");
    rig.wait(ms(5));
    let call = call_item("c", "weather", "{}");
    rig.server(json!({"type": "response.output_item.added", "response_id": "r2", "item": call}));
    let called = rig.now;
    rig.done("r2");
    let told: Vec<Value> = rig
        .kind("generation")
        .iter()
        .map(|span| serde_json::to_value(&span.metadata).unwrap())
        .collect();
    let first = json!({"response_id": "r1", "turn_ended_at": asked, "first_content_at": shown});
    let second = json!({"response_id": "r2", "first_content_at": called});
    assert_eq!(told, [first, second], "only the first answer is one to the user");
}

#[test]
fn a_spoken_turn_ends_when_the_user_stops_or_when_their_sound_is_committed() {
    let mut rig = Rig::open();
    rig.server(json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u"}));
    let stopped = rig.now;
    rig.wait(ms(20));
    rig.speaks("r1", "a");
    rig.done("r1");
    let audio = vec![0; 4800].into();
    rig.command(Command::Audio { audio, commit: true });
    let committed = rig.now;
    rig.wait(ms(20));
    rig.created("r2");
    rig.done("r2");
    let told: Vec<Value> = rig
        .kind("generation")
        .iter()
        .map(|span| span.metadata.as_ref().unwrap()["turn_ended_at"].clone())
        .collect();
    assert_eq!(told, [json!(stopped), json!(committed)]);
}

#[test]
fn what_the_user_said_is_told_as_soon_as_it_is_known() {
    let mut rig = Rig::open();
    for (response, known_in_time) in [("r1", true), ("r2", false)] {
        rig.user_audio(&format!("u_{response}"));
        rig.created(response);
        if known_in_time {
            rig.transcribed(&format!("u_{response}"), "good morning");
        }
        rig.done(response);
    }
    let told = rig.told("generation");
    assert_eq!(
        told[0]["input"],
        json!([{"role": "user", "content": "good morning"}])
    );
    assert_eq!(
        told[1]["input"],
        json!([{"role": "user", "content": [{"type": "input_audio"}]}])
    );
}

#[test]
fn what_was_deleted_before_the_answer_began_did_not_go_in() {
    let mut rig = Rig::open();
    rig.user("u1", "one");
    rig.user("u2", "two");
    rig.server(json!({"type": "conversation.item.deleted", "item_id": "u1"}));
    rig.created("r1");
    rig.done("r1");
    assert_eq!(
        rig.told("generation")[0]["input"],
        json!([{"role": "user", "content": "two"}])
    );
}

#[test]
fn what_waits_for_an_answer_is_bounded() {
    let mut rig = Rig::open();
    for number in 0..100 {
        rig.user(&format!("u{number}"), &"x".repeat(100_000));
    }
    rig.created("r1");
    rig.done("r1");
    let span = rig.only("generation");
    assert_eq!(span.metadata.as_ref().unwrap()["input_messages_left_out"], 36);
    let input = &rig.told("generation")[0]["input"];
    assert_eq!(input.as_array().unwrap().len(), 64);
    assert!(input.to_string().len() < 64 * 70_000);
}

#[test]
fn a_generation_that_did_not_end_well_tells_why() {
    let mut rig = Rig::open();
    let error = json!({"type": "requests", "code": "rate_limit_exceeded", "message": "Too many."});
    for (status, details) in [
        (
            "cancelled",
            json!({"type": "cancelled", "reason": "turn_detected"}),
        ),
        (
            "incomplete",
            json!({"type": "incomplete", "reason": "max_output_tokens"}),
        ),
        ("failed", json!({"type": "failed", "error": error})),
        ("failed", json!("unimplemented")),
    ] {
        rig.created(status);
        rig.done_with(status, json!({"status": status, "status_details": details}));
        rig.core.responses = Responses::default(); // so that the id can be used again
    }
    let errors: Vec<_> = rig
        .kind("generation")
        .iter()
        .map(|span| serde_json::to_value(&span.error).unwrap())
        .collect();
    assert_eq!(
        errors[0],
        json!({"message": "The response was cancelled: turn_detected",
            "data": {"status": "cancelled", "reason": "turn_detected"}})
    );
    assert_eq!(errors[1]["data"]["reason"], "max_output_tokens");
    assert_eq!(
        errors[2]["data"],
        json!({"status": "failed", "type": "requests", "code": "rate_limit_exceeded"})
    );
    assert!(errors[2]["message"].as_str().unwrap().contains("Too many."));
    assert_eq!(
        errors[3],
        json!({"message": "The response failed", "data": {"status": "failed"}})
    );
}

#[test]
fn an_answer_that_never_began_still_has_its_span() {
    let mut rig = Rig::open();
    rig.user("u", "hi");
    rig.done_with("r1", json!({"status": "failed"}));
    rig.done_with("r1", json!({"status": "failed"}));
    assert_eq!(
        rig.told("generation")[0]["input"],
        json!([{"role": "user", "content": "hi"}])
    );
    assert!(rig.only("generation").error.is_some());
}

#[test]
fn an_answer_known_only_by_its_items_begins_with_the_first() {
    let mut rig = Rig::open();
    let start = rig.now;
    rig.server(
        json!({"type": "response.output_item.added", "response_id": "r1", "item":
        {"id": "a", "type": "message", "role": "assistant", "status": "in_progress", "content": []}}),
    );
    rig.wait(ms(50));
    rig.done("r1");
    assert_eq!(rig.only("generation").started_at, start);
}

#[test]
fn the_words_of_a_cut_answer_are_those_that_were_kept() {
    let mut rig = Rig::open();
    rig.speaks("r1", "a");
    let output = json!([{"id": "a", "type": "message", "role": "assistant", "status": "incomplete",
        "content": [{"type": "output_audio", "transcript": null}]}]);
    rig.done_with("r1", json!({"status": "cancelled", "output": output}));
    let came_out = json!([{"role": "assistant", "content": "hello there"}]);
    assert_eq!(rig.told("generation")[0]["output"], came_out);
}

#[test]
fn an_answer_out_of_band_has_its_own_span_and_takes_nothing_from_the_conversation() {
    let mut rig = Rig::open();
    rig.user("u", "hi");
    rig.raw(json!({"type": "response.create", "response": {"conversation": "none"}}));
    rig.server(json!({"type": "response.created", "response": {"id": "side", "conversation_id": null}}));
    rig.created("r1");
    rig.server(json!({"type": "response.done", "response":
        {"id": "side", "status": "completed", "conversation_id": null, "output": said("b", "aside")}}));
    rig.done("r1");
    let told = rig.told("generation");
    assert_eq!(told[0]["input"], json!([]));
    assert_eq!(
        told[0]["output"],
        json!([{"role": "assistant", "content": "aside"}])
    );
    assert_eq!(told[1]["input"], json!([{"role": "user", "content": "hi"}]));
}

#[test]
fn p3_work_hangs_under_the_agent_in_charge_when_it_began() {
    let mut rig = Rig::open();
    rig.user_audio("u");
    rig.speaks("r1", "a");
    rig.call("r1", "c", "transfer_to_billing", "{}");
    rig.updated();
    rig.transcribed("u", "my bill please");
    rig.done("r1");
    rig.user_audio("u2");
    rig.speaks("r2", "b");
    rig.command(Command::Close);
    let (triage, billing) = (rig.span("Triage"), rig.span("Billing"));
    for kind in ["generation", "transcription", "speech"] {
        let parents: Vec<_> = rig.kind(kind).iter().map(|span| span.parent_id).collect();
        assert_eq!(parents, [Some(triage.id), Some(billing.id)], "{kind}");
        let spans = rig.kind(kind);
        assert!(spans[0].ended_at >= triage.ended_at && spans[0].started_at <= triage.ended_at.unwrap());
    }
}

#[test]
fn l2_what_is_open_when_the_session_ends_is_finished_once_with_an_error_that_says_so() {
    let ends: [fn(&mut Rig); 4] = [
        |rig| rig.command(Command::Close),
        |rig| rig.close(1006, ""),
        |rig| rig.input(Input::Aborted),
        |rig| {
            rig.error("session_expired", None);
            rig.wait_for_deadline();
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut rig = Rig::open();
        rig.user_audio("u");
        rig.speaks("r1", "a");
        end(&mut rig);
        rig.command(Command::Close);
        for kind in ["generation", "transcription", "speech"] {
            let span = rig.only(kind);
            let error = span.error.as_ref().expect(kind);
            assert!(
                error.message.contains("session ended before"),
                "{number}: {error:?}"
            );
            assert_eq!(span.ended_at, Some(rig.now), "{number}: {kind}");
        }
    }
}

#[test]
fn l2_spans_are_finished_once_when_the_session_is_dropped() {
    let mut rig = Rig::open();
    rig.user_audio("u");
    rig.speaks("r1", "a");
    let memory = Arc::clone(&rig.memory);
    drop(rig);
    let kinds: Vec<_> = memory.spans().iter().map(|span| span.data.kind()).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert!(memory.spans().iter().all(|span| span.ended_at.is_some()));
}

#[test]
fn n2_without_a_trace_nothing_is_kept_for_spans() {
    let mut rig = Rig::with(agents(), |options| options.scope = Context::none());
    rig.carry_out();
    rig.server(json!({"type": "session.created", "session": {"id": "sess_1"}}));
    rig.updated();
    rig.user_audio("u");
    rig.user("u2", "hi");
    rig.speaks("r1", "a");
    let kept = format!("{:?}{:?}", rig.core.generations, rig.core.transcriptions);
    assert_eq!(
        kept,
        format!("{:?}{:?}", Generations::default(), Transcriptions::default())
    );
    assert_eq!(rig.core.speeches.deadline(), None);
    rig.done("r1");
    rig.command(Command::Close);
    assert!(rig.memory.spans().is_empty());
}

#[test]
fn a_transcription_lasts_from_the_commit_to_the_words() {
    let mut rig = Rig::open();
    let start = rig.now;
    rig.user_audio("u");
    rig.wait(ms(300));
    rig.transcribed("u", "good morning");
    rig.transcribed("u", "good morning");
    rig.server(json!({"type": "input_audio_buffer.committed", "item_id": "u"}));
    rig.command(Command::Close);
    let span = rig.only("transcription");
    assert_eq!((span.started_at, span.duration()), (start, Some(ms(300))));
    assert_eq!(span.error, None);
    assert_eq!(span.metadata.as_ref().unwrap()["usage"]["type"], "duration");
    let expected = json!({"type": "transcription", "input": {"data": "", "format": "pcm"}, "output": "good morning",
        "model": "gpt-4o-mini-transcribe", "model_config": null});
    assert_eq!(rig.told("transcription"), [expected]);
}

#[test]
fn a_transcription_follows_the_servers_word_on_its_settings() {
    let mut rig = Rig::open();
    let input = |transcription: Value| json!({"type": "session.updated", "session": {"audio": {"input": {"transcription": transcription}}}});
    rig.server(input(Value::Null));
    rig.user_audio("u1");
    rig.server(input(
        json!({"model": "whisper-1", "language": "it", "prompt": null}),
    ));
    rig.user_audio("u2");
    rig.transcribed("u2", "buongiorno");
    rig.command(Command::Close);
    let told = &rig.told("transcription");
    assert_eq!(told.len(), 1, "none while transcription was off");
    assert_eq!(told[0]["model"], "whisper-1");
    assert_eq!(told[0]["model_config"], json!({"language": "it"}));
}

#[test]
fn a_failed_transcription_tells_why() {
    let mut rig = Rig::open();
    rig.user_audio("u");
    rig.server(
        json!({"type": "conversation.item.input_audio_transcription.failed", "item_id": "u", "error":
        {"type": "server_error", "code": "DeploymentNotFound", "message": "Input transcription failed."}}),
    );
    let error = serde_json::to_value(&rig.only("transcription").error).unwrap();
    let data = json!({"type": "server_error", "code": "DeploymentNotFound"});
    assert_eq!(
        error,
        json!({"message": "Input transcription failed.", "data": data})
    );
}

#[test]
fn a_transcription_told_piece_by_piece_is_one() {
    let mut rig = Rig::open();
    rig.user_audio("u");
    for (status, words) in [
        ("in_progress", "good"),
        ("in_progress", "good mor"),
        ("completed", "good morning"),
    ] {
        rig.server(
            json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": "u",
            "transcript": words, "status": status}),
        );
    }
    rig.only("transcription");
    assert_eq!(rig.told("transcription")[0]["output"], "good morning");
}

#[test]
fn speech_lasts_from_its_item_to_its_last_sound() {
    let mut rig = Rig::open();
    let start = rig.now;
    rig.speaks("r1", "a");
    let first_sound = rig.now;
    rig.wait(ms(40));
    rig.audio("r1", "a", 100);
    rig.sound_ends("r1", "a");
    rig.audio("r1", "a", 100); // a straggler
    rig.done_with(
        "r1",
        json!({"status": "completed", "audio": {"output": {"voice": "marin"}}}),
    );
    assert!(rig.kind("speech").is_empty(), "it is still heard");
    rig.wait_for_deadline();
    let span = rig.only("speech");
    assert_eq!((span.started_at, span.duration()), (start + ms(10), Some(ms(60))));
    assert_eq!(span.error, None);
    let expected = json!({"type": "speech", "input": "hello there", "output": {"data": "", "format": "pcm"},
        "model": "gpt-realtime", "model_config": null, "first_content_at": first_sound});
    assert_eq!(rig.told("speech"), [expected]);
    rig.audio("r1", "a", 100);
    rig.command(Command::Close);
    rig.only("speech");
}

#[test]
fn speech_tells_the_voice_of_its_answer() {
    let mut rig = Rig::open();
    rig.server(json!({"type": "response.created", "response":
        {"id": "r1", "conversation_id": "conv_1", "audio": {"output": {"voice": {"id": "voice_1"}}}}}));
    rig.audio("r1", "a", 100);
    rig.command(Command::Close);
    assert_eq!(
        rig.told("speech")[0]["model_config"],
        json!({"voice": {"id": "voice_1"}})
    );
}

#[test]
fn speech_cut_while_it_comes_ends_there_and_tells_how_much_was_heard() {
    let mut rig = Rig::open();
    rig.interrupts(true);
    rig.speaks("r1", "a");
    rig.wait(ms(400));
    rig.speech_started();
    let span = rig.only("speech");
    assert_eq!(span.ended_at, Some(rig.now));
    assert_eq!(span.error.as_ref().unwrap().data, Some(json!({"heard_ms": 400})));
    rig.audio("r1", "a", 100);
    rig.done_with("r1", json!({"status": "cancelled"}));
    rig.command(Command::Close);
    rig.only("speech");
}

#[test]
fn speech_cut_after_its_last_sound_has_come_tells_how_much_was_heard() {
    let mut rig = Rig::open();
    rig.speaks("r1", "a");
    rig.sound_ends("r1", "a");
    rig.done("r1");
    let sound_ended = rig.now;
    rig.wait(ms(999));
    rig.command(Command::Interrupt);
    let span = rig.only("speech");
    assert_eq!(span.ended_at, Some(sound_ended), "the work was done then");
    assert_eq!(span.error.as_ref().unwrap().data, Some(json!({"heard_ms": 999})));
}

#[test]
fn speech_of_which_the_end_is_never_told_ends_with_its_answer() {
    let mut rig = Rig::open();
    rig.speaks("r1", "a");
    rig.wait(ms(50));
    rig.done("r1");
    let answer_ended = rig.now;
    rig.wait_for_deadline();
    assert_eq!(rig.only("speech").ended_at, Some(answer_ended));
}

#[test]
fn written_answers_have_no_speech() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.server(
        json!({"type": "response.output_text.delta", "response_id": "r1", "item_id": "a", "delta": "hi"}),
    );
    rig.done("r1");
    rig.command(Command::Close);
    assert!(rig.kind("speech").is_empty());
}

#[test]
fn transcription_is_totalled_apart_from_the_answers() {
    let mut rig = Rig::open();
    rig.user_audio("u1");
    rig.transcribed("u1", "one");
    rig.server(json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": "u2",
        "transcript": "two", "usage": {"type": "tokens", "total_tokens": 42, "input_tokens": 30, "output_tokens": 12}}));
    rig.command(Command::Close);
    let end = serde_json::to_value(rig.events.last().unwrap()).unwrap();
    let expected = json!({"total_tokens": 42, "input_tokens": 30, "output_tokens": 12, "seconds": 3.0});
    assert_eq!(end["transcription_usage"], expected);
    assert_eq!(end["usage"]["total_tokens"], 0);
}
