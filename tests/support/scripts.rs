//! Scripts made by hand, a stage to play them on, and outcomes as text.
//!
//! Use it with `#[path = "support/scripts.rs"] mod scripts;`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use realtime_run::agent::AgentFile;
use realtime_run::script::{
    Act, Conditions, EventKind, Expectation, Finding, Mentions, Met, Outcome, Place, PlayOptions, Script,
    SimulatedServer, Speaker, Turn, Verdict, play,
};
use realtime_run::session::Session;
use realtime_run::simulator::{Options, Scenario, Simulator};
use realtime_run::trace::{MemoryProcessor, Tracer};
use realtime_run::transport::{Endpoint, Recorder};

/// Far beyond what any of these runs needs.
pub const LIMIT: Duration = Duration::from_secs(30);

pub fn place(line: usize) -> Place {
    Place {
        file: "script.toml".into(),
        line,
    }
}

/// A script of these turns; what stands where is told by counting.
pub fn script(turns: impl IntoIterator<Item = Turn>) -> Script {
    let mut line = 0;
    let mut next = || {
        line += 1;
        place(line)
    };
    let mut turns: Vec<_> = turns.into_iter().collect();
    for turn in &mut turns {
        turn.place = next();
        turn.expect
            .iter_mut()
            .for_each(|expectation| expectation.place = next());
    }
    Script {
        name: "test".into(),
        agent: None,
        simulator: SimulatedServer::default(),
        context: serde_json::Map::new(),
        mocks: indexmap::IndexMap::new(),
        turns,
        spans: Vec::new(),
        mentions: Mentions::default(),
    }
}

pub fn turn(act: Act, expect: impl IntoIterator<Item = Expectation>) -> Turn {
    Turn {
        place: place(0),
        act,
        expect: expect.into_iter().collect(),
        any_order: false,
    }
}

pub fn say(text: &str, expect: impl IntoIterator<Item = Expectation>) -> Turn {
    turn(Act::Say(text.into()), expect)
}

pub fn expect(event: EventKind) -> Expectation {
    expect_with(event, |_| {})
}

pub fn expect_with(event: EventKind, set: impl FnOnce(&mut Conditions)) -> Expectation {
    let mut conditions = Conditions::default();
    set(&mut conditions);
    Expectation {
        place: place(0),
        event,
        conditions,
        absent: false,
    }
}

pub fn absent(event: EventKind) -> Expectation {
    Expectation {
        absent: true,
        ..expect(event)
    }
}

/// An answer that contains this.
pub fn answer(text: &str) -> Expectation {
    expect_with(EventKind::Response, |own| own.text_contains = Some(text.into()))
}

/// Plays a script with the agents of that file on a simulator that follows that scenario.
pub async fn perform(agents: &str, scenario: &str, script: &Script) -> Outcome {
    perform_with(agents, scenario, Options::default(), script, quick()).await
}

/// Without the time that sound takes.
pub fn quick() -> PlayOptions {
    PlayOptions {
        realtime: false,
        ..PlayOptions::default()
    }
}

pub async fn perform_with(
    agents: &str,
    scenario: &str,
    options: Options,
    script: &Script,
    play_options: PlayOptions,
) -> Outcome {
    let scenario = Scenario::parse("scenario.toml", scenario).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    perform_on(
        agents,
        options.with_scenario(&scenario),
        None,
        script,
        play_options,
    )
    .await
}

/// Plays a script on such a simulator, and has it recorded there.
pub async fn perform_on(
    agents: &str,
    options: Options,
    recorder: Option<Recorder>,
    script: &Script,
    play_options: PlayOptions,
) -> Outcome {
    let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
    let agents = AgentFile::parse("agents.toml", agents, Path::new("."));
    let agents = agents.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let memory = Arc::new(MemoryProcessor::default());
    let tracer = Tracer::builder().processor(Arc::clone(&memory)).build();
    let trace = tracer.trace("test").start();
    let audio = agents.agents.settings.config.audio.clone();
    let mut session = Session::builder(agents.agents).endpoint(Endpoint::new(&simulator.url()).unwrap());
    if let Some(recorder) = recorder {
        session = session.record(recorder);
    }
    let session = trace.scope(session.connect()).await.unwrap();
    let play_options = PlayOptions {
        audio,
        spans: Some(memory),
        ..play_options
    };
    let outcome = tokio::time::timeout(LIMIT, play(script, session, play_options)).await;
    simulator.shutdown().await;
    outcome.expect("the play ends")
}

/// The outcome as people read it, without times.
pub fn show(outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    for turn in &outcome.turns {
        lines.push(format!("{}: {}", turn.place.line, turn.act));
        for line in &turn.transcript {
            let speaker = match &line.speaker {
                Speaker::User => "user",
                Speaker::Agent(name) | Speaker::Tool(name) => name,
                Speaker::Note => "-",
            };
            lines.push(format!("   | {speaker} {}", line.text));
        }
        lines.extend(turn.findings.iter().map(show_finding));
    }
    lines.extend(outcome.spans.iter().map(show_finding));
    lines.push(match &outcome.verdict {
        Verdict::Passed => "passed".into(),
        Verdict::Failed => "failed".into(),
        Verdict::Broken { reason } => format!("broken: {reason}"),
        Verdict::TimedOut { reason } => format!("timed out: {reason}"),
    });
    lines.join("\n")
}

fn show_finding(finding: &Finding) -> String {
    let (line, expected) = (finding.place.line, &finding.expected);
    match &finding.met {
        Met::Yes => format!(" + {line}: {expected}"),
        Met::No { came } => format!(" ! {line}: {expected}\n     came: {came}"),
        Met::Untold => format!(" ? {line}: {expected}"),
    }
}
