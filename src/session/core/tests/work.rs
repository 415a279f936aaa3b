//! The spans of transcriptions and speech, and what holds for those of all work (span rules L2, N2, P3, and "Beyond the
//! reference").

use super::*;

impl Rig {
    /// The finished spans of that kind, in the order in which they ended.
    pub(super) fn kind(&self, kind: &str) -> Vec<Arc<SpanRecord>> {
        let mut spans = self.memory.spans();
        spans.retain(|span| span.data.kind() == kind);
        spans
    }

    pub(super) fn only(&self, kind: &str) -> Arc<SpanRecord> {
        let spans = self.kind(kind);
        assert_eq!(spans.len(), 1, "spans of kind {kind}");
        spans[0].clone()
    }

    /// The `span_data` of the finished spans of that kind.
    pub(super) fn told(&self, kind: &str) -> Vec<Value> {
        let data = |span: &Arc<SpanRecord>| serde_json::to_value(&span.data).unwrap();
        self.kind(kind).iter().map(data).collect()
    }

    /// The server has an item in the conversation.
    pub(super) fn item(&mut self, item: Value) {
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.server(json!({"type": kind, "item": item}));
        }
    }

    pub(super) fn user(&mut self, item: &str, text: &str) {
        self.item(
            json!({"id": item, "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_text", "text": text}]}),
        );
    }

    pub(super) fn user_audio(&mut self, item: &str) {
        self.server(json!({"type": "input_audio_buffer.committed", "item_id": item}));
        self.item(
            json!({"id": item, "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_audio", "transcript": null}]}),
        );
    }

    pub(super) fn transcribed(&mut self, item: &str, words: &str) {
        self.server(
            json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": item,
            "content_index": 0, "transcript": words, "usage": {"type": "duration", "seconds": 3}}),
        );
    }

    /// A spoken answer up to its first sound, 20 ms after its item and 30 ms after its own begin.
    pub(super) fn speaks(&mut self, response: &str, item: &str) {
        self.created(response);
        self.wait(ms(10));
        let message = json!({"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []});
        self.server(json!({"type": "response.output_item.added", "response_id": response, "item": message}));
        self.server(json!({"type": "conversation.item.added", "item": message}));
        self.wait(ms(20));
        self.transcript(response, item, "hello there");
        self.audio(response, item, 1_000);
    }

    pub(super) fn sound_ends(&mut self, response: &str, item: &str) {
        self.server(
            json!({"type": "response.output_audio.done", "response_id": response, "item_id": item,
            "content_index": 0}),
        );
    }
}

pub(super) fn said(item: &str, text: &str) -> Value {
    json!([{"id": item, "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text}]}])
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
