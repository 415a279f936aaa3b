//! What holds for every kind of tool: validated arguments, updates of the context, the limit, words for failures.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_run::context::{RunContext, Template};
use realtime_run::tool::{
    EndSessionTool, FunctionTool, ManagedTool, OutputTool, Tool, ToolCall, ToolError, ToolOutput, ToolSpec,
};
use serde_json::{Value, json};

fn call(arguments: Value) -> ToolCall {
    ToolCall::new("call_1", "Assistant", arguments)
}

fn answering(output: impl Into<ToolOutput>) -> ManagedTool {
    ManagedTool::new(Arc::new(OutputTool::new(
        ToolSpec::new("test", "Does it."),
        output,
    )))
}

async fn text(tool: &dyn Tool, call: ToolCall) -> Result<String, ToolError> {
    tool.call(call).await.map(ToolOutput::into_text)
}

#[tokio::test]
async fn arguments_that_break_the_schema_never_reach_the_tool() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": false,
    });
    let tool = FunctionTool::new("weather", "", parameters, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok("sunny".to_owned()) }
    });
    let tool = ManagedTool::new(Arc::new(tool));
    for (arguments, told) in [
        (
            json!({"days": 0}),
            "invalid arguments: days: value is less than the minimum of 1; \"city\" is a required property",
        ),
        (
            json!({"city": "s3cret", "contry": "x"}),
            "invalid arguments: Additional properties are not allowed ('contry' was unexpected)",
        ),
        (
            json!("{\"city\": \"Oslo\""),
            "invalid arguments: value is not of type \"object\"",
        ),
    ] {
        assert_eq!(text(&tool, call(arguments)).await.unwrap_err().message(), told);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    assert_eq!(text(&tool, call(json!({"city": "Oslo"}))).await.unwrap(), "sunny");
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_tool_may_change_the_context_if_it_is_let() {
    let context = RunContext::new(json!({"user": {"name": "Ada", "tier": "gold"}}));
    let with = |arguments| call(arguments).context(context.clone());
    let answer = json!({"context": {"user": {"tier": null}, "verified": true}, "output": "done it"});

    let not_let = answering(answer.clone());
    assert_eq!(text(&not_let, with(json!({}))).await.unwrap(), answer.to_string());
    assert_eq!(context.values()["user"]["tier"], "gold");

    let tool = answering(answer.clone()).updates_context();
    assert_eq!(text(&tool, with(json!({}))).await.unwrap(), "done it");
    assert_eq!(
        *context.values(),
        json!({"user": {"name": "Ada"}, "verified": true})
    );

    let as_text = answering(json!({"context": {"n": 1}, "output": {"a": 1}}).to_string()).updates_context();
    assert_eq!(text(&as_text, with(json!({}))).await.unwrap(), r#"{"a":1}"#);
    assert_eq!(context.values()["n"], 1);
}

#[tokio::test]
async fn answers_that_change_no_context_pass() {
    for answer in ["sunny", "{\"a\":1}", "[1]", "{broken"] {
        let tool = answering(answer).updates_context();
        assert_eq!(text(&tool, call(json!({}))).await.unwrap(), answer);
    }
    let context = RunContext::new(json!({"a": 1}));
    let tool = answering(json!({"context": 7, "output": "x"})).updates_context();
    let error = text(&tool, call(json!({})).context(context.clone()))
        .await
        .unwrap_err();
    assert!(
        error.message().contains("`context` of its answer is no object"),
        "{error}"
    );
    assert_eq!(*context.values(), json!({"a": 1}));
}

#[tokio::test]
async fn a_long_answer_of_any_kind_is_cut() {
    let tool = answering(json!({"text": "é".repeat(500_000)}));
    let output = text(&tool, call(json!({}))).await.unwrap();
    assert!(
        output.ends_with("bytes more were left out]"),
        "{}",
        &output[output.len() - 80..]
    );
    assert!(output.len() < 263_000, "{} bytes", output.len());
}

#[tokio::test]
async fn an_answer_is_filled_in_at_each_call() {
    let output = json!({"for": "{{ user.name }}", "cities": ["{{ args.city }}"], "n": 1});
    let tool = OutputTool::template(ToolSpec::new("test", ""), output).unwrap();
    let context = RunContext::new(json!({"user": {"name": "Ada"}}));
    let with = |city: &str| call(json!({"city": city})).context(context.clone());
    assert_eq!(
        text(&tool, with("Oslo \"x\"")).await.unwrap(),
        r#"{"for":"Ada","cities":["Oslo \"x\""],"n":1}"#
    );
    context.merge(json!({"user": {"name": "Bo"}}));
    assert!(
        text(&tool, with("Rome"))
            .await
            .unwrap()
            .starts_with(r#"{"for":"Bo""#)
    );
    let error = text(&tool, call(json!({}))).await.unwrap_err();
    assert_eq!(
        error.message(),
        "its answer can't be worked out: `user` is undefined"
    );
    assert!(OutputTool::template(ToolSpec::new("test", ""), json!(["{{ x"])).is_err());
}

#[test]
fn a_failure_is_told_in_the_tool_s_own_words() {
    let tool = answering("x");
    assert_eq!(tool.tell_failure("too late"), None);
    let template = Template::new("{{ tool }}? {{ error }}!").unwrap();
    let told = answering("x").error_message(template).tell_failure("too late");
    assert_eq!(told.as_deref(), Some("test? too late!"));
    let useless = answering("x").error_message(Template::new("{{ reason }}").unwrap());
    assert_eq!(useless.tell_failure("too late"), None);
}

#[tokio::test]
async fn the_wish_to_end_the_session_passes_through() {
    let tool = ManagedTool::new(Arc::new(EndSessionTool::new()));
    let output = tool.call(call(json!({}))).await.unwrap();
    assert!(matches!(output, ToolOutput::EndSession(_)));
}
