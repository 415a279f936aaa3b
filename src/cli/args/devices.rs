use clap::Args;

/// Where the user is heard, and the assistant.
#[derive(Debug, Args)]
#[command(next_help_heading = "Voice")]
pub struct DeviceArgs {
    /// Hear the user through a microphone, until the run is ended; whoever speaks clearly louder than the echo of the
    /// assistant cuts in
    #[arg(long, conflicts_with = "audio_in")]
    pub mic: bool,
    /// Let the assistant be heard through a speaker
    #[arg(long)]
    pub speaker: bool,
    /// With --mic: the device, by its name in `realtime-run devices` or a part of it [default: the system's]
    #[arg(long, value_name = "NAME", requires = "mic")]
    pub input_device: Option<String>,
    /// With --speaker: the device, by its name in `realtime-run devices` or a part of it [default: the system's]
    #[arg(long, value_name = "NAME", requires = "speaker")]
    pub output_device: Option<String>,
    /// With --mic: be heard only from one press of a key to the next, or as long as it is held where the terminal tells
    /// that: space on the screen, Enter where there is none. It ends the turn if the server does not find ends of turns itself
    #[arg(long, requires = "mic", conflicts_with = "messages")]
    pub push_to_talk: bool,
}
