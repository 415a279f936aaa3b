//! One client: its handshake, and then frames both ways until one side leaves.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt, StreamExt};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::Options;
use super::opening::{self, Opening};
use super::outbox::Outbox;
use super::peer::Peer;

/// What may wait for a client before nothing more is read from it.
const READ_ON_BELOW: usize = 1 << 20;
/// How long a client may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Small, since most connections are idle or carry short frames.
const READ_BUFFER: usize = 16 << 10;

type Socket = WebSocketStream<TcpStream>;

/// Serves one client to the end.
pub(super) async fn run(stream: TcpStream, options: Arc<Options>, stopped: watch::Receiver<bool>) {
    // Frames are small and each is waited for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let handshake = timeout(options.limits.handshake_timeout, shake_hands(stream, &options)).await;
    let end = match handshake {
        Ok(Ok((socket, Opening::Session { model }))) => {
            let peer = Peer::open(&model, &options);
            Connection::new(socket, peer, &options).serve(stopped).await
        }
        Ok(Ok((socket, Opening::Refusal { error, close_code }))) => refuse(socket, &error, close_code).await,
        Ok(Err(error)) => Err(error),
        Err(_) => return tracing::debug!("a client did not finish its handshake in time"),
    };
    match end {
        Ok(()) => tracing::debug!("a session ended"),
        Err(error) => tracing::debug!(%error, "a connection ended"),
    }
}

async fn shake_hands(stream: TcpStream, options: &Options) -> tungstenite::Result<(Socket, Opening)> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(options.limits.max_message_bytes))
        .max_frame_size(Some(options.limits.max_message_bytes));
    let mut judged = None;
    #[expect(clippy::result_large_err, reason = "the WebSocket library asks for this type")]
    let judge = |request: &_, response| {
        let (opening, response) = opening::judge(request, response, options.required_key.as_deref())?;
        judged = Some(opening);
        Ok(response)
    };
    let socket = accept_hdr_async_with_config(stream, judge, Some(config)).await?;
    match judged {
        Some(opening) => Ok((socket, opening)),
        None => Err(tungstenite::Error::ConnectionClosed),
    }
}

/// Says why in an error event, and closes with a code and a reason (protocol.md section 1.4).
async fn refuse(
    mut socket: Socket,
    error: &crate::protocol::ApiError,
    close_code: u16,
) -> tungstenite::Result<()> {
    let mut outbox = Outbox::default();
    outbox.send_error(error);
    let reason = format!("{}.{}", error.kind, error.code());
    let close = CloseFrame {
        code: CloseCode::from(close_code),
        reason: reason.into(),
    };
    let telling = async {
        while let Some(frame) = outbox.take() {
            socket.send(Message::text(frame)).await?;
        }
        socket.close(Some(close)).await?;
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
        Ok(())
    };
    timeout(CLOSE_TIMEOUT, telling).await.unwrap_or(Ok(()))
}

/// An open session and its socket.
struct Connection<'a> {
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    peer: Peer,
    options: &'a Options,
    /// Whether frames were handed to the socket that may not have left it.
    is_flushing: bool,
    /// When the next piece of an answer may be made.
    next_piece: Instant,
    /// When a client that reads nothing is given up; moves on with every frame it takes.
    give_up: Instant,
}

impl<'a> Connection<'a> {
    fn new(socket: Socket, peer: Peer, options: &'a Options) -> Self {
        let (sink, stream) = socket.split();
        let now = Instant::now();
        Self {
            sink,
            stream,
            peer,
            options,
            is_flushing: false,
            next_piece: now,
            give_up: now,
        }
    }

    /// Reads, answers and writes at the same time, so that a client is heard while it is being answered.
    async fn serve(mut self, mut stopped: watch::Receiver<bool>) -> tungstenite::Result<()> {
        loop {
            let is_writing = self.is_flushing || !self.peer.outbox.is_empty();
            if !is_writing {
                self.give_up = Instant::now() + self.options.limits.write_timeout;
            }
            tokio::select! {
                message = self.stream.next(), if self.peer.outbox.bytes() < READ_ON_BELOW => {
                    let Some(message) = message else { return Ok(()) };
                    if !self.receive(message?) {
                        return self.part().await;
                    }
                }
                written = write(&mut self.sink, &mut self.peer.outbox, &mut self.is_flushing), if is_writing => {
                    written?;
                    self.give_up = Instant::now() + self.options.limits.write_timeout;
                }
                () = pause_until(self.next_piece), if !is_writing && self.peer.is_answering() => {
                    self.peer.advance();
                    self.next_piece = Instant::now() + self.options.delta_interval;
                }
                (heard, words) = self.peer.hearings.next(), if !self.peer.hearings.is_empty() => {
                    self.peer.understand(&heard, words);
                }
                () = sleep_until(self.give_up), if is_writing => {
                    tracing::warn!("a client was dropped because it did not read");
                    return Ok(());
                }
                _ = stopped.changed() => return self.leave().await,
            }
        }
    }

    /// Whether the client stays.
    fn receive(&mut self, message: Message) -> bool {
        match message {
            Message::Text(text) => self.peer.receive(&text),
            Message::Binary(_) => self.peer.receive_binary(),
            Message::Close(_) => return false,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        true
    }

    /// Closes the session from this side.
    async fn leave(mut self) -> tungstenite::Result<()> {
        let close = CloseFrame {
            code: CloseCode::Away,
            reason: "The simulator is shutting down.".into(),
        };
        match timeout(CLOSE_TIMEOUT, self.sink.send(Message::Close(Some(close)))).await {
            Ok(sent) => sent?,
            Err(_) => return Ok(()),
        }
        self.part().await
    }

    /// Lets both close frames get through.
    async fn part(mut self) -> tungstenite::Result<()> {
        let parting = async { while self.stream.next().await.is_some_and(|message| message.is_ok()) {} };
        // A client that does not take its leave is left.
        let _ = timeout(CLOSE_TIMEOUT, parting).await;
        Ok(())
    }
}

/// Waits for a moment that may have come already: a timer would take a millisecond even then.
async fn pause_until(moment: Instant) {
    if moment > Instant::now() {
        sleep_until(moment).await;
    }
}

/// Hands the next frame to the socket; after the last one waits until all have left. Nothing is lost when this is
/// dropped: `is_flushing` tells that there is something to wait for.
async fn write(
    sink: &mut SplitSink<Socket, Message>,
    outbox: &mut Outbox,
    is_flushing: &mut bool,
) -> tungstenite::Result<()> {
    poll_fn(|cx| {
        let mut sink = Pin::new(&mut *sink);
        ready!(sink.as_mut().poll_ready(cx))?;
        if let Some(frame) = outbox.take() {
            *is_flushing = true;
            sink.as_mut().start_send(Message::text(frame))?;
        }
        if outbox.is_empty() {
            ready!(sink.poll_flush(cx))?;
            *is_flushing = false;
        }
        Poll::Ready(Ok(()))
    })
    .await
}
