//! Items of a conversation as a generation span tells them: messages in the form that chat models take.

use serde_json::{Value, json};

use crate::protocol::{Item, Message, Part, Role};

/// Bytes of one text that a span takes: what goes in waits in memory for the answer that it goes into.
const MAX_TEXT: usize = 64 << 10;

/// An item as a message; none for a kind that has no such form.
pub(super) fn message(item: &Item) -> Option<Value> {
    Some(match item {
        Item::Message(message) => json!({"role": role(message.role), "content": content(message)}),
        Item::FunctionCall(call) => json!({"role": "assistant", "content": null, "tool_calls": [{
            "id": call.call_id, "type": "function",
            "function": {"name": call.name, "arguments": cut(&call.arguments)}}]}),
        Item::FunctionCallOutput(output) => {
            json!({"role": "tool", "tool_call_id": output.call_id, "content": cut(&output.output)})
        }
        Item::Other(_) => return None,
    })
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Assistant => "assistant",
        Role::User | Role::Other => "user",
    }
}

/// Words as one text; a list of parts where a part has no words.
fn content(message: &Message) -> Value {
    let has_words = |part: &Part| part.words().is_some();
    if message.content.iter().all(has_words) {
        return cut(&message.text()).into();
    }
    message.content.iter().map(part).collect()
}

fn part(part: &Part) -> Value {
    match part {
        Part::InputImage { image_url, .. } => json!({"type": "input_image", "image_url": picture(image_url)}),
        Part::InputAudio { transcript: None, .. } => json!({"type": "input_audio"}),
        Part::OutputAudio { transcript: None, .. } => json!({"type": "output_audio"}),
        Part::Other(other) => json!({"type": other["type"]}),
        words => json!({"type": "text", "text": words.words().map(cut)}),
    }
}

/// Where a picture is; of one that is in the text itself, only what kind of picture.
fn picture(image_url: &str) -> String {
    match image_url.split_once(',') {
        Some((head, _)) if head.starts_with("data:") => head.to_owned(),
        _ => cut(image_url),
    }
}

/// The text, or as much of it as a span takes and how much is missing.
pub(super) fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    format!("{}… [{} bytes left out]", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(item: Value) -> Value {
        message(&serde_json::from_value(item).unwrap()).unwrap()
    }

    #[test]
    fn words_are_one_text_spoken_or_written() {
        let written = json!({"type": "message", "role": "system", "content": [
            {"type": "input_text", "text": "be "}, {"type": "input_text", "text": "kind"}]});
        assert_eq!(told(written), json!({"role": "system", "content": "be kind"}));
        let spoken = json!({"type": "message", "role": "assistant", "content": [
            {"type": "output_audio", "transcript": "hello"}]});
        assert_eq!(told(spoken), json!({"role": "assistant", "content": "hello"}));
    }

    #[test]
    fn what_has_no_words_is_told_by_its_kind_without_its_bytes() {
        let item = json!({"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "look"}, {"type": "input_audio", "audio": "AAAA"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "input_image", "image_url": "https://example.com/a.png"}]});
        let expected = json!({"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "input_audio"},
            {"type": "input_image", "image_url": "data:image/png;base64"},
            {"type": "input_image", "image_url": "https://example.com/a.png"}]});
        assert_eq!(told(item), expected);
    }

    #[test]
    fn calls_and_their_outputs_bear_the_same_id() {
        let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
        assert_eq!(told(call)["tool_calls"][0]["id"], "c");
        let output = json!({"type": "function_call_output", "call_id": "c", "output": "done"});
        let expected = json!({"role": "tool", "tool_call_id": "c", "content": "done"});
        assert_eq!(told(output), expected);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = format!("a{}", "é".repeat(MAX_TEXT / 2));
        let cut = cut(&text);
        assert!(
            cut.ends_with("é… [2 bytes left out]"),
            "{}",
            &cut[cut.len() - 40..]
        );
    }
}
