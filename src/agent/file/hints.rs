//! What to tell people about keys that are easily taken for others.

/// What is right instead of `key` in the table at `pointer`.
pub(super) fn unknown_key(pointer: &str, key: &str) -> Option<&'static str> {
    let in_session = pointer == "/session";
    Some(match key {
        "temperature" if in_session => "the Realtime API no longer has it; leave it out",
        "instructions" | "handoffs" | "tools" if in_session => {
            "it belongs to an agent: put it under `[agents.NAME]`"
        }
        "model_name" if in_session => "did you mean `model`?",
        "model" | "voice" | "turn_detection" | "output_modalities" if pointer.is_empty() => {
            "all agents share it: put it under `[session]`"
        }
        "workflow_name" | "group_id" | "metadata" if pointer.is_empty() => "put it under `[tracing]`",
        "timeout" if pointer.starts_with("/tools/") => "did you mean `timeout_sec`?",
        "args" if pointer.starts_with("/tools/") => "arguments follow the program in `command`",
        "agent" if pointer.is_empty() => "did you mean `agents`?",
        _ => return None,
    })
}

/// How to put in a key that is missing.
pub(super) fn missing_key(key: &str) -> Option<&'static str> {
    Some(match key {
        "agents" => {
            "a file has at least one agent: `[agents.Assistant]`, with `instructions = \"…\"` below it"
        }
        _ => return None,
    })
}
