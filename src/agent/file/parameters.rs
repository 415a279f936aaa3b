//! The parameters of a tool: a JSON schema that the model's arguments are to follow.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;

use crate::file::{Content, Diagnostic, Node, explain_all};

/// All that is wrong with the parameters at `node`.
pub(super) fn check(node: &Node) -> Vec<Diagnostic> {
    if !matches!(node.content, Content::Table(_)) {
        return Vec::new();
    }
    let mistakes = explain_all(node, jsonschema::draft202012::meta::validator().as_ref());
    if !mistakes.is_empty() {
        return mistakes;
    }
    compile(node)
        .or_else(|| of_type_object(node))
        .into_iter()
        .collect()
}

/// A schema may follow the rules and still be of no use, such as one with a broken pattern.
fn compile(node: &Node) -> Option<Diagnostic> {
    let value = node.to_json();
    let error = jsonschema::draft202012::new(&value).err()?;
    Some(broken_reference(node, node).unwrap_or_else(|| {
        let place = node.at(error.instance_path().as_str()).unwrap_or(node);
        Diagnostic::at(place.span.clone(), useless(node, &error))
    }))
}

fn useless(node: &Node, error: &ValidationError<'_>) -> String {
    match error.kind() {
        // The error could quote a value that came from the environment.
        _ if node.is_from_environment() => "this JSON schema is of no use".to_owned(),
        ValidationErrorKind::Format { format } if format == "regex" => {
            "this is no valid regular expression".to_owned()
        }
        _ => format!("this JSON schema is of no use: {}", error.masked()),
    }
}

/// The first `$ref` in `node` that leads to nothing in the schema `root`.
fn broken_reference(root: &Node, node: &Node) -> Option<Diagnostic> {
    if let Some(mistake) = node
        .get("$ref")
        .and_then(|reference| leads_nowhere(root, reference))
    {
        return Some(mistake);
    }
    let parts = node.entries().map(|(_, part)| part).chain(node.items());
    parts.into_iter().find_map(|part| broken_reference(root, part))
}

fn leads_nowhere(root: &Node, reference: &Node) -> Option<Diagnostic> {
    let text = reference.text()?;
    if text
        .value
        .strip_prefix('#')
        .is_some_and(|pointer| root.at(pointer).is_some())
    {
        return None;
    }
    let message = format!("`{}` is no part of this JSON schema", text.written);
    let help = "a `$ref` leads to a part of the same schema, such as `#/$defs/city`";
    Some(Diagnostic::at(reference.span.clone(), message).help(help))
}

/// The API takes objects only, since arguments have names.
fn of_type_object(node: &Node) -> Option<Diagnostic> {
    let kind = node.get("type");
    if kind
        .and_then(Node::text)
        .is_some_and(|kind| kind.value == "object")
    {
        return None;
    }
    let place = kind.map_or(&node.key_span, |kind| &kind.span);
    Some(
        Diagnostic::at(
            place.clone(),
            "the parameters of a tool must be a JSON schema of type `object`",
        )
        .help("write `parameters = { type = \"object\", properties = { city = { type = \"string\" } } }`"),
    )
}
