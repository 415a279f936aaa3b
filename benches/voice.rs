//! A minute of two-way sound: how late the user's chunks leave at their own pace, and the CPU time of the whole program.
//!
//! The built binary says a file to a server in this process, which answers all the while, in pieces of 200 ms. A chunk is
//! late by how much longer after its due time it arrives than the most punctual one; the way over the loopback wire and
//! the waking of this process count as well, so what left was rather less late. The CPU time is the program's own.

mod support;

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use realtime_run::audio::{self, Channels, WavWriter};
use realtime_run::protocol::AudioFormat;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
/// As long as those of the program.
const CHUNK: Duration = Duration::from_millis(20);
/// Chunks to one piece of the answer.
const PIECE: usize = 10;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (sound, agent) = (folder.path().join("minute.wav"), folder.path().join("agent.toml"));
    // At another rate than the session's: it is converted on the way.
    let mut wav = WavWriter::new(File::create(&sound).unwrap(), Channels::Mono, 44_100).unwrap();
    let tone = audio::tone(300.0, MINUTE, AudioFormat::Pcm { rate: 44_100 });
    wav.write(audio::decode(&tone, AudioFormat::PCM24)).unwrap();
    wav.flush().unwrap();
    let text = "[session]\nturn_detection = \"none\"\n[agents.Assistant]\ninstructions = \"Be brief.\"\n";
    std::fs::write(&agent, text).unwrap();

    let (tell, told) = mpsc::channel();
    let process = Arc::new(Mutex::new(0));
    let url = support::server({
        let process = Arc::clone(&process);
        move |socket| {
            if support::open(socket) {
                let arrivals = converse(socket);
                let cpu = cpu_seconds(*process.lock().unwrap());
                tell.send((arrivals, cpu)).unwrap();
            }
            while socket.read().is_ok() {}
        }
    });
    let mut run = Command::new(env!("CARGO_BIN_EXE_realtime-run"))
        .args(["--url", &url, "--no-store", "--trace", "none", "--json"])
        .arg("--agent")
        .arg(&agent)
        .arg("--audio-in")
        .arg(&sound)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    *process.lock().unwrap() = run.id();
    let (arrivals, cpu) = told.recv_timeout(2 * MINUTE).expect("the run sends its sound");
    run.kill().unwrap();
    run.wait().unwrap();

    println!("a minute of sound each way, PCM at 24 kHz, from a file of 44.1 kHz in chunks of 20 ms");
    let late = lateness(&arrivals);
    let ratio = |share: f64| late[((late.len() - 1) as f64 * share) as usize] / CHUNK.as_secs_f64();
    println!(
        "  chunks leave late by {:.2} of their length (median), {:.2} (p99), {:.2} (worst of {})",
        ratio(0.5),
        ratio(0.99),
        ratio(1.0),
        late.len()
    );
    match cpu {
        Some(cpu) => println!(
            "  CPU time of the program: {:.2} s, {:.2} % of one core",
            cpu,
            cpu / 0.6
        ),
        None => println!("  CPU time: not known on this system"),
    }
}

/// Hears the user out and answers meanwhile; tells when each chunk came.
fn converse(socket: &mut tokio_tungstenite::tungstenite::WebSocket<std::net::TcpStream>) -> Vec<Instant> {
    let mut arrivals: Vec<Instant> = Vec::new();
    let (piece, mut events) = (support::audio_delta(1, 200), support::answer(1, Vec::new()));
    let ends = events.split_off(3);
    while let Ok(message) = socket.read() {
        let kind = message.to_text().unwrap_or_default();
        if kind.contains(r#""type":"input_audio_buffer.append""#) {
            arrivals.push(Instant::now());
            match arrivals.len() {
                1 => events.iter().for_each(|event| support::send(socket, event)),
                count if count % PIECE == 0 => support::send(socket, &piece),
                _ => {}
            }
        } else if kind.contains(r#""type":"input_audio_buffer.commit""#) {
            ends.iter().for_each(|event: &Value| support::send(socket, event));
            return arrivals;
        }
    }
    panic!("the run ended before its sound: {}", json!(arrivals.len()))
}

/// How late each chunk came, in seconds, the most punctual first.
fn lateness(arrivals: &[Instant]) -> Vec<f64> {
    let first = arrivals[0];
    let since_due = |(number, at): (usize, &Instant)| {
        at.duration_since(first).as_secs_f64() - CHUNK.as_secs_f64() * number as f64
    };
    let mut late: Vec<f64> = arrivals.iter().enumerate().map(since_due).collect();
    late.sort_by(f64::total_cmp);
    let least = late[0];
    late.iter().map(|late| late - least).collect()
}

/// The CPU time that a process has taken, where the system tells; its clock ticks a hundred times a second.
fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<f64>().ok());
    Some(ticks.sum::<f64>() / 100.0)
}
