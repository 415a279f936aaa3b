//! Every command of the README works as it stands there. Those that want a key or another server get the simulator's
//! address by the environment, so that nothing leaves the machine; `make` and `cargo` commands are run by `.ci/run`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use realtime_run::simulator::Simulator;
use tempfile::TempDir;

const README: &str = include_str!("../README.md");

/// The lines of all blocks marked as `sh`.
fn commands() -> Vec<&'static str> {
    let blocks = README.split("```sh\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .flat_map(str::lines)
        .collect()
}

/// A folder with all that is in the project's root, where commands may leave files of their own.
fn copy_of_root() -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let entry = entry.unwrap();
        std::os::unix::fs::symlink(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// A shell in this folder that finds the built program, and meets no server but the simulator.
fn shell(line: &str, folder: &Path, simulator: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_realtime-run"));
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", line])
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .env("OPENAI_API_KEY", "sk-readme")
        .env("XAI_API_KEY", "xai-readme")
        .env(
            "REALTIME_RUN_SPOOL",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/readme-store"),
        )
        .env(
            "OPENAI_BASE_URL",
            simulator.replace("ws://", "http://").replace("/realtime", ""),
        )
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            simulator.replace("ws://", "http://"),
        )
        .env(
            "OPENAI_AGENTS_DISABLE_TRACING",
            // Scripts may expect spans.
            if line.contains("--trace") || line.contains("--script") {
                "0"
            } else {
                "1"
            },
        );
    shell
}

#[tokio::test]
async fn every_command_works() {
    let simulator = Simulator::bind("127.0.0.1:0").await.unwrap();
    let url = simulator.url();
    let lines: Vec<_> = commands()
        .into_iter()
        .filter(|line| line.contains("realtime-run "))
        .collect();
    assert!(
        lines.len() >= 7,
        "the README shows how to use the program: {lines:?}"
    );
    let folder = copy_of_root();
    for line in lines {
        if line.contains(" simulate ") {
            assert_serves(line, folder.path());
            continue;
        }
        let local = line.replace("wss://api.x.ai/v1/realtime", &url);
        let mut shell = shell(&local, folder.path(), &url);
        let Output {
            status,
            stdout,
            stderr,
        } = tokio::task::spawn_blocking(move || shell.output())
            .await
            .unwrap()
            .unwrap();
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "`{line}` ended with {status}:\n{stderr}");
        let asks = line.contains("-m ") || line.contains('|');
        assert!(
            !asks || !stdout.is_empty(),
            "`{line}` answered nothing:\n{stderr}"
        );
    }
    simulator.shutdown().await;
}

/// The line starts a server, on whatever port is free.
fn assert_serves(line: &str, folder: &Path) {
    let line = format!("exec {}", line.replace("8080", "0"));
    let mut server = shell(&line, folder, "ws://unused/realtime")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(url.starts_with("ws://127.0.0.1:"), "`{line}` served {url:?}");
}
