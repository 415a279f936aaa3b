//! The variables of scripts: their values, and the texts that they are put into.

use indexmap::IndexMap;
use serde_json::Value;

use crate::context::{self, Template};
use crate::file::{Content, Diagnostic, Node, Passage, Text, nearest, quoted};

/// The parts of a script file whose texts variables are put into.
const FILLED: [&str; 3] = ["turns", "tools", "spans"];

/// The variables that a file's texts can speak of.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(IndexMap<String, Variable>);

#[derive(Debug, Clone)]
struct Variable {
    value: String,
    /// Whether messages may show the value, which is not so if it comes from the environment.
    is_shown: bool,
}

impl Variables {
    /// Those of the file `root`: over its own defaults go those of the file that includes it, and over both `set`.
    pub fn of(root: &Node, outer: &Self, set: &[(String, String)], mistakes: &mut Vec<Diagnostic>) -> Self {
        let mut variables = Self::default();
        for (name, node) in root.get("variables").into_iter().flat_map(Node::entries) {
            if !is_name(name) {
                let message = format!("`{name}` can't be the name of a variable");
                mistakes.push(
                    Diagnostic::at(node.key_span.clone(), message)
                        .help("names are made of letters, digits and `_`"),
                );
            }
            // One without a usable default is there all the same: nobody needs to be told twice.
            let variable = Variable {
                value: text_of(node).unwrap_or_default(),
                is_shown: !node.is_from_environment(),
            };
            variables.0.insert(name.to_owned(), variable);
        }
        variables.0.extend(outer.0.clone());
        for (name, value) in set {
            if let Some(variable) = variables.0.get_mut(name) {
                *variable = Variable {
                    value: value.clone(),
                    is_shown: true,
                };
            }
        }
        variables
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Puts them into the texts of the file `root`, which was written as `source`. A text that can't be filled in is a
    /// mistake, and can't be judged any further.
    pub fn fill(&self, root: &mut Node, source: &str, mistakes: &mut Vec<Diagnostic>) {
        let mut filler = Filler {
            variables: self,
            values: self
                .0
                .iter()
                .fold(context::Variables::none(), |all, (name, variable)| {
                    all.with(name, &Value::String(variable.value.clone()))
                }),
            source,
            mistakes,
        };
        let Content::Table(table) = &mut root.content else {
            return;
        };
        for part in FILLED {
            if let Some(node) = table.get_mut(part) {
                filler.node(node);
            }
        }
    }
}

/// Whether templates can speak of it.
fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(is_part) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// The text of a variable's default; none if it is of the wrong kind, which is told elsewhere.
fn text_of(node: &Node) -> Option<String> {
    match &node.content {
        Content::Text(text) => Some(text.value.clone()),
        Content::Integer(number) | Content::Float(number) => Some(number.to_string()),
        Content::Boolean(flag) => Some(flag.to_string()),
        Content::Array(_) | Content::Table(_) | Content::Unusable => None,
    }
}

struct Filler<'a> {
    variables: &'a Variables,
    values: context::Variables,
    source: &'a str,
    mistakes: &'a mut Vec<Diagnostic>,
}

impl Filler<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.content {
            Content::Array(items) => items.iter_mut().for_each(|item| self.node(item)),
            Content::Table(table) => table.values_mut().for_each(|node| self.node(node)),
            Content::Text(_) => self.text(node),
            _ => {}
        }
    }

    fn text(&mut self, node: &mut Node) {
        let Some(text) = node.text() else { return };
        let place = Passage::of(self.source, node, text);
        match self.filled(text, &place) {
            Ok(None) => {}
            Ok(Some(filled)) => node.content = Content::Text(filled),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                node.content = Content::Unusable;
            }
        }
    }

    /// The text with all variables; none if it has none.
    fn filled(&self, text: &Text, place: &Passage<'_>) -> Result<Option<Text>, Vec<Diagnostic>> {
        let failed = |error: context::TemplateError| {
            let message = match place.is_shown {
                true => format!("the variables of this can't be put in: {error}"),
                false => "the variables of this can't be put in".to_owned(),
            };
            vec![place.mistake(error.range, message)]
        };
        let template = Template::new(&text.value).map_err(failed)?;
        let names = template.names();
        let known = |name: &String| self.variables.0.get(name);
        let unknown = names.iter().filter(|name| known(name).is_none());
        let unknown: Vec<Diagnostic> = unknown.map(|name| self.unknown(name, place)).collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let value = template.render(&self.values).map_err(failed)?;
        if value == text.value {
            return Ok(None);
        }
        let is_shown = place.is_shown && names.iter().filter_map(known).all(|variable| variable.is_shown);
        let written = match is_shown {
            true => value.clone(),
            false => text.written.clone(),
        };
        Ok(Some(Text { written, value }))
    }

    fn unknown(&self, name: &str, place: &Passage<'_>) -> Diagnostic {
        let message = match place.is_shown {
            true => format!("there is no variable `{name}`"),
            false => "it speaks of a variable that there is not".to_owned(),
        };
        let known: Vec<&str> = self.variables.names().collect();
        let help = match nearest(name, known.iter().copied()).filter(|_| place.is_shown) {
            Some(near) => format!("did you mean `{near}`?"),
            None if name == "args" => "what stands in for a tool knows nothing of the call".to_owned(),
            None if known.is_empty() => "give it a default under `[variables]`".to_owned(),
            None => format!(
                "give it a default under `[variables]`; there are {}",
                quoted(&known)
            ),
        };
        place.mistake(place.find(name), message).help(help)
    }
}
