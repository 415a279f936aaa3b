//! The sense of a script file: that each turn does one thing, that what is expected can be told, that the files it names
//! are there. All checks pass over what is of the wrong shape; that is told elsewhere.

use std::path::Path;

use crate::audio::AudioReader;
use crate::file::{Content, Diagnostic, Node, check_pattern, misspelt, quoted};
use crate::protocol::AudioFormat;
use crate::script::EventKind;

/// The keys of which a turn has one: what the user says or does, or what stands there instead.
const ACTS: [&str; 10] = [
    "user",
    "audio",
    "silence_ms",
    "switch_agent",
    "interrupt_after_ms",
    "approve",
    "reject",
    "wait_ms",
    "raw",
    "include",
];
/// The keys that go with each of the others.
const COMPANIONS: [&str; 2] = ["expect", "any_order"];
/// The conditions that `absent` can't go with, and why.
const PRESENT: [(&str, &str); 2] = [
    ("judge", "expect the opposite claim instead"),
    ("max_tokens", "leave `absent` out"),
];

/// All that is wrong with the sense of the file `root`, which was written as `source` and whose paths count from
/// `directory`.
pub(super) fn check(root: &Node, source: &str, directory: &Path) -> Vec<Diagnostic> {
    let mut checks = Checks {
        source,
        directory,
        mistakes: Vec::new(),
    };
    checks.path(root.get("agent"), "agent file");
    if let Some(simulator) = root.get("simulator") {
        checks.simulator(simulator);
    }
    for (name, mock) in root.get("tools").into_iter().flat_map(Node::entries) {
        checks.mock(name, mock);
    }
    for turn in root.get("turns").into_iter().flat_map(Node::items) {
        checks.turn(turn);
    }
    for span in root.get("spans").into_iter().flat_map(Node::items) {
        checks.span(span);
    }
    checks.mistakes
}

struct Checks<'a> {
    source: &'a str,
    directory: &'a Path,
    mistakes: Vec<Diagnostic>,
}

fn is_table(node: &Node) -> bool {
    matches!(node.content, Content::Table(_))
}

/// The keys of `keys` that a table has.
fn given<'a>(table: &'a Node, keys: &[&'static str]) -> Vec<(&'static str, &'a Node)> {
    let entry = |key: &&'static str| Some((*key, table.get(key)?));
    keys.iter().filter_map(entry).collect()
}

fn both(one: &str, other: &str, node: &Node) -> Diagnostic {
    Diagnostic::at(
        node.key_span.clone(),
        format!("both `{one}` and `{other}` are given"),
    )
}

fn flag(table: &Node, key: &str) -> Option<bool> {
    match table.get(key)?.content {
        Content::Boolean(flag) => Some(flag),
        _ => None,
    }
}

fn number(table: &Node, key: &str) -> Option<f64> {
    table.get(key)?.to_json().as_f64()
}

impl Checks<'_> {
    fn report(&mut self, mistake: Diagnostic) {
        self.mistakes.push(mistake);
    }

    /// A file that is named has to be there. Tells whether it is.
    fn path(&mut self, node: Option<&Node>, what: &str) -> bool {
        let Some((node, text)) = node.and_then(|node| Some((node, node.text()?))) else {
            return false;
        };
        let path = self.directory.join(&text.value);
        let why = match path.metadata() {
            Ok(data) if data.is_file() => return true,
            Ok(_) => "it is no file".to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("the {what} `{}` can't be read: {why}", text.written);
        self.report(
            Diagnostic::at(node.span.clone(), message)
                .help("paths count from the directory that this file is in"),
        );
        false
    }

    /// A file with sound in it.
    fn audio(&mut self, turn: &Node) {
        let audio = turn.get("audio");
        if !self.path(audio, "audio file") {
            return;
        }
        if let Some((node, text)) = audio.and_then(|node| Some((node, node.text()?)))
            && let Err(error) = AudioReader::open(&self.directory.join(&text.value), AudioFormat::PCM24)
        {
            let message = format!(
                "the audio file `{}` can't be used: {}",
                text.written, error.problem
            );
            self.report(Diagnostic::at(node.span.clone(), message));
        }
    }

    fn simulator(&mut self, simulator: &Node) {
        let (scenario, replay) = (simulator.get("scenario"), simulator.get("replay"));
        if let (Some(_), Some(replay)) = (scenario, replay) {
            self.report(both("scenario", "replay", replay).help("keep one of them"));
        }
        self.path(scenario, "scenario");
        self.path(replay, "recording");
    }

    /// A mock answers or fails, or is only late.
    fn mock(&mut self, name: &str, mock: &Node) {
        const KEYS: [&str; 3] = ["output", "error", "delay_ms"];
        match given(mock, &KEYS).as_slice() {
            [] if is_table(mock) && !KEYS.iter().any(|key| misspelt(mock, key)) => self.report(
                Diagnostic::at(mock.key_span.clone(), format!("nothing stands in for `{name}`")).help(
                    "add `output = …` for an answer, `error = \"…\"` for a failure, or `delay_ms` to delay the tool itself",
                ),
            ),
            [("output", _), ("error", error), ..] => {
                self.report(both("output", "error", error).help("keep one of them"));
            }
            _ => {}
        }
    }

    /// A turn does one thing.
    fn turn(&mut self, turn: &Node) {
        if !is_table(turn) {
            return;
        }
        match given(turn, &ACTS).as_slice() {
            [] if turn.entries().all(|(key, _)| COMPANIONS.contains(&key)) => self.report(
                Diagnostic::at(turn.span.clone(), "nothing is said or done in this turn").help(format!(
                    "give one of {}; `wait_ms` to do no more than wait",
                    quoted(&ACTS)
                )),
            ),
            [(one, _), (other, node), ..] => {
                self.report(both(one, other, node).help("each has a turn of its own, under `[[turns]]`"));
            }
            [("include", _)] => {
                for (key, node) in given(turn, &COMPANIONS) {
                    let message = format!("`{key}` doesn't go with `include`");
                    self.report(
                        Diagnostic::at(node.key_span.clone(), message)
                            .help("what is expected stands with the turns of the other file"),
                    );
                }
            }
            _ => {}
        }
        self.said(turn, "user", "silence is `silence_ms`, and waiting is `wait_ms`");
        self.audio(turn);
        self.decision(turn, "approve", "reject");
        self.decision(turn, "reject", "approve");
        if let Some(raw) = turn.get("raw").filter(|raw| is_table(raw))
            && raw.get("type").and_then(Node::text).is_none()
        {
            let mistake = Diagnostic::at(raw.span.clone(), "an event has a `type`, which is a string");
            self.report(mistake.help("write `raw = { type = \"input_audio_buffer.clear\" }`"));
        }
        for expectation in turn.get("expect").into_iter().flat_map(Node::items) {
            self.expectation(expectation);
        }
    }

    /// A text that says something.
    fn said(&mut self, table: &Node, key: &str, help: &str) {
        if let Some(node) = table.get(key)
            && let Some(text) = node.text()
            && text.value.trim().is_empty()
        {
            self.report(Diagnostic::at(node.span.clone(), format!("`{key}` is empty")).help(help));
        }
    }

    fn decision(&mut self, turn: &Node, key: &str, opposite: &str) {
        if let Some(node) = turn.get(key)
            && flag(turn, key) == Some(false)
        {
            let mistake = Diagnostic::at(node.span.clone(), format!("`{key} = false` decides nothing"));
            self.report(mistake.help(format!("write `{opposite} = true`, or leave the turn out")));
        }
    }

    /// Only what can be told of an event is asked of it.
    fn expectation(&mut self, expectation: &Node) {
        self.said(
            expectation,
            "text_contains",
            "every text contains that: leave it out",
        );
        self.said(expectation, "judge", "write a claim that is true or false");
        if let Some(pattern) = expectation.get("text_matches") {
            self.mistakes.extend(check_pattern(self.source, pattern));
        }
        if flag(expectation, "absent") == Some(true) {
            for (key, help) in PRESENT {
                if let Some(node) = expectation.get(key) {
                    let message = format!("`{key}` can't be asked of what is absent");
                    self.report(Diagnostic::at(node.key_span.clone(), message).help(help));
                }
            }
        }
        let event = expectation.get("event").and_then(Node::text);
        let named = |event: &EventKind| event.as_str();
        let Some(event) = event.and_then(|text| {
            EventKind::ALL
                .into_iter()
                .find(|known| named(known) == text.value)
        }) else {
            return;
        };
        for (key, node) in expectation.entries() {
            let having: Vec<&str> = EventKind::ALL
                .iter()
                .filter(|event| event.conditions().contains(&key))
                .map(named)
                .collect();
            if !having.is_empty() && !event.conditions().contains(&key) {
                let message = format!("`{key}` can't be asked of `{}`", event.as_str());
                self.report(
                    Diagnostic::at(node.key_span.clone(), message)
                        .help(format!("it can be asked of {}", quoted(&having))),
                );
            }
        }
    }

    /// Bounds leave something between them.
    fn span(&mut self, span: &Node) {
        if let Some(count) = span.get("count") {
            self.bounds(count, "min", "max");
        }
        self.bounds(span, "min_ms", "max_ms");
    }

    fn bounds(&mut self, table: &Node, least: &str, most: &str) {
        if let (Some(min), Some(max)) = (number(table, least), number(table, most))
            && min > max
            && let Some(node) = table.get(most)
        {
            let message = format!("`{most}` is less than `{least}`");
            self.report(Diagnostic::at(node.span.clone(), message).help("nothing can be between them"));
        }
    }
}
