use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::ReplayMode;
use crate::recording::{Ending, Entry, Frame, Recording, Side, put_back_silence};
use crate::scrub::Scrub;

/// What a recording asks for of a server and its client.
#[derive(Debug)]
pub(super) struct Script {
    /// What the server does, in order.
    pub(super) steps: Vec<Step>,
    /// What the client is to send, in order, except for sound.
    pub(super) awaited: Vec<Awaited>,
    /// Where the client begins to send sound: at first, and after each turn of the user.
    pub(super) sounds: Vec<Sound>,
    /// The last row's line.
    pub(super) last_line: usize,
}

/// Something the server does.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) at: Option<Duration>,
    pub(super) action: Action,
    /// How much of what is awaited must have come, counted from the start.
    pub(super) needs: usize,
    /// How many of the sounds must have begun.
    pub(super) needs_sounds: usize,
    /// Since when its time counts.
    pub(super) since: Since,
}

#[derive(Debug)]
pub(super) enum Action {
    Send(Frame),
    End(Ending),
}

/// What came before a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// The step before it, or the opening of the connection.
    Step,
    /// Something awaited.
    Awaited(usize),
    /// The beginning of sound.
    Sound(usize),
}

/// Something the client is to send.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) line: usize,
    pub(super) at: Option<Duration>,
    pub(super) frame: Frame,
}

/// Where sound begins.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) line: usize,
    pub(super) at: Option<Duration>,
    /// How many steps come before it; sound that comes earlier belongs to the sound before.
    pub(super) after: usize,
}

impl Script {
    pub(super) fn new(recording: &Recording, mode: ReplayMode) -> Self {
        let mut writer = Writer::default();
        for (line, row) in &recording.rows {
            match &row.entry {
                Entry::Frame {
                    from: Side::Client,
                    frame,
                } => writer.client(*line, row.at, frame, mode),
                Entry::Frame {
                    from: Side::Server,
                    frame,
                } => writer.server(*line, row.at, frame),
                Entry::Closed(ending) => {
                    if ending.by != Some(Side::Client) {
                        writer.step(
                            *line,
                            row.at,
                            Action::End(ending.clone()),
                            writer.script.awaited.len(),
                        );
                    }
                    writer.script.last_line = *line;
                    break;
                }
                _ => {}
            }
        }
        writer.script
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            awaited: Vec::new(),
            sounds: Vec::new(),
            last_line: 1,
        }
    }
}

#[derive(Default)]
struct Writer {
    script: Script,
    /// The last row of the client since the last step.
    last: Option<Since>,
    /// The user's turn has sound already.
    has_sound: bool,
    /// For each response under way, what its frames need.
    responses: HashMap<String, usize>,
    /// The response that each item belongs to.
    items: HashMap<String, String>,
}

impl Writer {
    fn client(&mut self, line: usize, at: Option<Duration>, frame: &Frame, mode: ReplayMode) {
        self.script.last_line = line;
        if frame.kind() == "input_audio_buffer.append" {
            if !std::mem::replace(&mut self.has_sound, true) {
                self.last = Some(Since::Sound(self.script.sounds.len()));
                let after = self.script.steps.len();
                self.script.sounds.push(Sound { line, at, after });
            }
            return;
        }
        let in_run = mode == ReplayMode::Lenient
            && matches!(self.last, Some(Since::Awaited(_)))
            && self
                .script
                .awaited
                .last()
                .is_some_and(|last| last.frame.kind() == frame.kind());
        if in_run {
            return;
        }
        let mut frame = frame.clone();
        if let Frame::Event(event) = &mut frame {
            // What comes is compared without its credentials.
            Scrub::default().clean_fields(event);
        }
        self.last = Some(Since::Awaited(self.script.awaited.len()));
        self.script.awaited.push(Awaited { line, at, frame });
    }

    fn server(&mut self, line: usize, at: Option<Duration>, frame: &Frame) {
        let mut frame = frame.clone();
        let needs = match &mut frame {
            Frame::Event(event) => {
                put_back_silence(event);
                self.needs(event)
            }
            _ => self.script.awaited.len(),
        };
        if frame.kind() == "input_audio_buffer.committed" {
            self.has_sound = false;
        }
        self.step(line, at, Action::Send(frame), needs);
    }

    fn step(&mut self, line: usize, at: Option<Duration>, action: Action, needs: usize) {
        let needs_sounds = match &action {
            Action::Send(frame) if frame.kind() == "input_audio_buffer.speech_started" => {
                self.script.sounds.len()
            }
            _ => 0,
        };
        let since = match self.last.take() {
            Some(Since::Awaited(n)) if n < needs => Since::Awaited(n),
            Some(Since::Sound(n)) if n < needs_sounds => Since::Sound(n),
            _ => Since::Step,
        };
        self.script.last_line = line;
        self.script.steps.push(Step {
            line,
            at,
            action,
            needs,
            needs_sounds,
            since,
        });
    }

    /// How much of what the client sent before it an event of the server needs: all of it, but within a response only
    /// what came before that.
    fn needs(&mut self, event: &Map<String, Value>) -> usize {
        let all = self.script.awaited.len();
        let response = event.get("response").unwrap_or(&Value::Null);
        let item_id = event.get("item").and_then(|item| item["id"].as_str());
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        let id = event
            .get("response_id")
            .and_then(Value::as_str)
            .or_else(|| response["id"].as_str())
            .or_else(|| self.items.get(item_id?).map(String::as_str))
            .map(str::to_owned);
        let Some(id) = id else { return all };
        match kind {
            "response.created" => {
                self.responses.insert(id, all);
                all
            }
            "response.done" => {
                let before = self.responses.remove(&id);
                // Being cut off may be the client's doing.
                before
                    .filter(|_| response["status"] != "cancelled")
                    .unwrap_or(all)
            }
            _ => {
                let needs = self.responses.get(&id).copied().unwrap_or(all);
                if let Some(item_id) = item_id {
                    self.items.insert(item_id.to_owned(), id);
                }
                needs
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Row;
    use serde_json::json;

    fn script(mode: ReplayMode, rows: &[(Side, Value)]) -> Script {
        let row = |(n, (from, event)): (usize, &(Side, Value))| {
            let row = Row {
                at: None,
                entry: Entry::Frame {
                    from: *from,
                    frame: Frame::read(event.to_string().as_bytes()),
                },
            };
            (n + 1, row)
        };
        let recording = Recording {
            rows: rows.iter().enumerate().map(row).collect(),
            is_torn: false,
        };
        Script::new(&recording, mode)
    }

    fn client(kind: &str) -> (Side, Value) {
        (Side::Client, json!({"type": kind}))
    }

    fn server(mut event: Value, kind: &str) -> (Side, Value) {
        event["type"] = kind.into();
        (Side::Server, event)
    }

    /// A call that the client answers while the response is under way, and how that ends.
    fn tool_call(status: &str) -> Vec<(Side, Value)> {
        vec![
            client("response.create"),
            server(json!({"response": {"id": "r"}}), "response.created"),
            server(
                json!({"response_id": "r", "item": {"id": "i"}}),
                "response.output_item.added",
            ),
            client("conversation.item.create"),
            server(json!({"item": {"id": "i"}}), "conversation.item.done"),
            server(
                json!({"response_id": "r", "item": {"id": "i"}}),
                "response.output_item.done",
            ),
            server(
                json!({"response": {"id": "r", "status": status}}),
                "response.done",
            ),
            server(json!({"item": {"id": "output"}}), "conversation.item.added"),
        ]
    }

    fn needs(script: &Script) -> Vec<usize> {
        script.steps.iter().map(|step| step.needs).collect()
    }

    #[test]
    fn a_response_does_not_wait_for_what_the_client_does_meanwhile() {
        let script = script(ReplayMode::Strict, &tool_call("completed"));
        assert_eq!(needs(&script), [1, 1, 1, 1, 1, 2]);
        assert_eq!(script.steps[0].since, Since::Awaited(0));
        assert_eq!(script.steps[2].since, Since::Step);
    }

    #[test]
    fn a_response_that_was_cut_off_waits_for_the_client_to_do_so() {
        let script = script(ReplayMode::Strict, &tool_call("cancelled"));
        assert_eq!(needs(&script), [1, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn only_a_lenient_replay_joins_runs() {
        let rows = [
            client("conversation.item.create"),
            client("conversation.item.create"),
            client("response.create"),
            server(json!({}), "session.updated"),
            client("response.create"),
        ];
        for (mode, awaited) in [(ReplayMode::Strict, 4), (ReplayMode::Lenient, 3)] {
            assert_eq!(script(mode, &rows).awaited.len(), awaited);
        }
    }

    #[test]
    fn sound_is_awaited_once_a_turn_and_only_by_the_detection_of_speech() {
        let rows = [
            client("input_audio_buffer.append"),
            client("input_audio_buffer.append"),
            server(json!({}), "input_audio_buffer.speech_started"),
            client("input_audio_buffer.append"),
            server(json!({}), "input_audio_buffer.committed"),
            client("input_audio_buffer.append"),
            server(json!({}), "input_audio_buffer.speech_started"),
        ];
        let script = script(ReplayMode::Strict, &rows);
        let needs: Vec<_> = script.steps.iter().map(|step| step.needs_sounds).collect();
        assert_eq!(needs, [1, 0, 2]);
        let sounds: Vec<_> = script
            .sounds
            .iter()
            .map(|sound| (sound.line, sound.after))
            .collect();
        assert_eq!(sounds, [(1, 0), (6, 2)]);
        assert!(script.awaited.is_empty());
    }
}
