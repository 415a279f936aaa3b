use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::LineError;

/// The version of the format that is written, and the newest that is read.
const VERSION: u64 = 1;

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The Realtime server.
    Server,
    /// Its client.
    Client,
}

/// One row of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// How long after the opening of the connection, if the recording has times.
    pub at: Option<Duration>,
    /// What happened.
    pub entry: Entry,
}

/// What a row tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// What recorded, when and how; the first row.
    Started {
        /// The program and its version.
        program: String,
        /// The time, in RFC 3339.
        started_at: String,
        /// Whether sound was kept.
        audio: bool,
    },
    /// A connection was opened; all times count from here.
    Opened {
        /// The server's host and port.
        host: String,
        /// The model that was asked for.
        model: String,
    },
    /// No connection came about.
    Failed {
        /// Why.
        reason: String,
    },
    /// A frame.
    Frame {
        /// Who sent it.
        from: Side,
        /// What it holds.
        frame: Frame,
    },
    /// Frames are missing here: they came faster than they could be written down.
    Gap {
        /// How many.
        frames: u64,
    },
    /// The connection ended.
    Closed(Ending),
    /// Something of the recorder that this version does not know.
    Other,
}

/// What a frame holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// A JSON object, as all events are.
    Event(Map<String, Value>),
    /// Text that is no JSON object.
    Text(String),
    /// Bytes that are no text.
    Binary(Bytes),
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Who ended it; nobody if it was lost.
    pub by: Option<Side>,
    /// The close code; 1006 for an end without a close frame.
    pub code: u16,
    /// The reason given.
    pub reason: String,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Server, Self::Client]
            .into_iter()
            .find(|side| side.name() == name)
    }
}

impl Frame {
    /// What the payload of a frame holds.
    pub fn read(payload: &[u8]) -> Self {
        match (serde_json::from_slice(payload), std::str::from_utf8(payload)) {
            (Ok(event), _) => Self::Event(event),
            (Err(_), Ok(text)) => Self::Text(text.to_owned()),
            (Err(_), Err(_)) => Self::Binary(Bytes::copy_from_slice(payload)),
        }
    }

    /// The event's type; the empty string for what is no event.
    pub fn kind(&self) -> &str {
        match self {
            Self::Event(event) => event.get("type").and_then(Value::as_str).unwrap_or_default(),
            Self::Text(_) | Self::Binary(_) => "",
        }
    }
}

impl Row {
    /// The row as it stands in a file, without a line break.
    pub fn to_line(&self) -> String {
        let (from, key, body) = match &self.entry {
            Entry::Frame { from, frame } => {
                let (key, body) = match frame {
                    Frame::Event(event) => ("event", Value::Object(event.clone())),
                    Frame::Text(text) => ("text", text.as_str().into()),
                    Frame::Binary(bytes) => ("base64", base64_simd::STANDARD.encode_to_string(bytes).into()),
                };
                (from.name(), key, body)
            }
            own => ("recorder", "event", recorder_event(own)),
        };
        let mut line = Map::new();
        line.insert("from".into(), from.into());
        if let Some(at) = self.at {
            let millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
            line.insert("at_ms".into(), millis.into());
        }
        line.insert(key.into(), body);
        Value::Object(line).to_string()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no row of a recording.
    pub fn from_line(line: &str) -> Result<Self, LineError> {
        let mut row: Map<String, Value> = serde_json::from_str(line).map_err(LineError::NoObject)?;
        let at = match row.get("at_ms") {
            None | Some(Value::Null) => None,
            Some(at) => Some(read_time(at).ok_or(LineError::BadTime)?),
        };
        let from = row.get("from").and_then(Value::as_str).ok_or(LineError::NoSide)?;
        let entry = match Side::named(from) {
            Some(from) => Entry::Frame {
                from,
                frame: read_frame(&mut row)?,
            },
            None if from == "recorder" => read_recorder_event(row.get("event").unwrap_or(&Value::Null))?,
            None => return Err(LineError::NoSide),
        };
        Ok(Self { at, entry })
    }
}

fn read_time(at: &Value) -> Option<Duration> {
    Duration::try_from_secs_f64(at.as_f64()? / 1000.0).ok()
}

fn read_frame(row: &mut Map<String, Value>) -> Result<Frame, LineError> {
    match (row.remove("event"), row.remove("text"), row.remove("base64")) {
        (Some(Value::Object(event)), ..) => Ok(Frame::Event(event)),
        (None, Some(Value::String(text)), _) => Ok(Frame::Text(text)),
        (None, None, Some(Value::String(base64))) => base64_simd::STANDARD
            .decode_to_vec(base64)
            .map(|bytes| Frame::Binary(bytes.into()))
            .map_err(|_| LineError::NoFrame),
        _ => Err(LineError::NoFrame),
    }
}

fn recorder_event(entry: &Entry) -> Value {
    match entry {
        Entry::Started {
            program,
            started_at,
            audio,
        } => json!({"type": "recording.started", "version": VERSION, "program": program,
            "started_at": started_at, "audio": audio}),
        Entry::Opened { host, model } => json!({"type": "connection.opened", "host": host, "model": model}),
        Entry::Failed { reason } => json!({"type": "connection.failed", "reason": reason}),
        Entry::Gap { frames } => json!({"type": "recording.gap", "frames": frames}),
        Entry::Closed(Ending { by, code, reason }) => {
            json!({"type": "connection.closed", "by": by.map(Side::name), "code": code, "reason": reason})
        }
        Entry::Frame { .. } | Entry::Other => Value::Null,
    }
}

fn read_recorder_event(event: &Value) -> Result<Entry, LineError> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    Ok(match event["type"].as_str().unwrap_or_default() {
        "recording.started" => {
            let version = event["version"].as_u64().unwrap_or(VERSION);
            if version > VERSION {
                return Err(LineError::TooNew(version));
            }
            Entry::Started {
                program: text("program"),
                started_at: text("started_at"),
                audio: event["audio"].as_bool().unwrap_or(true),
            }
        }
        "connection.opened" => Entry::Opened {
            host: text("host"),
            model: text("model"),
        },
        "connection.failed" => Entry::Failed {
            reason: text("reason"),
        },
        "recording.gap" => Entry::Gap {
            frames: event["frames"].as_u64().unwrap_or(1),
        },
        "connection.closed" => Entry::Closed(Ending {
            by: event["by"].as_str().and_then(Side::named),
            code: event["code"]
                .as_u64()
                .and_then(|code| code.try_into().ok())
                .unwrap_or(1006),
            reason: text("reason"),
        }),
        _ => Entry::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let event = Frame::read(br#"{"type":"response.create","event_id":"e"}"#);
        let frames = [event, Frame::read(b"[1] no event"), Frame::read(b"\xff\xfe")];
        let frames = frames.into_iter().map(|frame| Entry::Frame {
            from: Side::Server,
            frame,
        });
        let own = [
            Entry::Started {
                program: "p/1".into(),
                started_at: "2026-01-01T00:00:00Z".into(),
                audio: false,
            },
            Entry::Opened {
                host: "h:1".into(),
                model: "m".into(),
            },
            Entry::Failed { reason: "r".into() },
            Entry::Gap { frames: 3 },
            Entry::Closed(Ending {
                by: Some(Side::Client),
                code: 1000,
                reason: "bye".into(),
            }),
            Entry::Closed(Ending {
                by: None,
                code: 1006,
                reason: String::new(),
            }),
        ];
        for entry in own.into_iter().chain(frames) {
            let row = Row {
                at: Some(Duration::from_millis(1234)),
                entry,
            };
            assert_eq!(Row::from_line(&row.to_line()).unwrap(), row);
        }
    }

    #[test]
    fn a_row_has_the_form_of_the_plain_format_and_a_time() {
        let row = Row {
            at: Some(Duration::from_micros(12_900)),
            entry: Entry::Frame {
                from: Side::Client,
                frame: Frame::read(br#"{"type":"response.create"}"#),
            },
        };
        assert_eq!(
            row.to_line(),
            r#"{"from":"client","at_ms":12,"event":{"type":"response.create"}}"#
        );
    }

    #[test]
    fn what_is_no_row_is_told_apart() {
        let cases = [
            ("nonsense", "is not a JSON object: "),
            ("[]", "is not a JSON object: "),
            (r#"{"event": {"type": "x"}}"#, "does not say who sent it"),
            (
                r#"{"from": "me", "event": {"type": "x"}}"#,
                "does not say who sent it",
            ),
            (r#"{"from": "server"}"#, "holds no frame"),
            (r#"{"from": "server", "event": 1}"#, "holds no frame"),
            (r#"{"from": "server", "base64": "%"}"#, "holds no frame"),
            (
                r#"{"from": "server", "at_ms": -1, "event": {"type": "x"}}"#,
                "`at_ms` is no number",
            ),
            (
                r#"{"from": "recorder", "event": {"type": "recording.started", "version": 9}}"#,
                "version 9",
            ),
        ];
        for (line, why) in cases {
            let error = Row::from_line(line).unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn what_a_later_recorder_says_is_passed_over() {
        let row = Row::from_line(r#"{"from": "recorder", "event": {"type": "weather"}, "more": 1}"#);
        assert_eq!(row.unwrap().entry, Entry::Other);
    }
}
