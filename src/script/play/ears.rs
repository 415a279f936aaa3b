//! How the user hears answers: in the time that they sound, or at once.

use std::time::Duration;

use tokio::time::Instant;

use super::PlayOptions;
use crate::protocol::{AudioFormat, Id};
use crate::session::playout::Playout;
use crate::session::{SessionEvent, SessionHandle};

/// The user's ears.
#[derive(Debug)]
pub(super) enum Ears {
    /// By the clock, as the session itself counts it.
    InTime(Playout),
    /// Where time is not what it seems, the session is told what was heard: all of it before the user goes on.
    AtOnce { format: AudioFormat, tracks: Vec<Track> },
}

/// The sound of one part of an answer.
#[derive(Debug)]
pub(super) struct Track {
    item_id: Id,
    content_index: u32,
    bytes: u64,
}

impl Ears {
    pub(super) fn new(options: &PlayOptions) -> Self {
        let format = options.audio.output.format.unwrap_or_default();
        match options.realtime {
            true => Self::InTime(Playout::new(format)),
            false => Self::AtOnce {
                format,
                tracks: Vec::new(),
            },
        }
    }

    /// Takes note of what happened at `now`.
    pub(super) fn note(&mut self, event: &SessionEvent, now: Instant) {
        match self {
            Self::InTime(playout) => playout.note(event, now),
            Self::AtOnce { tracks, .. } => match event {
                SessionEvent::Audio {
                    item_id,
                    content_index,
                    audio,
                } => add(tracks, item_id, *content_index, audio.len() as u64),
                SessionEvent::AudioInterrupted { .. } => tracks.clear(),
                _ => {}
            },
        }
    }

    /// When the answer will have been heard, unless it is already.
    pub(super) fn heard_at(&self) -> Option<Instant> {
        match self {
            Self::InTime(playout) => playout.until(),
            Self::AtOnce { .. } => None,
        }
    }

    /// The user goes on, having heard all.
    pub(super) fn have_heard_all(&mut self, session: &SessionHandle) {
        self.have_heard(session, Duration::MAX);
        if let Self::AtOnce { tracks, .. } = self {
            tracks.clear();
        }
    }

    /// The user interrupts, having heard so much.
    pub(super) fn have_heard(&mut self, session: &SessionHandle, length: Duration) {
        let Self::AtOnce { format, tracks } = self else {
            return;
        };
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let mut left = millis.saturating_mul(format.bytes_per_second()) / 1_000;
        for track in tracks {
            let heard = track.bytes.min(left);
            left -= heard;
            session.report_played(&track.item_id, track.content_index, heard);
        }
    }
}

fn add(tracks: &mut Vec<Track>, item_id: &Id, content_index: u32, bytes: u64) {
    match tracks.last_mut() {
        Some(last) if last.item_id == *item_id && last.content_index == content_index => last.bytes += bytes,
        _ => tracks.push(Track {
            item_id: item_id.clone(),
            content_index,
            bytes,
        }),
    }
}
