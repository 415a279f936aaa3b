//! A simulator that says one word after the other, slowly enough to be interrupted.
//!
//! Use it with `#[path = "support/slow_server.rs"] mod slow_server;`.

use std::sync::Arc;
use std::time::Duration;

use realtime_run::simulator::{Brain, Options, Output, Pace, Prompt, Simulator};
use tokio::runtime::Runtime;

/// Answers every message with the same words.
struct Talker(String);

impl Brain for Talker {
    fn answer(&mut self, _prompt: &Prompt<'_>) -> Vec<Output> {
        vec![Output::Say(self.0.clone())]
    }
}

pub struct SlowServer {
    simulator: Option<Simulator>,
    runtime: Runtime,
}

impl SlowServer {
    /// A server that says `words`, with a pause of `interval` before each.
    pub fn start(words: &str, interval: Duration) -> Self {
        let words = words.to_owned();
        let options = Options {
            pace: Pace::Every(interval),
            brain: Arc::new(move || Box::new(Talker(words.clone()))),
            ..Options::default()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let simulator = runtime
            .block_on(Simulator::bind_with("127.0.0.1:0", options))
            .unwrap();
        Self {
            simulator: Some(simulator),
            runtime,
        }
    }

    pub fn url(&self) -> String {
        self.simulator.as_ref().unwrap().url()
    }
}

impl Drop for SlowServer {
    fn drop(&mut self) {
        let _in_runtime = self.runtime.enter();
        drop(self.simulator.take());
    }
}
