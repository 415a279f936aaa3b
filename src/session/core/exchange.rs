//! What goes into the core and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::{ResolveError, ResolvedAgent};
use crate::context::RunContext;
use crate::protocol::{ClientEvent, ServerEvent, UnreadableEvent};
use crate::session::command::Command;
use crate::session::{SessionError, SessionEvent};
use crate::tool::{
    Guardrail, GuardrailCheck, GuardrailError, Tool, ToolCall, ToolError, ToolOutput, Verdict,
};
use crate::trace::Context;
use crate::transport::{CloseReason, ConnectError};

/// What happens to a session.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// The agent asked for by [`Output::Resolve`].
    Resolved(Result<Arc<ResolvedAgent>, ResolveError>),
    /// The connection asked for by [`Output::Connect`].
    Connected(Result<(), ConnectError>),
    /// The server says something.
    Server(ServerEvent<'a>),
    /// The server says something that is no event.
    Unreadable(UnreadableEvent),
    /// The application wants something.
    Command(Command),
    /// A tool started by [`Output::RunTool`] has ended.
    ToolDone {
        call_id: String,
        result: Result<ToolOutput, ToolError>,
    },
    /// A check started by [`Output::RunGuardrail`] has ended.
    GuardrailDone {
        id: CheckId,
        result: Result<Verdict, GuardrailError>,
    },
    /// The connection has ended.
    Closed(CloseReason),
    /// The session's task is being stopped.
    Aborted,
    /// The deadline has passed.
    Time,
}

/// What the session wants done.
#[derive(Debug)]
pub(crate) enum Output {
    /// Resolve this agent in this scope: under the agent in charge (span rule P3). One at a time, so that this takes the
    /// place of the one before.
    Resolve { agent: String, scope: Context },
    /// Open the connection, within so much time.
    Connect { limit: Duration },
    /// Send this, under this event id.
    Send(String, ClientEvent),
    /// Tell the application.
    Emit(SessionEvent),
    /// Run a tool in this scope (span rule P4).
    RunTool(Box<ToolRun>),
    /// Have a guardrail look at something, in this scope (span rule P4).
    RunGuardrail(Box<GuardrailRun>),
    /// Tell the application what became of its wish.
    Reply {
        ticket: u64,
        result: Result<(), SessionError>,
    },
    /// The session can be used.
    Opened,
    /// The session could not be opened.
    Failed(SessionError),
    /// The session is over: close the connection.
    Ended,
}

/// A tool to run.
pub(crate) struct ToolRun {
    pub(crate) tool: Arc<dyn Tool>,
    pub(crate) call: ToolCall,
    /// The place under the call's span.
    pub(crate) scope: Context,
}

impl std::fmt::Debug for ToolRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolRun")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

/// Which check of which guardrail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CheckId {
    /// Of an answer, by their numbers; one at a time.
    Answer { answer: u64, guardrail: usize },
    /// Of a call or of what came of it, by its id and the number of the guardrail.
    Call { call_id: String, guardrail: usize },
}

/// A check to make.
pub(crate) struct GuardrailRun {
    pub(crate) id: CheckId,
    pub(crate) guardrail: Arc<dyn Guardrail>,
    pub(crate) check: GuardrailCheck,
    /// The place under the check's span.
    pub(crate) scope: Context,
}

impl std::fmt::Debug for GuardrailRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardrailRun")
            .field("id", &self.id)
            .field("check", &self.check)
            .finish_non_exhaustive()
    }
}

/// What differs between sessions.
#[derive(Debug, Clone)]
pub(crate) struct CoreOptions {
    /// The starting agent.
    pub(crate) agent: String,
    /// What the run knows, shared with its tools, which may change it. Reading it waits for nothing but such a change.
    pub(crate) context: RunContext,
    /// The model named in the URL.
    pub(crate) model: String,
    /// Where the session's spans hang (span rule P1).
    pub(crate) scope: Context,
    /// Whether the server may be asked for a trace of its own (span rule N1).
    pub(crate) server_tracing: bool,
    /// Whether the session joins a call, where the server speaks only once spoken to.
    pub(crate) joins_a_call: bool,
    /// How long opening may take in all.
    pub(crate) open_limit: Duration,
    /// How long the slowest of the agents' MCP servers may take to start.
    pub(crate) slowest_server: Duration,
}
