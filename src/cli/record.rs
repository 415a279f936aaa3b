//! The recording of a run.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use realtime_run::transport::Recorder;

use super::args::{RecordArgs, ReplayArgs};
use super::exit::Failure;
use super::printer::Printer;

/// A recording under way.
#[derive(Debug)]
pub struct Recording {
    pub recorder: Recorder,
    path: PathBuf,
}

impl Recording {
    /// Begins one, if that is asked for.
    pub fn start(args: &RecordArgs, replay: &ReplayArgs) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.record else { return Ok(None) };
        if replay
            .replay
            .as_deref()
            .is_some_and(|other| are_same(path, other))
        {
            let message = format!("{} can't be replayed and recorded at once", path.display());
            return Err(Failure::usage(anyhow!(message)));
        }
        let recorder = Recorder::create(path, !args.record_no_audio)
            .with_context(|| format!("cannot record to {}", path.display()))
            .map_err(Failure::usage)?;
        Ok(Some(Self {
            recorder,
            path: path.clone(),
        }))
    }

    /// Ends it, and tells what is missing.
    pub fn finish(self, printer: &Printer) {
        let recorded = self.recorder.finish();
        let path = self.path.display();
        let dropped = recorded.dropped;
        match &recorded.error {
            Some(error) => {
                let message = format!("the recording {path} is not whole: {error}");
                printer.warning(&message, Some("what is there can be replayed up to its end"));
            }
            None if dropped > 0 => {
                let message = format!(
                    "{dropped} frames are missing from the recording {path}: it was written too slowly"
                );
                printer.warning(&message, None);
            }
            None => {
                let note = format!("{} frames recorded in {path}", recorded.frames);
                printer.note(&printer.paint().dim(&note));
            }
        }
    }
}

/// Whether both are names of one file that is there.
pub fn are_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
