//! What to tell people about keys and values that are easily got wrong. Places are JSON pointers into the file.

/// What is right instead of the unknown `key` in the table at `pointer`.
pub(super) fn unknown_key(pointer: &str, key: &str) -> Option<&'static str> {
    let text = match (steps(pointer).as_slice(), key) {
        (["steps", _], "say" | "call" | "hand_off" | "fail" | "close" | "send" | "wait_ms") => {
            "put it into `then = [{ … }]`"
        }
        (["steps", _], "user_says" | "user_matches" | "tool_output") => "put it into `when = { … }`",
        (["steps", _, "when"], "session_update") => "write `when = \"session_update\"`",
        (["steps", _, "then", _], "done" | "stay_silent" | "drop" | "expire") => {
            "it is written as a word alone: `then = [{ say = \"…\" }, \"drop\"]`"
        }
        (
            ["steps", _, "then", _],
            "refuse" | "null_keys" | "duplicate" | "late_deltas" | "frame_delay_ms",
        ) => "it holds for all frames: put it under `[faults]`",
        (["steps", _, "then", _], "wait" | "delay_ms" | "wait_sec") => "did you mean `wait_ms`?",
        (["steps", _, "then", _], "text" | "transcript" | "message") => "did you mean `say`?",
        ([], "refuse" | "null_keys" | "duplicate" | "late_deltas" | "frame_delay_ms") => {
            "put it under `[faults]`"
        }
        ([], "step") => "did you mean `[[steps]]`?",
        ([], "chance") => "it belongs to a step: put it under `[[steps]]`",
        (["steps", _], "seed") => "put it at the top of the file",
        (["steps", _], "probability") => "did you mean `chance`?",
        _ => return None,
    };
    Some(text)
}

/// An example of what may stand at `pointer`.
pub(super) fn example(pointer: &str) -> Option<&'static str> {
    let text = match steps(pointer).as_slice() {
        ["steps"] | ["steps", _] => "write `[[steps]]`, with `then = [{ say = \"…\" }]` below it",
        ["steps", _, "chance"] => "write `chance = 0.7` for seven times out of ten",
        ["steps", _, "when"] => "write `when = { user_says = \"…\" }`, or `when = \"session_update\"`",
        ["steps", _, "when", "tool_output"] => {
            "write the name of the function: `tool_output = \"get_weather\"`"
        }
        ["steps", _, "then"] | ["steps", _, "then", _] => {
            "write a list: `then = [{ say = \"…\" }, { call = \"get_weather\" }, \"drop\"]`"
        }
        ["steps", _, "then", _, "arguments"] => "write `arguments = { city = \"Rome\" }`",
        ["steps", _, "then", _, "fail"] => {
            "write `fail = { code = \"rate_limit_exceeded\" }`, or `fail = {}`"
        }
        ["steps", _, "then", _, "cut_off"] => {
            "write `cut_off = \"max_output_tokens\"` or `\"content_filter\"`"
        }
        ["steps", _, "then", _, "send"] => "write `send = { type = \"…\" }`, or the text of a frame",
        ["transcripts", ..] => "write what the user says: `transcripts = [\"Hello\"]`",
        ["faults", "refuse"] => {
            "write the code of an error, as `refuse = \"invalid_api_key\"`, or a status, as `\"http-429\"`"
        }
        ["faults", "null_keys", ..] => "write the names of keys: `null_keys = [\"previous_item_id\"]`",
        ["faults", "duplicate", ..] => "write types of events: `duplicate = [\"response.done\"]`",
        _ => return None,
    };
    Some(text)
}

fn steps(pointer: &str) -> Vec<&str> {
    pointer.split('/').skip(1).collect()
}
