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
    /// What that end is known by.
    ended_by: Option<String>,
    /// From then to the first sound of any answer.
    first_audio: Option<u64>,
    /// From then until that was heard.
    first_played: Option<u64>,
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
                ended_by: record.turn_ended_by().map(str::to_owned),
                first_content,
                first_audio: None,
                first_played: None,
            })
        })
        .collect();
    turns.sort_by_key(|turn| turn.ended);
    let speeches = records().filter(|(_, record)| matches!(record.data, SpanData::Speech { .. }));
    let sounds = speeches.filter_map(|(_, record)| Some((record, clock.read(record.first_content_at()?))));
    for (record, sound) in sounds {
        // A sound belongs to the turn that had ended last.
        let later = turns.partition_point(|turn| turn.ended <= sound);
        if let Some(turn) = later.checked_sub(1).map(|place| &mut turns[place]) {
            let waited = sound - turn.ended;
            turn.first_audio = Some(turn.first_audio.map_or(waited, |first| first.min(waited)));
            let played = record.first_played_after().map(|after| after.as_micros());
            let played = played.and_then(|micros| u64::try_from(micros).ok());
            turn.first_played = turn.first_played.or(played);
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
    use super::super::tests::{data, refund, tree};
    use serde_json::{Value, json};

    #[test]
    fn each_turn_waits_for_its_first_content_and_its_first_sound() {
        let turns = data(&refund())["turns"].clone();
        let expected = json!([
            {"span": 2, "ended": 900_000, "ended_by": null, "first_content": 280_000, "first_audio": 330_000,
                "first_played": null},
            {"span": 13, "ended": 9_800_000, "ended_by": null, "first_content": 520_000, "first_audio": 3_030_000,
                "first_played": null},
            {"span": 18, "ended": 13_690_000, "ended_by": null, "first_content": 320_000, "first_audio": null,
                "first_played": null},
        ]);
        assert_eq!(turns, expected);
    }

    #[test]
    fn a_turn_tells_what_its_end_is_known_by_and_when_it_was_heard() {
        let lines = include_str!("../../../../../tests/traces/refund.jsonl").lines();
        let mut lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut tell = |kind: &str, metadata: &[(&str, Value)]| {
            let span = lines
                .iter_mut()
                .find(|line| line["span_data"]["type"] == kind)
                .unwrap();
            for (key, value) in metadata {
                span["metadata"][key] = value.clone();
            }
        };
        tell("generation", &[("turn_ended_by", json!("speech_stopped"))]);
        tell("speech", &[("first_played_ms", json!(412.5))]);
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        let turn = data(&tree(&lines.join("\n")))["turns"][0].clone();
        assert_eq!(
            (&turn["ended_by"], &turn["first_played"]),
            (&json!("speech_stopped"), &json!(412_500))
        );
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
