//! No agent file or script file whatever makes the check panic, and none slips through the checks to fail without a reason.

use std::path::Path;

use proptest::prelude::*;
use realtime_run::agent::AgentFile;
use realtime_run::file::Diagnostics;
use realtime_run::script::Script;

const FILES: [&str; 6] = [
    include_str!("script_files/valid/everything.toml"),
    include_str!("script_files/invalid/wrong_types.toml"),
    include_str!("agent_files/valid/everything.toml"),
    include_str!("agent_files/valid/turned_off.toml"),
    include_str!("../agents/concierge.toml"),
    include_str!("agent_files/invalid/everything_at_once.toml"),
];

/// Pieces that mean something to TOML, to JSON Schema, to agent files or to script files.
const TOKENS: [&str; 48] = [
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r",
    "\u{feff}",
    "\0",
    "😀",
    "\\u",
    "${",
    "$${",
    "${}",
    "${CARGO_PKG_NAME}",
    "nan",
    "-1",
    "1e400",
    "99999999999999999999",
    "2026-01-31",
    "true",
    "\"none\"",
    "[agents.\"\"]\n",
    "[tools.x]\n",
    "\"$ref\" = \"#\"\n",
    "\"$id\" = \":\"\n",
    "\"$schema\" = \"x\"\n",
    "pattern = \"(\"\n",
    "start = 1\n",
    "voice = \"x\"\n",
    "handoffs = [[]]\n",
    "type = \"object\"\n",
    "[parameters]\n",
    "{{ city }}",
    "{{",
    "{% if",
    "[[turns]]\n",
    "include = \"mangled.toml\"\n",
    "expect = [{ event = \"response\" }]\n",
    "text_matches = \"(\",\n",
    "count = { min = 2, max = 1 }\n",
];

#[derive(Debug, Clone)]
enum Damage {
    Byte(usize, u8),
    DeleteLine(usize),
    RepeatLine(usize, usize),
    Insert(usize, &'static str),
    Cut(usize),
}

impl Damage {
    fn apply(&self, text: &mut Vec<u8>) {
        let lines = |text: &[u8]| {
            text.split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        match *self {
            Self::Byte(at, byte) if !text.is_empty() => {
                let at = at % text.len();
                text[at] = byte;
            }
            Self::DeleteLine(at) if !text.is_empty() => {
                let mut lines = lines(text);
                lines.remove(at % lines.len());
                *text = lines.concat();
            }
            Self::RepeatLine(from, to) if !text.is_empty() => {
                let mut lines = lines(text);
                let line = lines[from % lines.len()].clone();
                lines.insert(to % lines.len(), line);
                *text = lines.concat();
            }
            Self::Insert(at, token) => {
                let at = at % (text.len() + 1);
                text.splice(at..at, token.bytes());
            }
            Self::Cut(at) => text.truncate(at % (text.len() + 1)),
            _ => {}
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0..10_000_usize;
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        place.clone().prop_map(Damage::DeleteLine),
        (place.clone(), place.clone()).prop_map(|(from, to)| Damage::RepeatLine(from, to)),
        (place.clone(), prop::sample::select(TOKENS.as_slice()))
            .prop_map(|(at, token)| Damage::Insert(at, token)),
        place.prop_map(Damage::Cut),
    ]
}

fn judge(text: &str) {
    let directory = |path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    told(AgentFile::parse("mangled.toml", text, &directory("agents")));
    let scripts = directory("tests/script_files/valid");
    told(Script::parse("mangled.toml", text, &scripts, &[]));
}

/// What is refused is refused for a reason.
fn told<T>(read: Result<T, Diagnostics>) {
    let Err(mistakes) = read else { return };
    assert!(mistakes.iter().len() > 0, "refused without a reason");
    let plain = mistakes.render(false);
    assert!(mistakes.render(true).len() >= plain.len());
    assert!(!plain.contains("did not find out why"), "{plain}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mangled_files_are_judged(file in prop::sample::select(FILES.as_slice()), damages in prop::collection::vec(damage(), 1..6)) {
        let mut bytes = file.as_bytes().to_vec();
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        judge(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text_is_judged(text in any::<String>()) {
        judge(&text);
    }

    #[test]
    fn heaps_of_tokens_are_judged(tokens in prop::collection::vec(prop::sample::select(TOKENS.as_slice()), 0..30)) {
        judge(&tokens.concat());
    }
}

#[test]
fn deep_nesting_is_judged() {
    judge(&format!(
        "context = {}{}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    ));
    judge(&format!("{}=1", vec!["a"; 50_000].join(".")));
}
