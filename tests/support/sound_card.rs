//! A virtual sound card: a PulseAudio of the test's own, with a speaker and a voice that can be played into the microphone,
//! to which ALSA's default device leads. No real device is touched.
//!
//! Use it with `#[path = "support/sound_card.rs"] mod sound_card;`, beside `cli`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cli::wait_until;

/// Samples a second of both of its devices and of everything that is recorded or played.
pub const RATE: u32 = 48_000;

/// Where ALSA's own configuration lies; ours comes on top of it.
const ALSA: &str = "/usr/share/alsa/alsa.conf";

pub struct SoundCard {
    directory: TempDir,
    server: Child,
}

/// What is to be installed, and the program by which it is told whether it is.
const PROGRAMS: [(&str, &str); 3] = [
    ("pulseaudio", "pulseaudio"),
    ("parec", "pulseaudio-utils"),
    ("pacat", "pulseaudio-utils"),
];

/// A sound card; none, loudly, where what it is made of is not installed.
pub fn sound_card() -> Option<SoundCard> {
    let is_there = |program: &str| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    let plugin = ["x86_64-linux-gnu", "aarch64-linux-gnu", ""]
        .iter()
        .any(|machine| {
            Path::new("/usr/lib")
                .join(machine)
                .join("alsa-lib/libasound_module_pcm_pulse.so")
                .exists()
        });
    let mut missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    if !plugin || !Path::new(ALSA).exists() {
        missing.push("libasound2-plugins");
    }
    if missing.is_empty() {
        return Some(SoundCard::start());
    }
    let missing = format!("not installed: {}; `make sound` installs it", missing.join(", "));
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

impl SoundCard {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write(
            "pulse.pa",
            "load-module module-native-protocol-unix auth-anonymous=1\n\
             load-module module-null-sink sink_name=speaker rate=48000 channels=2\n\
             load-module module-null-sink sink_name=voice rate=48000 channels=1\n\
             set-default-sink speaker\n\
             set-default-source voice.monitor\n",
        );
        // The devices by name, beside the default: one hears the voice, the other the speaker itself.
        write(
            "alsa.conf",
            &format!(
                "<{ALSA}>\n\
                 pcm.!default {{ type pulse hint {{ show on description \"Virtual card\" }} }}\n\
                 pcm.echo {{ type pulse device \"speaker.monitor\" hint {{ show on description \"What is played\" }} }}\n"
            ),
        );
        let log = std::fs::File::create(directory.path().join("pulse.log")).unwrap();
        let mut server = Command::new("pulseaudio");
        server
            .args([
                "--daemonize=no",
                "--use-pid-file=no",
                "--exit-idle-time=-1",
                "--disallow-exit",
                "-n",
                "-F",
            ])
            .arg(directory.path().join("pulse.pa"))
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        at_home(&mut server, directory.path());
        let card = Self {
            server: server.spawn().unwrap(),
            directory,
        };
        wait_until("a sound card", || {
            let listed = card
                .command("pactl")
                .args(["list", "short", "sources"])
                .output()
                .unwrap();
            String::from_utf8_lossy(&listed.stdout).contains("voice.monitor")
        });
        card
    }

    /// Has a program use this card and no other.
    pub fn plug_in(&self, command: &mut Command) {
        at_home(command, self.directory.path());
        command
            .env(
                "PULSE_SERVER",
                format!("unix:{}/native", self.directory.path().display()),
            )
            .env("ALSA_CONFIG_PATH", self.directory.path().join("alsa.conf"));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.plug_in(&mut command);
        command
    }

    /// Records what is played from now on.
    pub fn record(&self) -> Recorder {
        let mut process = self
            .command("parec")
            .args(["-d", "speaker.monitor", "--raw", "--format=s16le", "--channels=1"])
            .args(["--latency-msec=20", &format!("--rate={RATE}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let follower = Arc::clone(&heard);
        let mut stream = process.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                follower.lock().unwrap().take(&buffer[..read]);
            }
        });
        let recorder = Recorder { process, heard };
        wait_until("a recording", || !recorder.heard.lock().unwrap().bytes.is_empty());
        recorder
    }

    /// Says something into the microphone, and waits until it is said.
    pub fn say(&self, samples: &[i16]) {
        let mut process = self
            .command("pacat")
            .args(["-p", "-d", "voice", "--raw", "--format=s16le", "--channels=1"])
            .args(["--latency-msec=20", &format!("--rate={RATE}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        process.stdin.take().unwrap().write_all(&bytes).unwrap();
        assert!(process.wait().unwrap().success());
    }

    /// The cable is pulled.
    pub fn unplug(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    pub fn log(&self) -> PathBuf {
        self.directory.path().join("pulse.log")
    }
}

/// Programs find nothing of the user's own sound system, and the user's finds nothing of ours.
fn at_home(command: &mut Command, home: &Path) {
    command
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("XDG_CONFIG_HOME", home)
        .env("PULSE_RUNTIME_PATH", home)
        .env("PULSE_STATE_PATH", home)
        .env_remove("PULSE_SERVER");
}

impl Drop for SoundCard {
    fn drop(&mut self) {
        self.unplug();
    }
}

/// What was recorded, and when the last of it that was no silence came.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    last_sound: Option<Instant>,
}

impl Heard {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if bytes.iter().any(|byte| *byte != 0) {
            self.last_sound = Some(Instant::now());
        }
    }
}

pub struct Recorder {
    process: Child,
    heard: Arc<Mutex<Heard>>,
}

impl Recorder {
    /// Waits until so much sound was heard.
    pub fn wait_for_sound(&self, length: Duration) {
        wait_until("sound", || {
            self.sound().len() as u128 >= u128::from(RATE) * length.as_millis() / 1_000
        });
    }

    /// When the last sound was heard, once there was none for a while.
    pub fn wait_for_silence(&self) -> Instant {
        let last = || self.heard.lock().unwrap().last_sound;
        wait_until("silence", || {
            last().is_some_and(|last| last.elapsed() > Duration::from_millis(500))
        });
        last().unwrap()
    }

    /// What was heard, without the silence before and after it.
    pub fn sound(&self) -> Vec<i16> {
        let bytes = self.heard.lock().unwrap().bytes.clone();
        let samples: Vec<_> = bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let is_sound = |sample: &i16| *sample != 0;
        match (
            samples.iter().position(is_sound),
            samples.iter().rposition(is_sound),
        ) {
            (Some(first), Some(last)) => samples[first..=last].to_vec(),
            _ => Vec::new(),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
