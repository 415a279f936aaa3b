//! What to tell people about keys and values that are easily got wrong. Places are JSON pointers into the file.

/// What is right instead of the unknown `key` in the table at `pointer`.
pub(super) fn unknown_key(pointer: &str, key: &str) -> Option<&'static str> {
    let text = match (steps(pointer).as_slice(), key) {
        (["session"], "temperature") => "the Realtime API no longer has it; leave it out",
        (["session"], "model_name") => "did you mean `model`?",
        (["session"], "instructions" | "handoffs" | "tools") => {
            "it belongs to an agent: put it under `[agents.NAME]`"
        }
        ([], "model" | "voice" | "turn_detection" | "output_modalities") => {
            "all agents share it: put it under `[session]`"
        }
        ([], "workflow_name" | "group_id" | "metadata" | "redact") => "put it under `[tracing]`",
        ([], "instructions") => "it belongs to an agent: put it under `[agents.NAME]`",
        (["tools", _], "timeout") => "did you mean `timeout_sec`?",
        (["agents", _], "guardrails") => "did you mean `output_guardrails`?",
        (["agents", _], "input_guardrails") => "it belongs to a tool: put it under `[tools.NAME]`",
        (["tools", _] | ["mcp_servers", _], "guardrails") => {
            "write `input_guardrails` for its calls, `output_guardrails` for its answers"
        }
        (["guardrails", _], "regex") => "did you mean `pattern`?",
        (["guardrails", _], "timeout") => "did you mean `timeout_sec`?",
        (["guardrails", _, "http"], "timeout_sec" | "message" | "on_trip") => "put it beside `http`",
        (["guardrails", _], "url" | "headers") => "it belongs to a request: `http = { url = \"https://…\" }`",
        (["guardrails", _], "args") => "the arguments follow the program in `command`",
        (
            ["tools", _, "http"],
            "timeout_sec" | "when" | "needs_approval" | "tool_error_message" | "tool_refusal_message",
        ) => "put it beside `http`",
        (["tools", _], "url" | "method" | "headers") => {
            "it belongs to a request: `http = { url = \"https://…\" }`"
        }
        (["tools", _] | ["agents", _, "handoffs", _], "is_enabled" | "enabled" | "if")
        | (["mcp_servers", _], "is_enabled" | "if") => "did you mean `when`?",
        (["mcp_servers", _], "timeout" | "timeout_sec" | "startup_timeout_ms") => {
            "write `startup_timeout_sec` for its start, `tool_timeout_sec` for one call"
        }
        (["tools", _] | ["mcp_servers", _], "approval" | "require_approval") => {
            "did you mean `needs_approval`?"
        }
        (["mcp_servers", _], "headers") => "did you mean `http_headers`?",
        (["mcp_servers", _], "bearer_token") => {
            "tokens do not belong in a file: name the variable that holds it, `bearer_token_env_var = \"…\"`"
        }
        (["tools", _], "args") => "the arguments follow the program in `command`",
        _ => return None,
    };
    Some(text)
}

/// An example of what may stand at `pointer`.
pub(super) fn example(pointer: &str) -> Option<&'static str> {
    let text = match steps(pointer).as_slice() {
        ["agents"] | ["agents", _] => "write `[agents.Assistant]`, with `instructions = \"…\"` below it",
        ["agents", _, "instructions"] => {
            "instructions of several lines go between `\"\"\"` and `\"\"\"`, or into a file: `instructions_file`"
        }
        ["agents", _, "handoffs"] | ["agents", _, "handoffs", _] => {
            "write the names of agents: `handoffs = [\"Billing\"]`"
        }
        ["agents", _, "tools", ..] => {
            "write the names of tools: `tools = [\"get_weather\"]`; each has its own `[tools.NAME]`"
        }
        ["agents", _, "mcp_servers", ..] => {
            "write the names of servers: `mcp_servers = [\"docs\"]`; each has its own `[mcp_servers.NAME]`"
        }
        ["mcp_servers"] | ["mcp_servers", _] => {
            "write `[mcp_servers.docs]`, with `command` or `url` below it"
        }
        ["mcp_servers", _, "command"] => {
            "write the program alone, as `command = \"npx\"`; its arguments go into `args`"
        }
        ["mcp_servers", _, "args", ..] => "write each argument as a string: `args = [\"-y\", \"8080\"]`",
        ["mcp_servers", _, "env" | "http_headers", ..] => {
            "write each value as a string: `{ NAME = \"value\" }`"
        }
        ["mcp_servers", _, "env_http_headers", ..] => {
            "write the variable that holds each header: `{ X-Api-Key = \"DOCS_KEY\" }`"
        }
        ["mcp_servers", _, "startup_timeout_sec" | "tool_timeout_sec"] => {
            "write seconds: `startup_timeout_sec = 30`"
        }
        ["mcp_servers", _, "enabled_tools" | "disabled_tools", ..] => {
            "write the names of tools as the server has them: `[\"echo\"]`"
        }
        ["tools"] | ["tools", _] => "write `[tools.get_weather]`, with `description = \"…\"` below it",
        ["tools", _, "description"] => "say what the tool does and when to use it: `description = \"…\"`",
        ["tools", _, "command", ..] => {
            "write the program and each of its arguments as a string: `command = [\"date\", \"-u\"]`"
        }
        ["tools", _, "when"] | ["agents", _, "handoffs", _, "when"] => {
            "write a condition on the context: `when = \"user.tier == 'gold'\"`"
        }
        ["tools", _, "needs_approval"] | ["mcp_servers", _, "needs_approval"] => {
            "write `needs_approval = true`, or a condition: `needs_approval = \"args.amount > 100\"`"
        }
        ["tools", _, "http"] => "write `http = { url = \"https://api.example.com/cities/{{ args.city }}\" }`",
        ["tools", _, "http", "url"] => "write `url = \"https://api.example.com/cities/{{ args.city }}\"`",
        ["tools", _, "timeout_sec"] => "write seconds: `timeout_sec = 10`",
        ["tools", _, "parameters"] => {
            "write `parameters = { type = \"object\", properties = { city = { type = \"string\" } } }`"
        }
        ["output_guardrails", ..] | [_, _, "output_guardrails" | "input_guardrails", ..] => {
            "write the names of guardrails: `output_guardrails = [\"polite\"]`; each has its own `[guardrails.NAME]`"
        }
        ["guardrail_debounce"] => "write a number of characters, or `\"end\"`: `guardrail_debounce = 100`",
        ["guardrails"] | ["guardrails", _] => {
            "write `[guardrails.polite]`, with `pattern`, `command` or `http` below it"
        }
        ["guardrails", _, "pattern"] => {
            "write a regular expression between single quotes: `pattern = '\\d{16}'`"
        }
        ["guardrails", _, "command", ..] => {
            "write the program and each of its arguments as a string: `command = [\"python3\", \"polite.py\"]`"
        }
        ["guardrails", _, "http", ..] => "write `http = { url = \"https://guard.example.com/check\" }`",
        ["guardrails", _, "timeout_sec"] => "write seconds: `timeout_sec = 5`",
        ["guardrails", _, "on_trip"] => "write `on_trip = \"reject\"` or `on_trip = \"stop\"`",
        ["context"] => "write `[context]`, with `name = value` below it",
        ["session", .., "voice"] | ["session", .., "voice", "id"] | ["agents", _, "voice", ..] => {
            "write `voice = \"marin\"`, or `voice = { id = \"voice_…\" }` for one of your own"
        }
        ["session", .., "turn_detection"] => {
            "write `turn_detection = { type = \"semantic_vad\" }`, or `\"none\"` to turn it off"
        }
        ["session", .., "noise_reduction" | "input_audio_noise_reduction"] => {
            "write `{ type = \"near_field\" }` or `{ type = \"far_field\" }`, or `\"none\"` to turn it off"
        }
        [
            "session",
            ..,
            "transcription" | "input_audio_transcription",
            "model",
        ] => "name the model: `model = \"gpt-4o-mini-transcribe\"`",
        ["session", .., "turn_detection", "type"] => {
            "write `type = \"semantic_vad\"`, or `type = \"server_vad\"` to go by loudness"
        }
        [
            "session",
            ..,
            "format" | "input_audio_format" | "output_audio_format",
            "type",
        ] => "write `type = \"audio/pcm\"`, `\"audio/pcmu\"` or `\"audio/pcma\"`",
        ["session", "model"] => "write the name of a model: `model = \"gpt-realtime-2.1\"`",
        ["session", "include"] => "write a list: `include = [\"…\"]`",
        ["session", "output_modalities", ..] => {
            "write `[\"audio\"]` or `[\"text\"]`; audio comes with a transcript"
        }
        _ => return None,
    };
    Some(text)
}

fn steps(pointer: &str) -> Vec<&str> {
    pointer.split('/').skip(1).collect()
}
