//! The sense of a tool: that it does one thing, and one that can be done.

use super::parameters;
use crate::agent::names;
use crate::file::{Content, Diagnostic, Node, misspelt};
use crate::tool;

/// The keys of which a tool has one: what it does.
const KINDS: [&str; 3] = ["command", "http", "output"];

/// All that is wrong with the tool `name`.
pub(super) fn check(name: &str, tool: &Node) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    if !names::is_function_name(name) {
        mistakes.push(
            Diagnostic::at(
                tool.key_span.clone(),
                format!("`{name}` can't be the name of a tool"),
            )
            .help("names are 1 to 64 letters, digits, `_` or `-`"),
        );
    }
    mistakes.extend(kind(name, tool));
    if let Some(schema) = tool.get("parameters") {
        mistakes.extend(parameters::check(schema));
    }
    mistakes.extend(tool.get("command").and_then(command));
    mistakes.extend(tool.get("http").into_iter().flat_map(http));
    mistakes
}

/// A tool does one thing.
fn kind(name: &str, tool: &Node) -> Option<Diagnostic> {
    let given: Vec<(&str, &Node)> = KINDS
        .into_iter()
        .filter_map(|key| Some((key, tool.get(key)?)))
        .collect();
    match given.as_slice() {
        [] if matches!(tool.content, Content::Table(_)) && !KINDS.iter().any(|key| misspelt(tool, key)) => Some(
            Diagnostic::at(tool.key_span.clone(), format!("tool `{name}` does nothing")).help(
                "add `command = [\"program\", \"argument\"]` to run a program, `http = { url = \"https://…\" }` to make a request, \
                 or `output = \"…\"` for a ready answer",
            ),
        ),
        [(one, _), (other, node), ..] => Some(
            Diagnostic::at(node.key_span.clone(), format!("both `{one}` and `{other}` are given"))
                .help("keep one of them"),
        ),
        [("output", _)] => tool.get("timeout_sec").map(|timeout| {
            Diagnostic::at(timeout.key_span.clone(), "a ready answer takes no time")
                .help("`timeout_sec` goes with `command` and `http`; leave it out")
        }),
        _ => None,
    }
}

/// What is wrong with a program and its arguments.
pub(super) fn command(command: &Node) -> Option<Diagnostic> {
    let program = command.items().first()?;
    let is_nameless = program.text().is_some_and(|text| text.value.trim().is_empty());
    is_nameless.then(|| {
        Diagnostic::at(program.span.clone(), "the program has no name")
            .help("the first item is the program to run, the others are its arguments")
    })
}

/// What is wrong with a request.
pub(super) fn http(http: &Node) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    if let Some(url) = http.get("url")
        && let Some(text) = url.text()
        && let Err(reason) = tool::check_url(&text.value)
    {
        let help = "write `url = \"https://api.example.com/cities/{{ args.city }}\"`";
        mistakes.push(Diagnostic::at(url.span.clone(), reason.to_string()).help(help));
    }
    for (name, value) in http.get("headers").into_iter().flat_map(Node::entries) {
        if let Some(text) = value.text()
            && let Err(reason) = tool::header(name, &text.value)
        {
            mistakes.push(Diagnostic::at(value.key_span.clone(), reason.to_string()));
        }
    }
    mistakes
}
