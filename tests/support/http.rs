//! An HTTP server with one answer for everyone, that keeps what it was asked.
//!
//! Use it with `#[path = "support/http.rs"] mod http;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that gives the same answer to everyone, and keeps what it was asked.
pub struct Server {
    pub address: String,
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` follows `HTTP/1.1 `; the connection is closed after it.
    pub async fn new(answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&requests), answer.into());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                kept.lock().unwrap().push(request);
                let _ = stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, requests }
    }

    pub fn request(&self) -> String {
        let requests = self.requests.lock().unwrap();
        assert_eq!(requests.len(), 1);
        requests[0].clone()
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> String {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        request += &String::from_utf8_lossy(&buffer[..count]);
        let head = request
            .split_once("\r\n\r\n")
            .map(|(head, body)| (head.to_lowercase(), body.len()));
        let is_whole = head.is_some_and(|(head, body)| {
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
            body >= length.unwrap_or(0)
        });
        if count == 0 || is_whole {
            return request;
        }
    }
}

/// The rest of an answer that is good.
pub fn ok(body: &str) -> String {
    format!("200 OK\r\nconnection: close\r\n\r\n{body}")
}
