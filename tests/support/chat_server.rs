//! A chat-completions server that answers each request with just the bytes that the test says.
//!
//! Use it with `#[path = "support/chat_server.rs"] mod chat_server;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long a test waits for what must come.
pub const LIMIT: Duration = Duration::from_secs(20);

pub struct ChatServer {
    listener: TcpListener,
}

/// One request that waits for its answer.
pub struct Asked {
    stream: BufReader<TcpStream>,
    /// The request's line and headers, in lower case.
    pub head: String,
    pub body: Value,
}

impl ChatServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.listener.local_addr().unwrap())
    }

    /// The next request.
    pub async fn asked(&self) -> Asked {
        timeout(LIMIT, async {
            let mut stream = BufReader::new(self.listener.accept().await.unwrap().0);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).await.unwrap();
            }
            let head = head.to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length = length.split("\r\n").next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            Asked {
                stream,
                head,
                body: serde_json::from_slice(&body).unwrap(),
            }
        })
        .await
        .expect("a request")
    }
}

impl Asked {
    async fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
        self.stream.get_mut().flush().await.unwrap();
    }

    /// Begins an answer that streams.
    pub async fn begin(&mut self) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        self.write(head.as_bytes()).await;
    }

    /// Sends bytes as one piece.
    pub async fn piece(&mut self, bytes: &[u8]) {
        self.write(bytes).await;
        // So that the client reads them apart from the next ones.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Streams an answer, cut into pieces of so many bytes, to its end.
    pub async fn stream(mut self, chunks: &[Value], size: usize) {
        self.begin().await;
        let mut text: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        text += "data: [DONE]\n\n";
        for piece in text.as_bytes().chunks(size) {
            self.piece(piece).await;
        }
    }

    /// Answers with a status and a body.
    pub async fn answer(mut self, status: &str, body: &str) {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        self.write(answer.as_bytes()).await;
    }

    /// Waits until the client has hung up.
    pub async fn until_hung_up(mut self) {
        let mut rest = Vec::new();
        let rest = self.stream.read_to_end(&mut rest);
        // A reset is a hang-up, too.
        let _ = timeout(LIMIT, rest).await.expect("the client to hang up");
    }
}

/// A chunk with words.
pub fn words(words: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": words}, "finish_reason": null}]})
}

/// A chunk of a call.
pub fn call(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let mut call = json!({"index": index, "function": {"arguments": arguments}});
    if let (Some(id), Some(name)) = (id, name) {
        call["id"] = id.into();
        call["type"] = "function".into();
        call["function"]["name"] = name.into();
    }
    json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
}

/// The last chunk.
pub fn stop(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}
