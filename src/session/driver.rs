//! The task around the core: it owns the socket, the tools' tasks and the channels, and decides nothing.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::command::Command;
use super::core::{CheckId, Core, GuardrailRun, Input, Output, ToolRun};
use super::handle::{Reply, Request};
use super::played::PlayedReports;
use super::tasks::Tasks;
use super::{SessionError, SessionEvent};
use crate::agent::{Agents, ResolveError, ResolvedAgent};
use crate::context::RunContext;
use crate::protocol::{ClientEvent, ServerEvent};
use crate::scrub::Scrub;
use crate::tool::{GuardrailError, McpServers, ToolError, ToolOutput, Verdict, look};
use crate::trace::{Context, Timestamp};
use crate::transport::{CloseReason, ConnectError, Connection, Endpoint, Incoming, Recorder};

/// Frames handled before the other sources get a look.
const BURST: usize = 64;
/// Frames that may wait for a tool that runs in line; more stay with the server.
const MAX_BACKLOG: usize = 1024;
/// Events that may wait for room in the application's queue while requests are still taken.
const MAX_UNDELIVERED: usize = 4096;
/// What is said of a task that panicked.
const BROKEN_OFF: &str = "it broke off in the middle of its work";
/// How long tools and guardrails that are cut off may take to stop.
const TOOLS_LIMIT: Duration = Duration::from_secs(2);

/// The driver's ends of all channels.
pub(super) struct Channels {
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) played: Arc<PlayedReports>,
    pub(super) events: mpsc::Sender<SessionEvent>,
    pub(super) opened: oneshot::Sender<Result<(), SessionError>>,
    /// Told when the application closes the session or drops it.
    pub(super) closing: Arc<Notify>,
    pub(super) over: watch::Sender<bool>,
}

/// Who is told of what goes over the wire.
#[derive(Debug, Default)]
pub(super) struct WireWatchers {
    /// The application.
    pub(super) raw_events: bool,
    /// A file.
    pub(super) recorder: Option<Recorder>,
}

type Work<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;
type ToolResult = Result<ToolOutput, ToolError>;
type Judgement = Result<Verdict, GuardrailError>;

pub(super) struct Driver {
    core: Core,
    /// When the driver woke: frames that lay ready together came at the same time.
    now: Timestamp,
    agents: Arc<Agents>,
    /// What the run knows, as the core and its tools know it.
    context: RunContext,
    /// Whether the starting agent has been resolved: what is overridden for the run holds only for that.
    entered: bool,
    /// The MCP servers that agents have needed so far; ended with the session.
    servers: Arc<McpServers>,
    endpoint: Arc<Endpoint>,
    /// Takes the endpoint's credentials out of what the server says.
    scrub: Scrub,
    raw_events: bool,
    recorder: Option<Recorder>,
    requests: mpsc::Receiver<Request>,
    /// What the application has played; looked at before anything else is handled.
    played: Arc<PlayedReports>,
    events: mpsc::Sender<SessionEvent>,
    /// Taken when the session is open or has failed to open.
    opened: Option<oneshot::Sender<Result<(), SessionError>>>,
    closing: Arc<Notify>,
    /// Set at the very end; dropping it unset counts as well.
    over: watch::Sender<bool>,
    /// The agent being resolved.
    resolving: Work<Result<Arc<ResolvedAgent>, ResolveError>>,
    /// The connection being opened.
    connecting: Work<Result<Box<Connection>, ConnectError>>,
    /// Boxed, as are the two above: what wakes the driver is passed about, and these are large.
    connection: Option<Box<Connection>>,
    /// By the calls that they serve.
    tools: Tasks<String, ToolResult>,
    /// By the checks that they make.
    guardrails: Tasks<CheckId, Judgement>,
    /// Who waits to hear what became of a wish.
    replies: HashMap<u64, Reply>,
    next_ticket: u64,
    /// Events for which the application's queue has no room yet. While there are any, nothing more is read from the
    /// server: it is made to wait, and nothing is lost.
    undelivered: VecDeque<SessionEvent>,
    /// Frames that wait for a tool that runs in line.
    backlog: VecDeque<Utf8Bytes>,
    ended: bool,
}

/// What woke the driver.
enum Wake {
    Incoming(Incoming),
    Request(Option<Request>),
    Resolved(Result<Arc<ResolvedAgent>, ResolveError>),
    Connected(Result<Box<Connection>, ConnectError>),
    Tool(String, Option<ToolResult>),
    Guardrail(CheckId, Option<Judgement>),
    Delivered,
    /// The application has reported what it played.
    Played,
    Closing,
    Deadline,
}

impl Driver {
    pub(super) fn new(
        core: Core,
        agents: Arc<Agents>,
        endpoint: Endpoint,
        WireWatchers { raw_events, recorder }: WireWatchers,
        context: RunContext,
        channels: Channels,
    ) -> Self {
        Self {
            core,
            now: Timestamp::now(),
            context,
            entered: false,
            agents,
            servers: Arc::default(),
            scrub: endpoint.scrubber(),
            endpoint: Arc::new(endpoint),
            raw_events,
            recorder,
            requests: channels.requests,
            played: channels.played,
            events: channels.events,
            opened: Some(channels.opened),
            closing: channels.closing,
            over: channels.over,
            resolving: None,
            connecting: None,
            connection: None,
            tools: Tasks::new(),
            guardrails: Tasks::new(),
            replies: HashMap::new(),
            next_ticket: 0,
            undelivered: VecDeque::new(),
            backlog: VecDeque::new(),
            ended: false,
        }
    }

    pub(super) async fn run(mut self) {
        self.carry_out();
        while !self.ended {
            let wake = self.wait().await;
            self.on_wake(wake);
            self.carry_out();
        }
        let (events, last_events) = self.wind_up().await;
        // As long as the application holds the session it may read to the end; this ends when it drops it.
        for event in last_events {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let can_read = self.can_read();
        let can_take = self.undelivered.len() < MAX_UNDELIVERED && self.can_send();
        let until = self.core.deadline();
        let remaining = until.map(|until| until.saturating_duration_since(Timestamp::now()));
        tokio::select! {
            incoming = next(&mut self.connection, can_read), if self.connection.is_some() => Wake::Incoming(incoming),
            request = self.requests.recv(), if can_take => Wake::Request(request),
            Some((call_id, result)) = self.tools.next() => Wake::Tool(call_id, result),
            Some((id, result)) = self.guardrails.next() => Wake::Guardrail(id, result),
            permit = self.events.reserve(), if !self.undelivered.is_empty() => {
                if let (Ok(permit), Some(event)) = (permit, self.undelivered.pop_front()) {
                    permit.send(event);
                }
                Wake::Delivered
            }
            result = finished(&mut self.resolving), if self.resolving.is_some() => Wake::Resolved(result),
            result = finished(&mut self.connecting), if self.connecting.is_some() => Wake::Connected(result),
            () = self.played.news() => Wake::Played,
            () = self.closing.notified() => Wake::Closing,
            () = sleep(remaining.unwrap_or_default()), if remaining.is_some() => Wake::Deadline,
        }
    }

    /// Whether there is room for what the server says.
    fn can_read(&self) -> bool {
        self.undelivered.is_empty() && self.backlog.len() < MAX_BACKLOG
    }

    /// Whether there is room for what is said to the server.
    fn can_send(&self) -> bool {
        self.connection
            .as_ref()
            .is_none_or(|connection| connection.has_room())
    }

    fn on_wake(&mut self, wake: Wake) {
        self.now = Timestamp::now();
        for played in self.played.take() {
            self.input(Input::Command(Command::Played(played)));
        }
        match wake {
            Wake::Incoming(incoming) => self.on_incoming(incoming),
            Wake::Request(Some(request)) => self.on_request(request),
            Wake::Request(None) | Wake::Closing => self.close(),
            Wake::Resolved(result) => {
                self.resolving = None;
                self.input(Input::Resolved(result));
            }
            Wake::Connected(result) => {
                self.connecting = None;
                let result = result.map(|connection| self.connection = Some(connection));
                self.input(Input::Connected(result));
            }
            Wake::Tool(call_id, result) => {
                let result = result.unwrap_or_else(|| Err(ToolError::new(BROKEN_OFF)));
                self.input(Input::ToolDone { call_id, result });
            }
            Wake::Guardrail(id, result) => {
                let result = result.unwrap_or_else(|| Err(GuardrailError::new(BROKEN_OFF)));
                self.input(Input::GuardrailDone { id, result });
            }
            Wake::Delivered | Wake::Played => {}
            Wake::Deadline => self.input(Input::Time),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.core.handle(self.now, input);
    }

    /// Handles what came in, and what came right behind it: many small frames at once are the rule.
    fn on_incoming(&mut self, mut incoming: Incoming) {
        for left in (0..BURST).rev() {
            match incoming {
                Incoming::Frame(frame) => self.on_frame(frame),
                Incoming::Closed(close) => return self.on_closed(close),
            }
            self.carry_out();
            if left == 0 || self.ended || !self.can_read() {
                return;
            }
            match self
                .connection
                .as_mut()
                .and_then(|connection| connection.try_next())
            {
                Some(next) => incoming = next,
                None => return,
            }
        }
    }

    fn on_frame(&mut self, frame: Utf8Bytes) {
        if self.core.is_blocked() || !self.backlog.is_empty() {
            self.backlog.push_back(frame);
        } else {
            self.handle_frame(&frame);
        }
    }

    fn handle_frame(&mut self, frame: &str) {
        if self.raw_events {
            let event = self.raw_event(frame);
            self.deliver(SessionEvent::RawServerEvent { event });
        }
        match ServerEvent::parse(frame) {
            Ok(event) if event.is_delta() || !self.scrub.is_quoted_in(frame) => {
                self.input(Input::Server(event));
            }
            _ => {
                let clean = self.scrub.clean(frame);
                self.input(ServerEvent::parse(&clean).map_or_else(Input::Unreadable, Input::Server));
            }
        }
    }

    /// An event on the wire as it may be shown; null for what is none.
    fn raw_event(&self, frame: &str) -> Value {
        let mut event = serde_json::from_str(frame).unwrap_or(Value::Null);
        self.scrub.clean_event(&mut event);
        event
    }

    /// The connection has ended. What came before is heard first, whether or not a tool still runs in line.
    fn on_closed(&mut self, mut close: CloseReason) {
        while let Some(frame) = self.backlog.pop_front() {
            self.handle_frame(&frame);
            self.carry_out_once();
        }
        close.reason = self.scrub.clean(&close.reason);
        self.input(Input::Closed(close));
    }

    /// Handles the frames that waited for a tool.
    fn work_off_backlog(&mut self) {
        while !self.core.is_blocked() && !self.ended {
            let Some(frame) = self.backlog.pop_front() else {
                return;
            };
            self.handle_frame(&frame);
            self.carry_out_once();
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Command(command) => self.input(Input::Command(command)),
            Request::UpdateAgent { agent, reply } => {
                let ticket = self.ticket(reply);
                self.input(Input::Command(Command::UpdateAgent { agent, ticket }));
            }
            Request::Decide {
                call_id,
                decision,
                reply,
            } => {
                let ticket = self.ticket(reply);
                self.input(Input::Command(Command::Decide {
                    call_id,
                    decision,
                    ticket,
                }));
            }
            Request::History { reply } => {
                let _ = reply.send(self.core.history().cloned().collect());
            }
        }
    }

    fn ticket(&mut self, reply: Reply) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.replies.insert(ticket, reply);
        ticket
    }

    /// Ends the session, after all that was asked of it before as far as the server still takes it. Requests wait
    /// in line while either side reads nothing; closing does not, so nobody can keep a session from it.
    fn close(&mut self) {
        self.requests.close();
        while self.can_send()
            && let Ok(request) = self.requests.try_recv()
        {
            self.on_request(request);
            self.carry_out_once();
        }
        self.input(Input::Command(Command::Close));
    }

    /// Does everything the core wants, also of the frames that it now lets through.
    fn carry_out(&mut self) {
        self.carry_out_once();
        if !self.backlog.is_empty() {
            self.work_off_backlog();
        }
    }

    fn carry_out_once(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Emit(event) => self.deliver(event),
                Output::Send(event_id, event) => self.send(&event_id, &event),
                Output::Resolve { agent, scope } => self.resolve(agent, &scope),
                Output::Connect { limit } => self.connect(limit),
                Output::RunTool(run) => self.run_tool(*run),
                Output::RunGuardrail(run) => self.run_guardrail(*run),
                Output::Reply { ticket, result } => {
                    if let Some(reply) = self.replies.remove(&ticket) {
                        let _ = reply.send(result);
                    }
                }
                Output::Opened => self.tell_opened(Ok(())),
                Output::Failed(error) => self.tell_opened(Err(error)),
                Output::Ended => self.ended = true,
            }
        }
    }

    /// Passes an event on, behind those that wait for room in the application's queue.
    fn deliver(&mut self, event: SessionEvent) {
        if !self.undelivered.is_empty() {
            return self.undelivered.push_back(event);
        }
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.undelivered.push_back(event);
        }
    }

    fn send(&mut self, event_id: &str, event: &ClientEvent) {
        let Ok(frame) = event.to_frame(event_id) else {
            return;
        };
        if self.raw_events {
            let event = self.raw_event(&frame);
            self.deliver(SessionEvent::RawClientEvent { event });
        }
        if let Some(connection) = &mut self.connection {
            connection.send(frame);
        }
    }

    fn resolve(&mut self, agent: String, scope: &Context) {
        let (agents, servers) = (Arc::clone(&self.agents), Arc::clone(&self.servers));
        let context = self.context.values();
        let is_entry = !std::mem::replace(&mut self.entered, true);
        let resolving = async move {
            let resolved = match is_entry {
                true => agents.resolve_entry(&context, &servers).await,
                false => agents.resolve(&agent, &context, &servers).await,
            };
            resolved.map(Arc::new)
        };
        self.resolving = Some(Box::pin(scope.scope(resolving)));
    }

    fn connect(&mut self, limit: Duration) {
        let endpoint = Arc::clone(&self.endpoint);
        let model = self.agents.settings.model.clone();
        let recorder = self.recorder.clone();
        self.connecting = Some(Box::pin(async move {
            let connection = Connection::open(&endpoint, &model, limit, recorder.as_ref()).await;
            connection.map(Box::new)
        }));
    }

    /// Runs a tool in a task of its own, inside its span (span rule P4). A panic ends that task only.
    fn run_tool(&mut self, run: ToolRun) {
        let ToolRun { tool, call, scope } = run;
        let call_id = call.call_id.clone();
        self.tools
            .spawn(call_id, scope.scope(async move { tool.call(call).await }));
    }

    /// The same for a guardrail.
    fn run_guardrail(&mut self, run: GuardrailRun) {
        let looking = async move { look(&*run.guardrail, run.check).await };
        self.guardrails.spawn(run.id, run.scope.scope(looking));
    }

    fn tell_opened(&mut self, result: Result<(), SessionError>) {
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(result);
        }
    }

    /// The session is over: tools are stopped, the connection closed and MCP servers ended. Gives the events not yet handed over.
    async fn wind_up(mut self) -> (mpsc::Sender<SessionEvent>, VecDeque<SessionEvent>) {
        self.resolving = None;
        let stopping = async { tokio::join!(self.tools.shutdown(), self.guardrails.shutdown()) };
        let _ = timeout(TOOLS_LIMIT, stopping).await;
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        self.servers.close().await;
        self.replies.clear();
        self.over.send_replace(true);
        (self.events.clone(), std::mem::take(&mut self.undelivered))
    }
}

/// The task may be dropped at any point: by its runtime, or by a panic. The spans are finished all the same (span rule
/// L2).
impl Drop for Driver {
    fn drop(&mut self) {
        self.core.handle(Timestamp::now(), Input::Aborted);
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Emit(event) => self.deliver(event),
                Output::Failed(error) => self.tell_opened(Err(error)),
                _ => {}
            }
        }
    }
}

/// What comes in, if there is room for it; what goes out is written in any case.
async fn next(connection: &mut Option<Box<Connection>>, can_read: bool) -> Incoming {
    match connection {
        Some(connection) if can_read => connection.next().await,
        Some(connection) => match connection.only_write().await {},
        None => std::future::pending().await,
    }
}

async fn finished<T>(work: &mut Work<T>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
