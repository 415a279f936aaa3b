//! From the start of the program to its first message on the wire, and the most memory it held by then: the built binary
//! against a server in this process.

mod support;

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::spread;

const ROUNDS: usize = 20;

fn main() {
    let (tell, told) = mpsc::channel();
    let url = support::server(move |socket| {
        if support::open(socket) && support::wait_for(socket, "conversation.item.create") {
            tell.send(Instant::now()).unwrap();
        }
        while socket.read().is_ok() {}
    });
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/agents/assistant.toml");
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut run = Command::new(env!("CARGO_BIN_EXE_realtime-run"))
            .args(["--agent", file, "--url", &url, "-m", "hello"])
            .env(
                "REALTIME_RUN_SPOOL",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/bench-store"),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let first_message = told
            .recv_timeout(Duration::from_secs(10))
            .expect("the run sends its message");
        times.push(first_message.duration_since(start).as_secs_f64() * 1_000.0);
        peaks.extend(peak_memory(run.id()));
        run.kill().unwrap();
        run.wait().unwrap();
    }
    println!("from the start of the program to its first message on a loopback wire, {ROUNDS} runs");
    println!("  time: {} ms", spread(times, 1));
    if peaks.is_empty() {
        println!("  peak memory: not known on this system");
    } else {
        println!("  peak memory: {} MiB", spread(peaks, 1));
    }
}

/// The most memory a process has held, in MiB, where the system tells.
fn peak_memory(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<f64>()
        .ok()
        .map(|kib| kib / 1024.0)
}
