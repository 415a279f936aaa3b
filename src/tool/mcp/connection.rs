use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rmcp::handler::client::ClientHandler;
use rmcp::model::{ClientConfig, ErrorData, Implementation};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, NotificationContext, RoleClient, RunningService, ServiceExt,
};
use rmcp::transport::IntoTransport;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::process::Process;
use super::server::McpCommand;
use super::tool::Way;
use super::{McpError, McpServer, McpTool, McpTransport, cause, http};
use crate::scrub::Scrub;
use crate::trace::{Context, Span, SpanData, SpanError};

/// How long leaving a server in good order may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A server that is up.
pub(super) struct Connection {
    way: Arc<Way>,
    service: RunningService<RoleClient, Client>,
    /// The server itself, where it runs as a child process.
    process: Option<Process>,
    /// How often the server has told that its tools have changed.
    changes: Arc<AtomicU64>,
    /// What was listed last, and after how many changes. One listing at a time.
    listed: Mutex<Option<(u64, Vec<McpTool>)>>,
}

/// This end, as the server sees it.
struct Client {
    changes: Arc<AtomicU64>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let this = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        ClientConfig::new(Default::default(), this)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Starts the server, where it is a program, and introduces this client, all within the server's limit.
    pub async fn open(server: &Arc<McpServer>) -> Result<Self, McpError> {
        let failed = |what: String| McpError::new(server, what);
        let changes = Arc::new(AtomicU64::new(0));
        let client = Client {
            changes: Arc::clone(&changes),
        };
        let limit = server.startup_timeout;
        let (service, process, scrub) = match &server.transport {
            McpTransport::Command(command) => start(client, command, limit).await.map_err(failed)?,
            McpTransport::Http(http) => {
                let mut scrub = http.scrub();
                let transport = http::transport(http, &mut scrub).map_err(failed)?;
                let served = introduce(client, transport, limit).await;
                (served.map_err(|why| failed(scrub.clean(&why)))?, None, scrub)
            }
        };
        // Ours is by activation, and not for as long as the server says.
        service
            .set_response_cache_config(ClientCacheConfig::disabled())
            .await;
        let way = Arc::new(Way {
            server: Arc::clone(server),
            peer: service.peer().clone(),
            scrub,
        });
        Ok(Self {
            way,
            service,
            process,
            changes,
            listed: Mutex::new(None),
        })
    }

    /// The tools that agents get. The server is asked at most once (span rule M2), and not at all if nothing has changed
    /// since it was asked last and it would have told.
    pub async fn tools(&self) -> Result<Vec<McpTool>, McpError> {
        let mut listed = self.listed.lock().await;
        // Read before asking: a change that comes while the server answers counts for the next time.
        let changes = self.changes.load(Ordering::Relaxed);
        match &*listed {
            Some((known, tools)) if *known == changes && self.tells_changes() => return Ok(tools.clone()),
            _ => {}
        }
        let tools = self.list().await?;
        *listed = Some((changes, tools.clone()));
        Ok(tools)
    }

    /// Leaves the server in good order; a child process is ended, whatever it does. Takes a few seconds at most.
    pub async fn close(mut self) {
        let _ = self.service.close_with_timeout(CLOSE_LIMIT).await;
        if let Some(process) = self.process.take() {
            process.end().await;
        }
    }

    /// Asks the server, in a span of the listing's own (span rule P3: under what is current).
    async fn list(&self) -> Result<Vec<McpTool>, McpError> {
        let server = &self.way.server;
        let mut span = Context::current().span(SpanData::McpTools {
            server: Some(server.name.clone()),
            result: None,
        });
        let limit = server.startup_timeout;
        let listed = match timeout(limit, self.way.peer.list_all_tools()).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => return Err(self.not_listed(span, &cause::of_request(&error))),
            Err(_) => return Err(self.not_listed(span, &late(limit))),
        };
        span.update(|data| {
            if let SpanData::McpTools { result, .. } = data {
                *result = Some(listed.iter().map(|tool| tool.name.to_string()).collect());
            }
        });
        let offered = listed.into_iter().filter(|tool| server.offers(&tool.name));
        Ok(offered.map(|tool| McpTool::new(tool, &self.way)).collect())
    }

    fn not_listed(&self, mut span: Span, why: &str) -> McpError {
        let what = format!("did not list its tools: {}", self.way.scrub.clean(why));
        let error = McpError::new(&self.way.server, what);
        span.set_error(SpanError::new(error.to_string()));
        error
    }

    /// Whether the server's word on changes can be relied on. Over HTTP it comes only if the server keeps a stream open
    /// for it, which many don't.
    fn tells_changes(&self) -> bool {
        let info = self.service.peer_info();
        let tools = info.as_ref().and_then(|info| info.capabilities.tools.as_ref());
        self.process.is_some() && tools.is_some_and(|tools| tools.list_changed == Some(true))
    }
}

type Started = (RunningService<RoleClient, Client>, Option<Process>, Scrub);

async fn start(client: Client, command: &McpCommand, limit: Duration) -> Result<Started, String> {
    let scrub = command.scrub();
    let (process, stdout, stdin) = Process::start(command)?;
    let why = match introduce(client, (stdout, stdin), limit).await {
        Ok(service) => return Ok((service, Some(process), scrub)),
        Err(why) => why,
    };
    let stderr = process.last_words().await;
    Err(scrub.clean(&match stderr.as_str() {
        "" => format!("{why}, and wrote nothing to stderr"),
        stderr => format!("{why}; the end of its stderr:\n{stderr}"),
    }))
}

/// Tells the server who asks, and waits for its answer (MCP 2025-11-25, "Lifecycle", initialization).
async fn introduce<T, E, A>(
    client: Client,
    transport: T,
    limit: Duration,
) -> Result<RunningService<RoleClient, Client>, String>
where
    T: IntoTransport<RoleClient, E, A>,
    E: Error + Send + Sync + 'static,
{
    match timeout(limit, client.serve(transport)).await {
        Ok(Ok(service)) => Ok(service),
        Ok(Err(ClientInitializeError::ConnectionClosed(_))) => Err("ended before it was ready".to_owned()),
        Ok(Err(ClientInitializeError::JsonRpcError(ErrorData { message, .. }))) => {
            Err(format!("refused: {message}"))
        }
        Ok(Err(error)) => Err(format!("could not be started: {}", cause::of_start(&error))),
        Err(_) => Err(format!("could not be started: {}", late(limit))),
    }
}

fn late(limit: Duration) -> String {
    format!("no answer within {limit:?} (`startup_timeout_sec` gives it longer)")
}
