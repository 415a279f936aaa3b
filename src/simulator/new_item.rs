//! Items as clients make them.

use serde_json::Value;

use crate::protocol::{AudioFormat, Id, Item, ItemStatus, Message, Part, Role};

use super::conversation::{Entry, Sound};
use super::id;
use super::input_audio::decode;
use super::refusal::{Refused, invalid_value, refusal_at};

/// The item of committed audio, which nobody has transcribed yet.
pub(super) fn heard(id: Id) -> Item {
    Item::Message(Message {
        id: Some(id),
        status: Some(ItemStatus::Completed),
        ..Message::user(vec![Part::InputAudio {
            audio: None,
            transcript: None,
        }])
    })
}

/// Reads an item whose keys were checked, from a dotted path of its event. It gets an id where it has none.
///
/// # Errors
/// When a part does not belong to the role, or audio is not base64.
pub(super) fn read(item: &Value, path: &str, format: AudioFormat) -> Refused<Entry> {
    let mut item: Item = serde_json::from_value(item.clone())
        .map_err(|error| refusal_at("invalid_value", path, format!("Invalid '{path}': {error}.")))?;
    let item_id = item
        .id()
        .filter(|id| !id.is_empty())
        .map_or_else(|| id::new("item_"), Id::from);
    let mut sound = Sound::None;
    let id = Some(item_id.clone());
    match &mut item {
        Item::Message(message) => {
            check_parts(message, path)?;
            sound = take_audio(&mut message.content, path, format)?;
            message.id = id;
            message.status.get_or_insert(ItemStatus::Completed);
        }
        Item::FunctionCall(call) => {
            call.id = id;
            call.status.get_or_insert(ItemStatus::Completed);
            if call.call_id.is_empty() {
                call.call_id = id::call().to_string();
            }
        }
        Item::FunctionCallOutput(output) => output.id = id,
        Item::Other(value) => value["id"] = item_id.as_str().into(),
    }
    Ok(Entry {
        id: item_id,
        item,
        sound,
    })
}

/// Each role has parts of its own, and a picture has a form.
fn check_parts(message: &Message, path: &str) -> Refused<()> {
    for (n, part) in message.content.iter().enumerate() {
        if let Part::InputImage { image_url, .. } = part {
            check_image(image_url, &format!("{path}.content[{n}].image_url"))?;
        }
        let (name, supported) = match (message.role, part) {
            (Role::System | Role::User, Part::InputText { .. }) => continue,
            (Role::User, Part::InputAudio { .. } | Part::InputImage { .. }) => continue,
            (Role::Assistant, Part::OutputText { .. }) => continue,
            (role, part) => (part_name(part), supported_parts(role)),
        };
        return Err(invalid_value(
            &format!("{path}.content[{n}].type"),
            name,
            supported,
        ));
    }
    Ok(())
}

/// A picture comes within its event (protocol.md section 2).
fn check_image(url: &str, path: &str) -> Refused<()> {
    let kinds = ["data:image/png", "data:image/jpeg"];
    if kinds.iter().any(|kind| url.starts_with(kind)) {
        return Ok(());
    }
    let message = format!("Invalid '{path}'. Expected a data URI with a PNG or JPEG image.");
    Err(refusal_at("invalid_value", path, message))
}

fn supported_parts(role: Role) -> &'static [&'static str] {
    match role {
        Role::System => &["input_text"],
        Role::Assistant => &["output_text"],
        Role::User | Role::Other => &["input_text", "input_audio", "input_image"],
    }
}

fn part_name(part: &Part) -> &str {
    match part {
        Part::InputText { .. } => "input_text",
        Part::InputAudio { .. } => "input_audio",
        Part::InputImage { .. } => "input_image",
        Part::OutputText { .. } => "output_text",
        Part::OutputAudio { .. } => "output_audio",
        Part::Other(value) => value["type"].as_str().unwrap_or_default(),
    }
}

/// Moves the audio out of the parts, since events never show it.
fn take_audio(parts: &mut [Part], path: &str, format: AudioFormat) -> Refused<Sound> {
    let (mut bytes, mut has_transcript) = (Vec::new(), false);
    for (n, part) in parts.iter_mut().enumerate() {
        if let Part::InputAudio { audio, transcript } = part {
            has_transcript |= transcript.is_some();
            let base64 = audio.take().unwrap_or_default();
            bytes.extend(decode(&base64, &format!("{path}.content[{n}].audio"))?);
        }
    }
    if bytes.is_empty() {
        return Ok(Sound::None);
    }
    Ok(Sound::Heard {
        audio: bytes.into(),
        format,
        // A client that brings a transcript knows it.
        is_transcribed: has_transcript,
    })
}
