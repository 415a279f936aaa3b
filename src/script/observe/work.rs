//! What is seen of tools, changes of agents and guardrails.

use std::time::Duration;

use serde_json::Value;

use super::Observer;
use crate::protocol::ResponseStatus;
use crate::script::happening::Happening;
use crate::script::{EventKind, Speaker};
use crate::session::SessionEvent;

/// What is known of a call.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) arguments: String,
    /// Whether it is among the happenings.
    told: bool,
    /// Where it stands in the transcript of this turn.
    pub(super) line: Option<usize>,
}

impl Observer {
    /// Takes in what is told of tools, agents, guardrails and mishaps.
    pub(super) fn note_work(&mut self, at: Duration, event: &SessionEvent) {
        match event {
            SessionEvent::ToolApprovalRequired {
                agent,
                tool,
                call_id,
                arguments,
            } => {
                self.waiting.insert(call_id.clone(), tool.clone());
                self.note_call(at, call_id, agent, tool, Some(arguments));
            }
            SessionEvent::ToolStart {
                agent,
                tool,
                call_id,
                arguments,
            } => {
                self.waiting.shift_remove(call_id);
                self.note_call(at, call_id, agent, tool, Some(arguments));
            }
            SessionEvent::ToolEnd {
                agent,
                tool,
                call_id,
                output,
                error,
            } => {
                self.waiting.shift_remove(call_id);
                self.note_call(at, call_id, agent, tool, None);
                self.note_result(at, call_id, (agent, tool), output, error.as_deref());
            }
            SessionEvent::Guardrail {
                guardrail,
                agent,
                message,
                tool,
                call_id,
                ..
            } => {
                if let (Some(tool), Some(call_id)) = (tool, call_id) {
                    self.note_call(at, call_id, agent, tool, None);
                }
                let words = message.clone().unwrap_or_default();
                self.remark(match message {
                    Some(message) => format!("the guardrail `{guardrail}` objects: {message}"),
                    None => format!("the guardrail `{guardrail}` objects"),
                });
                self.window.happened.push(Happening {
                    agent: Some(agent.clone()),
                    name: Some(guardrail.clone()),
                    words,
                    ..self.window.happening(EventKind::Guardrail, at)
                });
            }
            SessionEvent::Handoff { from, to } => {
                self.remark(format!("`{from}` hands over to `{to}`"));
                self.window.happened.push(Happening {
                    agent: Some(to.clone()),
                    ..self.window.happening(EventKind::Handoff, at)
                });
            }
            SessionEvent::Error { error } => self.note_error(at, None, error.to_string()),
            SessionEvent::InputTranscriptFailed { error, .. } => {
                self.note_error(at, None, format!("the speech could not be transcribed: {error}"));
            }
            SessionEvent::Warning { message } => self.remark(message.clone()),
            _ => {}
        }
    }

    /// A call is told, when the first is heard of it that is more than its arguments.
    fn note_call(&mut self, at: Duration, call_id: &str, agent: &str, tool: &str, arguments: Option<&str>) {
        self.busy = true;
        let call = self.calls.entry(call_id.to_owned()).or_default();
        if let Some(arguments) = arguments {
            arguments.clone_into(&mut call.arguments);
        }
        if std::mem::replace(&mut call.told, true) {
            return;
        }
        let place = (self.window.happened.len(), self.window.lines.len());
        if let Some(answer) = &mut self.answer {
            answer.first_call.get_or_insert(place);
        }
        call.line = Some(place.1);
        let args = parsed(&call.arguments);
        let text = format!("({})", call.arguments);
        self.window.tell(Speaker::Tool(tool.to_owned()), text);
        self.window.happened.push(Happening {
            agent: Some(agent.to_owned()),
            name: Some(tool.to_owned()),
            args: Some(args),
            ..self.window.happening(EventKind::ToolCall, at)
        });
    }

    fn note_result(
        &mut self,
        at: Duration,
        call_id: &str,
        (agent, tool): (&str, &str),
        output: &str,
        error: Option<&str>,
    ) {
        let call = self.calls.remove(call_id).unwrap_or_default();
        let mut text = format!("→ {output}");
        if let Some(error) = error {
            text.push_str(&format!(" ({error})"));
        }
        match call.line.and_then(|line| self.window.lines.get_mut(line)) {
            Some(line) => {
                line.text.push(' ');
                line.text.push_str(&text);
            }
            None => self.window.tell(Speaker::Tool(tool.to_owned()), text),
        }
        let status = match error {
            Some(_) => ResponseStatus::Failed,
            None => ResponseStatus::Completed,
        };
        self.window.happened.push(Happening {
            agent: Some(agent.to_owned()),
            name: Some(tool.to_owned()),
            args: Some(parsed(&call.arguments)),
            words: output.to_owned(),
            status,
            ..self.window.happening(EventKind::ToolResult, at)
        });
    }
}

/// Arguments as JSON; as text if they are none.
fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into())
}
