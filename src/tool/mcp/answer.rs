//! What a tool of a server says, in the one form that a model of the Realtime API can read: text.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

use crate::tool::{ToolError, ToolOutput};

/// The answer for the model. Texts are joined; a structured answer counts where there is no text; anything else is
/// described.
pub(super) fn output(result: CallToolResult) -> Result<ToolOutput, ToolError> {
    let has_text = result
        .content
        .iter()
        .any(|part| matches!(part, ContentBlock::Text(_)));
    let parts: Vec<String> = result.content.into_iter().map(words).collect();
    let output = match result.structured_content {
        Some(value) if !has_text => ToolOutput::Json(value),
        _ => ToolOutput::Text(parts.join("\n")),
    };
    if result.is_error != Some(true) {
        return Ok(output);
    }
    let text = output.into_text();
    Err(match text.trim() {
        "" => ToolError::new("the tool says that it failed, but not why"),
        text => ToolError::new(text),
    })
}

fn words(part: ContentBlock) -> String {
    match part {
        ContentBlock::Text(text) => text.text,
        ContentBlock::Image(image) => sized("image", &image.mime_type, &image.data),
        ContentBlock::Audio(audio) => sized("audio", &audio.mime_type, &audio.data),
        ContentBlock::Resource(resource) => resource_words(resource.resource),
        ContentBlock::ResourceLink(link) => match link.description {
            Some(description) => format!("[a resource: {} ({}): {description}]", link.name, link.uri),
            None => format!("[a resource: {} ({})]", link.name, link.uri),
        },
        _ => "[content of an unknown kind]".to_owned(),
    }
}

fn resource_words(resource: ResourceContents) -> String {
    match resource {
        ResourceContents::TextResourceContents { text, .. } => text,
        ResourceContents::BlobResourceContents {
            uri, mime_type, blob, ..
        } => {
            let kind = mime_type.as_deref().unwrap_or("unknown type");
            format!("{} at {uri}", sized("binary resource", kind, &blob))
        }
        _ => "[a resource of an unknown kind]".to_owned(),
    }
}

/// What stands for bytes in base64.
fn sized(what: &str, kind: &str, base64: &str) -> String {
    let bytes = base64.trim_end_matches('=').len() * 3 / 4;
    format!("[{what}, {kind}, {bytes} bytes]")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(result: Value) -> Result<String, String> {
        let result = output(serde_json::from_value(result).unwrap());
        result
            .map(ToolOutput::into_text)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn texts_are_joined_and_other_content_is_described() {
        let content = json!([
            {"type": "text", "text": "Here:"},
            {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"},
            {"type": "audio", "data": "aGVsbG8h", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "demo://1", "text": "Chapter 1"}},
            {"type": "resource", "resource": {"uri": "demo://2", "blob": "aGVsbG8=", "mimeType": "application/gzip"}},
            {"type": "resource_link", "uri": "demo://3", "name": "Three", "description": "The third."},
        ]);
        let expected = "Here:\n[image, image/png, 5 bytes]\n[audio, audio/wav, 6 bytes]\nChapter 1\n\
                        [binary resource, application/gzip, 5 bytes] at demo://2\n\
                        [a resource: Three (demo://3): The third.]";
        assert_eq!(read(json!({"content": content})).unwrap(), expected);
    }

    #[test]
    fn a_structured_answer_counts_where_there_is_no_text() {
        let structured = json!({"celsius": 21});
        assert_eq!(
            read(json!({"content": [], "structuredContent": structured})).unwrap(),
            r#"{"celsius":21}"#
        );
        let with_text =
            json!({"content": [{"type": "text", "text": "21 °C"}], "structuredContent": structured});
        assert_eq!(read(with_text).unwrap(), "21 °C");
    }

    #[test]
    fn a_tool_that_says_it_failed_has_failed() {
        let failure = json!({"content": [{"type": "text", "text": "No such city."}], "isError": true});
        assert_eq!(read(failure).unwrap_err(), "No such city.");
        let silent = json!({"content": [], "isError": true});
        assert_eq!(
            read(silent).unwrap_err(),
            "the tool says that it failed, but not why"
        );
    }
}
