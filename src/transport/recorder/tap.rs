use std::sync::Arc;
use std::time::Instant;

use tokio_tungstenite::tungstenite::Bytes;

use super::Recorder;
use super::queue::{Waiting, What};
use crate::recording::{Ending, Entry, Side};
use crate::scrub::Scrub;
use crate::transport::{CloseReason, Endpoint};

/// Where one connection tells what goes over it.
#[derive(Debug)]
pub(in crate::transport) struct Tap {
    recorder: Recorder,
    scrub: Arc<Scrub>,
    opened: Instant,
    /// The end has been told; nothing after it counts.
    is_over: bool,
}

impl Tap {
    /// A connection that is open now.
    pub(super) fn new(recorder: Recorder, endpoint: &Endpoint, model: &str) -> Self {
        let tap = Self {
            recorder,
            scrub: Arc::new(endpoint.scrubber()),
            opened: Instant::now(),
            is_over: false,
        };
        tap.own(Entry::Opened {
            host: endpoint.host(),
            model: model.to_owned(),
        });
        tap
    }

    pub(in crate::transport) fn frame(&self, from: Side, payload: Bytes) {
        if !self.is_over {
            self.push(What::Frame(from, payload));
        }
    }

    /// Tells how the connection ended, and who ended it; only the first time counts.
    pub(in crate::transport) fn closed(&mut self, by: Option<Side>, close: &CloseReason) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.own(Entry::Closed(Ending {
                by,
                code: close.code,
                reason: self.scrub.clean_words(&close.reason),
            }));
        }
    }

    fn own(&self, entry: Entry) {
        self.push(What::Own(entry));
    }

    fn push(&self, what: What) {
        self.recorder.queue().push(Waiting {
            at: self.opened.elapsed(),
            what,
            scrub: Arc::clone(&self.scrub),
        });
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let reason = CloseReason::lost("the client left without closing");
        self.closed(Some(Side::Client), &reason);
    }
}
