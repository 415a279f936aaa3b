//! What guardrails say of calls: before they are made, and of what came of them before the model sees it.
//!
//! All guardrails at one place look at the same time, and the first that objects settles it. Unlike with answers, one
//! that can't tell lets nothing pass: what it watches over is yet to happen.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::calls::{OpenCall, parse_arguments};
use super::trip::{Trip, judge};
use super::{CheckId, Core, GuardrailRun, Output, ToolRun};
use crate::protocol::Id;
use crate::session::{EndReason, SessionEvent};
use crate::tool::{
    Guardrail, GuardrailCheck, GuardrailError, GuardrailPlace, Subject, ToolError, ToolOutput, Verdict,
};
use crate::trace::{Span, SpanData, SpanError, Timestamp};

#[derive(Debug, Default)]
pub(super) struct CallChecks {
    /// By call ids.
    under_way: HashMap<String, Checked>,
}

/// A call that guardrails look at.
#[derive(Debug)]
struct Checked {
    call: OpenCall,
    next: Next,
    looks: Vec<Look>,
}

/// One guardrail that looks.
struct Look {
    guardrail: Arc<dyn Guardrail>,
    /// None once it has let the call pass.
    span: Option<Span>,
}

/// How a call goes on when no guardrail objects.
#[derive(Debug)]
pub(super) enum Next {
    /// A person is asked, if need be.
    Approve(Box<ToolRun>),
    /// The tool runs.
    Run(Box<ToolRun>),
    /// The model is told what came of it.
    Answer(Result<ToolOutput, ToolError>),
}

impl CallChecks {
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Whether a call of this answer is checked.
    pub(super) fn is_awaited(&self, response_id: Option<&Id>) -> bool {
        self.under_way
            .values()
            .any(|checked| checked.call.response_id.as_ref() == response_id)
    }

    /// Ends the spans of what is still checked: the session is over.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        for (
            _,
            Checked {
                mut call,
                looks,
                next,
            },
        ) in self.under_way.drain()
        {
            end_looks(looks, now, "The session ended before the check was done");
            call.span.set_error(SpanError::new(match next {
                Next::Approve(_) | Next::Run(_) => "The session ended before the call was checked",
                Next::Answer(_) => "The session ended before the tool's output was checked",
            }));
            call.span.finish_at(now);
        }
    }
}

impl Next {
    /// What is to be looked at before, and who does.
    fn check(&self, call: &OpenCall) -> (Vec<Arc<dyn Guardrail>>, Subject) {
        let tool = call.made.name.clone();
        let arguments = parse_arguments(&call.made.arguments);
        let input = |before_approval: bool| {
            let all = call.guardrails.input.iter();
            all.filter(|own| own.looks_before_approval() == before_approval)
                .cloned()
                .collect()
        };
        match self {
            Self::Approve(_) => (input(true), Subject::ToolInput { tool, arguments }),
            Self::Run(_) => (input(false), Subject::ToolInput { tool, arguments }),
            Self::Answer(result) => {
                let output = match result {
                    Ok(output) => output.clone().into_text(),
                    Err(error) => call.agent.tell_failure(&tool, error.message()),
                };
                let subject = Subject::ToolOutput {
                    tool,
                    arguments,
                    output,
                };
                (call.guardrails.output.clone(), subject)
            }
        }
    }

    fn place(&self) -> GuardrailPlace {
        match self {
            Self::Approve(_) | Self::Run(_) => GuardrailPlace::ToolInput,
            Self::Answer(_) => GuardrailPlace::ToolOutput,
        }
    }
}

/// Ends the spans of guardrails that have not come to a verdict.
fn end_looks(looks: Vec<Look>, now: Timestamp, why: &str) {
    for mut span in looks.into_iter().filter_map(|look| look.span) {
        span.set_error(SpanError::new(why));
        span.finish_at(now);
    }
}

impl Core {
    /// Has guardrails look at a call before it goes on.
    pub(super) fn check_call(&mut self, call: OpenCall, next: Next) {
        if call.guardrails.is_empty() {
            return self.go_on(call, next);
        }
        let (guardrails, subject) = next.check(&call);
        if guardrails.is_empty() {
            return self.go_on(call, next);
        }
        let mut looks = Vec::new();
        for (number, guardrail) in guardrails.into_iter().enumerate() {
            let data = SpanData::guardrail(guardrail.name());
            let span = call.span.context().span_at(data, self.now);
            let check = GuardrailCheck::new(subject.clone(), call.agent.name.as_str());
            let run = GuardrailRun {
                id: CheckId::Call {
                    call_id: call.made.call_id.clone(),
                    guardrail: number,
                },
                guardrail: Arc::clone(&guardrail),
                check: check.context(self.options.context.clone()),
                scope: span.context(),
            };
            self.outputs.push_back(Output::RunGuardrail(Box::new(run)));
            let span = Some(span);
            looks.push(Look { guardrail, span });
        }
        let call_id = call.made.call_id.clone();
        let checked = Checked { call, next, looks };
        self.calls.checks.under_way.insert(call_id, checked);
    }

    fn go_on(&mut self, call: OpenCall, next: Next) {
        match next {
            Next::Approve(run) => match run.tool.needs_approval(&run.call) {
                Ok(false) => self.check_call(call, Next::Run(run)),
                Ok(true) => self.want_approval(call, run),
                Err(error) => {
                    self.emit(call.start());
                    self.finish_call(call, Err(error));
                }
            },
            Next::Run(run) => self.run_tool(call, run),
            Next::Answer(result) => self.finish_call(call, result),
        }
    }

    /// A guardrail has looked at a call.
    pub(super) fn on_call_checked(
        &mut self,
        call_id: &str,
        guardrail: usize,
        result: Result<Verdict, GuardrailError>,
    ) {
        let under_way = &mut self.calls.checks.under_way;
        // Late, if another guardrail has objected.
        let Some(checked) = under_way.get_mut(call_id) else {
            return;
        };
        let Look { guardrail, span } = &mut checked.looks[guardrail];
        let Some(mut span) = span.take() else {
            return;
        };
        let name = guardrail.name().to_owned();
        let judged = judge(&name, &mut span, result);
        span.finish_at(self.now);
        let passes = matches!(judged, Ok(None));
        if passes && checked.looks.iter().any(|look| look.span.is_some()) {
            return;
        }
        let Some(Checked { call, next, looks }) = under_way.remove(call_id) else {
            return;
        };
        end_looks(looks, self.now, "Another guardrail was first");
        match judged {
            Ok(None) => self.go_on(call, next),
            Ok(Some(trip)) => self.object(call, next.place(), trip),
            Err(error) => self.check_failed(call, next.place(), &name, &error),
        }
    }

    /// A guardrail objects: the call is not made, or what came of it withheld.
    fn object(&mut self, mut call: OpenCall, place: GuardrailPlace, trip: Trip) {
        let Trip {
            guardrail: name,
            message,
            stops,
        } = trip;
        let (reason, told) = match place {
            GuardrailPlace::ToolOutput => (
                "Tool output was withheld by a guardrail",
                "The answer is withheld",
            ),
            _ => ("Tool call was stopped by a guardrail", "The call was not made"),
        };
        let told = message
            .clone()
            .unwrap_or_else(|| format!("{told}: the guardrail `{name}` objects to it."));
        let data = json!({"tool_name": call.made.name, "guardrail": name});
        call.span.set_error(SpanError::new(reason).with_data(data));
        call.span.update(|data| {
            if let SpanData::Function { output, .. } = data {
                *output = Some(told.clone());
            }
        });
        self.emit(SessionEvent::Guardrail {
            guardrail: name.clone(),
            agent: call.agent.name.clone(),
            place,
            message: message.clone(),
            response_id: call.response_id.clone(),
            tool: Some(call.made.name.clone()),
            call_id: Some(call.made.call_id.clone()),
        });
        if stops {
            call.span.finish_at(self.now);
            let guardrail = name;
            return self.end(EndReason::Guardrail { guardrail, message });
        }
        let error = format!("the guardrail `{name}` objected");
        self.end_call(call, told, Some(error));
    }

    /// A guardrail can't tell. What the model hears of it is not what went wrong with the guardrail.
    fn check_failed(&mut self, call: OpenCall, place: GuardrailPlace, name: &str, error: &GuardrailError) {
        let tool = &call.made.name;
        let (what, told) = match place {
            GuardrailPlace::ToolOutput => (
                format!("what {tool} answered"),
                "it ran, but its answer is withheld",
            ),
            _ => (format!("a call of {tool}"), "it was not run"),
        };
        let message = format!("the guardrail `{name}` could not look at {what}: {error}");
        self.emit(SessionEvent::Warning { message });
        let told = format!("{told}, as the guardrail `{name}` could not look at that");
        self.finish_call(call, Err(ToolError::new(told)));
    }
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look")
            .field("guardrail", &self.guardrail.name())
            .field("span", &self.span)
            .finish()
    }
}
