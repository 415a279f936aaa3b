use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream};
use tokio::sync::mpsc;

use super::Output;

/// What a response holds, as it becomes known. A brain that knows it at once has it made of a list:
///
/// ```
/// # use realtime_run::simulator::{Output, Reply};
/// let reply: Reply = vec![Output::Say("Hello!".into())].into();
/// ```
///
/// Dropping it ends whatever it is waiting for, as it happens when the client cancels the response.
pub struct Reply(Pin<Box<dyn Stream<Item = Output> + Send>>);

impl Reply {
    /// A reply that is written while it is sent: `write` gets the pen, and the reply ends with its future. That future
    /// runs within the task of the connection, so it must not block.
    pub fn written<W>(write: impl FnOnce(Pen) -> W) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (pen, mut written) = mpsc::channel(1);
        let mut writing = Some(Box::pin(write(Pen(pen))));
        Self(Box::pin(stream::poll_fn(move |cx| {
            if let Some(write) = &mut writing
                && write.as_mut().poll(cx).is_ready()
            {
                writing = None;
            }
            // Once the writer is gone the pen is, too, so that the channel ends.
            written.poll_recv(cx)
        })))
    }

    pub(in crate::simulator) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Output>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl From<Vec<Output>> for Reply {
    fn from(outputs: Vec<Output>) -> Self {
        Self(Box::pin(stream::iter(outputs)))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// What a [`Reply`] is written with.
#[derive(Debug, Clone)]
pub struct Pen(mpsc::Sender<Output>);

impl Pen {
    /// Adds an output, once the one before it is being sent.
    pub async fn write(&self, output: Output) {
        // A reply that was dropped takes its writer with it, so that nobody is left to hear of it.
        let _ = self.0.send(output).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::sync::Arc;

    use super::*;

    async fn next(reply: &mut Reply) -> Option<Output> {
        poll_fn(|cx| reply.poll_next(cx)).await
    }

    fn say(words: &str) -> Output {
        Output::Say(words.into())
    }

    #[tokio::test]
    async fn what_is_written_comes_out_in_order_and_then_ends() {
        let mut reply = Reply::written(|pen| async move {
            pen.write(say("a")).await;
            tokio::task::yield_now().await;
            pen.write(say("b")).await;
        });
        assert_eq!(next(&mut reply).await, Some(say("a")));
        assert_eq!(next(&mut reply).await, Some(say("b")));
        assert_eq!(next(&mut reply).await, None);
        assert_eq!(next(&mut reply).await, None, "it stays ended");
    }

    #[tokio::test]
    async fn a_reply_that_is_dropped_takes_its_writer_with_it() {
        let held = Arc::new(());
        let kept = Arc::clone(&held);
        let mut reply = Reply::written(|pen| async move {
            pen.write(say("a")).await;
            pending::<()>().await;
            drop(kept);
        });
        assert_eq!(next(&mut reply).await, Some(say("a")));
        assert_eq!(Arc::strong_count(&held), 2);
        drop(reply);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
