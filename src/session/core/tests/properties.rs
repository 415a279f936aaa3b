//! What holds in any order of things: a server that keeps to the protocol but takes its time and has moods, and one
//! whose frames are doubled, dropped, swapped and cut.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::session::{Decision, LatencySummary};
use crate::tool::{ManagedGuardrail, ManagedTool};

/// The usual agents, of which one has a tool whose calls must be approved.
fn agents_that_ask() -> Agents {
    let guardrail =
        |name: &str| FunctionGuardrail::new(name, |_| async { unreachable!("the world answers") });
    let early = ManagedGuardrail::new(Arc::new(guardrail("early"))).before_approval();
    let agents = agents();
    let delete = FunctionTool::new("delete", "", json!({"type": "object"}), |_| async {
        Ok(ToolOutput::from("unused"))
    });
    let triage = agents.get("Triage").unwrap().clone();
    let delete = ManagedTool::new(Arc::new(delete.approval(true)))
        .input_guardrail(early)
        .input_guardrail(guardrail("late"))
        .output_guardrail(guardrail("after"));
    agents.with(triage.tool(delete))
}

/// A Realtime server without I/O. Frames both ways wait until the test lets them through.
#[derive(Default)]
struct Server {
    /// What it has said and the client has not heard.
    said: VecDeque<Value>,
    /// The running answer, and what of it is still to come.
    running: Option<Running>,
    /// Whether it begins answers by itself. Then a request of the client may come at the wrong moment, as neither
    /// side knows what the other is about to do.
    begins_by_itself: bool,
    answers: usize,
    calls: usize,
}

struct Running {
    id: String,
    rest: VecDeque<Value>,
}

impl Server {
    /// Takes one frame of the client. `mood` decides what is left open.
    fn hear(&mut self, frame: &Value, mood: u8) {
        let text = |key: &str| frame[key].as_str().unwrap_or_default();
        match text("type") {
            "session.update" if mood.is_multiple_of(8) => self.refuse(frame, "unknown_parameter"),
            "session.update" => self.say(json!({"type": "session.updated", "session": {"id": "sess_1"}})),
            "conversation.item.create" => {
                let mut item = frame["item"].clone();
                item["id"] = format!("item_{}", frame["event_id"]).into();
                self.say(json!({"type": "conversation.item.added", "item": item}));
                self.say(json!({"type": "conversation.item.done", "item": item}));
            }
            "response.create" => match &self.running {
                Some(_) => {
                    assert!(self.begins_by_itself, "a second answer was asked for: {frame}");
                    self.refuse(frame, "conversation_already_has_active_response");
                }
                None if mood.is_multiple_of(8) => self.refuse(frame, "server_error"),
                None => self.begin(mood),
            },
            "response.cancel" => match self.running.take() {
                Some(running) if frame["response_id"].is_null() || text("response_id") == running.id => {
                    self.end(&running.id, "cancelled");
                }
                other => {
                    self.running = other;
                    self.refuse(frame, "response_cancel_not_active");
                }
            },
            "conversation.item.truncate" => {
                self.say(json!({"type": "conversation.item.truncated", "item_id": frame["item_id"]}));
            }
            _ => {}
        }
    }

    fn say(&mut self, event: Value) {
        self.said.push_back(event);
    }

    fn refuse(&mut self, frame: &Value, code: &str) {
        self.say(json!({"type": "error", "error":
            {"type": "invalid_request_error", "code": code, "message": "no", "event_id": frame["event_id"]}}));
    }

    fn begin(&mut self, mood: u8) {
        self.answers += 1;
        let id = format!("r{}", self.answers);
        let mut rest = VecDeque::new();
        let item = format!("a{}", self.answers);
        rest.push_back(json!({"type": "conversation.item.added", "item":
            {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}}));
        if mood & 1 != 0 {
            let delta = base64_simd::STANDARD.encode_to_string(vec![0; 4_801]);
            rest.push_back(json!({"type": "response.output_audio.delta", "response_id": id, "item_id": item, "delta": delta}));
        }
        rest.push_back(json!({"type": "response.output_audio_transcript.delta", "response_id": id, "item_id": item, "delta": "hi"}));
        for name in ["weather", "delete", "time", "transfer_to_billing", "fly"]
            .iter()
            .take(usize::from(mood >> 4) % 6)
        {
            self.calls += 1;
            let call = format!("call_{}", self.calls);
            rest.push_back(json!({"type": "response.output_item.done", "response_id": id, "item": call_item(&call, name, "{}")}));
        }
        self.say(json!({"type": "response.created", "response": {"id": id, "conversation_id": "conv_1"}}));
        self.running = Some(Running { id, rest });
    }

    /// Goes on with the running answer.
    fn go_on(&mut self, mood: u8) {
        let Some(running) = &mut self.running else { return };
        if let Some(event) = running.rest.pop_front() {
            return self.say(event);
        }
        let id = running.id.clone();
        self.running = None;
        self.end(
            &id,
            ["completed", "incomplete", "failed", "completed"][usize::from(mood % 4)],
        );
    }

    fn end(&mut self, id: &str, status: &str) {
        self.say(
            json!({"type": "response.done", "response": {"id": id, "conversation_id": "conv_1",
            "status": status, "usage": {"total_tokens": 1}}}),
        );
    }
}

/// Both sides, and what has not reached the server.
struct World {
    rig: Rig,
    server: Server,
    unheard: VecDeque<Value>,
    /// Whether frames of the server are doubled, dropped, swapped and cut.
    mangle: bool,
    /// Whether the server has said something that can settle the last request for an answer.
    is_settled: bool,
}

impl World {
    fn new(mangle: bool, begins_by_itself: bool, in_line_tools: bool) -> Self {
        let guardrail = FunctionGuardrail::new("polite", |_| async { unreachable!("the world answers") });
        let mut agents = agents_that_ask().output_guardrail(guardrail);
        agents.guardrail_debounce = Debounce::Characters(1);
        let agents = if in_line_tools { in_line(agents) } else { agents };
        Self {
            rig: Rig::open_with(agents),
            server: Server {
                begins_by_itself,
                ..Server::default()
            },
            unheard: VecDeque::new(),
            mangle,
            is_settled: true,
        }
    }

    fn step(&mut self, (kind, mood): (u8, u8)) {
        match kind % 16 {
            0 => self.rig.say("hello"),
            1 => self.rig.command(Command::Interrupt),
            2 => self
                .rig
                .switch_to(["Billing", "Triage", "Nobody"][usize::from(mood % 3)]),
            3 | 4 => self.server_hears(mood),
            5 | 6 => self.server.go_on(mood),
            7 if self.server.running.is_none() && self.server.begins_by_itself => self.server.begin(mood),
            7 => self
                .server
                .say(json!({"type": "input_audio_buffer.speech_started", "item_id": "u"})),
            8 | 9 => self.client_hears(mood),
            10 => self.a_tool_ends(mood),
            11 => self.a_person_decides(mood),
            12 => self.a_check_ends(mood),
            13 => self.user_speaks(mood),
            14 => {
                let item = format!("a{}", self.server.answers);
                self.rig.played(&item, u64::from(mood) * 50);
            }
            _ => {
                self.rig.wait(ms(u64::from(mood) * 10));
                self.rig.input(Input::Time);
            }
        }
        for frame in self.rig.sent.drain(..) {
            if frame["type"] == "response.create" {
                assert!(
                    std::mem::take(&mut self.is_settled),
                    "two requests for an answer at once: {frame}"
                );
            }
            self.unheard.push_back(frame);
        }
    }

    /// A little sound, of which the server tells the end, or which is committed.
    fn user_speaks(&mut self, mood: u8) {
        let (audio, commit) = (vec![0; usize::from(mood) * 20].into(), mood.is_multiple_of(2));
        self.rig.command(Command::Audio { audio, commit });
        if !commit {
            let end = u64::from(mood) / 4;
            self.server.say(
                json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": end}),
            );
        }
    }

    fn server_hears(&mut self, mood: u8) {
        if let Some(frame) = self.unheard.pop_front() {
            self.server.hear(&frame, mood);
        }
    }

    fn client_hears(&mut self, mood: u8) {
        if self.rig.core.is_blocked() {
            return;
        }
        let Some(event) = self.server.said.pop_front() else {
            return;
        };
        let frame = event.to_string();
        let settling = ["response.created", "response.done", "error"];
        self.is_settled |= settling.iter().any(|kind| event["type"] == *kind);
        match mood % 5 {
            _ if !self.mangle => self.rig.frame(&frame),
            0 => {}
            1 => {
                self.rig.frame(&frame);
                self.rig.frame(&frame);
            }
            2 => {
                let later = usize::from(mood / 5).min(self.server.said.len());
                self.server.said.insert(later, event);
            }
            3 => {
                let cut = usize::from(mood) * frame.len() / 256;
                self.rig.frame(&frame[..cut]); // ASCII
            }
            _ => self.rig.frame(&frame),
        }
    }

    fn a_tool_ends(&mut self, mood: u8) {
        if self.rig.runs.is_empty() {
            return;
        }
        let run = self.rig.runs.swap_remove(usize::from(mood) % self.rig.runs.len());
        match mood % 2 {
            0 => self.rig.tool_done(&run.call.call_id, "fine"),
            _ => self.rig.tool_failed(&run.call.call_id, "not fine"),
        }
    }

    fn a_check_ends(&mut self, mood: u8) {
        if self.rig.checks.is_empty() {
            return;
        }
        let place = usize::from(mood) % self.rig.checks.len();
        let id = self.rig.checks.swap_remove(place).id;
        let result = match mood % 8 {
            0 if self.mangle => Ok(Verdict::Stop(None)),
            1 | 2 => Ok(Verdict::Reject(None)),
            3 => Err(GuardrailError::new("it can't tell")),
            _ => Ok(Verdict::Pass),
        };
        self.rig.input(Input::GuardrailDone { id, result });
    }

    fn a_person_decides(&mut self, mood: u8) {
        let waiting = self.rig.core.calls.approvals.waiting_ids();
        let (call_id, waits) = match waiting.get(usize::from(mood) % (waiting.len() + 1)) {
            Some(call_id) => (call_id.clone(), true),
            None => ("call_x".to_owned(), false),
        };
        let decision = match mood % 8 {
            0 | 1 => Decision::reject(),
            2 => Decision::reject().message("no").always(),
            3 => Decision::approve().always(),
            _ => Decision::approve(),
        };
        let ticket = 8;
        self.rig.command(Command::Decide {
            call_id,
            decision,
            ticket,
        });
        let reply = self.rig.replies.pop();
        let is_told = matches!(reply, Some((8, result)) if result.is_ok() == waits);
        assert!(is_told || self.rig.ended); // by a guardrail
    }

    /// Lets everything under way come to its end.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let is_quiet = self.unheard.is_empty() && self.server.said.is_empty();
            let is_idle = self.rig.runs.is_empty() && self.rig.checks.is_empty();
            let is_decided = self.rig.core.calls.approvals.waiting() == 0;
            if is_quiet && is_idle && is_decided && self.server.running.is_none() {
                return;
            }
            for kind in [3, 5, 8, 10, 11, 12] {
                self.step((kind, 4)); // no call, no refusal, an intact frame
            }
            self.step((11, 0)); // the first that waits, if any
        }
        panic!("it never comes to rest");
    }

    fn close(mut self) {
        self.rig.command(Command::Close);
        self.check_latencies();
        let ended = self.rig.memory.spans();
        let mut ids: Vec<_> = ended.iter().map(|span| span.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ended.len(), "a span has ended twice");
        let started = self.rig.started.load(Ordering::Relaxed);
        assert_eq!(started, ended.len(), "a span has not ended");
    }
}

impl World {
    /// Each turn is told of once, with something in it, in an order that can be; and the sum is that of all of them.
    fn check_latencies(&self) {
        let mut sum = LatencySummary::default();
        for event in &self.rig.events {
            match event {
                SessionEvent::Latency(told) => {
                    assert!(told.first_word.is_some() || told.first_audio.is_some());
                    assert!(
                        told.first_played
                            .is_none_or(|played| Some(played.after) >= told.first_audio)
                    );
                    assert!(told.first_played.is_none() || told.first_audio.is_some());
                    sum.add(told);
                }
                SessionEvent::SessionEnd { latency, .. } => assert_eq!(**latency, sum),
                _ => {}
            }
        }
        let turns = self.rig.events.iter().filter_map(|event| match event {
            SessionEvent::Latency(told) => Some(told.turn),
            _ => None,
        });
        assert!(turns.is_sorted_by(|one, next| one < next));
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec(any::<(u8, u8)>(), 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// No second answer is asked for while one is running or asked for, which the server checks; every turn ends, and
    /// every span.
    #[test]
    fn with_a_sound_server_every_turn_and_span_ends(steps in steps(), by_itself in any::<bool>(), in_line in any::<bool>()) {
        let mut world = World::new(false, by_itself, in_line);
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
        let core = &world.rig.core;
        prop_assert!(!core.sequencer.is_busy(), "{:?}", core.sequencer);
        prop_assert!(!core.calls.are_open() && !core.charge.is_changing() && !core.watch.is_waited_for());
        let turn = world.rig.events.iter().rev().find_map(|event| match event {
            SessionEvent::TurnEnd { .. } => Some(true),
            SessionEvent::AgentStart { .. }
            | SessionEvent::ToolStart { .. }
            | SessionEvent::ToolApprovalRequired { .. } => Some(false),
            _ => None,
        });
        prop_assert_ne!(turn, Some(false), "the last turn has not ended");
        world.close();
    }

    /// Nothing panics, and every span ends once, whatever becomes of the frames.
    #[test]
    fn with_mangled_frames_every_span_ends(steps in steps(), in_line in any::<bool>()) {
        let mut world = World::new(true, true, in_line);
        steps.into_iter().for_each(|step| world.step(step));
        world.close();
    }

    /// Frames that are no events at all.
    #[test]
    fn any_text_is_taken(frames in prop::collection::vec(".{0,80}", 0..20)) {
        let mut rig = Rig::open();
        frames.iter().for_each(|frame| rig.frame(frame));
        rig.say("still there?");
        prop_assert_eq!(rig.creates(), 1);
    }

    /// Known events with any values in their fields.
    #[test]
    fn any_fields_are_taken(events in prop::collection::vec(odd_event(), 0..12)) {
        let mut rig = Rig::open();
        for event in events {
            rig.server(event);
            rig.wait(ms(7));
        }
        rig.command(Command::Interrupt);
        rig.command(Command::Close);
        prop_assert!(rig.ended);
    }
}

/// An event of a known type, of which each field may be missing, null, odd or right.
fn odd_event() -> impl Strategy<Value = Value> {
    let kinds = [
        "session.created",
        "session.updated",
        "error",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "conversation.item.deleted",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.timeout_triggered",
        "response.created",
        "response.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_text.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_text.done",
        "response.output_audio_transcript.done",
    ];
    let item = (0..4_u8, odd_value(), odd_value(), odd_value()).prop_map(|(kind, id, status, content)| {
        let kind = ["message", "function_call", "function_call_output", "mcp_call"][usize::from(kind)];
        json!({"type": kind, "id": id, "status": status, "role": "assistant", "content": content, "name": "weather",
            "call_id": id, "arguments": status, "output": content})
    });
    let fields = prop::collection::vec(odd_value(), 7);
    (prop::sample::select(kinds.to_vec()), fields, item).prop_map(|(kind, fields, item)| {
        let [response_id, item_id, index, delta, status, usage, previous] = &fields[..] else {
            unreachable!("seven fields")
        };
        json!({"type": kind, "response_id": response_id, "item_id": item_id, "content_index": index, "delta": delta,
            "transcript": delta, "text": delta, "item": item, "previous_item_id": previous, "status": status,
            "audio_start_ms": index, "audio_end_ms": index, "usage": usage, "error": status, "session": {"id": item_id, "model": usage,
                "audio": {"input": {"turn_detection": {"silence_duration_ms": index}},
                    "output": {"format": {"type": "audio/pcm", "rate": index}}}},
            "response": {"id": response_id, "status": status, "status_details": usage, "output": [item, delta],
                "usage": usage, "conversation_id": previous}})
    })
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => prop::sample::select(&["a", "b", "r1", "AAAA", "AAA", "completed", "incomplete"][..]).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => ".{0,12}".prop_map(Value::from),
        1 => Just(json!({"total_tokens": u64::MAX, "input_tokens": -1, "type": "duration", "message": ["odd"]})),
        1 => Just(json!([{"type": "output_audio", "transcript": 7}, {"type": "input_audio"}, {"type": "input_image"}, 5])),
    ]
}
