//! What a run hears and lets be heard.

use std::path::PathBuf;

use clap::Args;

use super::Pace;

#[derive(Debug, Args)]
#[command(next_help_heading = "Voice")]
pub struct VoiceArgs {
    /// Say what this sound file holds, wait for the answer, then exit (repeatable: one turn after the other); `-` is raw
    /// sound on stdin, in the session's input format, with as many turns as the server finds in it
    #[arg(long, value_name = "FILE", conflicts_with = "messages")]
    pub audio_in: Vec<PathBuf>,
    /// With --audio-in: whether sound is sent in the time that it takes to say, and the next turn waits until the answer
    /// would have been heard; or as fast as the server takes it [default: realtime for files, as it comes for stdin]
    #[arg(long, value_name = "PACE", requires = "audio_in")]
    pub audio_pace: Option<Pace>,
    /// Keep what is heard of the answers in this WAV file, one after the other; `-` is raw sound on stdout as it comes, in
    /// the session's output format
    #[arg(long, value_name = "FILE")]
    pub audio_out: Option<PathBuf>,
    /// Keep all sound in this folder: a WAV file for each side and turn, and conversation.wav, the user on the left and the
    /// assistant on the right, as it was heard
    #[arg(long, value_name = "DIR")]
    pub audio_out_dir: Option<PathBuf>,
}

impl VoiceArgs {
    /// Whether raw sound goes to stdout.
    pub fn raw_audio_out(&self) -> bool {
        self.audio_out
            .as_deref()
            .is_some_and(|path| path.as_os_str() == "-")
    }
}
