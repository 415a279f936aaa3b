use std::path::PathBuf;

use clap::{ArgGroup, Args};
use realtime_run::simulator::Speed;

/// What a run writes down.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recordings")]
pub struct RecordArgs {
    /// Write both sides of the connection to this file, as JSON lines with times and without keys
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// With --record: only the length of all sound, not the sound itself
    #[arg(long, requires = "record")]
    pub record_no_audio: bool,
}

/// A recording instead of a simulated model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recordings", group = ArgGroup::new("replayed").multiple(true))]
pub struct ReplayArgs {
    /// Play the server's side of a recording, and tell where a client deviates from the other side
    #[arg(long, value_name = "FILE", group = "replayed")]
    pub replay: Option<PathBuf>,
    /// With --replay: go on when events of the recorded types have come, whatever else comes and whatever they say
    #[arg(long, requires = "replayed")]
    pub lenient: bool,
    /// With --replay: how much faster than recorded, such as 2 or 0.5; `max` is without waits
    #[arg(long, value_name = "N", requires = "replayed", default_value = "1")]
    pub speed: Speed,
}
