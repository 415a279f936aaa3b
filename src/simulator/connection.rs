//! One client: its handshake, and then frames both ways until one side leaves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
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

use super::answer::{Answer, one_ready};
use super::observer::Observer;
use super::opening::{self, Opening};
use super::outbox::{Break, Outbox};
use super::peer::Peer;
use super::replay;
use super::{Faults, Options};

/// What may wait for a client before nothing more is read from it.
const READ_ON_BELOW: usize = 1 << 20;
/// The close code of a server that goes away.
const AWAY: u16 = 1001;
/// How long a client may take to answer a close.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Small, since most connections are idle or carry short frames.
const READ_BUFFER: usize = 16 << 10;
/// How often a client is pinged (protocol.md section 1.5).
const PING_INTERVAL: Duration = Duration::from_secs(20);

pub(super) type Socket = WebSocketStream<TcpStream>;

/// Serves one client to the end.
pub(super) async fn run(
    stream: TcpStream,
    options: Arc<Options>,
    observer: Observer,
    stopped: watch::Receiver<bool>,
) {
    // Frames are small and each is waited for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    if let Some(replay) = &options.replay {
        return replay::run(stream, config(&options), replay, &options, stopped).await;
    }
    let handshake = timeout(options.limits.handshake_timeout, shake_hands(stream, &options)).await;
    let end = match handshake {
        Ok(Ok((socket, Opening::Session(start)))) => {
            let peer = Peer::open(&start, &options, observer);
            Connection::new(socket, peer, &options).serve(stopped).await
        }
        Ok(Ok((socket, Opening::Refusal { error, close_code }))) => {
            refuse(socket, observer, &error, close_code).await
        }
        Ok(Err(error)) => Err(error),
        Err(_) => return tracing::debug!("a client did not finish its handshake in time"),
    };
    match end {
        Ok(()) => tracing::debug!("a session ended"),
        Err(error) => tracing::debug!(%error, "a connection ended"),
    }
}

fn config(options: &Options) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(options.limits.max_message_bytes))
        .max_frame_size(Some(options.limits.max_message_bytes))
}

async fn shake_hands(stream: TcpStream, options: &Options) -> tungstenite::Result<(Socket, Opening)> {
    let mut judged = None;
    #[expect(clippy::result_large_err, reason = "the WebSocket library asks for this type")]
    let judge = |request: &_, response| {
        let (opening, response) = opening::judge(request, response, options)?;
        judged = Some(opening);
        Ok(response)
    };
    let socket = accept_hdr_async_with_config(stream, judge, Some(config(options))).await?;
    match judged {
        Some(opening) => Ok((socket, opening)),
        None => Err(tungstenite::Error::ConnectionClosed),
    }
}

/// Says why in an error event, and closes with a code and a reason (protocol.md section 1.4).
async fn refuse(
    mut socket: Socket,
    observer: Observer,
    error: &crate::protocol::ApiError,
    close_code: u16,
) -> tungstenite::Result<()> {
    let mut outbox = Outbox::new(Faults::default(), observer);
    outbox.send_error(error);
    let reason = format!("{}.{}", error.kind, error.code());
    let close = close_frame(close_code, &reason);
    let telling = async {
        while let Some(frame) = outbox.take() {
            socket.send(frame).await?;
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
    /// When the next frame may be written.
    next_frame: Instant,
    /// Until when nothing is read.
    deaf_until: Option<Instant>,
    /// When a client that reads nothing is given up; moves on with every frame it takes.
    give_up: Instant,
    /// When the session's time is over.
    expires: Instant,
    /// When to ping.
    next_ping: Instant,
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
            next_frame: now,
            deaf_until: None,
            give_up: now + options.limits.write_timeout,
            expires: now + options.lifetime(),
            next_ping: now + PING_INTERVAL,
        }
    }

    /// Reads, answers and writes at the same time, so that a client is heard while it is being answered.
    async fn serve(mut self, mut stopped: watch::Receiver<bool>) -> tungstenite::Result<()> {
        loop {
            let is_writing = self.is_flushing || !self.peer.outbox.is_empty();
            if !is_writing {
                self.give_up = Instant::now() + self.options.limits.write_timeout;
            }
            let is_understood = self.peer.hearings.is_empty();
            tokio::select! {
                message = self.stream.next(), if self.deaf_until.is_none() && self.peer.outbox.bytes() < READ_ON_BELOW => {
                    let Some(message) = message else { return Ok(()) };
                    if !self.receive(message?) {
                        return self.part().await;
                    }
                }
                written = write(&mut self.sink, &mut self.peer.outbox, &mut self.is_flushing, self.next_frame), if is_writing => {
                    let now = Instant::now();
                    self.give_up = now + self.options.limits.write_timeout;
                    self.next_frame = now + self.options.faults.frame_delay;
                    match written? {
                        None => {}
                        Some(Break::Close(code, reason)) => return self.leave(code, &reason).await,
                        Some(Break::Drop) => return Ok(()),
                        Some(Break::Deaf(time)) => self.deaf_until = now.checked_add(time),
                    }
                }
                () = next_piece(&mut self.peer.answers, is_understood, self.next_piece), if !is_writing && !self.peer.answers.is_empty() => {
                    let sounds = self.peer.advance();
                    self.next_piece = self.next_piece.max(Instant::now()) + self.options.pace.pause_after(sounds);
                }
                () = at(self.deaf_until), if self.deaf_until.is_some() => self.deaf_until = None,
                (heard, words) = self.peer.hearings.next(), if !is_understood => {
                    self.peer.understand(&heard, words);
                }
                () = sleep_until(self.give_up), if is_writing => {
                    tracing::warn!("a client was dropped because it did not read");
                    return Ok(());
                }
                () = sleep_until(self.next_ping), if !is_writing => {
                    self.next_ping = Instant::now() + PING_INTERVAL;
                    self.ping().await?;
                }
                () = sleep_until(self.expires) => return self.expire().await,
                _ = stopped.changed() => return self.leave(AWAY, "The simulator is shutting down.").await,
            }
        }
    }

    /// Whether the client stays.
    fn receive(&mut self, message: Message) -> bool {
        match message {
            Message::Text(text) => self.peer.receive(&text),
            Message::Binary(bytes) => self.peer.receive_binary(bytes.len()),
            Message::Close(_) => return false,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        true
    }

    /// Lets both ends know that the other is there.
    async fn ping(&mut self) -> tungstenite::Result<()> {
        let ping = Message::Ping(Bytes::new());
        timeout(self.options.limits.write_timeout, self.sink.send(ping))
            .await
            .unwrap_or(Err(tungstenite::Error::ConnectionClosed))
    }

    /// Ends the session because it has lasted as long as one may (protocol.md section 5.17).
    async fn expire(mut self) -> tungstenite::Result<()> {
        let why = format!(
            "Your session hit the maximum duration of {}.",
            in_words(self.options.lifetime())
        );
        self.peer.expire(&why);
        match timeout(CLOSE_TIMEOUT, self.tell_all()).await {
            Ok(told) => told?,
            Err(_) => return Ok(()),
        }
        self.leave(AWAY, &why).await
    }

    /// Sends all that waits.
    async fn tell_all(&mut self) -> tungstenite::Result<()> {
        while let Some(frame) = self.peer.outbox.take() {
            self.sink.send(frame).await?;
        }
        Ok(())
    }

    /// Closes the session from this side.
    async fn leave(mut self, code: u16, reason: &str) -> tungstenite::Result<()> {
        let close = close_frame(code, reason);
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

/// A length of time in whole minutes or seconds.
fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

/// Waits for a moment that may have come already: a timer would take a millisecond even then.
async fn pause_until(moment: Instant) {
    if moment > Instant::now() {
        sleep_until(moment).await;
    }
}

async fn at(moment: Option<Instant>) {
    if let Some(moment) = moment {
        sleep_until(moment).await;
    }
}

/// Waits until a piece of an answer can be made, and may be.
async fn next_piece(answers: &mut VecDeque<Answer>, is_understood: bool, moment: Instant) {
    pause_until(moment).await;
    one_ready(answers, is_understood).await;
}

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame {
        code: CloseCode::from(code),
        reason: reason.into(),
    }
}

/// Hands the next frame to the socket, not before its time; after the last one waits until all have left, and tells of
/// the break that follows. Nothing is lost when this is dropped: `is_flushing` tells that there is something to wait
/// for.
async fn write(
    sink: &mut SplitSink<Socket, Message>,
    outbox: &mut Outbox,
    is_flushing: &mut bool,
    not_before: Instant,
) -> tungstenite::Result<Option<Break>> {
    if !outbox.is_empty() {
        pause_until(not_before).await;
    }
    poll_fn(|cx| {
        let mut sink = Pin::new(&mut *sink);
        ready!(sink.as_mut().poll_ready(cx))?;
        if let Some(message) = outbox.take() {
            *is_flushing = true;
            sink.as_mut().start_send(message)?;
            if !outbox.is_empty() {
                return Poll::Ready(Ok(None));
            }
        }
        ready!(sink.as_mut().poll_flush(cx))?;
        *is_flushing = false;
        Poll::Ready(Ok(outbox.take_break()))
    })
    .await
}
