use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::command::Command;
use super::played::PlayedReports;
use super::{Decision, HistoryItem, SessionBuilder, SessionError, SessionEvent};
use crate::agent::Agents;
use crate::protocol::Part;
use crate::trace::TraceId;

/// Events taken from the queue at once.
const BATCH: usize = 64;

/// Where the application waits to hear what became of its wish.
pub(super) type Reply = oneshot::Sender<Result<(), SessionError>>;

/// What the application asks of the driver.
pub(super) enum Request {
    Command(Command),
    UpdateAgent {
        agent: String,
        reply: Reply,
    },
    Decide {
        call_id: String,
        decision: Decision,
        reply: Reply,
    },
    History {
        reply: oneshot::Sender<Vec<HistoryItem>>,
    },
}

/// An open session: a stream of [`SessionEvent`]s, and by way of [`SessionHandle`] everything that can be said to it.
///
/// Events must be read: when a thousand wait unread, the session stops listening to the server until they are.
/// Dropping the session closes it. Its spans are finished then, as in every other way it can end (span rule L2).
///
/// ```no_run
/// use realtime_run::agent::{Agent, Agents};
/// use realtime_run::session::{Session, SessionEvent};
///
/// # async fn run() -> Result<(), realtime_run::session::SessionError> {
/// let agents = Agents::new(Agent::new("Assistant").instructions("Answer in one sentence."));
/// let mut session = Session::builder(agents).connect().await?;
/// session.send_message("What is the capital of Italy?").await?;
/// while let Some(event) = session.next().await {
///     match event {
///         SessionEvent::TranscriptDelta { delta, .. } => println!("{delta}"),
///         SessionEvent::TurnEnd { .. } => session.close().await,
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Session {
    handle: SessionHandle,
    events: mpsc::Receiver<SessionEvent>,
    /// Events taken from the queue and not yet handed out, the next one last.
    batch: Vec<SessionEvent>,
}

/// Says things to a session, from any task. Cheap to clone.
///
/// Every method that says something fails with [`SessionError::Ended`] when the session is over, and waits while the
/// connection is slower than what is sent.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    requests: mpsc::Sender<Request>,
    played: Arc<PlayedReports>,
    /// Ends the session, however many requests wait.
    closing: Arc<Notify>,
    /// Becomes true when the session is over: spans finished, connection closed.
    over: watch::Receiver<bool>,
    trace_id: Option<TraceId>,
}

impl Session {
    /// Prepares a session of these agents.
    pub fn builder(agents: impl Into<Arc<Agents>>) -> SessionBuilder {
        SessionBuilder::new(agents.into())
    }

    pub(super) fn new(
        requests: mpsc::Sender<Request>,
        played: Arc<PlayedReports>,
        events: mpsc::Receiver<SessionEvent>,
        closing: Arc<Notify>,
        over: watch::Receiver<bool>,
        trace_id: Option<TraceId>,
    ) -> Self {
        let handle = SessionHandle {
            requests,
            played,
            closing,
            over,
            trace_id,
        };
        Self {
            handle,
            events,
            batch: Vec::with_capacity(BATCH),
        }
    }

    /// The next event; `None` after [`SessionEvent::SessionEnd`]. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        if self.batch.is_empty() {
            ready!(self.events.poll_recv_many(cx, &mut self.batch, BATCH));
            self.batch.reverse();
        }
        Poll::Ready(self.batch.pop())
    }

    /// A handle for other tasks.
    pub fn handle(&self) -> SessionHandle {
        self.handle.clone()
    }
}

/// Nobody listens any more, so the session ends, even while handles are left.
impl Drop for Session {
    fn drop(&mut self) {
        self.handle.closing.notify_one();
    }
}

impl Deref for Session {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.handle
    }
}

impl Stream for Session {
    type Item = SessionEvent;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        self.poll_event(cx)
    }
}

impl SessionHandle {
    /// Says something in writing, and has it answered.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn send_message(&self, text: impl Into<String>) -> Result<(), SessionError> {
        self.send_parts(vec![Part::InputText { text: text.into() }]).await
    }

    /// Shows a picture, given as a data URI of a PNG or JPEG, perhaps with words, and has it answered.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn send_image(
        &self,
        data_uri: impl Into<String>,
        text: Option<&str>,
    ) -> Result<(), SessionError> {
        let picture = Part::InputImage {
            image_url: data_uri.into(),
            detail: None,
        };
        let words = text.map(|text| Part::InputText {
            text: text.to_owned(),
        });
        self.send_parts(words.into_iter().chain([picture]).collect())
            .await
    }

    async fn send_parts(&self, content: Vec<Part>) -> Result<(), SessionError> {
        self.command(Command::Message(content)).await
    }

    /// Passes on the user's sound, in the session's input format. With `commit` it ends the turn and has it answered:
    /// that is for sessions without turn detection. With turn detection the server finds the end, but only where silence
    /// follows: whoever stops sending says so with some of it (protocol.md, trap 17).
    ///
    /// A file, as fast as the server takes it:
    ///
    /// ```no_run
    /// use std::path::Path;
    /// use std::time::Duration;
    ///
    /// use realtime_run::audio::{self, AudioReader};
    /// use realtime_run::protocol::AudioFormat;
    /// use realtime_run::session::SessionHandle;
    ///
    /// async fn say(session: &SessionHandle, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    ///     let format = AudioFormat::PCM24; // the session's `audio.input.format`
    ///     let mut sound = AudioReader::open(file, format)?;
    ///     while let Some(chunk) = sound.next_chunk(Duration::from_millis(20))? {
    ///         session.send_audio(chunk, false).await?;
    ///     }
    ///     let second = audio::encode(std::iter::repeat_n(0, 24_000), format);
    ///     session.send_audio(second, false).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When the session is over.
    pub async fn send_audio(&self, audio: impl Into<Bytes>, commit: bool) -> Result<(), SessionError> {
        self.command(Command::Audio {
            audio: audio.into(),
            commit,
        })
        .await
    }

    /// Stops the running answer: what is playing is cut, and the model stops.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn interrupt(&self) -> Result<(), SessionError> {
        self.command(Command::Interrupt).await
    }

    /// Tells how much of a part of an answer has been played so far, in bytes of the session's output format. Without such
    /// reports the clock decides how much of an interrupted answer was heard (protocol.md section 6.3); with them, what was
    /// not reported was not heard.
    ///
    /// Meant to be called many times a second by whatever plays, on any thread: it never waits, and of each part only the
    /// last word counts. What is said after it is judged by it. A report on what was cut off meanwhile, or after the
    /// end of the session, does nothing.
    pub fn report_played(&self, item_id: &str, content_index: u32, bytes: u64) {
        self.played.report(item_id, content_index, bytes);
    }

    /// Puts another agent in charge (span rule L5) and waits until it is.
    ///
    /// # Errors
    /// When there is no such agent, it can't be resolved, or the server refuses its settings: then the agent in charge
    /// stays (span rule L6). When the session is over.
    pub async fn update_agent(&self, agent: impl Into<String>) -> Result<(), SessionError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::UpdateAgent {
            agent: agent.into(),
            reply,
        })
        .await?;
        answer.await.map_err(|_| SessionError::Ended)?
    }

    /// Decides on a call that waits for approval ([`SessionEvent::ToolApprovalRequired`]).
    ///
    /// # Errors
    /// [`SessionError::NotWaiting`] when no such call waits, or it was settled meanwhile. When the session is over.
    pub async fn decide(&self, call_id: impl Into<String>, decision: Decision) -> Result<(), SessionError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Decide {
            call_id: call_id.into(),
            decision,
            reply,
        })
        .await?;
        answer.await.map_err(|_| SessionError::Ended)?
    }

    /// Sends an event of the protocol as it is. A `response.create` is sent when it is its turn. Settings sent this way
    /// are not known to the agent's span.
    ///
    /// # Errors
    /// When `event` is no object with a `type`, or the session is over.
    pub async fn send_raw(&self, event: Value) -> Result<(), SessionError> {
        let Value::Object(event) = event else {
            return Err(SessionError::RawEvent);
        };
        if !has_type(&event) {
            return Err(SessionError::RawEvent);
        }
        self.command(Command::Raw(event)).await
    }

    /// The conversation so far.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn history(&self) -> Result<Vec<HistoryItem>, SessionError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::History { reply }).await?;
        answer.await.map_err(|_| SessionError::Ended)
    }

    /// Ends the session and waits until it is over: spans finished, connection closed. What was said before goes out
    /// first, if the server takes it. Takes a few seconds at most, whatever the server and the tools do. Closing twice,
    /// or from two tasks at once, is fine.
    pub async fn close(&self) {
        self.closing.notify_one();
        self.closed().await;
    }

    /// Waits until the session is over, whoever ends it.
    pub async fn closed(&self) {
        let _ = self.over.clone().wait_for(|over| *over).await;
    }

    /// The trace that the session's spans belong to, if there is one.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace_id
    }

    async fn command(&self, command: Command) -> Result<(), SessionError> {
        self.request(Request::Command(command)).await
    }

    async fn request(&self, request: Request) -> Result<(), SessionError> {
        self.requests.send(request).await.map_err(|_| SessionError::Ended)
    }
}

fn has_type(event: &Map<String, Value>) -> bool {
    event
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| !kind.is_empty())
}

/// How long [`SessionBuilder::connect`] may take unless it is told otherwise.
pub(super) const OPEN_LIMIT: Duration = Duration::from_secs(30);
