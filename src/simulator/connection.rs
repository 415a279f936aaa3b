use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Options;

pub(super) async fn run(_stream: TcpStream, _options: Arc<Options>, _stopped: watch::Receiver<bool>) {}
