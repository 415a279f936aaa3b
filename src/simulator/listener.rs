use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::observer::Observer;
use super::{Options, connection};

/// How long to wait after a failed accept, so that running out of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until told to stop, and owns their tasks.
pub(super) async fn serve(
    socket: TcpListener,
    options: Arc<Options>,
    observer: Observer,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, client)) => admit(stream, client, &options, &observer, &stopped, &mut connections),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            // An error means that the handle is gone.
            _ = stopped.changed() => break,
        }
    }
    drop(socket);
    let all_gone = async { while connections.join_next().await.is_some() {} };
    if timeout(options.limits.shutdown_timeout, all_gone).await.is_err() {
        tracing::warn!(left = connections.len(), "connections were cut off at shutdown");
    }
}

fn admit(
    stream: TcpStream,
    client: SocketAddr,
    options: &Arc<Options>,
    observer: &Observer,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    if connections.len() >= options.limits.max_connections {
        tracing::warn!(%client, limit = options.limits.max_connections, "a connection was refused: too many are open");
        // Best effort: a client that cannot be told still sees the connection close.
        let _ = stream
            .try_write(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        return;
    }
    connections.spawn(connection::run(
        stream,
        Arc::clone(options),
        observer.clone(),
        stopped.clone(),
    ));
}
