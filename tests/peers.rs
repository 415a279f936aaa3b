//! The official SDKs as our peers: as clients of the simulator, and as the judge of our client events.
//!
//! Needs what `make peers` installs, or the Python that `REALTIME_RUN_PEERS_PYTHON` names, and Node. Without it the tests
//! are skipped, except where `CI` is set.

#[path = "support/python.rs"]
mod python;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use realtime_run::protocol::{
    AudioConfig, AudioFormat, AudioInputConfig, AudioOutputConfig, ClientEvent, Eagerness, FunctionCall,
    FunctionCallOutput, FunctionDefinition, Item, ItemStatus, MaxTokens, Message, Modality, NoiseReduction,
    NoiseReductionType, Part, Role, SessionConfig, TranscriptionConfig, TurnDetection, Unlimited, Voice,
};
use realtime_run::simulator::{Options, Pace, Simulator};

use python::python;

/// Importing the SDK alone takes seconds on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What each client does.
const SCENARIOS: &[&str] = &[
    "text_turn",
    "audio_turn",
    "spoken_turn",
    "tool_round",
    "handoff",
    "interruption",
    "error",
];

/// Where the JavaScript SDK is; nowhere, loudly, where it is not.
fn node_modules() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers");
    if directory.join("node_modules/@openai/agents-realtime").exists() {
        return Some(directory);
    }
    let missing = format!(
        "there is no JavaScript SDK in {}; `make peers` makes it",
        directory.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// A server whose answers last long enough to be interrupted.
async fn simulator() -> Simulator {
    let options = Options {
        pace: Pace::Every(Duration::from_millis(2)),
        ..Options::default()
    };
    Simulator::bind_with("127.0.0.1:0", options)
        .await
        .expect("a free port")
}

/// Fails unless the script has run all of these and found nothing odd.
fn assert_all_ok(output: &Output, scenarios: &[&str]) {
    let text = text(output);
    assert!(output.status.success(), "{text}");
    for scenario in scenarios {
        assert!(
            text.lines().any(|line| line == format!("ok {scenario}")),
            "{scenario} did not run:\n{text}"
        );
    }
}

async fn run(interpreter: &Path, script: &str, arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(interpreter)
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/peers")
                .join(script),
        )
        .args(arguments)
        // A key of the user's must not decide what happens here.
        .env_remove("OPENAI_API_KEY")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a running Python");
    let mut input = child.stdin.take().expect("its stdin");
    // A script that ended early says why in its output.
    let _ = input.write_all(stdin.as_bytes()).await;
    drop(input);
    timeout(LIMIT, child.wait_with_output())
        .await
        .expect("done in time")
        .expect("its output")
}

fn text(output: &Output) -> String {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{stdout}{stderr}")
}

#[tokio::test]
async fn the_python_sdk_finds_nothing_odd_about_the_simulator() {
    let Some(python) = python() else { return };
    let simulator = simulator().await;
    let output = run(&python, "simulator_client.py", &[&simulator.url()], "").await;
    let mut scenarios = SCENARIOS.to_vec();
    scenarios.extend(["committed_turn", "explicit_interruption"]);
    assert_all_ok(&output, &scenarios);
}

#[tokio::test]
async fn the_python_packages_own_connections_find_nothing_odd_about_the_simulator() {
    let Some(python) = python() else { return };
    let simulator = simulator().await;
    let output = run(&python, "openai_client.py", &[&simulator.url()], "").await;
    for kind in ["sync", "async"] {
        let scenarios: Vec<_> = SCENARIOS.iter().map(|name| format!("{kind} {name}")).collect();
        assert_all_ok(&output, &scenarios.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_javascript_sdk_finds_nothing_odd_about_the_simulator() {
    let Some(directory) = node_modules() else { return };
    let simulator = simulator().await;
    let directory = directory.display().to_string();
    let arguments = [&*simulator.url(), &directory];
    let output = run(Path::new("node"), "agents_realtime.mjs", &arguments, "").await;
    assert_all_ok(&output, SCENARIOS);
}

#[tokio::test]
async fn the_python_types_accept_every_client_event() {
    let Some(python) = python() else { return };
    let events = every_client_event();
    let kinds: BTreeSet<_> = events.iter().map(kind).collect();
    assert_eq!(kinds.len(), KINDS, "each kind of event is among them: {kinds:?}");
    let lines: Vec<_> = events
        .iter()
        .map(|event| event.to_frame("event_1").expect("JSON"))
        .collect();
    let output = run(&python, "validate_client_events.py", &[], &lines.join("\n")).await;
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains(&format!("{} events, 0 problems", lines.len())),
        "{}",
        text(&output)
    );
}

/// The judge must be able to say no.
#[tokio::test]
async fn the_python_types_refuse_what_is_wrong() {
    let Some(python) = python() else { return };
    for wrong in [
        json!({"type": "session.update", "session": {"type": "realtime", "modalities": ["text"]}}),
        json!({"type": "session.update", "session": {"type": "realtime", "instructions": 3}}),
        json!({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "a"}}),
        json!({"type": "response.make"}),
        json!({"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": "7"}),
    ] {
        let output = run(&python, "validate_client_events.py", &[], &wrong.to_string()).await;
        assert_eq!(
            output.status.code(),
            Some(1),
            "{wrong} was let through: {}",
            text(&output)
        );
    }
}

const KINDS: usize = 11;

/// Fails to compile when a variant is added, so that it is added below too.
fn kind(event: &ClientEvent) -> &'static str {
    match event {
        ClientEvent::SessionUpdate { .. } => "session.update",
        ClientEvent::AudioAppend { .. } => "append",
        ClientEvent::AudioCommit => "commit",
        ClientEvent::AudioClear => "clear",
        ClientEvent::ItemCreate { .. } => "create",
        ClientEvent::ItemRetrieve { .. } => "retrieve",
        ClientEvent::ItemTruncate { .. } => "truncate",
        ClientEvent::ItemDelete { .. } => "delete",
        ClientEvent::ResponseCreate { .. } => "response.create",
        ClientEvent::ResponseCancel { .. } => "response.cancel",
        ClientEvent::Raw(_) => "raw",
    }
}

fn every_client_event() -> Vec<ClientEvent> {
    let item_id = || "item_1".to_owned();
    let mut events = vec![
        ClientEvent::AudioAppend {
            audio: Bytes::from_static(b"sound"),
        },
        ClientEvent::AudioCommit,
        ClientEvent::AudioClear,
        ClientEvent::ItemRetrieve { item_id: item_id() },
        ClientEvent::ItemTruncate {
            item_id: item_id(),
            content_index: 0,
            audio_end_ms: 1_500,
        },
        ClientEvent::ItemDelete { item_id: item_id() },
        ClientEvent::ResponseCreate { response: None },
        ClientEvent::ResponseCreate {
            response: Some(object(full_response())),
        },
        ClientEvent::ResponseCancel { response_id: None },
        ClientEvent::ResponseCancel {
            response_id: Some("resp_1".into()),
        },
        ClientEvent::Raw(object(json!({"type": "output_audio_buffer.clear"}))),
    ];
    events.extend(
        every_item()
            .into_iter()
            .map(|item| ClientEvent::ItemCreate { item }),
    );
    events.extend(
        every_session()
            .into_iter()
            .map(|session| ClientEvent::SessionUpdate {
                session: Box::new(session),
            }),
    );
    events
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

fn full_response() -> Value {
    json!({
        "conversation": "none",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "instructions": "Be brief.",
        "output_modalities": ["text"],
        "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}},
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "name": "f"},
        "max_output_tokens": 100,
        "metadata": {"topic": "greeting"},
    })
}

fn every_item() -> Vec<Item> {
    let message = |role, content| {
        Item::Message(Message {
            role,
            content,
            ..Message::default()
        })
    };
    let words = || "words".to_owned();
    vec![
        Item::user_text("Hi"),
        message(Role::System, vec![Part::InputText { text: words() }]),
        message(Role::Assistant, vec![Part::OutputText { text: words() }]),
        message(
            Role::User,
            vec![
                Part::InputText { text: words() },
                Part::InputAudio {
                    audio: Some("AAAA".into()),
                    transcript: Some(words()),
                },
                Part::InputImage {
                    image_url: "data:image/png;base64,AAAA".into(),
                    detail: Some("low".into()),
                },
                Part::InputImage {
                    image_url: "data:image/png;base64,AAAA".into(),
                    detail: None,
                },
            ],
        ),
        Item::Message(Message {
            id: Some("item_1".into()),
            status: Some(ItemStatus::Completed),
            ..Message::user(vec![Part::InputText { text: words() }])
        }),
        Item::FunctionCall(FunctionCall {
            id: Some("item_2".into()),
            status: Some(ItemStatus::Completed),
            name: "f".into(),
            call_id: "call_1".into(),
            arguments: "{}".into(),
        }),
        Item::FunctionCallOutput(FunctionCallOutput {
            id: None,
            call_id: "call_1".into(),
            output: words(),
        }),
        Item::Other(json!({
            "type": "mcp_approval_response", "id": "item_3", "approval_request_id": "item_4", "approve": true,
        })),
    ]
}

/// One session with every setting, and others with each alternative of a setting.
fn every_session() -> Vec<SessionConfig> {
    let full = SessionConfig {
        model: Some("gpt-realtime-2.1".into()),
        output_modalities: Some(vec![Modality::Audio]),
        instructions: Some("Be brief.".into()),
        audio: AudioConfig {
            input: AudioInputConfig {
                format: Some(AudioFormat::PCM24),
                noise_reduction: Some(Some(NoiseReduction {
                    kind: NoiseReductionType::NearField,
                    strength: Some(0.5),
                })),
                transcription: Some(Some(TranscriptionConfig {
                    model: "gpt-4o-transcribe".into(),
                    language: Some("en".into()),
                    prompt: Some("names".into()),
                    delay: Some("low".into()),
                    keywords: Some(vec!["Ada".into()]),
                    languages: Some(vec!["en".into(), "de".into()]),
                })),
                turn_detection: Some(Some(TurnDetection::ServerVad {
                    threshold: Some(0.5),
                    prefix_padding_ms: Some(300),
                    silence_duration_ms: Some(500),
                    idle_timeout_ms: Some(6_000),
                    create_response: Some(true),
                    interrupt_response: Some(false),
                })),
            },
            output: AudioOutputConfig {
                format: Some(AudioFormat::Pcma),
                voice: Some(Voice::Named("marin".into())),
                speed: Some(1.25),
            },
        },
        tools: Some(vec![FunctionDefinition {
            name: "f".into(),
            description: "d".into(),
            parameters: json!({"type": "object", "properties": {}}),
        }]),
        tool_choice: Some("auto".into()),
        max_output_tokens: Some(MaxTokens::Count(4_096)),
        tracing: Some(Some(
            json!({"workflow_name": "w", "group_id": "g", "metadata": {"a": "b"}}),
        )),
        truncation: Some(json!({
            "type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 9_000},
        })),
        prompt: Some(Some(
            json!({"id": "pmpt_1", "version": "2", "variables": {"name": "Ada"}}),
        )),
        include: Some(vec!["item.input_audio_transcription.logprobs".into()]),
        reasoning: Some(json!({"effort": "low"})),
        parallel_tool_calls: Some(false),
    };
    let off = SessionConfig {
        audio: AudioConfig {
            input: AudioInputConfig {
                format: Some(AudioFormat::Pcmu),
                noise_reduction: Some(None),
                transcription: Some(None),
                turn_detection: Some(None),
            },
            output: AudioOutputConfig {
                voice: Some(Voice::Custom { id: "voice_1".into() }),
                ..AudioOutputConfig::default()
            },
        },
        output_modalities: Some(vec![Modality::Text]),
        tools: Some(Vec::new()),
        tool_choice: Some(json!({"type": "function", "name": "f"})),
        max_output_tokens: Some(MaxTokens::Unlimited(Unlimited::Inf)),
        tracing: Some(None),
        truncation: Some("auto".into()),
        prompt: Some(None),
        ..SessionConfig::default()
    };
    let semantic = SessionConfig {
        audio: AudioConfig {
            input: AudioInputConfig {
                noise_reduction: Some(Some(NoiseReduction {
                    kind: NoiseReductionType::FarField,
                    strength: None,
                })),
                turn_detection: Some(Some(TurnDetection::SemanticVad {
                    eagerness: Some(Eagerness::High),
                    create_response: Some(false),
                    interrupt_response: Some(true),
                })),
                ..AudioInputConfig::default()
            },
            ..AudioConfig::default()
        },
        tracing: Some(Some("auto".into())),
        ..SessionConfig::default()
    };
    vec![full, off, semantic, SessionConfig::default()]
}
