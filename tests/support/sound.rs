//! Sound files, and the sound that a run sent.
//!
//! Use it with `#[path = "support/sound.rs"] mod sound;`, beside `cli`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use realtime_run::audio::{self, Channels, WavWriter};
use realtime_run::protocol::AudioFormat;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::Outcome;

pub const PCM: AudioFormat = AudioFormat::PCM24;

/// A folder of sound files.
pub struct Sounds(TempDir);

impl Sounds {
    pub fn new() -> Self {
        Self(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with these samples.
    pub fn file(&self, name: &str, samples: &[i16], rate: u32) -> String {
        let path = self.path(name);
        let mut wav = WavWriter::new(File::create(&path).unwrap(), Channels::Mono, rate).unwrap();
        wav.write(samples.iter().copied()).unwrap();
        wav.flush().unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A file of speech: a tone, which detectors take for it.
    pub fn tone(&self, name: &str, millis: u64) -> String {
        self.file(name, &tone(millis, PCM), 24_000)
    }
}

/// Samples of a tone at the format's rate.
pub fn tone(millis: u64, format: AudioFormat) -> Vec<i16> {
    let length = Duration::from_millis(millis);
    let format = AudioFormat::Pcm {
        rate: audio::sample_rate(format),
    };
    audio::decode(&audio::tone(300.0, length, format), format)
}

/// Samples of silence.
pub fn silence(millis: u64) -> Vec<i16> {
    vec![0; millis as usize * 24]
}

pub fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// What the run sent, of `--json --raw`.
pub fn sent(outcome: &Outcome) -> Vec<Value> {
    let events = outcome.json();
    let sent = events
        .into_iter()
        .filter(|event| event["type"] == "raw_client_event");
    sent.map(|event| event["event"].clone()).collect()
}

/// The user's sound in events that were sent.
pub fn spoken<'a>(events: impl IntoIterator<Item = &'a Value>) -> Vec<u8> {
    let appends = events
        .into_iter()
        .filter(|event| event["type"] == "input_audio_buffer.append");
    appends
        .flat_map(|event| BASE64_STANDARD.decode(event["audio"].as_str().unwrap()).unwrap())
        .collect()
}

/// The sound of the answers, of `--json`.
pub fn heard(outcome: &Outcome) -> Vec<u8> {
    let events = outcome.json();
    let audio = events.iter().filter(|event| event["type"] == "audio");
    audio
        .flat_map(|event| BASE64_STANDARD.decode(event["audio"].as_str().unwrap()).unwrap())
        .collect()
}

/// The most memory that a process has held, in KiB, where the system tells.
pub fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
