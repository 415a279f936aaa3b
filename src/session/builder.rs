use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::core::{Core, CoreOptions};
use super::driver::{Channels, Driver, WireWatchers};
use super::handle::OPEN_LIMIT;
use super::played::PlayedReports;
use super::{Session, SessionError};
use crate::agent::Agents;
use crate::context::RunContext;
use crate::trace::{Context, Timestamp};
use crate::transport::{Endpoint, EndpointOptions, Recorder};

/// Events that may wait to be read by the application before the session stops listening to the server.
const MAX_EVENTS: usize = 1024;
/// Requests of the application that may wait before it has to.
const MAX_REQUESTS: usize = 256;

/// Prepares a session; made by [`Session::builder`].
#[derive(Debug)]
pub struct SessionBuilder {
    agents: Arc<Agents>,
    endpoint: Option<Endpoint>,
    watchers: WireWatchers,
    tracing: bool,
    /// None unless the application has set it.
    open_limit: Option<Duration>,
}

impl SessionBuilder {
    pub(super) fn new(agents: Arc<Agents>) -> Self {
        Self {
            agents,
            endpoint: None,
            watchers: WireWatchers::default(),
            tracing: true,
            open_limit: None,
        }
    }

    /// The server. Without it: OpenAI, or what the environment names (see [`Endpoint::resolve`]).
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Whether every event on the wire is told, too. Off by default: it costs a JSON tree for each.
    #[must_use]
    pub fn raw_events(mut self, raw_events: bool) -> Self {
        self.watchers.raw_events = raw_events;
        self
    }

    /// Has everything that goes over the wire written down, without credentials. After the session's end
    /// [`Recorder::finish`] tells what became of it.
    #[must_use]
    pub fn record(mut self, recorder: Recorder) -> Self {
        self.watchers.recorder = Some(recorder);
        self
    }

    /// Records no span of this session, whatever is current, and asks for no trace on the server (span rule N1).
    #[must_use]
    pub fn without_tracing(mut self) -> Self {
        self.tracing = false;
        self
    }

    /// How long opening may take in all. By default 30 seconds, and what the slowest of the agents' MCP servers may
    /// take to start.
    #[must_use]
    pub fn open_timeout(mut self, limit: Duration) -> Self {
        self.open_limit = Some(limit);
        self
    }

    /// Opens the session. Its spans hang under what is current here (span rule P1): [`Context::current`]; without a
    /// current trace nothing is recorded (N2).
    ///
    /// # Errors
    /// When the starting agent can't be resolved, the server can't be reached or refuses, or it takes too long. The agent's
    /// span then carries the error (span rule L3).
    pub async fn connect(self) -> Result<Session, SessionError> {
        let endpoint = match self.endpoint {
            Some(endpoint) => endpoint,
            None => Endpoint::resolve(EndpointOptions::default(), |name| std::env::var(name).ok())?,
        };
        let scope = if self.tracing {
            Context::current()
        } else {
            Context::none()
        };
        let trace_id = scope.trace_id();
        let slowest_server = slowest_server(&self.agents);
        let open_limit = self.open_limit.unwrap_or(OPEN_LIMIT + slowest_server);
        let context = RunContext::new(self.agents.context.clone());
        let core = Core::new(
            Timestamp::now(),
            CoreOptions {
                agent: self.agents.start().to_owned(),
                context: context.clone(),
                model: self.agents.settings.model.clone(),
                scope,
                server_tracing: self.tracing,
                joins_a_call: endpoint.joins_a_call(),
                open_limit,
                slowest_server,
            },
        );
        let (requests, incoming_requests) = mpsc::channel(MAX_REQUESTS);
        let (outgoing_events, events) = mpsc::channel(MAX_EVENTS);
        let (opened, is_open) = oneshot::channel();
        let closing = Arc::new(Notify::new());
        let played = Arc::new(PlayedReports::default());
        let (over, is_over) = watch::channel(false);
        let channels = Channels {
            requests: incoming_requests,
            played: Arc::clone(&played),
            events: outgoing_events,
            opened,
            closing: Arc::clone(&closing),
            over,
        };
        let driver = Driver::new(core, self.agents, endpoint, self.watchers, context, channels);
        tokio::spawn(driver.run());
        let session = Session::new(requests, played, events, closing, is_over, trace_id);
        match is_open.await {
            Ok(Ok(())) => Ok(session),
            failed => {
                // Not before all that was started is ended again: the process may be about to exit.
                session.closed().await;
                failed.unwrap_or(Err(SessionError::Ended)).map(|()| session)
            }
        }
    }
}

/// How long the slowest of the agents' MCP servers may take to start.
fn slowest_server(agents: &Agents) -> Duration {
    let servers = agents
        .names()
        .filter_map(|name| agents.get(name))
        .flat_map(|agent| &agent.mcp_servers);
    servers
        .map(|server| server.startup_timeout)
        .max()
        .unwrap_or_default()
}
