//! The conversation as its spans tell it: who said what, and what was done in between.

use std::collections::{HashMap, VecDeque};

use realtime_run::trace::{SpanData, SpanRecord, TraceTree};
use serde::Serialize;
use serde_json::Value;

use super::data::Agents;
use crate::cli::page::Clock;

/// Something that was said or done.
#[derive(Debug, Serialize)]
pub struct Entry {
    kind: Kind,
    /// When, in microseconds since the first span started.
    at: u64,
    /// The span that tells of it.
    span: usize,
    /// The agent in charge.
    agent: Option<String>,
    /// What was said, or given to a tool; `None` if the trace does not tell it.
    text: Option<String>,
    /// What came of it.
    output: Option<String>,
    /// What a tool, a guardrail or a handoff is called.
    name: Option<String>,
    error: Option<String>,
}

/// What it is. Of what happened at one moment, the first of these comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    System,
    User,
    Assistant,
    Guardrail,
    Tool,
    Handoff,
}

/// The whole conversation, in order of time.
pub fn of(tree: &TraceTree, agents: &Agents, clock: Clock) -> Vec<Entry> {
    let mut told = Conversation {
        spoken: Spoken::of(tree),
        entries: Vec::new(),
    };
    for (place, node) in tree.nodes().iter().enumerate() {
        if let Some(record) = node.record() {
            told.span(place, record, clock);
        }
    }
    told.rest(tree, clock);
    for entry in &mut told.entries {
        entry.agent = agents.name(tree, entry.span);
    }
    told.entries
        .sort_by_key(|entry| (entry.at, entry.kind, entry.span));
    told.entries
}

struct Conversation {
    spoken: Spoken,
    entries: Vec<Entry>,
}

impl Conversation {
    fn span(&mut self, place: usize, record: &SpanRecord, clock: Clock) {
        let start = clock.read(record.started_at);
        let error = record.error.as_ref().map(|error| error.message.clone());
        match &record.data {
            SpanData::Generation { input, output, .. } => {
                let heard = record
                    .turn_ended_at()
                    .map_or(start, |at| clock.read(at).min(start));
                for message in messages(input) {
                    self.input(place, message, heard);
                }
                let said = record.first_content_at().map_or(start, |at| clock.read(at));
                for message in messages(output) {
                    self.output(place, message, said, error.as_deref());
                }
            }
            SpanData::Function {
                name, input, output, ..
            } => self.entries.push(Entry {
                text: input.clone(),
                output: output.clone(),
                name: Some(name.clone()),
                error,
                ..Entry::new(Kind::Tool, start, place)
            }),
            SpanData::Handoff { .. } => self.entries.push(Entry {
                name: Some(record.data.label().into_owned()),
                error,
                ..Entry::new(Kind::Handoff, start, place)
            }),
            SpanData::Guardrail {
                name,
                triggered: true,
            } => self.entries.push(Entry {
                name: Some(name.clone()),
                error,
                ..Entry::new(Kind::Guardrail, start, place)
            }),
            _ => {}
        }
    }

    /// What went into an answer. A tool's result is told by the tool's own span.
    fn input(&mut self, place: usize, message: &Value, at: u64) {
        let kind = match message["role"].as_str() {
            Some("user") => Kind::User,
            Some("system" | "developer") => Kind::System,
            _ => return,
        };
        let text = words(&message["content"]);
        let heard = text
            .as_deref()
            .and_then(|text| self.spoken.take(Kind::User, text));
        self.entries.push(Entry {
            text,
            ..Entry::new(kind, at, heard.map_or(place, |(span, _)| span))
        });
    }

    fn output(&mut self, place: usize, message: &Value, at: u64, error: Option<&str>) {
        let text = words(&message["content"]);
        if message["role"] != "assistant" || (text.is_none() && !message["tool_calls"].is_null()) {
            return;
        }
        let spoken = text
            .as_deref()
            .and_then(|text| self.spoken.take(Kind::Assistant, text));
        let cut_off = spoken.and_then(|(_, error)| error);
        self.entries.push(Entry {
            text,
            error: cut_off.or(error.map(str::to_owned)),
            ..Entry::new(Kind::Assistant, at, place)
        });
    }

    /// What was spoken and stands in no answer's span.
    fn rest(&mut self, tree: &TraceTree, clock: Clock) {
        let spoken = std::mem::take(&mut self.spoken.0);
        for ((kind, text), spans) in spoken {
            for (span, error) in spans {
                let at = clock.read(tree.nodes()[span].started_at());
                self.entries.push(Entry {
                    text: Some(text.clone()),
                    error,
                    ..Entry::new(kind, at, span)
                });
            }
        }
    }
}

impl Entry {
    fn new(kind: Kind, at: u64, span: usize) -> Self {
        Self {
            kind,
            at,
            span,
            agent: None,
            text: None,
            output: None,
            name: None,
            error: None,
        }
    }
}

/// What was said aloud by whom, with the spans that tell so. Answers tell the same words.
struct Spoken(HashMap<(Kind, String), VecDeque<Sound>>);

/// A span that tells of words said aloud, and what went wrong in it.
type Sound = (usize, Option<String>);

impl Spoken {
    fn of(tree: &TraceTree) -> Self {
        let mut spoken: HashMap<_, VecDeque<Sound>> = HashMap::new();
        for (place, node) in tree.nodes().iter().enumerate() {
            let Some(record) = node.record() else { continue };
            let (kind, words) = match &record.data {
                SpanData::Transcription { output, .. } => (Kind::User, output),
                SpanData::Speech { input, .. } => (Kind::Assistant, input),
                _ => continue,
            };
            if let Some(words) = words.as_deref().map(str::trim).filter(|words| !words.is_empty()) {
                let error = record.error.as_ref().map(|error| error.message.clone());
                spoken
                    .entry((kind, words.to_owned()))
                    .or_default()
                    .push_back((place, error));
            }
        }
        Self(spoken)
    }

    /// Takes out the first span that tells of these words.
    fn take(&mut self, kind: Kind, words: &str) -> Option<Sound> {
        self.0.get_mut(&(kind, words.trim().to_owned()))?.pop_front()
    }
}

fn messages(list: &Option<Value>) -> impl Iterator<Item = &Value> {
    list.as_ref().and_then(Value::as_array).into_iter().flatten()
}

/// What a message says: its text, and the kinds of its parts that are none.
fn words(content: &Value) -> Option<String> {
    let part = |part: &Value| match part["text"].as_str() {
        Some(text) => text.to_owned(),
        None => format!("[{}]", part["type"].as_str().unwrap_or("unknown")),
    };
    match content {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(parts) if !parts.is_empty() => {
            Some(parts.iter().map(part).collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{data, refund, tree};
    use serde_json::{Value, json};

    /// The entries, a line for each.
    fn lines(data: &Value) -> String {
        let text = |value: &Value| value.as_str().map(|text| format!(" {text}")).unwrap_or_default();
        let line = |entry: &Value| {
            format!(
                "{} {}{}{}:{}{}{}\n",
                entry["at"],
                entry["kind"].as_str().unwrap(),
                text(&entry["name"]),
                text(&entry["agent"]),
                text(&entry["text"]),
                entry["output"]
                    .as_str()
                    .map(|output| format!(" = {output}"))
                    .unwrap_or_default(),
                entry["error"]
                    .as_str()
                    .map(|error| format!(" ! {error}"))
                    .unwrap_or_default(),
            )
        };
        data["conversation"]
            .as_array()
            .unwrap()
            .iter()
            .map(line)
            .collect()
    }

    #[test]
    fn it_is_told_in_order_with_what_was_done_in_between() {
        insta::assert_snapshot!(lines(&data(&refund())));
    }

    #[test]
    fn words_that_no_answer_tells_are_told_by_the_spans_of_their_sound() {
        let span = |number: u8, data: Value| {
            json!({"object": "trace.span", "id": format!("span_{number:024x}"), "parent_id": null,
                "trace_id": format!("trace_{:032x}", 1), "started_at": "2026-01-02T03:04:05Z",
                "ended_at": "2026-01-02T03:04:06Z", "span_data": data, "error": null})
        };
        let sound = json!({"data": "", "format": "pcm"});
        let user = |content: Value| json!({"role": "user", "content": content});
        let told = [
            span(
                1,
                json!({"type": "transcription", "input": sound, "output": "Heard"}),
            ),
            span(
                2,
                json!({"type": "transcription", "input": sound, "output": " Asked\n"}),
            ),
            span(3, json!({"type": "speech", "input": "Said", "output": sound})),
            span(
                4,
                json!({"type": "generation", "input": [user("Asked".into()), user(Value::Null)], "output": null}),
            ),
            span(
                5,
                json!({"type": "generation", "input": [user(json!([{"type": "input_image"}]))], "output": [{"role": "assistant", "content": "Said"}]}),
            ),
        ];
        let text: String = told.iter().map(|line| format!("{line}\n")).collect();
        insta::assert_snapshot!(lines(&data(&tree(&text))), @r"
        0 user: Heard
        0 user: Asked
        0 user:
        0 user: [input_image]
        0 assistant: Said
        ");
    }
}
