//! What can be counted in a trace: how long each turn waited for its answer, and the tokens of each agent.

use indexmap::IndexMap;
use realtime_run::trace::{SpanData, TraceTree};
use serde::Serialize;
use serde_json::Value;

use super::data::Agents;
use crate::cli::page::Clock;

/// A turn of the user, and how long it waited. Times are in microseconds.
#[derive(Debug, Serialize)]
pub struct Turn {
    /// The first answer to it.
    span: usize,
    /// When it had ended, since the first span started.
    ended: u64,
    /// From then to the first word, sound or call of the first answer.
    first_content: Option<u64>,
    /// From then to the first sound of any answer.
    first_audio: Option<u64>,
}

/// The turns in the order of time.
pub fn turns(tree: &TraceTree, clock: Clock) -> Vec<Turn> {
    let records = || {
        tree.nodes()
            .iter()
            .enumerate()
            .filter_map(|(place, node)| Some((place, node.record()?)))
    };
    let mut turns: Vec<Turn> = records()
        .filter_map(|(span, record)| {
            let ended = clock.read(record.turn_ended_at()?);
            let first_content = record
                .first_content_at()
                .map(|at| clock.read(at).saturating_sub(ended));
            Some(Turn {
                span,
                ended,
                first_content,
                first_audio: None,
            })
        })
        .collect();
    turns.sort_by_key(|turn| turn.ended);
    let speeches = records().filter(|(_, record)| matches!(record.data, SpanData::Speech { .. }));
    for sound in speeches.filter_map(|(_, record)| Some(clock.read(record.first_content_at()?))) {
        // A sound belongs to the turn that had ended last.
        let later = turns.partition_point(|turn| turn.ended <= sound);
        if let Some(turn) = later.checked_sub(1).map(|place| &mut turns[place]) {
            let waited = sound - turn.ended;
            turn.first_audio = Some(turn.first_audio.map_or(waited, |first| first.min(waited)));
        }
    }
    turns
}

/// The tokens of all answers of an agent.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentUsage {
    agent: Option<String>,
    answers: u64,
    input_text: u64,
    input_audio: u64,
    input_image: u64,
    /// Of the input, what the server had kept.
    input_cached: u64,
    output_text: u64,
    output_audio: u64,
    input: u64,
    output: u64,
}

/// The tokens of each agent, in the order in which they were in charge first.
pub fn usage(tree: &TraceTree, agents: &Agents) -> Vec<AgentUsage> {
    let mut all: IndexMap<Option<String>, AgentUsage> = IndexMap::new();
    for (place, node) in tree.nodes().iter().enumerate() {
        if let Some(usage) = node.record().and_then(|record| record.data.usage()) {
            let agent = agents.name(tree, place);
            all.entry(agent).or_default().add(usage);
        }
    }
    let named = |(agent, usage)| AgentUsage { agent, ..usage };
    all.into_iter().map(named).collect()
}

impl AgentUsage {
    fn add(&mut self, usage: &Value) {
        let count = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        self.answers += 1;
        for (sum, path) in [
            (&mut self.input, "/input_tokens"),
            (&mut self.output, "/output_tokens"),
            (&mut self.input_text, "/input_token_details/text_tokens"),
            (&mut self.input_audio, "/input_token_details/audio_tokens"),
            (&mut self.input_image, "/input_token_details/image_tokens"),
            (&mut self.input_cached, "/input_token_details/cached_tokens"),
            (&mut self.output_text, "/output_token_details/text_tokens"),
            (&mut self.output_audio, "/output_token_details/audio_tokens"),
        ] {
            *sum = sum.saturating_add(count(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{data, refund};
    use serde_json::json;

    #[test]
    fn each_turn_waits_for_its_first_content_and_its_first_sound() {
        let turns = data(&refund())["turns"].clone();
        let expected = json!([
            {"span": 2, "ended": 900_000, "first_content": 280_000, "first_audio": 330_000},
            {"span": 13, "ended": 9_800_000, "first_content": 520_000, "first_audio": 3_030_000},
            {"span": 18, "ended": 13_690_000, "first_content": 320_000, "first_audio": null},
        ]);
        assert_eq!(turns, expected);
    }

    #[test]
    fn tokens_are_counted_for_the_agent_whose_answers_took_them() {
        let usage = data(&refund())["usage"].clone();
        let triage = json!({"agent": "Triage", "answers": 1, "input_text": 281, "input_audio": 18, "input_image": 0,
            "input_cached": 0, "output_text": 12, "output_audio": 46, "input": 299, "output": 58});
        assert_eq!(usage[0], triage);
        let [agent, answers, cached] = ["agent", "answers", "input_cached"].map(|key| &usage[1][key]);
        assert_eq!(
            [agent, answers, cached],
            [&json!("Refunds"), &json!(5), &json!(2688)]
        );
    }
}
