//! The end of a queue, within its limit.

use std::time::Duration;

use super::queue::Queue;
use crate::trace::processor::ShutdownReport;

/// How long past its limit a shutdown lets the export thread say itself what it could not send.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// Why items are not delivered that shutdown could not wait for.
pub(super) const OUT_OF_TIME: &str = "shutdown ran out of time";
/// Why items are not delivered that came too late.
pub(in crate::trace) const AFTER_SHUTDOWN: &str = "they came after shutdown";

impl Queue {
    /// Has everything settled within `limit`, stops the worker, and reports.
    pub(in crate::trace) fn shutdown(&self, limit: Duration) -> ShutdownReport {
        self.close(limit);
        let thread = self.wait_for_end(limit);
        // If this call has to end it, the exporter blocks its thread against its contract: then that is left behind.
        let blocked = self.stop(OUT_OF_TIME);
        if let Some(thread) =
            thread.filter(|thread| !blocked && thread.thread().id() != std::thread::current().id())
        {
            let _ = thread.join();
        }
        self.report()
    }

    /// Tells the worker when it must be over; of several calls the earliest limit holds.
    pub(in crate::trace) fn close(&self, limit: Duration) {
        let now = tokio::time::Instant::now();
        let deadline = now
            .checked_add(limit)
            .unwrap_or(now + Duration::from_secs(86_400));
        self.closing.send_if_modified(|closing| {
            let earlier = closing.is_none_or(|set| deadline < set);
            if earlier {
                *closing = Some(deadline);
            }
            earlier
        });
        self.wake.notify_one();
    }

    /// Waits until shutdown has begun, and tells when it must be over.
    pub(in crate::trace) async fn closed(&self) -> tokio::time::Instant {
        let mut closing = self.closing.subscribe();
        match closing.wait_for(Option::is_some).await.map(|deadline| *deadline) {
            Ok(Some(deadline)) => deadline,
            _ => std::future::pending().await,
        }
    }

    /// Returns when shutdown's time is over; it may become shorter meanwhile.
    pub(super) async fn out_of_time(&self) {
        let mut closing = self.closing.subscribe();
        loop {
            let deadline = *closing.borrow_and_update();
            let over = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                // The sender lives as long as this.
                _ = closing.changed() => {}
            }
        }
    }

    pub(in crate::trace) fn report(&self) -> ShutdownReport {
        self.state().accounts.report(&self.destination)
    }
}
