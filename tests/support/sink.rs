//! A local HTTP server that records requests and answers as the test says.
//!
//! Use it with `#[path = "support/sink.rs"] mod sink;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a test waits for what must come.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: Instant,
    /// As `POST /v1/traces/ingest HTTP/1.1`.
    pub line: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The objects in `{"data": […]}`.
    pub fn items(&self) -> Vec<Value> {
        self.json()["data"].as_array().expect("`data` is a list").clone()
    }
}

/// How the sink answers one request.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// The answer waits until this is open.
    gate: Option<Gate>,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
            gate: None,
        }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub fn after(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

/// Something to wait for that the test opens when it likes; the end of the sink opens it too.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let guard = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(guard, LIMIT, |open| !*open).unwrap());
    }
}

type Script = Box<dyn Fn(usize, &Request) -> Answer + Send + Sync>;

struct Shared {
    script: Script,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    connections: Mutex<Vec<TcpStream>>,
    /// Connections still to be cut off in the middle of a request.
    cuts: AtomicUsize,
    over: AtomicBool,
}

pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Sink {
    /// A sink on a free port. `script` gets each request with its number (from 0) and says how to answer it.
    pub fn start(script: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            requests: Mutex::default(),
            arrived: Condvar::new(),
            connections: Mutex::default(),
            cuts: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Answers every request with `status`.
    pub fn always(status: u16) -> Self {
        Self::start(move |_, _| Answer::status(status))
    }

    /// Answers one request after the other with these, and the last one from then on.
    pub fn sequence(answers: Vec<Answer>) -> Self {
        Self::start(move |number, _| answers[number.min(answers.len() - 1)].clone())
    }

    /// Cuts the next connections off when the head of a request and a little of its body were read.
    pub fn cut(self, connections: usize) -> Self {
        self.shared.cuts.store(connections, Ordering::SeqCst);
        self
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until `count` requests have come, and returns all that have.
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        let guard = self.shared.requests.lock().unwrap();
        let (requests, timeout) = self
            .shared
            .arrived
            .wait_timeout_while(guard, LIMIT, |requests| requests.len() < count)
            .unwrap();
        assert!(
            !timeout.timed_out(),
            "{} of {count} requests came within {LIMIT:?}",
            requests.len()
        );
        requests.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for connection in self.shared.connections.lock().unwrap().iter() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address); // wakes the acceptor
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        shared
            .connections
            .lock()
            .unwrap()
            .push(connection.try_clone().unwrap());
        let shared = Arc::clone(shared);
        std::thread::spawn(move || serve(connection, &shared));
    }
}

/// Serves one connection until the client leaves it.
fn serve(mut connection: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let one_less = |cuts: usize| cuts.checked_sub(1);
    if shared
        .cuts
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
        .is_ok()
    {
        let _ = reader.fill_buf();
        let _ = connection.shutdown(std::net::Shutdown::Both);
        return;
    }
    while let Some(request) = read_request(&mut reader) {
        let number = {
            let mut requests = shared.requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        let answer = (shared.script)(number, &request);
        shared.arrived.notify_all();
        if let Some(gate) = &answer.gate {
            gate.wait();
        }
        if write_answer(&mut connection, &answer).is_err() {
            break;
        }
    }
    // Dropping is not enough: the sink holds the connection too.
    let _ = connection.shutdown(std::net::Shutdown::Both);
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let http = reader.fill_buf().ok()?.first()?.is_ascii_alphabetic();
    if !http {
        return None; // TLS, for one: it would wait for an answer while we wait for a line.
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let at = Instant::now();
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        at,
        line: line.trim_end().to_owned(),
        headers,
        body,
    })
}

fn write_answer(connection: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let Answer {
        status,
        headers,
        body,
        ..
    } = answer;
    let mut text = format!("HTTP/1.1 {status} x\r\n");
    headers
        .iter()
        .for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    if *status != 204 {
        text += &format!("content-length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body;
    connection.write_all(text.as_bytes())
}
