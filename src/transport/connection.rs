use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, Stream};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::recorder::Tap;
use super::{CloseReason, ConnectError, Endpoint, Recorder};
use crate::recording::Side;

/// The largest message taken: a retrieved item can hold minutes of audio (protocol.md, trap 14).
const MAX_MESSAGE: usize = 64 << 20;
/// How much may wait to be written before no more is taken in: a minute of audio and then some.
const MAX_OUTBOX: usize = 8 << 20;
/// How often a sign of life is asked for, and how long it may take to come.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long closing may take before the connection is simply dropped.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// An open WebSocket. Writing never waits: frames queue here and go out while the next one is awaited.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames not yet handed to the socket.
    outbox: VecDeque<Message>,
    /// Bytes in the outbox, for its bound.
    outbox_bytes: usize,
    /// Whether the socket holds bytes that still have to be flushed.
    unflushed: bool,
    /// When to ask for a sign of life.
    keep_alive: Interval,
    /// Whether nothing came in since that was asked: tells a quiet server from a dead one.
    awaiting_pong: bool,
    /// Where a recorded connection tells what goes over it.
    tap: Option<Tap>,
}

/// What comes in.
#[derive(Debug)]
pub enum Incoming {
    /// The text of a frame.
    Frame(Utf8Bytes),
    /// The end; nothing comes after it.
    Closed(CloseReason),
}

impl Connection {
    /// Opens a WebSocket. The session is usable only when its first event has come: servers refuse after the
    /// handshake, too (protocol.md section 1.4). What goes over it is written down by the recorder, if there is one.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open(
        endpoint: &Endpoint,
        model: &str,
        limit: Duration,
        recorder: Option<&Recorder>,
    ) -> Result<Self, ConnectError> {
        let opened = Self::shake_hands(endpoint, model, limit).await;
        match (opened, recorder) {
            (Ok(connection), Some(recorder)) => Ok(Self {
                tap: Some(recorder.tap(endpoint, model)),
                ..connection
            }),
            (Err(error), Some(recorder)) => {
                recorder.failed(endpoint, &error.to_string());
                Err(error)
            }
            (opened, None) => opened,
        }
    }

    async fn shake_hands(endpoint: &Endpoint, model: &str, limit: Duration) -> Result<Self, ConnectError> {
        let host = endpoint.host();
        let unreachable = |error: WsError| ConnectError::Unreachable {
            host: host.clone(),
            reason: endpoint.scrub(&plain_reason(&error)),
        };
        let mut request = endpoint
            .url_for(model)
            .as_str()
            .into_client_request()
            .map_err(unreachable)?;
        for (name, value) in endpoint.headers() {
            let bad = || ConnectError::BadHeader {
                name: name.to_owned(),
            };
            let header = HeaderName::try_from(name).map_err(|_| bad())?;
            let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            request.headers_mut().insert(header, value);
        }
        crate::tls::choose_provider();
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        match timeout(limit, connect_async_with_config(request, Some(config), true)).await {
            Ok(Ok((socket, _))) => Ok(Self::over(socket, KEEP_ALIVE)),
            Ok(Err(WsError::Http(response))) => Err(refusal(endpoint, &response)),
            Ok(Err(error)) => Err(unreachable(error)),
            Err(_) => Err(ConnectError::Timeout { host, limit }),
        }
    }

    fn over(socket: WebSocketStream<MaybeTlsStream<TcpStream>>, keep_alive: Duration) -> Self {
        let mut keep_alive = interval(keep_alive);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        keep_alive.reset();
        Self {
            socket,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            unflushed: false,
            keep_alive,
            awaiting_pong: false,
            tap: None,
        }
    }

    /// Queues a frame; [`Self::next`] writes it.
    pub fn send(&mut self, frame: String) {
        self.outbox_bytes += frame.len();
        self.outbox.push_back(Message::text(frame));
    }

    /// Whether more may be queued without holding too much in memory.
    pub fn has_room(&self) -> bool {
        self.outbox_bytes < MAX_OUTBOX
    }

    /// Writes what is queued and waits for what comes in. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Incoming {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Writes what is queued and leaves what comes in unread, so that the server is made to wait. Never ends by itself;
    /// a failure to write shows in [`Self::next`].
    pub async fn only_write(&mut self) -> Infallible {
        poll_fn(|cx| {
            let _ = self.poll_write(cx);
            Poll::Pending
        })
        .await
    }

    /// A frame that is already here, if there is one: it spares the cost of waiting when many come at once.
    pub fn try_next(&mut self) -> Option<Incoming> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.poll_read(&mut cx) {
            Poll::Ready(incoming) => Some(incoming),
            Poll::Pending => None,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            // The server may have said why before it stopped listening, so what it sent is read first.
            return match self.poll_read(cx) {
                Poll::Ready(incoming) => Poll::Ready(incoming),
                Poll::Pending => Poll::Ready(self.lost(plain_reason(&error))),
            };
        }
        if let Poll::Ready(incoming) = self.poll_read(cx) {
            return Poll::Ready(incoming);
        }
        self.poll_keep_alive(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        while !self.outbox.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            if let Some(message) = self.outbox.pop_front() {
                self.outbox_bytes = self.outbox_bytes.saturating_sub(message.len());
                self.unflushed = true;
                if let Message::Text(text) = &message {
                    self.tell(Side::Client, text.as_ref());
                }
                Pin::new(&mut self.socket).start_send(message)?;
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            let message = ready!(Pin::new(&mut self.socket).poll_next(cx));
            self.awaiting_pong = false;
            return Poll::Ready(match message {
                Some(Ok(Message::Text(text))) => {
                    self.tell(Side::Server, text.as_ref());
                    Incoming::Frame(text)
                }
                // Some servers send their JSON in binary frames (protocol.md section 1.5). What is no text is no
                // event either, which whoever reads it finds out.
                Some(Ok(Message::Binary(bytes))) => {
                    self.tell(Side::Server, &bytes);
                    Incoming::Frame(
                        Utf8Bytes::try_from(bytes.clone())
                            .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()),
                    )
                }
                Some(Ok(Message::Close(frame))) => {
                    self.closed(Some(Side::Server), CloseReason::from_frame(frame))
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => self.lost(plain_reason(&error)),
                None => self.lost("the connection ended without a close frame"),
            });
        }
    }

    /// Has a frame written down, if the connection is recorded.
    fn tell(&self, from: Side, payload: &Bytes) {
        if let Some(tap) = &self.tap {
            tap.frame(from, payload.clone());
        }
    }

    fn closed(&mut self, by: Option<Side>, close: CloseReason) -> Incoming {
        if let Some(tap) = &mut self.tap {
            tap.closed(by, &close);
        }
        Incoming::Closed(close)
    }

    fn lost(&mut self, reason: impl Into<String>) -> Incoming {
        self.closed(None, CloseReason::lost(reason))
    }

    /// Asks for a sign of life now and then; a server that gives none for a whole interval is gone.
    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        while self.keep_alive.poll_tick(cx).is_ready() {
            if self.awaiting_pong {
                let silence = self.keep_alive.period();
                let reason = format!("no sign of life from the server for {} s", silence.as_secs());
                return Poll::Ready(self.lost(reason));
            }
            self.awaiting_pong = true;
            self.outbox.push_back(Message::Ping(Bytes::new()));
            if let Poll::Ready(Err(error)) = self.poll_write(cx) {
                return Poll::Ready(self.lost(plain_reason(&error)));
            }
        }
        Poll::Pending
    }

    /// Sends what is queued and a close frame, and waits for the server's: within a second. Leaving at once with
    /// something unread would reset the connection, and the server might lose what was sent last.
    pub async fn close(mut self) {
        let goodbye = CloseFrame {
            code: CloseCode::Normal,
            reason: Utf8Bytes::default(),
        };
        let _ = timeout(CLOSE_LIMIT, async {
            // If the server has closed, nothing more can be written, but its close frame is still to be answered.
            let _ = poll_fn(|cx| self.poll_write(cx)).await;
            if let Some(tap) = &mut self.tap {
                tap.closed(
                    Some(Side::Client),
                    &CloseReason::from_frame(Some(goodbye.clone())),
                );
            }
            self.socket.close(Some(goodbye)).await?;
            while !matches!(poll_fn(|cx| self.poll_read(cx)).await, Incoming::Closed(_)) {}
            Ok::<_, WsError>(())
        })
        .await;
    }
}

/// The reason in words, without the kind of error that the library puts before it.
fn plain_reason(error: &WsError) -> String {
    match error {
        WsError::Io(error) => error.to_string(),
        WsError::Tls(error) => format!("TLS: {error}"),
        WsError::ConnectionClosed | WsError::AlreadyClosed => "the connection is closed".to_owned(),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            "the connection ended without a close frame".to_owned()
        }
        other => other.to_string(),
    }
}

/// What an HTTP status and its body say; the body may be JSON, HTML of a proxy, or nothing.
fn refusal(endpoint: &Endpoint, response: &Response<Option<Vec<u8>>>) -> ConnectError {
    let body = json_in(response.body().as_deref().unwrap_or_default());
    let first_text = |paths: &[&str]| {
        let text = paths.iter().find_map(|path| body.pointer(path)?.as_str());
        endpoint.scrub(text.unwrap_or_default())
    };
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    ConnectError::Refused {
        host: endpoint.host(),
        status: response.status().as_u16(),
        code: first_text(&["/error/code"]),
        // OpenAI's and Azure's place, and those of other servers.
        message: first_text(&["/error/message", "/error", "/message", "/detail"]),
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// The JSON object in the body of a refusal, which comes as it was on the wire: perhaps in chunks.
fn json_in(body: &[u8]) -> Value {
    let first = body.iter().position(|byte| *byte == b'{');
    let last = body.iter().rposition(|byte| *byte == b'}');
    match (first, last) {
        (Some(first), Some(last)) => body
            .get(first..=last)
            .and_then(|object| serde_json::from_slice(object).ok())
            .unwrap_or_default(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use tokio::net::TcpListener;

    type Server = WebSocketStream<TcpStream>;

    /// Both ends of a connection with this keep-alive.
    async fn pair(keep_alive: Duration) -> (Connection, Server) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let accept = async {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_tungstenite::accept_async(stream).await.unwrap()
        };
        let (client, server) = tokio::join!(tokio_tungstenite::connect_async(url), accept);
        (Connection::over(client.unwrap().0, keep_alive), server)
    }

    #[tokio::test]
    async fn a_server_that_gives_no_sign_of_life_is_given_up() {
        let (mut connection, _silent) = pair(Duration::from_millis(20)).await;
        let Incoming::Closed(close) = connection.next().await else {
            panic!("something came")
        };
        assert!(close.reason.starts_with("no sign of life"), "{close}");
        assert_eq!(close.code, 1006);
    }

    #[tokio::test]
    async fn a_server_that_answers_pings_is_kept() {
        let (mut connection, mut server) = pair(Duration::from_millis(300)).await;
        let pings = async {
            for _ in 0..3 {
                let message = server.next().await;
                assert!(matches!(message, Some(Ok(Message::Ping(_)))), "{message:?}");
            }
        };
        tokio::select! {
            () = pings => {}
            incoming = connection.next() => panic!("{incoming:?}"),
        }
    }

    #[tokio::test]
    async fn pings_are_answered_and_not_told() {
        let (mut connection, mut server) = pair(KEEP_ALIVE).await;
        let serve = async {
            let ping = Message::Ping(Bytes::from_static(b"still there?"));
            futures_util::SinkExt::send(&mut server, ping).await.unwrap();
            server.next().await
        };
        tokio::select! {
            pong = serve => assert!(matches!(pong, Some(Ok(Message::Pong(_)))), "{pong:?}"),
            incoming = connection.next() => panic!("{incoming:?}"),
        }
    }
}
