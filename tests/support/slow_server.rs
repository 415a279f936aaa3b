//! A simulator that says one word after the other, slowly enough to be interrupted.
//!
//! Use it with `#[path = "support/slow_server.rs"] mod slow_server;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::simulator::{Brain, Options, Output, Pace, Prompt, Reply, Simulator};
use tokio::runtime::Runtime;

/// Gives these answers one after the other, the last one again and again.
struct Talker(VecDeque<Vec<Output>>);

impl Brain for Talker {
    fn answer(&mut self, _prompt: &Prompt<'_>) -> Reply {
        let answer = match self.0.len() {
            1 => self.0[0].clone(),
            _ => self.0.pop_front().unwrap_or_default(),
        };
        answer.into()
    }
}

pub struct SlowServer {
    simulator: Option<Simulator>,
    runtime: Runtime,
}

impl SlowServer {
    /// A server that says `words`, with a pause of `interval` before each.
    pub fn start(words: &str, interval: Duration) -> Self {
        Self::answering([vec![Output::Say(words.to_owned())]], interval)
    }

    /// A server that gives these answers, the last one again and again, with a pause of `interval` before each word.
    pub fn answering(answers: impl IntoIterator<Item = Vec<Output>>, interval: Duration) -> Self {
        let answers: VecDeque<_> = answers.into_iter().collect();
        let options = Options {
            pace: Pace::Every(interval),
            brain: Arc::new(move || Box::new(Talker(answers.clone()))),
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
