//! A virtual sound card: a PulseAudio of the test's own, with a speaker and a voice that can be played into the microphone,
//! to which ALSA's default device leads. No real device is touched.
//!
//! Use it with `#[path = "support/sound_card.rs"] mod sound_card;`, beside `cli`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cli::{LIMIT, wait_until};

/// Samples a second of both of its devices and of everything that is recorded or played.
pub const RATE: u32 = 48_000;

/// Where ALSA's own configuration lies; ours comes on top of it.
const ALSA: &str = "/usr/share/alsa/alsa.conf";

pub struct SoundCard {
    directory: TempDir,
    server: Child,
    /// Keeps the microphone awake: it may sleep for two seconds before it hears anything else.
    listener: Option<Child>,
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
        let mut card = Self {
            server: server.spawn().unwrap(),
            directory,
            listener: None,
        };
        wait_until("a sound card", || {
            let listed = card
                .command("pactl")
                .args(["list", "short", "sources"])
                .output()
                .unwrap();
            String::from_utf8_lossy(&listed.stdout).contains("voice.monitor")
        });
        let mut listener = card.listen("voice.monitor");
        let mut heard = listener.stdout.take().unwrap();
        heard.read_exact(&mut [0; 2]).unwrap();
        std::thread::spawn(move || std::io::copy(&mut heard, &mut std::io::sink()));
        card.listener = Some(listener);
        card
    }

    /// A program that gives what a device hears on its stdout, once it does.
    fn listen(&self, device: &str) -> Child {
        self.command("parec")
            .args(["-d", device, "--raw", "--format=s16le", "--channels=1"])
            .args(["--latency-msec=20", &format!("--rate={RATE}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
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
        let mut process = self.listen("speaker.monitor");
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let follower = Arc::clone(&heard);
        let mut stream = process.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                follower.0.lock().unwrap().take(&buffer[..read]);
                follower.1.notify_all();
            }
        });
        let recorder = Recorder { process, heard };
        drop(recorder.wait_until("a recording", |heard| !heard.bytes.is_empty()));
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
        for process in self.listener.iter_mut().chain([&mut self.server]) {
            let _ = process.kill();
            let _ = process.wait();
        }
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

/// What was recorded.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// Where sound began and ended up to now, in samples.
    sound: Option<(usize, usize)>,
    /// When the last sound came.
    last_sound: Option<Instant>,
    /// Samples between sounds that were silent for a millisecond or longer.
    silent: usize,
}

impl Heard {
    fn take(&mut self, bytes: &[u8]) {
        let before = self.bytes.len() / 2;
        self.bytes.extend_from_slice(bytes);
        let samples = self.bytes[2 * before..].as_chunks::<2>().0;
        for (place, _) in (before..).zip(samples).filter(|(_, sample)| **sample != [0, 0]) {
            let (first, last) = self.sound.unwrap_or((place, place));
            let gap = place.saturating_sub(last + 1);
            // The zero of a wave is no silence.
            if gap > RATE as usize / 1_000 {
                self.silent += gap;
            }
            self.sound = Some((first, place));
            self.last_sound = Some(Instant::now());
        }
    }

    /// How long it lasted from the first sound to the last, in samples.
    fn length(&self) -> usize {
        self.sound.map_or(0, |(first, last)| last + 1 - first)
    }

    fn tones_ms(&self) -> f64 {
        (self.length() - self.silent) as f64 * 1_000.0 / f64::from(RATE)
    }
}

pub struct Recorder {
    process: Child,
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

impl Recorder {
    fn wait_until(&self, what: &str, is_so: impl Fn(&Heard) -> bool) -> MutexGuard<'_, Heard> {
        let (heard, changed) = &*self.heard;
        let waiting = changed.wait_timeout_while(heard.lock().unwrap(), LIMIT, |heard| !is_so(heard));
        let (heard, timeout) = waiting.unwrap();
        assert!(!timeout.timed_out(), "waited in vain for {what}");
        heard
    }

    /// Waits until tones were heard for so many milliseconds, the silence between them left out.
    pub fn wait_for_tones(&self, millis: f64) {
        drop(self.wait_until("tones", |heard| heard.tones_ms() >= millis));
    }

    /// When the last sound was heard, once there was none for a while.
    pub fn wait_for_silence(&self) -> Instant {
        let is_over = |last: Instant| last.elapsed() > Duration::from_millis(500);
        let heard = self.wait_until("silence", |heard| heard.last_sound.is_some_and(is_over));
        heard.last_sound.unwrap()
    }

    /// How long tones were heard, in milliseconds, the silence between them left out.
    pub fn tones_ms(&self) -> f64 {
        self.heard.0.lock().unwrap().tones_ms()
    }

    /// What was heard, without the silence before and after it.
    pub fn sound(&self) -> Vec<i16> {
        let heard = self.heard.0.lock().unwrap();
        let samples = heard.bytes.as_chunks::<2>().0;
        let (first, last) = heard.sound.unwrap();
        samples[first..=last]
            .iter()
            .map(|sample| i16::from_le_bytes(*sample))
            .collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
