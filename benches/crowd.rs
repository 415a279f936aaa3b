//! Many clients of `realtime-run simulate` at once: the memory of a thousand idle sessions, the CPU time of a hundred that
//! talk in real time beside them, how soon others are answered meanwhile, and how much sound it makes when nothing waits.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use futures_util::{SinkExt, StreamExt};
use realtime_run::audio;
use realtime_run::protocol::AudioFormat;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const IDLE: usize = 1_000;
const TALKING: usize = 100;
const TALK: Duration = Duration::from_secs(10);
const CHUNK: Duration = Duration::from_millis(100);
const FAST_TURNS: usize = 10;
/// Nothing here takes so long.
const LIMIT: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The program in a process of its own.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(pace: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_realtime-run"))
            .args(["simulate", "-q", "--pace", pace])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut url).unwrap();
        Self {
            process,
            url: format!("{}?model=gpt-realtime-2.1", url.trim()),
        }
    }

    /// The memory it holds, in KiB, where the system tells.
    fn memory(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// The CPU time it has taken, where the system tells; its clock ticks a hundred times a second.
    fn cpu(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        let ticks: Vec<f64> = fields
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|n| n.parse().ok())
            .collect();
        Some(ticks.iter().sum::<f64>() / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

async fn open(url: &str) -> Socket {
    let (mut socket, _) = connect_async(url).await.unwrap();
    wait_for(&mut socket, "session.created").await;
    send(
        &mut socket,
        &json!({"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}}),
    )
    .await;
    wait_for(&mut socket, "session.updated").await;
    socket
}

async fn send(socket: &mut Socket, event: &Value) {
    socket.send(Message::text(event.to_string())).await.unwrap();
}

/// The bytes that came until an event of that type had come.
async fn wait_for(socket: &mut Socket, kind: &str) -> usize {
    let (kind, mut bytes) = (format!("\"type\":\"{kind}\""), 0);
    loop {
        let message = timeout(LIMIT, socket.next()).await.unwrap().unwrap().unwrap();
        bytes += message.len();
        if message.is_text() && message.to_text().unwrap().contains(&kind) {
            return bytes;
        }
    }
}

/// Speaks for a second and is silent for a second, in turn, as a microphone would; tells how many answers came.
async fn talk(url: String) -> usize {
    let socket = open(&url).await;
    let (mut sink, mut stream) = socket.split();
    let append = |sound: Vec<u8>| {
        let event = json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode_to_string(sound)});
        Message::text(event.to_string())
    };
    let speech = append(audio::tone(300.0, CHUNK, AudioFormat::PCM24));
    let silence = append(vec![0; 48 * CHUNK.as_millis() as usize]);
    let speaking = async {
        let mut ticks = interval(CHUNK);
        for n in 0..TALK.as_millis() / CHUNK.as_millis() {
            ticks.tick().await;
            let chunk = if n / 10 % 2 == 0 { &speech } else { &silence };
            sink.send(chunk.clone()).await.unwrap();
        }
    };
    let mut answers = 0;
    let listening = async {
        while let Some(Ok(message)) = stream.next().await {
            if message
                .to_text()
                .is_ok_and(|text| text.starts_with("{\"type\":\"response.created\""))
            {
                answers += 1;
            }
        }
    };
    tokio::select! {
        () = speaking => {}
        () = listening => panic!("the server hung up"),
    }
    answers
}

/// How long one more client waits for an answer, again and again, in milliseconds.
async fn probe(url: String) -> Vec<f64> {
    let mut socket = open(&url).await;
    let (start, mut waits) = (Instant::now(), Vec::new());
    while start.elapsed() < TALK {
        let asked = Instant::now();
        send(&mut socket, &json!({"type": "input_audio_buffer.clear"})).await;
        wait_for(&mut socket, "input_audio_buffer.cleared").await;
        waits.push(asked.elapsed().as_secs_f64() * 1_000.0);
        sleep(Duration::from_millis(20)).await;
    }
    waits.sort_by(f64::total_cmp);
    waits
}

async fn crowd() {
    let server = Server::start("realtime");
    let _first = open(&server.url).await;
    let before = server.memory();
    let start = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(open(&server.url).await);
    }
    println!(
        "{IDLE} sessions opened one after the other in {:.2} s",
        start.elapsed().as_secs_f64()
    );
    if let (Some(before), Some(after)) = (before, server.memory()) {
        println!(
            "  memory: {:.1} KiB an idle session, {:.1} MiB in all",
            (after - before) / IDLE as f64,
            after / 1024.0
        );
    }

    let (cpu, start) = (server.cpu(), Instant::now());
    let mut talkers: JoinSet<usize> = (0..TALKING).map(|_| talk(server.url.clone())).collect();
    let probing = tokio::spawn(probe(server.url.clone()));
    let mut answers = 0;
    while let Some(count) = talkers.join_next().await {
        answers += count.unwrap();
    }
    let wall = start.elapsed().as_secs_f64();
    println!("{TALKING} sessions that talk beside them for {wall:.1} s: {answers} answers begun");
    if let (Some(before), Some(after)) = (cpu, server.cpu()) {
        println!(
            "  the server's CPU time: {:.1} % of one core",
            (after - before) / wall * 100.0
        );
    }
    let waits = probing.await.unwrap();
    println!(
        "  an answer to another client meanwhile: {:.2} ms in the median, {:.2} ms at the 99th percentile",
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100]
    );
    if let Some(memory) = server.memory() {
        println!("  memory: {:.1} MiB in all", memory / 1024.0);
    }
}

/// A client that asks for one answer after the other; tells the bytes it got.
async fn ask(url: String) -> usize {
    let mut socket = open(&url).await;
    let mut bytes = 0;
    for _ in 0..FAST_TURNS {
        let words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
                     seventeen eighteen";
        let item =
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]});
        send(
            &mut socket,
            &json!({"type": "conversation.item.create", "item": item}),
        )
        .await;
        send(&mut socket, &json!({"type": "response.create"})).await;
        bytes += wait_for(&mut socket, "response.done").await;
    }
    bytes
}

async fn blast() {
    let server = Server::start("fast");
    let (cpu, start) = (server.cpu(), Instant::now());
    let mut clients: JoinSet<usize> = (0..TALKING).map(|_| ask(server.url.clone())).collect();
    let mut bytes = 0;
    while let Some(count) = clients.join_next().await {
        bytes += count.unwrap();
    }
    let wall = start.elapsed().as_secs_f64();
    // Twenty words of 200 ms each.
    let spoken = (TALKING * FAST_TURNS * 4) as f64;
    println!(
        "{TALKING} sessions that ask for {FAST_TURNS} spoken answers each, as fast as they come: {wall:.2} s"
    );
    println!(
        "  {:.0} s of speech a second, {:.0} MiB of frames a second",
        spoken / wall,
        bytes as f64 / wall / f64::from(1 << 20)
    );
    if let (Some(before), Some(after)) = (cpu, server.cpu()) {
        println!(
            "  the server's CPU time: {:.0} ms a second of speech made",
            (after - before) / spoken * 1_000.0
        );
    }
}

/// The clients' own sockets are more than many systems allow unless they are asked.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[cfg(not(unix))]
fn raise_file_limit() {}

fn main() {
    raise_file_limit();
    support::runtime().block_on(async {
        crowd().await;
        blast().await;
    });
}
