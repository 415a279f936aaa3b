use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Options;
use super::listener;
use super::observer::{Observer, Tally};

/// A running Realtime server. Dropping it ends it and all its connections at once;
/// [`shutdown`](Self::shutdown) lets clients know first.
///
/// ```
/// # use realtime_run::simulator::Simulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let simulator = Simulator::bind(("127.0.0.1", 0)).await?;
/// let url = format!("{}?model=gpt-realtime-2.1", simulator.url());
/// // … connect a client to the URL …
/// simulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Simulator {
    local_addr: SocketAddr,
    /// Tells the listener and every connection to take their leave.
    stop: watch::Sender<bool>,
    /// Owns the tasks of all connections, so that ending it ends them.
    listener: JoinHandle<()>,
    observer: Observer,
}

impl Simulator {
    /// Listens on an address of this machine, such as `("127.0.0.1", 0)`; port 0 takes any free one. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on, for example because its port is taken.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_with(addr, Options::default()).await
    }

    /// As [`bind`](Self::bind), with options.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind_with(addr: impl ToSocketAddrs, options: Options) -> io::Result<Self> {
        let socket = TcpListener::bind(addr).await?;
        let local_addr = socket.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let observer = Observer::new(options.event_log.clone());
        let serving = listener::serve(socket, Arc::new(options), observer.clone(), stopped);
        let listener = tokio::spawn(serving);
        Ok(Self {
            local_addr,
            stop,
            listener,
            observer,
        })
    }

    /// The address it listens on, with the port it really has.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where clients connect, without the model: `ws://127.0.0.1:PORT/v1/realtime`.
    pub fn url(&self) -> String {
        format!("ws://{}/v1/realtime", reachable(self.local_addr))
    }

    /// What it has served up to now.
    pub fn tally(&self) -> Tally {
        self.observer.tally()
    }

    /// Closes every connection with code 1001 and waits until all are gone, no longer than
    /// [`Limits::shutdown_timeout`](super::Limits::shutdown_timeout); what is left then is cut off.
    /// Tells what was served.
    pub async fn shutdown(mut self) -> Tally {
        // The listener may have ended already; then there is nobody to tell.
        let _ = self.stop.send(true);
        let _ = (&mut self.listener).await;
        self.tally()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// "Every address of the machine" is no address to connect to.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}
