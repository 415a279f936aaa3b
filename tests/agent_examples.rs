//! Each example in `agents/` does on the simulator what it is meant to show.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use realtime_run::agent::{AgentFile, Agents};
use realtime_run::session::{Decision, EndReason, Session, SessionEvent};
use realtime_run::simulator::Simulator;
use realtime_run::transport::Endpoint;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Far beyond what any of these runs needs.
const LIMIT: Duration = Duration::from_secs(30);

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("agents").join(name)
}

fn load(name: &str) -> Agents {
    AgentFile::load(path(name)).unwrap().agents
}

/// What happens when a user says these words, one after the other.
async fn run(agents: Agents, words: &[&str]) -> Vec<SessionEvent> {
    run_deciding(agents, words, |_| Decision::reject()).await
}

/// The same, with a person who decides on calls by their tools.
async fn run_deciding(
    agents: Agents,
    words: &[&str],
    decide: impl Fn(&str) -> Decision,
) -> Vec<SessionEvent> {
    let simulator = Simulator::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let mut session = Session::builder(agents)
        .endpoint(endpoint)
        .connect()
        .await
        .unwrap();
    let mut words = words.iter();
    let mut events = Vec::new();
    session.send_message(*words.next().unwrap()).await.unwrap();
    let talk = async {
        while let Some(event) = session.next().await {
            if matches!(event, SessionEvent::TurnEnd { .. }) {
                match words.next() {
                    // The agent may have ended the session already.
                    Some(words) => drop(session.send_message(*words).await),
                    None => session.close().await,
                }
            }
            if let SessionEvent::ToolApprovalRequired { tool, call_id, .. } = &event {
                session.decide(call_id, decide(tool)).await.unwrap();
            }
            events.push(event);
        }
    };
    tokio::time::timeout(LIMIT, talk).await.unwrap();
    simulator.shutdown().await;
    events
}

/// The tools that ran and the guardrails that objected, with what the model was told, and the handoffs.
fn deeds(events: &[SessionEvent]) -> Vec<String> {
    let deed = |event: &SessionEvent| match event {
        SessionEvent::ToolEnd { tool, output, .. } => Some(format!("{tool}: {output}")),
        SessionEvent::Handoff { from, to } => Some(format!("{from} → {to}")),
        SessionEvent::Guardrail {
            guardrail, message, ..
        } => Some(format!("{guardrail}: {}", message.as_deref().unwrap_or_default())),
        SessionEvent::Error { error } => Some(format!("error: {error}")),
        _ => None,
    };
    events.iter().filter_map(deed).collect()
}

#[tokio::test]
async fn every_example_is_run() {
    let mut names: Vec<String> = fs::read_dir(path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml") && !name.ends_with(".smoke.toml") && name != "mcp.script.toml")
        .collect();
    names.sort();
    // The one with an MCP server is run where that server is: `mcp_everything`.
    let tests = ["agent_examples", "mcp_everything"]
        .map(|test| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{test}.rs")))
        .map(|test| fs::read_to_string(test).unwrap());
    for name in names {
        let is_run = tests.iter().any(|test| test.contains(&format!("\"{name}\"")));
        assert!(is_run, "{name} is run in no test");
    }
}

#[tokio::test]
async fn the_assistant_tells_the_weather() {
    let events = run(load("assistant.toml"), &["What is the weather in Oslo?"]).await;
    assert_eq!(deeds(&events), [r#"get_weather: {"sky":"clear","celsius":21}"#]);
}

#[tokio::test]
async fn the_concierge_hands_over() {
    let events = run(load("concierge.toml"), &["I want a refund for my last invoice"]).await;
    assert!(
        deeds(&events).contains(&"Triage → Refunds".to_owned()),
        "{:?}",
        deeds(&events)
    );
}

#[tokio::test]
async fn conditions_and_templates_depend_on_the_user() {
    let words = ["Can I have a late checkout?", "Let me talk to the manager"];
    let silver = run(load("by_tier.toml"), &words).await;
    let [booked] = &deeds(&silver)[..] else {
        panic!("{:?}", deeds(&silver))
    };
    assert!(
        booked.starts_with("late_checkout: Booked for Ada until 1"),
        "{booked}"
    );

    let mut agents = load("by_tier.toml");
    agents.context = json!({"user": {"name": "Bo", "tier": "gold"}});
    let gold = run(agents, &words).await;
    let [booked, handoff] = &deeds(&gold)[..] else {
        panic!("{:?}", deeds(&gold))
    };
    assert!(
        booked.starts_with("late_checkout: Booked for Bo until 1"),
        "{booked}"
    );
    assert_eq!(handoff, "Desk → Manager");
}

#[tokio::test]
async fn what_a_tool_changes_the_next_agent_sees() {
    let words = ["Verify my account", "Go on to the vault"];
    let events = run(load("remembers.toml"), &words).await;
    assert_eq!(
        deeds(&events),
        [
            "verify_account: verified",
            "Gate → Vault",
            "open_vault: The door is open, Ada."
        ]
    );
}

#[tokio::test]
async fn a_request_is_made_and_its_failure_is_put_into_the_words_of_the_file() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", server.local_addr().unwrap());
    let text = fs::read_to_string(path("weather.toml"))
        .unwrap()
        .replace("https://wttr.in", &address);
    let agents = || {
        AgentFile::parse("weather.toml", &text, Path::new("."))
            .unwrap()
            .agents
    };
    let serving = tokio::spawn(async move {
        for (status, body) in [("200 OK", "Oslo: +7°C"), ("503 Busy", "closed")] {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..count]);
            assert!(request.starts_with("GET /"), "{request}");
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let events = run(agents(), &["What is the weather in Oslo?"]).await;
    assert_eq!(deeds(&events), ["get_weather: Oslo: +7°C"]);
    let events = run(agents(), &["What is the weather in Oslo?"]).await;
    let host = address.trim_start_matches("http://");
    assert_eq!(
        deeds(&events),
        [format!(
            "get_weather: The weather service does not answer ({host} answered 503 Service Unavailable: closed). \
             Say so, and offer to try again later."
        )]
    );
    serving.await.unwrap();
}

#[tokio::test]
async fn a_person_approves_what_the_file_wants_approved() {
    let decide = |tool: &str| match tool {
        "refund" => Decision::approve(),
        _ => Decision::reject(),
    };
    let words = ["Refund 20 euros", "Refund 120 euros", "Close my account"];
    let events = run_deciding(load("approval.toml"), &words, decide).await;
    assert_eq!(
        deeds(&events),
        [
            "refund: Paid back: 20 euros",
            "refund: Paid back: 120 euros",
            "close_account: A person decided that close_account is not called. Offer something else."
        ]
    );
    let asked = |event: &&SessionEvent| matches!(event, SessionEvent::ToolApprovalRequired { .. });
    assert_eq!(events.iter().filter(asked).count(), 2);
}

#[tokio::test]
async fn a_handoff_takes_an_input_before_the_other_agent_takes_over() {
    let events = run(load("escalation.toml"), &["Escalate this to a human"]).await;
    assert_eq!(deeds(&events), ["Support → Human"]);
}

#[tokio::test]
async fn the_agent_hangs_up_after_its_goodbye() {
    let events = run(load("goodbye.toml"), &["Please end the session", "never said"]).await;
    assert_eq!(deeds(&events).len(), 1, "{:?}", deeds(&events));
    let answers = events
        .iter()
        .filter(|event| matches!(event, SessionEvent::AgentEnd { .. }))
        .count();
    assert_eq!(answers, 2, "the call, and the goodbye");
    let Some(SessionEvent::SessionEnd { reason, .. }) = events.last() else {
        panic!("no end")
    };
    assert_eq!(*reason, EndReason::Closed);
}

#[tokio::test]
async fn guardrails_cut_the_agent_off_and_stop_its_calls() {
    let words = [
        "My card is 4111 1111 1111 1111",
        "Refund 50 euros",
        "Refund 500 euros",
    ];
    let events = run(load("guardrails.toml"), &words).await;
    let small = "Refunds of 100 euros and more are made by people. Say so.";
    assert_eq!(
        deeds(&events),
        [
            "no_card_numbers: Never say a card number. Apologise, and speak of the card by its last four digits.",
            "refund: Paid 50 euros.",
            &format!("small_refunds: {small}"),
            &format!("refund: {small}"),
        ]
    );
}
