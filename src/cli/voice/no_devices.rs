//! What stands for devices where the program was built without them: an error that says how to get them.

use std::convert::Infallible;

use anyhow::anyhow;
use realtime_run::protocol::AudioFormat;
use realtime_run::session::{SessionEvent, SessionHandle};

use super::{Tape, TurnEnding};
use crate::cli::args::DeviceArgs;
use crate::cli::exit::{ExitStatus, Failure};

const ADVICE: &str = "install it with `cargo install --locked --path . --features devices`; on Linux that needs ALSA's \
                      headers (Debian: libasound2-dev)";

/// That something is asked of devices which this program can't do.
pub fn missing(what: &str) -> Failure {
    Failure::Other {
        status: ExitStatus::Usage,
        error: anyhow!("{what} needs microphones and speakers, without which this program was built"),
        advice: Some(ADVICE),
    }
}

/// Devices that are open: never.
#[derive(Debug)]
pub struct OpenDevices(Infallible);

/// Devices in use: never.
#[derive(Debug)]
pub struct Devices(Infallible);

impl OpenDevices {
    /// Opens nothing.
    ///
    /// # Errors
    /// When the command line asks for something.
    pub async fn open(
        args: &DeviceArgs,
        _formats: (AudioFormat, AudioFormat),
        _ending: TurnEnding,
    ) -> Result<Option<Self>, Failure> {
        match (args.mic, args.speaker) {
            (false, false) => Ok(None),
            (true, _) => Err(missing("`--mic`")),
            (false, true) => Err(missing("`--speaker`")),
        }
    }

    pub fn start(self, _session: &SessionHandle, _tape: &Tape) -> Devices {
        match self.0 {}
    }
}

impl Devices {
    /// What follows from there being none.
    pub fn never<T>(&self) -> T {
        match self.0 {}
    }

    pub fn hear(&self) -> bool {
        match self.0 {}
    }

    pub fn leave_answers_to_us(&self) -> bool {
        match self.0 {}
    }

    pub fn are_sounding(&self) -> bool {
        match self.0 {}
    }

    pub async fn note(&self, _event: &SessionEvent) {
        match self.0 {}
    }

    pub async fn press(&mut self) -> Option<bool> {
        match self.0 {}
    }

    pub fn silence(&self) -> std::future::Ready<()> {
        match self.0 {}
    }

    pub async fn lost(&mut self) -> anyhow::Error {
        match self.0 {}
    }

    pub fn troubles(&self) -> Vec<String> {
        match self.0 {}
    }
}
