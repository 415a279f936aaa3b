//! The session's rules, each in an order and at times that the test chooses: no socket, no runtime, no clock.

mod approval;
mod call_guardrails;
mod doings;
mod ending;
mod entry;
mod generations;
mod guardrails;
mod handoff;
mod history;
mod interruption;
mod latency;
mod properties;
mod sequencing;
mod tools;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::*;
use crate::agent::{Agent, Agents, ResolveError, ResolvedAgent};
use crate::context::RunContext;
use crate::session::played::Played;
use crate::session::{EndReason, SessionError};
use crate::tool::{
    Debounce, FunctionGuardrail, FunctionTool, GuardrailError, McpServers, Subject, ToolError, ToolOutput,
    Verdict,
};
use crate::trace::{
    Context, MemoryProcessor, ShutdownReport, SpanData, SpanProcessor, SpanRecord, Trace, TraceRecord, Tracer,
};
use crate::transport::{CloseReason, ConnectError};

/// A core, the hands that carry out what it wants, and all that came out of it.
struct Rig {
    core: Core,
    agents: Arc<Agents>,
    now: Timestamp,
    trace: Trace,
    memory: Arc<MemoryProcessor>,
    /// How many spans have started.
    started: Arc<AtomicUsize>,
    /// Frames for the server that the test has not looked at.
    sent: Vec<Value>,
    /// Events for the application that the test has not looked at.
    events: Vec<SessionEvent>,
    runs: Vec<ToolRun>,
    checks: Vec<GuardrailRun>,
    replies: Vec<(u64, Result<(), SessionError>)>,
    opened: bool,
    failed: Option<SessionError>,
    ended: bool,
}

struct CountStarts(Arc<AtomicUsize>);

impl SpanProcessor for CountStarts {
    fn on_trace_start(&self, _trace: &Arc<TraceRecord>) {}

    fn on_span_start(&self, _span: &SpanRecord) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn on_span_end(&self, _span: Arc<SpanRecord>) {}

    fn flush(&self, _limit: Duration) -> bool {
        true
    }

    fn shutdown(&self, _limit: Duration) -> ShutdownReport {
        unreachable!("no test shuts it down")
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Agents with all that the rules need: two tools, and a handoff both ways.
fn agents() -> Agents {
    let tool = |name: &str| {
        FunctionTool::new(name, "", json!({"type": "object"}), |_| async {
            Ok(ToolOutput::from("unused"))
        })
    };
    let triage = Agent::new("Triage")
        .tool(tool("weather"))
        .tool(tool("time"))
        .handoff("Billing");
    Agents::new(triage).with(Agent::new("Billing").tool(tool("invoice")).handoff("Triage"))
}

fn in_line(mut agents: Agents) -> Agents {
    agents.settings.async_tool_calls = false;
    agents
}

impl Rig {
    /// A session of which nothing has happened yet.
    fn new(agents: Agents) -> Self {
        Self::with(agents, |_| {})
    }

    fn with(agents: Agents, change: impl FnOnce(&mut CoreOptions)) -> Self {
        let (memory, started) = (Arc::new(MemoryProcessor::default()), Arc::default());
        let tracer = Tracer::builder()
            .processor(Arc::clone(&memory))
            .processor(CountStarts(Arc::clone(&started)))
            .build();
        let trace = tracer.trace("test").start();
        let now = Timestamp::from_micros(1_000_000_000);
        let mut options = CoreOptions {
            agent: agents.start().to_owned(),
            context: RunContext::new(agents.context.clone()),
            model: "gpt-realtime".to_owned(),
            scope: trace.context(),
            server_tracing: true,
            joins_a_call: false,
            open_limit: 30 * SECOND,
            slowest_server: Duration::ZERO,
        };
        change(&mut options);
        Self {
            core: Core::new(now, options),
            agents: Arc::new(agents),
            now,
            trace,
            memory,
            started,
            sent: Vec::new(),
            events: Vec::new(),
            runs: Vec::new(),
            checks: Vec::new(),
            replies: Vec::new(),
            opened: false,
            failed: None,
            ended: false,
        }
    }

    /// A session that can be used; what was sent and told until then is forgotten.
    fn open() -> Self {
        Self::open_with(agents())
    }

    fn open_with(agents: Agents) -> Self {
        let mut rig = Self::new(agents);
        rig.carry_out();
        rig.server(json!({"type": "session.created", "session": {"id": "sess_1", "model": "gpt-realtime"}}));
        rig.updated();
        assert!(rig.opened);
        rig.sent.clear();
        rig.events.clear();
        rig
    }

    fn input(&mut self, input: Input<'_>) {
        self.core.handle(self.now, input);
        self.carry_out();
    }

    fn resolve(&self, agent: &str) -> Result<ResolvedAgent, ResolveError> {
        let servers = McpServers::new();
        let resolved = self.agents.resolve(agent, &self.agents.context, &servers);
        resolved.now_or_never().unwrap()
    }

    /// Does what the core wants: agents resolve at once, connections come about.
    fn carry_out(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Resolve { agent, .. } => {
                    let resolved = self.resolve(&agent);
                    self.core
                        .handle(self.now, Input::Resolved(resolved.map(Arc::new)));
                }
                Output::Connect { .. } => self.core.handle(self.now, Input::Connected(Ok(()))),
                Output::Send(event_id, event) => {
                    let frame = event.to_frame(&event_id).unwrap();
                    self.sent.push(serde_json::from_str(&frame).unwrap());
                }
                Output::Emit(event) => self.events.push(event),
                Output::RunTool(run) => self.runs.push(*run),
                Output::RunGuardrail(run) => self.checks.push(*run),
                Output::Reply { ticket, result } => self.replies.push((ticket, result)),
                Output::Opened => self.opened = true,
                Output::Failed(error) => self.failed = Some(error),
                Output::Ended => self.ended = true,
            }
        }
    }

    fn server(&mut self, event: Value) {
        self.frame(&event.to_string());
    }

    fn frame(&mut self, frame: &str) {
        self.input(ServerEvent::parse(frame).map_or_else(Input::Unreadable, Input::Server));
    }

    fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    /// The application has played so many bytes of an item.
    fn played(&mut self, item: &str, bytes: u64) {
        self.command(Command::Played(Played {
            item_id: item.into(),
            content_index: 0,
            bytes,
        }));
    }

    fn say(&mut self, text: &str) {
        self.command(Command::Message(vec![Part::InputText { text: text.into() }]));
    }

    fn raw(&mut self, event: Value) {
        let Value::Object(event) = event else {
            panic!("not an object")
        };
        self.command(Command::Raw(event));
    }

    fn switch_to(&mut self, agent: &str) {
        self.command(Command::UpdateAgent {
            agent: agent.into(),
            ticket: 7,
        });
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// Lets time pass until the core wants to be asked.
    fn wait_for_deadline(&mut self) {
        self.now = self.core.deadline().expect("a deadline");
        self.input(Input::Time);
    }

    fn close(&mut self, code: u16, reason: &str) {
        let reason = reason.to_owned();
        self.input(Input::Closed(CloseReason { code, reason }));
    }

    /// The server takes the settings sent last.
    fn updated(&mut self) {
        self.server(json!({"type": "session.updated", "session": {"id": "sess_1"}}));
    }

    fn interrupts(&mut self, yes: bool) {
        let turn_detection = json!({"type": "server_vad", "interrupt_response": yes});
        self.server(json!({"type": "session.updated", "session":
            {"audio": {"input": {"turn_detection": turn_detection}}}}));
    }

    fn error(&mut self, code: &str, event_id: Option<&str>) {
        self.server(json!({"type": "error", "error":
            {"type": "invalid_request_error", "code": code, "message": format!("it said {code}"), "event_id": event_id}}));
    }

    fn created(&mut self, response: &str) {
        self.server(json!({"type": "response.created", "response":
            {"id": response, "status": "in_progress", "conversation_id": "conv_1", "output": []}}));
    }

    fn done(&mut self, response: &str) {
        self.done_with(response, json!({"status": "completed"}));
    }

    fn done_with(&mut self, response: &str, mut fields: Value) {
        fields["id"] = response.into();
        fields["conversation_id"] = "conv_1".into();
        self.server(json!({"type": "response.done", "response": fields}));
    }

    fn message_added(&mut self, item: &str, previous: Option<&str>, role: &str) {
        self.server(
            json!({"type": "conversation.item.added", "previous_item_id": previous, "item":
            {"id": item, "type": "message", "role": role, "status": "in_progress", "content": []}}),
        );
    }

    /// Sound of so many milliseconds.
    fn audio(&mut self, response: &str, item: &str, millis: usize) {
        let delta = base64_simd::STANDARD.encode_to_string(vec![0; millis * 48]);
        self.server(
            json!({"type": "response.output_audio.delta", "response_id": response, "item_id": item,
            "output_index": 0, "content_index": 0, "delta": delta}),
        );
    }

    fn transcript(&mut self, response: &str, item: &str, delta: &str) {
        self.server(
            json!({"type": "response.output_audio_transcript.delta", "response_id": response,
            "item_id": item, "output_index": 0, "content_index": 0, "delta": delta}),
        );
    }

    fn speech_started(&mut self) {
        self.server(
            json!({"type": "input_audio_buffer.speech_started", "item_id": "item_u", "audio_start_ms": 1}),
        );
    }

    /// The model has called a function.
    fn call(&mut self, response: &str, call_id: &str, name: &str, arguments: &str) {
        self.server(
            json!({"type": "response.output_item.done", "response_id": response, "output_index": 0,
            "item": call_item(call_id, name, arguments)}),
        );
    }

    fn tool_done(&mut self, call_id: &str, output: &str) {
        let (call_id, result) = (call_id.to_owned(), Ok(ToolOutput::from(output)));
        self.input(Input::ToolDone { call_id, result });
    }

    fn tool_failed(&mut self, call_id: &str, error: &str) {
        let (call_id, result) = (call_id.to_owned(), Err(ToolError::new(error)));
        self.input(Input::ToolDone { call_id, result });
    }

    /// What the guardrail that was asked first, of those not answered yet, says.
    fn judge(&mut self, verdict: Verdict) {
        self.judged(Ok(verdict));
    }

    fn judged(&mut self, result: Result<Verdict, GuardrailError>) {
        let id = self.checks.remove(0).id;
        self.input(Input::GuardrailDone { id, result });
    }

    /// The guardrails that were asked and have not answered yet.
    fn looking(&self) -> Vec<&str> {
        self.checks.iter().map(|run| run.guardrail.name()).collect()
    }

    /// The types of what was sent since the test last looked.
    fn sent(&mut self) -> Vec<String> {
        let kind = |frame: Value| frame["type"].as_str().unwrap().to_owned();
        self.sent.drain(..).map(kind).collect()
    }

    /// How many answers were asked for since the test last looked.
    fn creates(&mut self) -> usize {
        let sent = self.sent();
        sent.iter().filter(|kind| *kind == "response.create").count()
    }

    /// What was sent of one type, the rest forgotten.
    fn sent_of(&mut self, kind: &str) -> Vec<Value> {
        self.sent
            .drain(..)
            .filter(|frame| frame["type"] == kind)
            .collect()
    }

    /// The codes of the errors told since the test last looked; other events are forgotten.
    fn errors(&mut self) -> Vec<String> {
        let code = |event| match event {
            SessionEvent::Error { error } => Some(error.code().to_owned()),
            _ => None,
        };
        self.events.drain(..).filter_map(code).collect()
    }

    /// How the turns ended that did since the test last looked; other events are forgotten.
    fn turns(&mut self) -> Vec<ResponseStatus> {
        let status = |event| match event {
            SessionEvent::TurnEnd { status, .. } => Some(status),
            _ => None,
        };
        self.events.drain(..).filter_map(status).collect()
    }

    fn end_reason(&mut self) -> EndReason {
        let Some(SessionEvent::SessionEnd { reason, .. }) = self.events.pop() else {
            panic!("no end")
        };
        reason
    }

    fn history(&self) -> Vec<HistoryItem> {
        self.core.history().cloned().collect()
    }

    /// The words of the conversation, item by item.
    fn words(&self) -> Vec<String> {
        self.core.history().map(HistoryItem::text).collect()
    }

    /// The finished spans of that name.
    fn spans(&self, name: &str) -> Vec<Arc<SpanRecord>> {
        let mut spans = self.memory.spans();
        spans.retain(|span| span.data.label() == name);
        spans
    }

    fn span(&self, name: &str) -> Arc<SpanRecord> {
        let spans = self.spans(name);
        assert_eq!(spans.len(), 1, "spans named {name}");
        spans[0].clone()
    }
}

fn call_item(call_id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": format!("item_{call_id}"), "type": "function_call", "status": "completed",
        "name": name, "call_id": call_id, "arguments": arguments})
}
