//! The replay of a recording: what it is loaded from, and what is told of its clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use realtime_run::recording::{Entry, Recording, RecordingError, Row};
use realtime_run::simulator::{Deviation, Replay, ReplayMode};

use super::args::ReplayArgs;
use super::exit::{ExitStatus, Failure};
use super::printer::Printer;

/// Deviations told one by one; of more only the number is told.
pub const MOST_TOLD: usize = 100;

/// A recording that is played.
#[derive(Debug)]
pub struct Replaying {
    replay: Replay,
    deviations: Arc<AtomicU64>,
    path: PathBuf,
}

impl Replaying {
    /// Loads it, if that is asked for. Deviations are told as they are found.
    pub fn load(args: &ReplayArgs, printer: &Printer) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.replay else { return Ok(None) };
        let replay = load(path, args, printer)?;
        let deviations = Arc::new(AtomicU64::new(0));
        let (count, printer, name) = (
            Arc::clone(&deviations),
            printer.clone(),
            path.display().to_string(),
        );
        let tell = move |deviation: &Deviation| {
            if count.fetch_add(1, Ordering::Relaxed) < MOST_TOLD as u64 {
                let client = deviation.client;
                printer.error(
                    &format!("client {client} deviates from {name}, {deviation}"),
                    None,
                );
            }
        };
        Ok(Some(Self {
            replay: replay.on_deviation(tell),
            deviations,
            path: path.clone(),
        }))
    }

    pub fn replay(&self) -> Replay {
        self.replay.clone()
    }

    /// Sums it up. Tells the exit status: `status`, unless a client deviated.
    pub fn finish(&self, status: ExitStatus, printer: &Printer) -> ExitStatus {
        let deviations = self.deviations.load(Ordering::Relaxed);
        let note = format!(
            "{} was played to {}: {}",
            self.path.display(),
            counted(self.replay.clients(), "client"),
            counted(deviations, "deviation"),
        );
        printer.note(&printer.paint().dim(&note));
        match status {
            ExitStatus::Interrupted => status,
            _ if deviations > 0 => ExitStatus::Unexpected,
            _ => status,
        }
    }
}

/// Loads a recording, to be played as the flags say.
pub fn load(path: &Path, args: &ReplayArgs, printer: &Printer) -> Result<Replay, Failure> {
    let recording = Recording::load(path)?;
    warn_of_gaps(&recording, path, printer);
    let mode = if args.lenient {
        ReplayMode::Lenient
    } else {
        ReplayMode::Strict
    };
    Ok(Replay::new(&recording, mode).speed(args.speed))
}

fn warn_of_gaps(recording: &Recording, path: &Path, printer: &Printer) {
    let path = path.display();
    let gap = |(line, row): &(usize, Row)| match row.entry {
        Entry::Gap { frames } => Some((*line, frames)),
        _ => None,
    };
    if let Some((line, frames)) = recording.rows.iter().find_map(gap) {
        printer.warning(
            &format!("{path} is not whole: {frames} frames are missing at line {line}"),
            None,
        );
    }
    if recording.is_torn {
        printer.warning(
            &format!("{path} is not whole: its last line broke off and is left out"),
            None,
        );
    }
}

fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

impl From<RecordingError> for Failure {
    fn from(error: RecordingError) -> Self {
        Self::usage(error)
    }
}
