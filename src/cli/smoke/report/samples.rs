//! Results as they could be, for the tests of reports.

use std::io::Cursor;
use std::time::Duration;

use realtime_run::protocol::Usage;
use realtime_run::script::{Finding, Line, Met, Outcome, Place, Ruling, Speaker, TurnOutcome, Verdict};
use realtime_run::trace::{Timestamp, TraceSet, TraceTree};

use crate::cli::smoke::results::{Attempt, Results, Run, ScriptResult};

/// Words that would do harm as markup or on a terminal, or that XML can't hold.
pub const HOSTILE: &str = "</script><script>window.taken = 1</script><!-- ]]> <img src=x onerror='window.taken = 1'> \
    {{script}} &amp; \u{0}\u{1b}[31mred\u{fffe}\u{ffff} \u{2028}";
/// A key that gets into what was said.
pub const KEY: &str = "sk-planted-in-reports";

/// A script that passed, one that is flaky, one that failed, one that broke and one that was not played.
pub fn results() -> Results {
    let passed = || attempt(Verdict::Passed, vec![Met::Yes], None);
    let failed = || attempt(Verdict::Failed, vec![Met::Yes, no("nothing")], Some(false));
    let broken = Verdict::Broken {
        reason: format!("the server is gone: it said {KEY} and {HOSTILE}"),
    };
    let scripts = vec![
        script("Weather", vec![vec![passed()]]),
        script("Flaky", vec![vec![failed(), passed()], vec![passed()]]),
        script(HOSTILE, vec![vec![failed(), failed()]]),
        ScriptResult {
            planned: 3,
            ..script("Gone", vec![vec![attempt(broken, vec![Met::Untold], None)]])
        },
        ScriptResult {
            planned: 1,
            ..script("Late", vec![])
        },
        ScriptResult {
            min_pass_rate: "50%".parse().unwrap(),
            ..script("Lenient", vec![vec![passed()], vec![failed()]])
        },
    ];
    Results {
        started_at: Timestamp::from_micros(1_790_000_000_000_000),
        duration: Duration::from_millis(12_340),
        is_interrupted: true,
        scripts,
    }
}

pub fn script(name: &str, runs: Vec<Vec<Attempt>>) -> ScriptResult {
    let runs: Vec<_> = runs
        .into_iter()
        .zip(1..)
        .map(|(attempts, number)| Run { number, attempts })
        .collect();
    ScriptResult {
        name: name.to_owned(),
        path: "smoke/weather.smoke.toml".into(),
        agent: "agents/weather.toml".into(),
        planned: runs.len(),
        min_pass_rate: "1".parse().unwrap(),
        runs,
        rerun: "realtime-run --agent agents/weather.toml --script smoke/weather.smoke.toml --simulate"
            .to_owned(),
    }
}

pub fn attempt(verdict: Verdict, met: Vec<Met>, ruled: Option<bool>) -> Attempt {
    let tree = refund();
    let findings = met.into_iter().zip(5..).map(|(met, line)| Finding {
        place: place(line),
        expected: "a response by `Weather` that contains \"Rome\", within 3 s".to_owned(),
        met,
        ruling: ruled.map(|holds| Ruling {
            holds,
            reason: format!("It speaks of Oslo. {KEY}"),
        }),
    });
    let line = |speaker, text: &str| Line {
        speaker,
        text: text.to_owned(),
    };
    let turn = TurnOutcome {
        place: place(3),
        act: "says \"What is the weather in Rome?\"".to_owned(),
        began_at: Duration::from_millis(3),
        duration: Duration::from_micros(1_204_500),
        transcript: vec![
            line(Speaker::User, "What is the weather in Rome?"),
            line(Speaker::Tool("get_weather".into()), r#"({"city": "Oslo"})"#),
            line(Speaker::Note, "`Triage` hands over to `Weather`"),
            line(
                Speaker::Agent("Weather".into()),
                &format!("It is sunny. {HOSTILE} {KEY}"),
            ),
        ],
        findings: findings.collect(),
        first_word: Some(Duration::from_millis(320)),
        first_sound: None,
    };
    let usage = Usage {
        input_tokens: 1_255,
        output_tokens: 245,
        ..Usage::default()
    };
    Attempt {
        started_at: Timestamp::from_micros(1_790_000_000_500_000),
        outcome: Outcome {
            verdict,
            trace_id: Some(tree.trace().id.to_string()),
            duration: Duration::from_millis(1_300),
            turns: vec![turn],
            spans: vec![],
            usage,
        },
        tree: Some(tree),
    }
}

pub fn no(came: &str) -> Met {
    Met::No {
        came: format!("no response came; what came: {came}"),
    }
}

fn place(line: usize) -> Place {
    Place {
        file: "smoke/weather.smoke.toml".to_owned(),
        line,
    }
}

fn refund() -> TraceTree {
    let set = TraceSet::read(Cursor::new(include_str!("../../../../tests/traces/refund.jsonl"))).unwrap();
    let id = set.traces().next().unwrap().id;
    set.tree(id).unwrap()
}
