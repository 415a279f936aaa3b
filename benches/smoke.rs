//! Two hundred scripts in one run of the built binary, on simulators inside it: how long they take, and the most memory it
//! holds.

use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SCRIPTS: usize = 200;
/// Two turns, of which one calls a tool.
const SCRIPT: &str = r#"
agent = "agent.toml"
[[turns]]
user = "What is the weather in Oslo?"
expect = [{ event = "tool_call", name = "get_weather" }, { event = "response", text_contains = "clear" }]
[[turns]]
user = "Thank you"
expect = [{ event = "response" }]
[[spans]]
type = "function"
name = "get_weather"
"#;
const AGENT: &str = r#"
[agents.Assistant]
instructions = "You tell the weather."
tools = ["get_weather"]
[tools.get_weather]
description = "Tells the current weather of a city."
parameters = { type = "object", properties = { city = { type = "string" } }, required = ["city"] }
output = { sky = "clear", celsius = 21 }
"#;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("agent.toml"), AGENT).unwrap();
    for number in 0..SCRIPTS {
        let path = folder.path().join(format!("{number:03}.smoke.toml"));
        std::fs::write(path, SCRIPT).unwrap();
    }
    println!(
        "{SCRIPTS} scripts of two turns and a tool call, each with a session and a simulator of its own"
    );
    for (concurrency, more) in [
        ("1", &[][..]),
        ("8", &[]),
        ("8", &["--report", "report.html", "--junit", "report.xml"]),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_realtime-run"));
        command
            .current_dir(folder.path())
            .args(["--script", ".", "--simulate", "--concurrency", concurrency])
            .args(more)
            .env("REALTIME_RUN_SPOOL", folder.path().join("store"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let (time, peak) = measure(command);
        let mut line = format!("  {concurrency} at a time");
        for flag in more.iter().filter(|word| word.starts_with("--")) {
            write!(line, ", {flag}").unwrap();
        }
        let peak = peak.map_or("not known on this system".to_owned(), |peak| {
            format!("{peak:.1} MiB")
        });
        println!("{line}: {:.2} s, peak memory {peak}", time.as_secs_f64());
    }
}

/// How long a program takes, and the most memory that it was seen to hold.
fn measure(mut command: Command) -> (Duration, Option<f64>) {
    let start = Instant::now();
    let mut run = command.spawn().unwrap();
    let mut peak = None;
    let status = loop {
        if let Some(status) = run.try_wait().unwrap() {
            break status;
        }
        peak = peak_memory(run.id()).or(peak);
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "all scripts pass");
    (start.elapsed(), peak)
}

/// The most memory a process has held, in MiB, where the system tells.
fn peak_memory(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
