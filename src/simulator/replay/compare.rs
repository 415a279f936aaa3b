//! What of an event counts, and where two of them differ.

use serde_json::{Map, Value, json};

use super::deviation::shortened;
use crate::recording::note_of_length;

/// The first place where two events differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) recorded: String,
    pub(super) sent: String,
}

/// Whether two events are about the same thing, so that their contents can be compared.
pub(super) fn are_counterparts(recorded: &Map<String, Value>, sent: &Map<String, Value>) -> bool {
    let about = |event: &Map<String, Value>| {
        let item = event.get("item").unwrap_or(&Value::Null);
        let output_of = is_tool_output(event).then(|| item["call_id"].clone());
        (event.get("type").cloned(), item["type"].clone(), output_of)
    };
    about(recorded) == about(sent)
}

/// Whether an event is a tool's output.
pub(super) fn is_tool_output(event: &Map<String, Value>) -> bool {
    event
        .get("item")
        .is_some_and(|item| item["type"] == "function_call_output")
}

/// The first difference in what counts.
pub(super) fn first_difference(recorded: &Map<String, Value>, sent: &Map<String, Value>) -> Option<Place> {
    difference("", Some(&substance(recorded)), Some(&substance(sent)))
}

/// What of an event counts: the settings of a session but not its trace, an item but not its id, and what is different
/// for a response.
fn substance(event: &Map<String, Value>) -> Value {
    let without = |name: &str, left_out: &str| {
        let mut value = event.get(name).cloned().unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            fields.shift_remove(left_out);
        }
        value
    };
    match event.get("type").and_then(Value::as_str).unwrap_or_default() {
        "session.update" => json!({"session": without("session", "tracing")}),
        "conversation.item.create" => json!({
            "previous_item_id": event.get("previous_item_id"),
            "item": without("item", "id"),
        }),
        "response.create" => match event.get("response") {
            Some(Value::Object(response)) => json!({"response": response}),
            _ => json!({"response": {}}),
        },
        _ => Value::Null,
    }
}

fn difference(path: &str, recorded: Option<&Value>, sent: Option<&Value>) -> Option<Place> {
    match (recorded, sent) {
        (Some(Value::Object(recorded)), Some(Value::Object(sent))) => {
            let names = recorded
                .keys()
                .chain(sent.keys().filter(|name| !recorded.contains_key(*name)));
            names.map(String::as_str).find_map(|name| {
                let path = if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}.{name}")
                };
                difference(&path, recorded.get(name), sent.get(name))
            })
        }
        (Some(Value::Array(recorded)), Some(Value::Array(sent))) => (0..recorded.len().max(sent.len()))
            .find_map(|n| difference(&format!("{path}[{n}]"), recorded.get(n), sent.get(n))),
        (Some(recorded), Some(sent)) if are_same(recorded, sent) => None,
        (None, None) => None,
        (recorded, sent) => {
            let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            let (recorded, sent) = from_where_they_differ(&show(recorded), &show(sent));
            let path = path.to_owned();
            Some(Place { path, recorded, sent })
        }
    }
}

/// Both texts, cut short, without most of a long beginning that they have in common.
fn from_where_they_differ(one: &str, other: &str) -> (String, String) {
    const KEPT: usize = 40;
    let common = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let cut = |text: &str| {
        if common < 2 * KEPT {
            return shortened(text);
        }
        let rest: String = text.chars().skip(common - KEPT).collect();
        format!("…{}", shortened(&rest))
    };
    (cut(one), cut(other))
}

/// Whether two plain values are the same: `1` is `1.0`, and JSON in a string is the same however it is written.
fn are_same(recorded: &Value, sent: &Value) -> bool {
    match (recorded, sent) {
        (Value::Number(recorded), Value::Number(sent)) => {
            recorded == sent || recorded.as_f64() == sent.as_f64()
        }
        (Value::String(recorded), Value::String(sent)) => recorded == sent || are_same_texts(recorded, sent),
        _ => recorded == sent,
    }
}

fn are_same_texts(recorded: &str, sent: &str) -> bool {
    if let Some(bytes) = note_of_length(recorded) {
        return sent.trim_end_matches('=').len() * 3 / 4 == bytes;
    }
    let json = |text: &str| -> Option<Value> {
        let is_structure = text.trim_start().starts_with(['{', '[']);
        is_structure.then(|| serde_json::from_str(text).ok())?
    };
    matches!((json(recorded), json(sent)), (Some(recorded), Some(sent)) if difference("", Some(&recorded), Some(&sent)).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(recorded: Value, sent: Value) -> Option<(String, String, String)> {
        let place = first_difference(recorded.as_object().unwrap(), sent.as_object().unwrap())?;
        Some((place.path, place.recorded, place.sent))
    }

    fn output(id: &str, output: &str) -> Value {
        json!({"type": "conversation.item.create", "event_id": id,
            "item": {"id": id, "type": "function_call_output", "call_id": "c", "output": output}})
    }

    #[test]
    fn what_is_the_clients_own_does_not_count() {
        let update = |tracing: Value, speed: Value| {
            json!({"type": "session.update", "event_id": tracing,
                "session": {"tracing": tracing, "audio": {"output": {"speed": speed}}}})
        };
        let cases = [
            (
                output("a", "{\"b\": 1.0,\"a\":[]}"),
                output("b", "{\"a\":[], \"b\":1}"),
            ),
            (
                update(json!("auto"), json!(1)),
                update(json!({"x": 1}), json!(1.0)),
            ),
            (
                json!({"type": "response.create"}),
                json!({"type": "response.create", "response": {}}),
            ),
            (
                json!({"type": "conversation.item.truncate", "audio_end_ms": 1}),
                json!({"type": "conversation.item.truncate", "audio_end_ms": 2}),
            ),
        ];
        for (recorded, sent) in cases {
            assert_eq!(place(recorded, sent), None);
        }
    }

    #[test]
    fn the_first_place_that_differs_is_told() {
        let update = |tools: Value| json!({"type": "session.update", "session": {"tools": tools}});
        let cases = [
            (
                output("a", "sun"),
                output("a", "rain"),
                ("item.output", "\"sun\"", "\"rain\""),
            ),
            (
                update(json!([{"name": "a"}, {"name": "b"}])),
                update(json!([{"name": "a"}, {"name": "c"}])),
                ("session.tools[1].name", "\"b\"", "\"c\""),
            ),
            (
                update(json!(["a"])),
                update(json!([])),
                ("session.tools[0]", "\"a\"", "nothing"),
            ),
            (
                json!({"type": "response.create"}),
                json!({"type": "response.create", "response": {"instructions": "x"}}),
                ("response.instructions", "nothing", "\"x\""),
            ),
        ];
        for (recorded, sent, (path, was, is)) in cases {
            let expected = (path.to_owned(), was.to_owned(), is.to_owned());
            assert_eq!(place(recorded, sent), Some(expected));
        }
    }

    #[test]
    fn of_long_texts_the_part_that_differs_is_told() {
        let (recorded, sent) = (format!("{}.", "é".repeat(500)), format!("{}!", "é".repeat(500)));
        let (_, was, is) = place(output("a", &recorded), output("a", &sent)).unwrap();
        let kept = "é".repeat(40);
        assert_eq!((was, is), (format!("…{kept}.\""), format!("…{kept}!\"")));
    }

    #[test]
    fn sound_that_was_left_out_counts_by_its_length() {
        let message = |audio: &str| {
            json!({"type": "conversation.item.create",
                "item": {"type": "message", "content": [{"type": "input_audio", "audio": audio}]}})
        };
        assert_eq!(place(message("[4 bytes of audio]"), message("AQIDBA==")), None);
        assert!(place(message("[4 bytes of audio]"), message("AQID")).is_some());
    }
}
