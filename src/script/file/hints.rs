//! What to tell people about keys and values that are easily got wrong. Places are JSON pointers into the file.

/// What is right instead of the unknown `key` in the table at `pointer`.
pub(super) fn unknown_key(pointer: &str, key: &str) -> Option<&'static str> {
    let text = match (steps(pointer).as_slice(), key) {
        ([], "turn") => "did you mean `[[turns]]`?",
        ([], "span") => "did you mean `[[spans]]`?",
        ([], "scenario" | "replay") => "put it under `[simulator]`",
        ([], "mocks" | "mock") => "what stands in for a tool goes under `[tools.NAME]`",
        ([], "set" | "vars") => "did you mean `[variables]`?",
        ([], "include") => "write it as a turn: `[[turns]]`, with `include = \"…\"` below it",
        ([], "expect" | "user" | "any_order") => "it belongs to a turn: put it under `[[turns]]`",
        ([], "agents" | "session" | "guardrails" | "mcp_servers") => {
            "it belongs to the agent file, which `agent = \"…\"` names"
        }
        (["turns", _], "say" | "text" | "message") => "did you mean `user`?",
        (["turns", _], "wait" | "delay_ms" | "sleep_ms") => "did you mean `wait_ms`?",
        (["turns", _], "silence") => "did you mean `silence_ms`?",
        (["turns", _], "speak" | "file") => "did you mean `audio`?",
        (["turns", _], "interrupt") => "did you mean `interrupt_after_ms`?",
        (["turns", _], "agent" | "handoff") => "did you mean `switch_agent`?",
        (["turns", _], "event" | "text_contains" | "name" | "absent" | "judge") => {
            "put it into `expect = [{ … }]`"
        }
        (["turns", _, "expect", _], "type" | "kind") => "did you mean `event`?",
        (["turns", _, "expect", _], "tool" | "guardrail") => "did you mean `name`?",
        (["turns", _, "expect", _], "to") => "did you mean `agent`?",
        (["turns", _, "expect", _], "contains" | "text") => "did you mean `text_contains`?",
        (["turns", _, "expect", _], "matches" | "pattern") => "did you mean `text_matches`?",
        (["turns", _, "expect", _], "arguments") => "did you mean `args`?",
        (["turns", _, "expect", _], "within" | "max_ms") => "did you mean `within_ms`?",
        (["turns", _, "expect", _], "any_order") => "put it beside `expect`",
        (["turns", _, "approve"], "message") => "only a rejection tells the model something: leave it out",
        (["turns", _, "reject"], "always") => "only `approve` can be for always: leave it out",
        (["turns", _, "approve" | "reject"], "name") => "did you mean `tool`?",
        (["tools", _], "delay" | "wait_ms") => "did you mean `delay_ms`?",
        (["tools", _], "fail") => "did you mean `error`?",
        (["tools", _], "result" | "answer") => "did you mean `output`?",
        (["tools", _], "description" | "parameters" | "command" | "http" | "needs_approval") => {
            "a mock keeps this of the tool that it stands in for: leave it out"
        }
        (["spans", _], "kind") => "did you mean `type`?",
        (["spans", _], "min" | "max") => "did you mean `count = { min = 1 }`, or `min_ms` and `max_ms`?",
        (["spans", _], "absent") => "write `count = 0`",
        _ => return None,
    };
    Some(text)
}

/// An example of what may stand at `pointer`.
pub(super) fn example(pointer: &str) -> Option<&'static str> {
    let text = match steps(pointer).as_slice() {
        ["turns"] | ["turns", _] => "write `[[turns]]`, with `user = \"…\"` below it",
        ["turns", _, "approve"] => {
            "write `approve = true`, `approve = \"refund\"`, or `approve = { tool = \"refund\", always = true }`"
        }
        ["turns", _, "reject"] => {
            "write `reject = true`, `reject = \"refund\"`, or `reject = { tool = \"refund\", message = \"…\" }`"
        }
        ["turns", _, "raw"] => "write an event: `raw = { type = \"input_audio_buffer.clear\" }`",
        ["turns", _, "expect"] | ["turns", _, "expect", _] => {
            "write a list: `expect = [{ event = \"response\", text_contains = \"…\" }]`"
        }
        ["turns", _, "expect", _, "event"] => "say what is to happen: `event = \"response\"`",
        ["turns", _, "expect", _, "args"] => "write `args = { city = \"Rome\" }`",
        ["turns", _, "expect", _, "within_ms"] => "write milliseconds: `within_ms = 3000`",
        ["tools"] | ["tools", _] => {
            "write `[tools.get_weather]`, with `output`, `error` or `delay_ms` below it"
        }
        ["variables"] => "write `[variables]`, with `name = \"value\"` below it",
        ["variables", _] => "variables are texts: `city = \"Rome\"`",
        ["context"] => "write `[context]`, with `name = value` below it",
        ["simulator"] => "write `[simulator]`, with `scenario = \"…\"` below it",
        ["spans"] | ["spans", _] => "write `[[spans]]`, with `type = \"function\"` below it",
        ["spans", _, "type"] => "say which kind of span: `type = \"function\"`",
        ["spans", _, "count"] => "write `count = 2`, or `count = { min = 1, max = 3 }`",
        ["spans", _, "error"] => "write `error = true` or `error = false`",
        _ => return None,
    };
    Some(text)
}

fn steps(pointer: &str) -> Vec<&str> {
    pointer.split('/').skip(1).collect()
}
