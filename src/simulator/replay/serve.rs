//! The socket of one replay: its handshake, and then frames both ways until one side leaves.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::Replay;
use super::player::{Next, Player};
use crate::recording::{Ending, Frame};
use crate::simulator::Options;
use crate::simulator::connection::{CLOSE_TIMEOUT, Socket};
use crate::simulator::opening::agree_on_protocol;

/// Plays a recording to one client to the end. Any path and model will do: what the recording is of is not asked for.
pub(in crate::simulator) async fn run(
    stream: TcpStream,
    config: WebSocketConfig,
    replay: &Replay,
    options: &Options,
    stopped: watch::Receiver<bool>,
) {
    #[expect(clippy::result_large_err, reason = "the WebSocket library asks for this type")]
    let agree = |request: &Request, mut response: Response| {
        agree_on_protocol(request, &mut response);
        Ok(response)
    };
    let handshake = accept_hdr_async_with_config(stream, agree, Some(config));
    let end = match timeout(options.limits.handshake_timeout, handshake).await {
        Ok(Ok(socket)) => Connection::new(socket, replay, options).serve(stopped).await,
        Ok(Err(error)) => Err(error),
        Err(_) => return tracing::debug!("a client did not finish its handshake in time"),
    };
    match end {
        Ok(()) => tracing::debug!("a replay ended"),
        Err(error) => tracing::debug!(%error, "a replay's connection ended"),
    }
}

struct Connection<'a> {
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    player: Player,
    options: &'a Options,
    /// The frame that is to go out next.
    waiting: Option<Message>,
    /// Whether frames were handed to the socket that may not have left it.
    is_flushing: bool,
    /// When a client that reads nothing is given up; moves on with every frame it takes.
    give_up: Instant,
}

impl<'a> Connection<'a> {
    fn new(socket: Socket, replay: &Replay, options: &'a Options) -> Self {
        let (sink, stream) = socket.split();
        let now = Instant::now();
        Self {
            sink,
            stream,
            player: Player::new(replay, now),
            options,
            waiting: None,
            is_flushing: false,
            give_up: now + options.limits.write_timeout,
        }
    }

    async fn serve(mut self, mut stopped: watch::Receiver<bool>) -> tungstenite::Result<()> {
        let served = self.play(&mut stopped).await;
        self.player.leave();
        match served? {
            Some(ending) => self.end(ending).await,
            None => Ok(()),
        }
    }

    /// Sends and receives until one side leaves; if it is this one, gives how.
    async fn play(&mut self, stopped: &mut watch::Receiver<bool>) -> tungstenite::Result<Option<Ending>> {
        loop {
            let mut pause = None;
            if self.waiting.is_none() {
                match self.player.next(Instant::now()) {
                    Next::Send(frame) => self.waiting = Some(message(frame)),
                    Next::End(ending) => return Ok(Some(ending)),
                    Next::Wait(until) => pause = until,
                }
            }
            let is_writing = self.waiting.is_some() || self.is_flushing;
            if !is_writing {
                self.give_up = Instant::now() + self.options.limits.write_timeout;
            }
            tokio::select! {
                message = self.stream.next() => {
                    let Some(message) = message else { return Ok(None) };
                    if !self.receive(&message?) {
                        return Ok(None);
                    }
                }
                written = write(&mut self.sink, &mut self.waiting, &mut self.is_flushing), if is_writing => {
                    written?;
                    self.give_up = Instant::now() + self.options.limits.write_timeout;
                }
                () = sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some() => {}
                () = sleep_until(self.give_up), if is_writing => {
                    tracing::warn!("a client was dropped because it did not read");
                    return Ok(None);
                }
                _ = stopped.changed() => return Ok(Some(Ending {
                    by: None,
                    code: 1001,
                    reason: "The simulator is shutting down.".to_owned(),
                })),
            }
        }
    }

    /// Takes in a message. Whether the client stays.
    fn receive(&mut self, message: &Message) -> bool {
        match message {
            Message::Text(text) => self.player.receive(Instant::now(), Frame::read(text.as_bytes())),
            Message::Binary(bytes) => self.player.receive(Instant::now(), Frame::read(bytes)),
            Message::Close(_) => return false,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        true
    }

    /// Ends the connection as it is told, and lets the client take its leave.
    async fn end(mut self, ending: Ending) -> tungstenite::Result<()> {
        let parting = async {
            match close_frame(ending) {
                Some(close) => self.sink.send(Message::Close(close)).await?,
                None => {
                    self.sink.flush().await?;
                    if let Ok(mut socket) = self.sink.reunite(self.stream) {
                        // Not reset, so that what was sent last is still read.
                        socket.get_mut().shutdown().await?;
                        while socket.next().await.is_some_and(|message| message.is_ok()) {}
                    }
                    return Ok(());
                }
            }
            while self.stream.next().await.is_some_and(|message| message.is_ok()) {}
            Ok(())
        };
        timeout(CLOSE_TIMEOUT, parting).await.unwrap_or(Ok(()))
    }
}

/// The close frame of an end; none for a connection that was lost.
fn close_frame(ending: Ending) -> Option<Option<CloseFrame>> {
    match ending.code {
        // Neither may be sent: they stand for a close frame without a code, and for none at all.
        1005 => Some(None),
        1006 => None,
        code => Some(Some(CloseFrame {
            code: code.into(),
            reason: ending.reason.into(),
        })),
    }
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Event(event) => Message::text(serde_json::Value::Object(event).to_string()),
        Frame::Text(text) => Message::text(text),
        Frame::Binary(bytes) => Message::binary(bytes),
    }
}

/// Hands the waiting frame to the socket, or without one waits until all have left. Nothing is lost when this is
/// dropped.
async fn write(
    sink: &mut SplitSink<Socket, Message>,
    waiting: &mut Option<Message>,
    is_flushing: &mut bool,
) -> tungstenite::Result<()> {
    poll_fn(|cx| {
        let mut sink = Pin::new(&mut *sink);
        ready!(sink.as_mut().poll_ready(cx))?;
        match waiting.take() {
            Some(frame) => {
                *is_flushing = true;
                sink.start_send(frame)?;
            }
            None => {
                ready!(sink.poll_flush(cx))?;
                *is_flushing = false;
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}
