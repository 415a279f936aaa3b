//! Reading a script file and the files that it includes, each into a tree whose texts are filled in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::source::Source;
use super::variables::Variables;
use super::{FORM, checks};
use crate::file::{self, Diagnostic, Environment, Node, OtherFile};

/// How deep files may include files.
const DEEPEST: usize = 8;
/// How many files one script may include, each as often as it does.
const MOST: usize = 100;
/// What has no effect in a file that is included.
const OUT_OF_PLACE: [&str; 5] = ["agent", "simulator", "context", "tools", "spans"];

/// A file that a script is made of, as it was read.
#[derive(Debug)]
pub(super) struct Part {
    pub source: Source,
    pub root: Node,
    /// The files that stand in place of turns, by the turns' numbers.
    pub included: HashMap<usize, Part>,
}

/// Reads the files of one script.
pub(super) struct Reader<'a> {
    environment: &'a Environment<'a>,
    /// What goes over the variables' defaults.
    set: &'a [(String, String)],
    /// What is wrong in any of the files.
    pub mistakes: Vec<Diagnostic>,
    /// The variables of all files.
    pub variables: Vec<String>,
    /// How many files were included.
    included: usize,
}

impl<'a> Reader<'a> {
    pub fn new(environment: &'a Environment<'a>, set: &'a [(String, String)]) -> Self {
        Self {
            environment,
            set,
            mistakes: Vec::new(),
            variables: Vec::new(),
            included: 0,
        }
    }

    /// Reads the script's own file, which is called `name`; none if it is no TOML.
    pub fn script(&mut self, name: &str, text: &str, directory: &Path) -> Option<Part> {
        let path = directory.join(Path::new(name).file_name().unwrap_or_default());
        let source = Source::new(name, text, directory, None);
        self.part(source, text, &Variables::default(), &[real(path)])
    }

    /// Reads a file with the variables of the one that includes it. `above` are the paths of all that do, and its own.
    fn part(&mut self, source: Source, text: &str, outer: &Variables, above: &[PathBuf]) -> Option<Part> {
        let mut mistakes = Vec::new();
        let root = Node::parse(text, self.environment, &mut mistakes);
        let Some(mut root) = root else {
            self.mistakes.extend(source.own(mistakes));
            return None;
        };
        let variables = Variables::of(&root, outer, self.set, &mut mistakes);
        self.variables.extend(variables.names().map(str::to_owned));
        variables.fill(&mut root, text, &mut mistakes);
        mistakes.extend(file::check_shape(&FORM, &root));
        mistakes.extend(checks::check(&root, text, &source.directory));
        if source.other.is_some() {
            mistakes.extend(root.entries().filter_map(out_of_place));
        }
        self.mistakes.extend(source.own(mistakes));
        let mut included = HashMap::new();
        let turns = root.get("turns").map_or(&[][..], Node::items);
        for (number, turn) in turns.iter().enumerate() {
            if let Some(include) = turn.get("include") {
                match self.include(include, &source, &variables, above) {
                    Ok(part) => included.extend(part.map(|part| (number, part))),
                    Err(mistake) => self.mistakes.extend(source.own(vec![mistake])),
                }
            }
        }
        Some(Part {
            source,
            root,
            included,
        })
    }

    /// Reads the file that a turn of `source` includes; none if there are mistakes in it.
    fn include(
        &mut self,
        include: &Node,
        source: &Source,
        variables: &Variables,
        above: &[PathBuf],
    ) -> Result<Option<Part>, Diagnostic> {
        let Some(path) = include.text() else {
            return Ok(None);
        };
        let mistake = |message: String| Diagnostic::at(include.span.clone(), message);
        let full = real(source.directory.join(&path.value));
        if above.contains(&full) {
            let message = format!("`{}` would include itself", path.written);
            return Err(mistake(message).help("a file can't be among its own turns"));
        }
        self.included += 1;
        if above.len() > DEEPEST {
            return Err(mistake(format!("files can include files {DEEPEST} deep")));
        }
        if self.included > MOST {
            // Told once, and not of each that follows.
            let message = format!("a script can include {MOST} files");
            return match self.included == MOST + 1 {
                true => Err(mistake(message)),
                false => Ok(None),
            };
        }
        let text = file::read_text(&full).map_err(|reason| {
            mistake(format!("`{}` can't be read: {reason}", path.written))
                .help("paths count from the directory that this file is in")
        })?;
        let beside = Path::new(&source.name).parent().unwrap_or(Path::new(""));
        let name = beside.join(&path.written).display().to_string();
        let other = Arc::new(OtherFile {
            name: name.clone(),
            text,
        });
        let directory = full.parent().unwrap_or(Path::new("/"));
        let source = Source::new(&name, &other.text, directory, Some(Arc::clone(&other)));
        let above = [above, std::slice::from_ref(&full)].concat();
        Ok(self.part(source, &other.text, variables, &above))
    }
}

/// The one path of a file that has several; as it is, if there is no such file.
fn real(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

/// What has no effect in a file that is included.
fn out_of_place((key, node): (&str, &Node)) -> Option<Diagnostic> {
    OUT_OF_PLACE.contains(&key).then(|| {
        Diagnostic::at(
            node.key_span.clone(),
            format!("`{key}` has no effect in a file that is included"),
        )
        .help("put it into the script that includes the file; of this one, turns and variables count")
    })
}
