//! Tells what comes of scripts, while they are played and at the end.
//!
//! In: what began and what ended. Out: lines on stdout, a table on a terminal, annotations under GitHub Actions.

mod github;
mod json;
mod live;
mod summary;
mod text;

use std::env;

use super::results::{Attempt, Results, ScriptResult, Standing};
use super::{OnTurn, Time};
use crate::cli::keys::Keys;
use crate::cli::output::Stream;
use crate::cli::printer::Printer;
use live::Live;

/// An attempt that has ended.
#[derive(Debug)]
pub struct Ended<'a> {
    pub script: &'a ScriptResult,
    pub time: Time,
    pub attempt: &'a Attempt,
    /// Whether another attempt follows.
    pub goes_on: bool,
}

impl Ended<'_> {
    /// How the run stands after it.
    fn standing(&self) -> Standing {
        match Standing::from(&self.attempt.outcome.verdict) {
            Standing::Passed if self.time.attempt > 1 => Standing::Flaky,
            standing => standing,
        }
    }
}

/// Tells what comes of scripts.
#[derive(Debug)]
pub struct Teller {
    printer: Printer,
    /// None of these is told.
    keys: Keys,
    json: bool,
    in_github: bool,
    live: Option<Live>,
    passed: usize,
    missed: usize,
}

impl Teller {
    /// One that tells of so many runs.
    pub fn new(printer: Printer, keys: Keys, json: bool, runs: u64) -> Self {
        let in_github = github::is_there();
        let is_seen = Stream::Stderr.is_terminal() && Stream::Stdout.is_terminal();
        let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_live =
            is_seen && !is_dumb && !json && !in_github && !printer.is_quiet() && !printer.is_logging();
        Self {
            live: is_live.then(|| Live::start(printer.output(), runs)),
            printer,
            keys,
            json,
            in_github,
            passed: 0,
            missed: 0,
        }
    }

    /// An attempt begins. Gives what is to be told of its turns.
    pub fn began(&mut self, time: Time, script: &ScriptResult) -> Option<OnTurn> {
        let title = match script.planned {
            1 => script.name.clone(),
            planned => format!("{} {}/{planned}", script.name, time.run),
        };
        self.live.as_mut()?.began(time, &title)
    }

    /// An attempt has ended.
    pub fn ended(&mut self, ended: &Ended<'_>) {
        if !ended.goes_on {
            match ended.standing().is_good() {
                true => self.passed += 1,
                false => self.missed += 1,
            }
        }
        let counts = format!("{} passed, {} not", self.passed, self.missed);
        if let Some(live) = &mut self.live {
            live.ended(ended.time, !ended.goes_on, counts);
        }
        let lines = self.lines(ended);
        self.say(&lines);
    }

    fn lines(&self, ended: &Ended<'_>) -> Vec<String> {
        if self.json {
            return json::attempt(ended, &self.keys).into_iter().collect();
        }
        let paint = self.printer.words_paint();
        let headline = text::headline(ended, paint);
        let details = text::details(ended, paint);
        match (self.in_github, details.is_empty()) {
            (true, false) => github::group(&headline, &details),
            (true, true) => vec![github::defused(&headline)],
            (false, _) => std::iter::once(headline).chain(details).collect(),
        }
    }

    /// All has ended.
    pub fn finish(mut self, results: &Results) {
        self.live = None;
        if self.json {
            self.say(&Vec::from_iter(json::summary(results, &self.keys)));
        } else {
            let mut lines = vec![String::new()];
            lines.extend(summary::lines(results, self.printer.words_paint()));
            self.say(&lines);
        }
        if !self.in_github {
            return;
        }
        let annotations = github::annotations(results);
        match self.json {
            true => annotations
                .iter()
                .for_each(|line| self.printer.told(&self.keys.clean(line))),
            false => self.say(&annotations),
        }
    }

    /// Waits until the table is to be [drawn](Self::tick) again; for ever if there is none.
    pub async fn wait(&self) {
        match self.live {
            Some(_) => {
                tokio::time::sleep(Live::TICK).await;
                self.printer.output().room().await;
            }
            None => std::future::pending().await,
        }
    }

    pub fn tick(&self) {
        if let Some(live) = &self.live {
            live.tick();
        }
    }

    fn say(&self, lines: &[String]) {
        let say = || {
            lines
                .iter()
                .for_each(|line| self.printer.words_line(&self.keys.clean(line)))
        };
        match &self.live {
            Some(live) => live.above(say),
            None => say(),
        }
    }
}
