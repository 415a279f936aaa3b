use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::connection::Connection;
use super::{McpError, McpServer, McpTool};

/// The servers that are up, of one session, which owns them. Each is started when it is first needed, once: one that
/// has failed to start is not tried again. Dropping this ends them, child processes at once; [`McpServers::close`] does
/// it in good order.
#[derive(Default)]
pub struct McpServers {
    servers: Mutex<Vec<Slot>>,
}

#[derive(Clone)]
struct Slot {
    server: Arc<McpServer>,
    connection: Arc<OnceCell<Result<Connection, McpError>>>,
}

impl McpServers {
    /// No server yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tools of `server` that agents get, which is started if need be. To be called once per activation of an agent:
    /// the server is asked for its tools at most once each time (span rule M2).
    ///
    /// # Errors
    /// When the server can't be started or does not list its tools.
    pub async fn tools(&self, server: &Arc<McpServer>) -> Result<Vec<McpTool>, McpError> {
        let slot = self.slot(server);
        let connection = slot.connection.get_or_init(|| Connection::open(server)).await;
        connection.as_ref().map_err(Clone::clone)?.tools().await
    }

    /// Ends all servers. Takes a few seconds at most, whatever they do.
    pub async fn close(&self) {
        let slots = std::mem::take(&mut *self.lock());
        let connections = slots
            .into_iter()
            .filter_map(|slot| Arc::into_inner(slot.connection)?.into_inner()?.ok());
        join_all(connections.map(Connection::close)).await;
    }

    fn slot(&self, server: &Arc<McpServer>) -> Slot {
        let mut slots = self.lock();
        if let Some(slot) = slots.iter().find(|slot| slot.server == *server) {
            return slot.clone();
        }
        let slot = Slot {
            server: Arc::clone(server),
            connection: Arc::default(),
        };
        slots.push(slot.clone());
        slot
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for McpServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.lock();
        let names = slots.iter().map(|slot| &slot.server.name);
        f.debug_list().entries(names).finish()
    }
}
