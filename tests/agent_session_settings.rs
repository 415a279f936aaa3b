//! `[session]` of an agent file, and what of it the server is sent.

use std::path::Path;

use realtime_run::agent::{AgentFile, SessionSettings};
use realtime_run::tool::McpServers;
use serde_json::{Value, json};

/// The settings sent for the one agent of a file with these lines under `[session]`.
async fn sent(session: &str) -> Value {
    let agents = settings_file(session).agents;
    let (context, servers) = (&agents.context, McpServers::new());
    let resolved = agents.resolve(agents.start(), context, &servers).await.unwrap();
    serde_json::to_value(resolved.session_config()).unwrap()
}

fn settings_file(session: &str) -> AgentFile {
    let text = format!("[agents.Assistant]\ninstructions = \"Be helpful.\"\n[session]\n{session}\n");
    AgentFile::parse("test.toml", &text, Path::new(".")).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[tokio::test]
async fn a_file_that_says_nothing_gets_the_defaults() {
    assert_eq!(
        sent("").await,
        json!({
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": "Be helpful.",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": {"model": "gpt-4o-mini-transcribe"},
                    "turn_detection": {"type": "semantic_vad", "interrupt_response": true},
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}},
            },
            "tools": [],
        })
    );
    let settings = settings_file("").agents.settings;
    assert_eq!(settings, SessionSettings::default());
    assert_eq!(settings.model, "gpt-realtime-2.1");
    assert!(settings.async_tool_calls);
}

#[test]
fn what_the_server_is_not_told_is_kept_beside() {
    let settings = settings_file("model = \"gpt-realtime\"\nasync_tool_calls = false")
        .agents
        .settings;
    assert_eq!(settings.model, "gpt-realtime");
    assert_eq!(settings.config.model, None);
    assert!(!settings.async_tool_calls);
}

/// Each key of protocol.md section 4: what the file says, where it is sent, and as what.
#[tokio::test]
async fn nested_settings_are_sent_as_they_are() {
    for (line, at, value) in [
        (
            "output_modalities = [\"text\"]",
            "/output_modalities",
            json!(["text"]),
        ),
        (
            "audio.input.format = { type = \"audio/pcmu\" }",
            "/audio/input/format",
            json!({"type": "audio/pcmu"}),
        ),
        (
            "audio.input.format.type = \"audio/pcm\"",
            "/audio/input/format",
            json!({"type": "audio/pcm", "rate": 24000}),
        ),
        (
            "audio.input.format = { type = \"audio/pcm\", rate = 16000 }",
            "/audio/input/format/rate",
            json!(16000),
        ),
        (
            "audio.input.noise_reduction = { type = \"far_field\", strength = 0.5 }",
            "/audio/input/noise_reduction",
            json!({"type": "far_field", "strength": 0.5}),
        ),
        (
            "audio.input.noise_reduction = \"none\"",
            "/audio/input/noise_reduction",
            json!(null),
        ),
        (
            "audio.input.transcription = { model = \"whisper-1\", language = \"de\" }",
            "/audio/input/transcription",
            json!({"model": "whisper-1", "language": "de"}),
        ),
        (
            "audio.input.transcription = { model = \"m\", prompt = \"p\", delay = \"low\", keywords = [\"k\"], languages = [\"l\"] }",
            "/audio/input/transcription",
            json!({"model": "m", "prompt": "p", "delay": "low", "keywords": ["k"], "languages": ["l"]}),
        ),
        (
            "audio.input.transcription = \"none\"",
            "/audio/input/transcription",
            json!(null),
        ),
        (
            "audio.input.turn_detection = { type = \"semantic_vad\", eagerness = \"high\", create_response = false }",
            "/audio/input/turn_detection",
            json!({"type": "semantic_vad", "eagerness": "high", "create_response": false}),
        ),
        (
            "audio.input.turn_detection = { type = \"server_vad\", threshold = 0.3, prefix_padding_ms = 1, silence_duration_ms = 2, idle_timeout_ms = 5000, create_response = true, interrupt_response = true }",
            "/audio/input/turn_detection",
            json!({"type": "server_vad", "threshold": 0.3, "prefix_padding_ms": 1, "silence_duration_ms": 2, "idle_timeout_ms": 5000, "create_response": true, "interrupt_response": true}),
        ),
        (
            "audio.input.turn_detection = \"none\"",
            "/audio/input/turn_detection",
            json!(null),
        ),
        (
            "audio.output.format = { type = \"audio/pcma\" }",
            "/audio/output/format",
            json!({"type": "audio/pcma"}),
        ),
        (
            "audio.output.voice = \"cedar\"",
            "/audio/output/voice",
            json!("cedar"),
        ),
        (
            "audio.output.voice = { id = \"voice_1\" }",
            "/audio/output/voice",
            json!({"id": "voice_1"}),
        ),
        ("audio.output.speed = 1.5", "/audio/output/speed", json!(1.5)),
        ("tool_choice = \"required\"", "/tool_choice", json!("required")),
        (
            "tool_choice = { type = \"function\", name = \"f\" }",
            "/tool_choice",
            json!({"type": "function", "name": "f"}),
        ),
        (
            "tool_choice = { type = \"mcp\", server_label = \"s\" }",
            "/tool_choice",
            json!({"type": "mcp", "server_label": "s"}),
        ),
        ("max_output_tokens = 4096", "/max_output_tokens", json!(4096)),
        ("max_output_tokens = \"inf\"", "/max_output_tokens", json!("inf")),
        ("truncation = \"disabled\"", "/truncation", json!("disabled")),
        (
            "truncation = { type = \"retention_ratio\", retention_ratio = 0.5, token_limits = { post_instructions = 9 } }",
            "/truncation",
            json!({"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 9}}),
        ),
        (
            "prompt = { id = \"pmpt_1\", version = \"2\", variables = { a = 1 } }",
            "/prompt",
            json!({"id": "pmpt_1", "version": "2", "variables": {"a": 1}}),
        ),
        ("prompt = \"none\"", "/prompt", json!(null)),
        ("tracing = \"auto\"", "/tracing", json!("auto")),
        (
            "tracing = { workflow_name = \"w\", group_id = \"g\", metadata = { k = \"v\" } }",
            "/tracing",
            json!({"workflow_name": "w", "group_id": "g", "metadata": {"k": "v"}}),
        ),
        ("tracing = \"none\"", "/tracing", json!(null)),
        (
            "include = [\"item.input_audio_transcription.logprobs\"]",
            "/include",
            json!(["item.input_audio_transcription.logprobs"]),
        ),
        (
            "reasoning = { effort = \"xhigh\" }",
            "/reasoning",
            json!({"effort": "xhigh"}),
        ),
        (
            "parallel_tool_calls = false",
            "/parallel_tool_calls",
            json!(false),
        ),
    ] {
        assert_eq!(sent(line).await.pointer(at), Some(&value), "{line}");
    }
}

/// Each key of protocol.md section 4.2.
#[tokio::test]
async fn flat_settings_are_sent_nested() {
    for (line, at, value) in [
        ("modalities = [\"text\"]", "/output_modalities", json!(["text"])),
        (
            "modalities = [\"text\", \"audio\"]",
            "/output_modalities",
            json!(["audio"]),
        ),
        ("voice = \"cedar\"", "/audio/output/voice", json!("cedar")),
        ("speed = 0.25", "/audio/output/speed", json!(0.25)),
        (
            "input_audio_format = \"pcm16\"",
            "/audio/input/format",
            json!({"type": "audio/pcm", "rate": 24000}),
        ),
        (
            "input_audio_format = \"g711_ulaw\"",
            "/audio/input/format",
            json!({"type": "audio/pcmu"}),
        ),
        (
            "input_audio_format = \"pcma\"",
            "/audio/input/format",
            json!({"type": "audio/pcma"}),
        ),
        (
            "output_audio_format = \"g711_alaw\"",
            "/audio/output/format",
            json!({"type": "audio/pcma"}),
        ),
        (
            "output_audio_format = \"audio/pcmu\"",
            "/audio/output/format",
            json!({"type": "audio/pcmu"}),
        ),
        (
            "output_audio_format = { type = \"audio/pcmu\" }",
            "/audio/output/format",
            json!({"type": "audio/pcmu"}),
        ),
        (
            "input_audio_transcription = { model = \"whisper-1\" }",
            "/audio/input/transcription",
            json!({"model": "whisper-1"}),
        ),
        (
            "input_audio_transcription = \"none\"",
            "/audio/input/transcription",
            json!(null),
        ),
        (
            "input_audio_noise_reduction = { type = \"near_field\" }",
            "/audio/input/noise_reduction",
            json!({"type": "near_field"}),
        ),
        (
            "input_audio_noise_reduction = \"none\"",
            "/audio/input/noise_reduction",
            json!(null),
        ),
        (
            "turn_detection = { type = \"server_vad\" }",
            "/audio/input/turn_detection",
            json!({"type": "server_vad"}),
        ),
        (
            "turn_detection = \"none\"",
            "/audio/input/turn_detection",
            json!(null),
        ),
        ("max_response_output_tokens = 7", "/max_output_tokens", json!(7)),
    ] {
        assert_eq!(sent(line).await.pointer(at), Some(&value), "{line}");
    }
}

#[tokio::test]
async fn a_nested_setting_counts_before_a_flat_one() {
    for (lines, at, value) in [
        (
            "modalities = [\"audio\"]\noutput_modalities = [\"text\"]",
            "/output_modalities",
            json!(["text"]),
        ),
        (
            "voice = \"ash\"\naudio.output.voice = \"cedar\"",
            "/audio/output/voice",
            json!("cedar"),
        ),
        (
            "speed = 1.5\naudio.output.speed = 0.5",
            "/audio/output/speed",
            json!(0.5),
        ),
        (
            "input_audio_format = \"pcm16\"\naudio.input.format = \"pcmu\"",
            "/audio/input/format/type",
            json!("audio/pcmu"),
        ),
        (
            "output_audio_format = \"pcm16\"\naudio.output.format = \"pcma\"",
            "/audio/output/format/type",
            json!("audio/pcma"),
        ),
        (
            "input_audio_transcription = { model = \"a\" }\naudio.input.transcription = \"none\"",
            "/audio/input/transcription",
            json!(null),
        ),
        (
            "input_audio_noise_reduction = \"none\"\naudio.input.noise_reduction = { type = \"far_field\" }",
            "/audio/input/noise_reduction/type",
            json!("far_field"),
        ),
        (
            "turn_detection = { type = \"server_vad\" }\naudio.input.turn_detection = \"none\"",
            "/audio/input/turn_detection",
            json!(null),
        ),
        (
            "max_response_output_tokens = 7\nmax_output_tokens = 8",
            "/max_output_tokens",
            json!(8),
        ),
    ] {
        assert_eq!(sent(lines).await.pointer(at), Some(&value), "{lines}");
    }
}
