//! The script that is made of files that were found to be good.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::include::Part;
use super::schema::{
    ApproveSection, CountEntry, ExpectationSection, MockSection, RejectSection, ScriptContent, SpanKind,
    SpanSection, TurnSection,
};
use super::source::Source;
use crate::file::{self, Node};
use crate::script::mentions::{Mention, Mentioned};
use crate::script::{
    Act, Conditions, EventKind, Expectation, Mentions, Mock, MockAnswer, Script, SimulatedServer,
    SpanExpectation, Turn,
};

/// The checks have overlooked something.
#[derive(Debug)]
pub(super) struct Overlooked;

/// Makes the script; `text` is what its own file holds.
///
/// # Errors
/// When the checks have overlooked something.
pub(super) fn build(part: &Part, text: &str) -> Result<Script, Overlooked> {
    let content = content(part)?;
    let source = &part.source;
    let path = |path: String| source.directory.join(path);
    let mut mentions = Vec::new();
    for (name, mock) in part.root.get("tools").into_iter().flat_map(Node::entries) {
        mentions.push(Mention {
            what: Mentioned::Tool,
            name: name.to_owned(),
            is_shown: true,
            span: mock.key_span.clone(),
            file: None,
        });
    }
    let mut turns = Vec::new();
    add_turns(part, content.turns, &mut turns, &mut mentions)?;
    let spans = items(&part.root, "spans").iter().zip(content.spans);
    let spans = spans
        .map(|(node, section)| span(node, section, source, &mut mentions))
        .collect();
    let mocks = content.tools.into_iter();
    Ok(Script {
        name: content.name.unwrap_or_else(|| stem(&source.name)),
        agent: content.agent.map(path),
        simulator: SimulatedServer {
            scenario: content.simulator.scenario.map(path),
            replay: content.simulator.replay.map(path),
        },
        context: content.context,
        mocks: mocks.map(|(name, mock)| (name, mock.into())).collect(),
        turns,
        spans,
        mentions: Mentions {
            source_name: source.name.clone(),
            text: text.to_owned(),
            list: mentions,
        },
    })
}

fn content(part: &Part) -> Result<ScriptContent, Overlooked> {
    ScriptContent::deserialize(part.root.to_json()).map_err(|_| Overlooked)
}

fn items<'a>(table: &'a Node, key: &str) -> &'a [Node] {
    table.get(key).map_or(&[], Node::items)
}

/// A file's name without what it ends in: `.toml`, and `.smoke` before that.
fn stem(name: &str) -> String {
    let stem = Path::new(name).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    stem.strip_suffix(".smoke").unwrap_or(&stem).to_owned()
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// Adds the turns of a file, and in place of those that include one those of that.
fn add_turns(
    part: &Part,
    sections: Vec<TurnSection>,
    turns: &mut Vec<Turn>,
    mentions: &mut Vec<Mention>,
) -> Result<(), Overlooked> {
    let nodes = items(&part.root, "turns");
    for (number, (node, section)) in nodes.iter().zip(sections).enumerate() {
        if section.include.is_none() {
            turns.push(turn(node, section, &part.source, mentions)?);
            continue;
        }
        let included = part.included.get(&number).ok_or(Overlooked)?;
        add_turns(included, content(included)?.turns, turns, mentions)?;
    }
    Ok(())
}

fn turn(
    node: &Node,
    mut section: TurnSection,
    source: &Source,
    mentions: &mut Vec<Mention>,
) -> Result<Turn, Overlooked> {
    mention(mentions, Mentioned::Agent, node.get("switch_agent"), source);
    for key in ["approve", "reject"] {
        let decided = node.get(key).map(|node| node.get("tool").unwrap_or(node));
        mention(mentions, Mentioned::Tool, decided, source);
    }
    let expected = items(node, "expect")
        .iter()
        .zip(std::mem::take(&mut section.expect));
    let expect: Result<_, _> = expected
        .map(|(node, section)| expectation(node, section, source, mentions))
        .collect();
    Ok(Turn {
        place: source.place(&node.span),
        any_order: section.any_order,
        expect: expect?,
        act: act(section, source)?,
    })
}

fn act(section: TurnSection, source: &Source) -> Result<Act, Overlooked> {
    Ok(match section {
        TurnSection {
            user: Some(words), ..
        } => Act::Say(words),
        TurnSection {
            audio: Some(path), ..
        } => Act::Speak(source.directory.join(path)),
        TurnSection {
            silence_ms: Some(ms), ..
        } => Act::Silence(millis(ms)),
        TurnSection {
            switch_agent: Some(agent),
            ..
        } => Act::SwitchAgent(agent),
        TurnSection {
            interrupt_after_ms: Some(ms),
            ..
        } => Act::InterruptAfter(millis(ms)),
        TurnSection {
            approve: Some(entry), ..
        } => {
            let ApproveSection { tool, always } = entry.into();
            Act::Approve { tool, always }
        }
        TurnSection {
            reject: Some(entry), ..
        } => {
            let RejectSection { tool, message } = entry.into();
            Act::Reject { tool, message }
        }
        TurnSection {
            wait_ms: Some(ms), ..
        } => Act::Wait(millis(ms)),
        TurnSection { raw: Some(event), .. } => Act::Raw(event),
        _ => return Err(Overlooked),
    })
}

fn expectation(
    node: &Node,
    section: ExpectationSection,
    source: &Source,
    mentions: &mut Vec<Mention>,
) -> Result<Expectation, Overlooked> {
    mention(mentions, Mentioned::Agent, node.get("agent"), source);
    let named = match section.event {
        EventKind::Guardrail => Mentioned::Guardrail,
        _ => Mentioned::Tool,
    };
    mention(mentions, named, node.get("name"), source);
    let text_matches = section.text_matches.as_deref().map(file::pattern);
    Ok(Expectation {
        place: source.place(&node.span),
        event: section.event,
        conditions: Conditions {
            text_contains: section.text_contains,
            text_matches: text_matches.transpose().map_err(|_| Overlooked)?,
            agent: section.agent,
            name: section.name,
            args: section.args.map(Into::into),
            within: section.within_ms.map(millis),
            max_tokens: section.max_tokens.map(Into::into),
            judge: section.judge,
        },
        absent: section.absent,
    })
}

fn span(node: &Node, section: SpanSection, source: &Source, mentions: &mut Vec<Mention>) -> SpanExpectation {
    let named = match section.kind {
        SpanKind::Agent => Some(Mentioned::Agent),
        SpanKind::Function => Some(Mentioned::Tool),
        SpanKind::Guardrail => Some(Mentioned::Guardrail),
        _ => None,
    };
    if let Some(what) = named {
        mention(mentions, what, node.get("name"), source);
    }
    let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    SpanExpectation {
        place: source.place(&node.span),
        kind: section.kind.as_str().to_owned(),
        name: section.name,
        parent: section.parent,
        count: match section.count {
            None => (1, None),
            Some(CountEntry::Exactly(count)) => (size(count), Some(size(count))),
            Some(CountEntry::Between(between)) => (size(between.min), between.max.map(size)),
        },
        error: section.error,
        min_duration: section.min_ms.map(millis),
        max_duration: section.max_ms.map(millis),
    }
}

/// Notes what a text of the file names.
fn mention(mentions: &mut Vec<Mention>, what: Mentioned, node: Option<&Node>, source: &Source) {
    if let Some((node, text)) = node.and_then(|node| Some((node, node.text()?))) {
        mentions.push(Mention {
            what,
            name: text.value.clone(),
            is_shown: !node.is_from_environment(),
            span: node.span.clone(),
            file: source.other.clone(),
        });
    }
}

impl From<MockSection> for Mock {
    fn from(section: MockSection) -> Self {
        Self {
            answer: match (section.output, section.error) {
                (Some(output), _) => MockAnswer::Output(output),
                (None, Some(error)) => MockAnswer::Error(error),
                (None, None) => MockAnswer::Real,
            },
            delay: section.delay_ms.map(millis).unwrap_or_default(),
        }
    }
}
