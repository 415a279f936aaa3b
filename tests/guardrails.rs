//! Guardrails of each kind, in whole sessions with the simulator.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/http.rs"]
mod http;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Server, ok};
use realtime_run::agent::{Agent, AgentFile, Agents};
use realtime_run::session::{EndReason, Session, SessionEvent};
use realtime_run::simulator::{Brain, Options, Output, Pace, Prompt, Reply, Simulator};
use realtime_run::tool::{FunctionGuardrail, GuardrailCheck, Subject, Verdict};
use realtime_run::trace::{Context, MemoryProcessor, SpanData, SpanRecord, Tracer};
use realtime_run::transport::Endpoint;
use serde_json::{Value, json};
use tokio::time::timeout;

/// Far beyond what any of these runs needs.
const LIMIT: Duration = Duration::from_secs(30);

/// Gives its answers in order.
struct Script(VecDeque<Output>);

impl Brain for Script {
    fn answer(&mut self, _prompt: &Prompt<'_>) -> Reply {
        self.0.pop_front().into_iter().collect::<Vec<_>>().into()
    }
}

/// All that came of a run in which the user said one thing.
struct Run {
    events: Vec<SessionEvent>,
    spans: Vec<Arc<SpanRecord>>,
}

/// A run of one turn in which the model says these words, one after the other.
async fn run(agents: Agents, words: &[&str]) -> Run {
    let words = words.iter().map(|words| Output::Say((*words).to_owned()));
    run_script(agents, words.collect()).await
}

/// A run of one turn in which the model does this.
async fn run_script(agents: Agents, script: Vec<Output>) -> Run {
    let options = Options {
        pace: Pace::Every(Duration::from_millis(2)),
        brain: Arc::new(move || Box::new(Script(script.clone().into()))),
        ..Options::default()
    };
    let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
    let memory = Arc::new(MemoryProcessor::default());
    let trace = Tracer::builder()
        .processor(Arc::clone(&memory))
        .build()
        .trace("test")
        .start();
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let connect = Session::builder(agents).endpoint(endpoint).connect();
    let mut session = trace.scope(connect).await.unwrap();
    session.send_message("hello").await.unwrap();
    let mut events = Vec::new();
    let talk = async {
        while let Some(event) = session.next().await {
            if matches!(event, SessionEvent::TurnEnd { .. }) {
                session.close().await;
            }
            events.push(event);
        }
    };
    assert!(timeout(LIMIT, talk).await.is_ok(), "it never ends");
    simulator.shutdown().await;
    let spans = memory.spans();
    Run { events, spans }
}

impl Run {
    /// Which guardrails objected, and in what words.
    fn objections(&self) -> Vec<(&str, Option<&str>)> {
        let objections = self.events.iter().filter_map(|event| match event {
            SessionEvent::Guardrail {
                guardrail, message, ..
            } => Some((guardrail.as_str(), message.as_deref())),
            _ => None,
        });
        objections.collect()
    }

    fn warnings(&self) -> Vec<&str> {
        let warnings = self.events.iter().filter_map(|event| match event {
            SessionEvent::Warning { message } => Some(message.as_str()),
            _ => None,
        });
        warnings.collect()
    }

    /// Name, outcome and error of each guardrail's span, in the order of their ends.
    fn checks(&self) -> Vec<(&str, bool, Option<Value>)> {
        let checks = self.spans.iter().filter_map(|span| match &span.data {
            SpanData::Guardrail { name, triggered } => {
                let error = span.error.as_ref();
                let error = error.map(|error| serde_json::to_value(error).unwrap());
                Some((name.as_str(), *triggered, error))
            }
            _ => None,
        });
        checks.collect()
    }

    /// The words that were passed on.
    fn words(&self) -> String {
        let words = self.events.iter().filter_map(|event| match event {
            SessionEvent::TranscriptDelta { delta, .. } => Some(delta.as_str()),
            _ => None,
        });
        words.collect()
    }

    fn end(&self) -> &EndReason {
        let Some(SessionEvent::SessionEnd { reason, .. }) = self.events.last() else {
            panic!("no end")
        };
        reason
    }
}

/// A file whose agent has the guardrail `g`, which is defined by these lines, over its words.
fn guarded(definition: &str) -> Agents {
    in_directory(definition, Path::new("."))
}

fn in_directory(definition: &str, directory: &Path) -> Agents {
    let text = format!(
        "[agents.A]\ninstructions = 'Talk.'\noutput_guardrails = ['g']\n[context]\nuser = 'Ada'\n[guardrails.g]\n{definition}"
    );
    AgentFile::parse("file.toml", &text, directory).unwrap().agents
}

fn long(end: &str) -> String {
    format!("{end} {}", "and so on ".repeat(400))
}

#[tokio::test]
async fn a_pattern_stops_an_answer_while_it_is_given() {
    let bad = long("It is 4111 1111 1111 1111.");
    let run = run(guarded(r"pattern = '\d{4}( \d{4}){3}'"), &[&bad, "Sorry."]).await;
    assert_eq!(run.objections(), [("g", None)]);
    assert!(run.words().ends_with("Sorry."));
    assert!(
        run.words().len() < bad.len() / 2,
        "{} of {}",
        run.words().len(),
        bad.len()
    );
    assert_eq!(run.checks(), [("g", true, None), ("g", false, None)]);
    let cut = |event: &&SessionEvent| matches!(event, SessionEvent::AudioInterrupted { .. });
    assert_eq!(run.events.iter().filter(cut).count(), 1);
    assert_eq!(*run.end(), EndReason::Closed);
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_is_told_what_was_said_and_objects_in_its_own_words() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("polite.sh"),
        r#"cat > "told.$$"; grep -q rude "told.$$" && echo '{"triggered": true, "message": "Be kind."}'; exit 0"#,
    )
    .unwrap();
    let agents = in_directory(
        "command = ['sh', 'polite.sh']\nmessage = 'unused'",
        directory.path(),
    );
    let run = run(agents, &["How rude.", "Kind words."]).await;
    assert_eq!(run.objections(), [("g", Some("Be kind."))]);
    assert_eq!(run.checks(), [("g", true, None), ("g", false, None)]);
    let told = fs::read_dir(directory.path()).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        serde_json::from_str::<Value>(&text).ok()
    });
    let told: Vec<Value> = told.collect();
    let first = json!({"where": "output", "agent": "A", "text": "How rude.", "context": {"user": "Ada"}});
    assert!(told.contains(&first), "{told:?}");
    assert_eq!(told.len(), 2);
}

#[tokio::test]
async fn a_server_is_posted_what_was_said() {
    let server = Server::new(ok(r#"{"triggered": false, "message": "unused"}"#)).await;
    let http = format!(
        "http = {{ url = 'http://{}/{{{{ user }}}}', headers = {{ Authorization = 'Bearer planted' }} }}",
        server.address
    );
    let run = run(guarded(&http), &["Kind words."]).await;
    assert_eq!((run.objections(), run.warnings()), (vec![], vec![]));
    assert_eq!(run.checks(), [("g", false, None)]);
    let request = server.request();
    assert!(request.starts_with("POST /Ada HTTP/1.1"), "{request}");
    assert!(request.contains("authorization: Bearer planted"), "{request}");
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(body).unwrap()["text"],
        "Kind words."
    );
}

#[tokio::test]
async fn a_server_that_fails_is_passed_over_and_its_credentials_are_not_told() {
    let server =
        Server::new("500 Oops\r\nconnection: close\r\n\r\nno such key: planted-key".to_owned()).await;
    let http = format!(
        "http = {{ url = 'http://{}/', headers = {{ X-Key = 'planted-key' }} }}",
        server.address
    );
    let run = run(guarded(&http), &["Kind words."]).await;
    let error = format!(
        "{} answered 500 Internal Server Error: no such key: ***",
        server.address
    );
    assert_eq!(
        run.warnings(),
        [format!(
            "the guardrail `g` could not look at what A says: {error}"
        )]
    );
    let span = json!({"message": "Error running guardrail", "data": {"guardrail": "g", "error": error}});
    assert_eq!(run.checks(), [("g", false, Some(span))]);
    assert!(!format!("{:?}{:?}", run.events, run.spans).contains("planted-key"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_takes_too_long_is_passed_over() {
    let run = run(
        guarded("command = ['sh', '-c', 'sleep 60']\ntimeout_sec = 0.1"),
        &["Kind words."],
    )
    .await;
    assert_eq!(
        run.warnings(),
        ["the guardrail `g` could not look at what A says: it took longer than 100ms"]
    );
    assert_eq!(*run.end(), EndReason::Closed);
}

#[tokio::test]
async fn a_guardrail_that_panics_is_passed_over() {
    let broken = FunctionGuardrail::new("broken", |_: GuardrailCheck| async {
        panic!("as the test wants")
    });
    let run = run(
        Agents::new(Agent::new("A").output_guardrail(broken)),
        &["Kind words."],
    )
    .await;
    assert_eq!(
        run.warnings(),
        ["the guardrail `broken` could not look at what A says: it broke off in the middle of its work"]
    );
}

#[tokio::test]
async fn a_guardrail_may_end_the_run() {
    let run = run(
        guarded("pattern = 'rude'\non_trip = 'stop'\nmessage = 'enough'"),
        &["How rude."],
    )
    .await;
    let expected = EndReason::Guardrail {
        guardrail: "g".to_owned(),
        message: Some("enough".to_owned()),
    };
    assert_eq!(*run.end(), expected);
    assert_eq!(run.checks(), [("g", true, None)]);
    assert!(run.spans.iter().all(|span| span.ended_at.is_some()));
}

#[tokio::test]
async fn p4_spans_that_a_guardrail_opens_hang_under_its_own() {
    let asking = FunctionGuardrail::new("asking", |check: GuardrailCheck| async move {
        let Subject::Output { text } = check.subject else {
            panic!("no words")
        };
        Context::current().span(SpanData::custom("inner")).finish();
        Ok(match text.contains("rude") {
            true => Verdict::Reject(None),
            false => Verdict::Pass,
        })
    });
    let agents = Agents::new(Agent::new("A").output_guardrail(asking));
    let run = run(agents, &["Kind words."]).await;
    let find = |label: &str| run.spans.iter().find(|span| span.data.label() == label).unwrap();
    assert_eq!(find("inner").parent_id, Some(find("asking").id));
    assert_eq!(find("asking").parent_id, Some(find("A").id));
}

#[tokio::test]
async fn one_that_watches_over_all_agents_and_over_one_looks_once() {
    let text = "output_guardrails = ['g']\n[agents.A]\ninstructions = 'Talk.'\noutput_guardrails = ['g', 'h']\n\
        [guardrails.g]\npattern = 'x'\n[guardrails.h]\npattern = 'y'";
    let agents = AgentFile::parse("file.toml", text, Path::new("."))
        .unwrap()
        .agents;
    let run = run(agents, &["Kind words."]).await;
    let mut names: Vec<&str> = run.checks().into_iter().map(|(name, ..)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["g", "h"]);
}

/// An agent whose tool `pay` answers with the card that was given, and has these guardrails.
fn paying(guardrails: &str) -> Agents {
    let text = format!(
        "[agents.A]\ninstructions = 'Pay.'\ntools = ['pay']\n[tools.pay]\ndescription = 'Pays.'\n\
         output = 'paid by {{{{ args.card }}}}'\nparameters = {{ type = 'object' }}\n{guardrails}"
    );
    AgentFile::parse("file.toml", &text, Path::new("."))
        .unwrap()
        .agents
}

/// What the model was told of its only call.
fn told(run: &Run) -> &str {
    let mut ends = run.events.iter().filter_map(|event| match event {
        SessionEvent::ToolEnd { output, .. } => Some(output.as_str()),
        _ => None,
    });
    ends.next().unwrap()
}

async fn pay(agents: Agents) -> Run {
    let call = Output::Call {
        name: "pay".to_owned(),
        arguments: r#"{"card":"4111"}"#.to_owned(),
    };
    run_script(agents, vec![call, Output::Say("Done.".to_owned())]).await
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_lets_calls_pass_or_not() {
    for (card, message) in [("4111", "Not this card."), ("5111", "paid by 4111")] {
        let script =
            format!(r#"grep -q {card} && echo '{{"triggered": true, "message": "Not this card."}}'; exit 0"#);
        let agents = paying(&format!(
            "input_guardrails = ['g']\n[guardrails.g]\ncommand = ['sh', '-c', \"\"\"{}\"\"\"]",
            script.replace('"', "\\\"")
        ));
        let run = pay(agents).await;
        assert_eq!(told(&run), message);
        assert_eq!(run.checks(), [("g", card == "4111", None)]);
        assert!(run.words().ends_with("Done."), "the model goes on");
        let call = run
            .spans
            .iter()
            .find(|span| span.data.kind() == "function")
            .unwrap();
        let check = run
            .spans
            .iter()
            .find(|span| span.data.kind() == "guardrail")
            .unwrap();
        assert_eq!(check.parent_id, Some(call.id));
    }
}

#[tokio::test]
async fn a_server_sees_what_a_tool_answered_before_the_model_does() {
    let server = Server::new(ok(r#"{"triggered": true}"#)).await;
    let agents = paying(&format!(
        "output_guardrails = ['g']\n[guardrails.g]\nmessage = 'Paid.'\nhttp = {{ url = 'http://{}/' }}",
        server.address
    ));
    let run = pay(agents).await;
    assert_eq!(told(&run), "Paid.");
    let request = server.request();
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let expected = json!({"where": "tool_output", "agent": "A", "tool": "pay", "arguments": {"card": "4111"},
        "output": "paid by 4111", "context": {}});
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn a_pattern_over_a_call_may_end_the_run() {
    let agents =
        paying("input_guardrails = ['g']\n[guardrails.g]\npattern = '\"card\":\"4'\non_trip = 'stop'");
    let run = pay(agents).await;
    assert_eq!(run.end().to_string(), "the guardrail `g` ended the session");
    assert_eq!(run.checks(), [("g", true, None)]);
    assert!(run.spans.iter().all(|span| span.ended_at.is_some()));
}
