//! Plays scripts as often as is asked for, so many at a time.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;

use futures_util::stream::{FuturesUnordered, StreamExt};
use realtime_run::trace::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Time;
use super::attempt::Stage;
use super::plan::Planned;
use super::results::{Attempt, Results, ScriptResult, Standing};
use super::tell::{Ended, Teller};
use crate::cli::args::ScriptArgs;
use crate::cli::output::Output;
use crate::cli::signals::Signals;

/// An attempt under way.
type Playing<'a> = Pin<Box<dyn Future<Output = (Time, Option<Attempt>)> + 'a>>;

/// Scripts that are being played.
pub struct Pool<'a> {
    args: &'a ScriptArgs,
    stage: &'a Stage<'a>,
    planned: &'a [Planned],
    teller: &'a mut Teller,
    scripts: Vec<ScriptResult>,
    /// Runs that were begun.
    begun: u32,
    /// Attempts to be made before another run begins.
    retries: VecDeque<Time>,
    /// The attempts up to now of runs that another one follows, by script and run.
    tried: HashMap<(usize, u32), Vec<Attempt>>,
    playing: FuturesUnordered<Playing<'a>>,
    /// Nothing more begins.
    is_over: bool,
}

impl<'a> Pool<'a> {
    /// One that has played nothing yet.
    pub fn new(
        args: &'a ScriptArgs,
        stage: &'a Stage<'a>,
        planned: &'a [Planned],
        scripts: Vec<ScriptResult>,
        teller: &'a mut Teller,
    ) -> Self {
        Self {
            args,
            stage,
            planned,
            teller,
            scripts,
            begun: 0,
            retries: VecDeque::new(),
            tried: HashMap::new(),
            playing: FuturesUnordered::new(),
            is_over: false,
        }
    }

    /// Plays all of them. At a signal, or when nobody reads what is told, all that is left ends in order, of which `end`
    /// tells it; a second signal does not wait for that.
    pub async fn play(
        mut self,
        signals: &mut Signals,
        output: &Output,
        end: &watch::Sender<bool>,
    ) -> Results {
        let (started_at, started) = (Timestamp::now(), Instant::now());
        let mut is_interrupted = false;
        loop {
            self.begin();
            if self.playing.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                _ = signals.next() => {
                    if std::mem::replace(&mut is_interrupted, true) {
                        break;
                    }
                    self.end(end);
                }
                _ = output.stdout_gone(), if !*end.borrow() => self.end(end),
                Some((time, attempt)) = next(&mut self.playing, output) => {
                    if let Some(attempt) = attempt {
                        self.ended(time, attempt);
                    }
                }
                () = self.teller.wait() => self.teller.tick(),
            }
        }
        for ((script, run), attempts) in self.tried {
            self.scripts[script].add(run as usize, attempts);
        }
        for script in &mut self.scripts {
            script.runs.sort_by_key(|run| run.number);
        }
        Results {
            started_at,
            duration: started.elapsed(),
            is_interrupted,
            scripts: self.scripts,
        }
    }

    fn end(&mut self, end: &watch::Sender<bool>) {
        self.is_over = true;
        end.send_replace(true);
    }

    /// Begins as much as may be played at the same time.
    fn begin(&mut self) {
        while self.playing.len() < self.args.concurrency as usize && !self.is_over {
            let Some(time) = self.retries.pop_front().or_else(|| self.next_run()) else {
                break;
            };
            let (planned, stage) = (&self.planned[time.script], self.stage);
            let on_turn = self.teller.began(time, &self.scripts[time.script]);
            self.playing.push(Box::pin(async move {
                (time, stage.play(planned, time, on_turn).await)
            }));
        }
    }

    /// The first attempt of the run that is next: all of a script, then all of the next one.
    fn next_run(&mut self) -> Option<Time> {
        let (script, run) = (self.begun / self.args.repeat, self.begun % self.args.repeat);
        let script = script as usize;
        if script >= self.planned.len() {
            return None;
        }
        self.begun += 1;
        Some(Time {
            script,
            run: run + 1,
            attempt: 1,
        })
    }

    fn ended(&mut self, time: Time, attempt: Attempt) {
        let has_passed = Standing::from(&attempt.outcome.verdict).is_good();
        let goes_on = !has_passed && !self.is_over && time.attempt <= self.args.retries;
        let script = &mut self.scripts[time.script];
        let ended = Ended {
            script,
            time,
            attempt: &attempt,
            goes_on,
        };
        self.teller.ended(&ended);
        let run = (time.script, time.run);
        let mut attempts = self.tried.remove(&run).unwrap_or_default();
        attempts.push(attempt);
        if goes_on {
            self.tried.insert(run, attempts);
            self.retries.push_back(Time {
                attempt: time.attempt + 1,
                ..time
            });
            return;
        }
        script.add(time.run as usize, attempts);
        // One that passes takes no other's chances; so passing runs cost nothing here.
        if self.args.fail_fast && !has_passed && !script.can_pass() {
            self.is_over = true;
        }
    }
}

/// What ends next, once there is room to tell it.
async fn next(
    playing: &mut FuturesUnordered<Playing<'_>>,
    output: &Output,
) -> Option<(Time, Option<Attempt>)> {
    output.room().await;
    playing.next().await
}
