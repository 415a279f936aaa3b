use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::{Guardrail, GuardrailCheck, GuardrailError, GuardrailFuture, Verdict};
use crate::tool::{Tool, ToolCall, ToolOutput};

/// A guardrail that asks a tool, usually a program or a request over HTTP.
///
/// The tool is called with an object: `where` it looks (`output`, `tool_input` or `tool_output`), the `agent`, the
/// `context`, and what it looks at: `text`, or `tool` with `arguments` and, of a tool's answer, `output`. It objects by
/// answering `{"triggered": true}`, to which a `message` may be added: words for the model. An empty answer objects to
/// nothing, as does `{"triggered": false}`; any other, and a failure of the tool, means that it could not tell.
#[derive(Clone)]
pub struct AskingGuardrail {
    tool: Arc<dyn Tool>,
}

/// What the tool answers.
#[derive(Deserialize)]
struct Answer {
    triggered: bool,
    message: Option<String>,
}

impl AskingGuardrail {
    /// A guardrail that asks `tool`, by whose name it is known.
    pub fn new(tool: impl Tool) -> Self {
        Self { tool: Arc::new(tool) }
    }
}

impl Guardrail for AskingGuardrail {
    fn name(&self) -> &str {
        &self.tool.spec().name
    }

    fn check(&self, check: GuardrailCheck) -> GuardrailFuture {
        let arguments = check.to_json();
        let call = ToolCall::new("", check.agent, arguments).context(check.context);
        let asking = self.tool.call(call);
        Box::pin(async move { judge(asking.await.map_err(GuardrailError::new)?) })
    }
}

fn judge(output: ToolOutput) -> Result<Verdict, GuardrailError> {
    let text = output.into_text();
    if text.trim().is_empty() {
        return Ok(Verdict::Pass);
    }
    // What it said is not quoted: it may repeat what was looked at.
    let answer: Answer = serde_json::from_str(&text).map_err(|_| {
        GuardrailError::new(
            "its answer is not `{\"triggered\": true}`, with or without a `message`, or false",
        )
    })?;
    Ok(match answer.triggered {
        true => Verdict::Reject(answer.message.filter(|message| !message.trim().is_empty())),
        false => Verdict::Pass,
    })
}

impl fmt::Debug for AskingGuardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskingGuardrail")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::*;
    use crate::context::RunContext;
    use crate::tool::{FunctionTool, Subject, ToolError};

    #[test]
    fn only_a_plain_yes_is_an_objection() {
        let said = |text: &str| judge(text.into());
        assert_eq!(said(""), Ok(Verdict::Pass));
        assert_eq!(said(" \n"), Ok(Verdict::Pass));
        assert_eq!(said(r#"{"triggered": false, "message": "x"}"#), Ok(Verdict::Pass));
        assert_eq!(
            said(r#"{"triggered": true, "score": 0.9}"#),
            Ok(Verdict::Reject(None))
        );
        assert_eq!(
            said(r#"{"triggered": true, "message": "No."}"#),
            Ok(Verdict::Reject(Some("No.".to_owned())))
        );
        for odd in [
            "yes",
            "true",
            "{}",
            r#"{"triggered": "true"}"#,
            r#"{"triggered": true"#,
            "s3cret",
        ] {
            let error = said(odd).unwrap_err();
            assert!(!error.message().contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_tool_is_told_all_there_is_to_look_at() {
        let told = Arc::new(Mutex::new(Vec::<Value>::new()));
        let heard = Arc::clone(&told);
        let tool = FunctionTool::new("ask", "", json!({"type": "object"}), move |call: ToolCall| {
            heard.lock().unwrap().push(call.arguments);
            async { Err::<String, _>(ToolError::new("out of order")) }
        });
        let guardrail = AskingGuardrail::new(tool);
        assert_eq!(guardrail.name(), "ask");
        let (tool, arguments) = ("pay".to_owned(), json!({"n": 1}));
        for subject in [
            Subject::Output {
                text: "hi".to_owned(),
            },
            Subject::ToolInput {
                tool: tool.clone(),
                arguments: arguments.clone(),
            },
            Subject::ToolOutput {
                tool,
                arguments,
                output: "paid".to_owned(),
            },
        ] {
            let context = RunContext::new(json!({"user": "Ada"}));
            let check = GuardrailCheck::new(subject, "Desk").context(context);
            assert_eq!(
                guardrail.check(check).await,
                Err(GuardrailError::new("out of order"))
            );
        }
        let context = json!({"user": "Ada"});
        assert_eq!(
            *told.lock().unwrap(),
            [
                json!({"where": "output", "agent": "Desk", "text": "hi", "context": context}),
                json!({"where": "tool_input", "agent": "Desk", "tool": "pay", "arguments": {"n": 1}, "context": context}),
                json!({"where": "tool_output", "agent": "Desk", "tool": "pay", "arguments": {"n": 1}, "output": "paid",
                    "context": context}),
            ]
        );
    }
}
