//! The calls that the model makes (protocol.md section 6.5): each runs once, whatever number of events tell of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::approval::Approvals;
use super::call_checks::{CallChecks, Next};
use super::charge::Cause;
use super::preparation::OnHandoff;
use super::responses::Standing;
use super::{Core, Output, ToolRun, tell};
use crate::agent::{Callable, ResolvedAgent};
use crate::protocol::{
    ClientEvent, FunctionCall, FunctionCallOutput, Id, Item, ItemStatus, OutputItem, Response, ResponseStatus,
};
use crate::session::SessionEvent;
use crate::tool::{Tool, ToolCall, ToolError, ToolGuardrails, ToolOutput};
use crate::trace::{Span, SpanData, SpanError, Timestamp, keys};

/// Calls that may run, be checked or wait to be approved at once; a model, or a server in its name, could otherwise make any number.
const MAX_OPEN: usize = 256;

/// What the span of a tool says that the end of the session cut off.
pub(super) const UNFINISHED: &str = "The session ended before the tool had finished";

#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Every call so far, with a print of its name and arguments to tell a repetition from a mix-up. Grows with the
    /// conversation, of which each call is an entry anyway.
    seen: HashMap<String, u64>,
    hasher: RandomState,
    running: HashMap<String, OpenCall>,
    pub(super) approvals: Approvals,
    pub(super) checks: CallChecks,
    /// Answers of which a call was served, so that another is wanted once the last of their calls is.
    served: Vec<Option<Id>>,
}

/// A call of a tool that was made and not yet answered.
#[derive(Debug)]
pub(super) struct OpenCall {
    pub(super) made: FunctionCall,
    pub(super) span: Span,
    pub(super) agent: Arc<ResolvedAgent>,
    item_id: Id,
    /// The answer that called.
    pub(super) response_id: Option<Id>,
    /// What watches over it.
    pub(super) guardrails: ToolGuardrails,
}

/// What an event tells of a call.
#[derive(Debug, PartialEq, Eq)]
enum Sight {
    New,
    Again,
    /// The same call id with another name or other arguments.
    MixedUp,
}

impl OpenCall {
    /// What the application hears when it runs.
    pub(super) fn start(&self) -> SessionEvent {
        SessionEvent::ToolStart {
            agent: self.agent.name.clone(),
            tool: self.made.name.clone(),
            call_id: self.made.call_id.clone(),
            arguments: self.made.arguments.clone(),
        }
    }
}

impl Calls {
    /// Whether calls run, or are checked before or after that.
    pub(super) fn are_running(&self) -> bool {
        !self.running.is_empty() || self.checks.under_way() > 0
    }

    /// Whether calls run, are checked, wait to be approved, or were served without having been answered.
    pub(super) fn are_open(&self) -> bool {
        self.count() > 0 || !self.served.is_empty()
    }

    fn count(&self) -> usize {
        self.running.len() + self.checks.under_way() + self.approvals.waiting()
    }

    /// A call of this answer was served: the model shall go on when all are (protocol.md section 5.6).
    pub(super) fn serve(&mut self, response_id: Option<Id>) {
        if !self.served.contains(&response_id) {
            self.served.push(response_id);
        }
    }

    /// Whether the model can go on after an answer that has ended, as all its calls are served. Tells it once.
    pub(super) fn take_served(&mut self, has_ended: impl Fn(Option<&Id>) -> bool) -> bool {
        let is_done = |id: &mut Option<Id>| {
            has_ended(id.as_ref())
                && self.running.values().all(|call| call.response_id != *id)
                && !self.checks.is_awaited(id.as_ref())
                && !self.approvals.is_awaited(id.as_ref())
        };
        self.served.extract_if(.., is_done).count() > 0
    }

    fn see(&mut self, call: &FunctionCall) -> Sight {
        let print = self.hasher.hash_one((&call.name, &call.arguments));
        match self.seen.get(&call.call_id) {
            Some(known) if *known == print => Sight::Again,
            Some(_) => Sight::MixedUp,
            None => {
                self.seen.insert(call.call_id.clone(), print);
                Sight::New
            }
        }
    }

    /// Ends the spans of what still runs, is checked or waits: the session is over.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        for (_, mut running) in self.running.drain() {
            running.span.set_error(SpanError::new(UNFINISHED));
            running.span.finish_at(now);
        }
        self.checks.give_up(now);
        self.approvals.give_up(now);
    }
}

/// Tells in a call's span what came of it.
pub(super) fn note_result(span: &mut Span, tool: &str, result: Result<&str, &str>) {
    match result {
        Err(error) => span.set_error(
            SpanError::new("Error running tool").with_data(json!({"tool_name": tool, "error": error})),
        ),
        Ok(told) => span.update(|data| {
            if let SpanData::Function { output, .. } = data {
                *output = Some(told.to_owned());
            }
        }),
    }
}

/// Makes sense of the arguments a model wrote: JSON if it is, else the text itself; nothing is an empty object.
pub(super) fn parse_arguments(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return Value::Object(Map::new());
    }
    serde_json::from_str(arguments).unwrap_or_else(|_| Value::String(arguments.to_owned()))
}

impl Core {
    pub(super) fn on_output_item_done(&mut self, output: OutputItem) {
        let OutputItem { response_id, item } = output;
        if let Item::FunctionCall(call) = &item {
            if matches!(call.status, Some(ItemStatus::Completed) | None) {
                return self.on_call(call.clone(), response_id.as_ref());
            }
            return;
        }
        let answer = response_id.as_ref().map_or("", Id::as_str);
        if self.responses.standing(answer) != Standing::Outside {
            self.upsert(item, None, true);
        }
    }

    /// The calls that only the end of an answer tells of (protocol.md, trap 6).
    pub(super) fn run_calls_of(&mut self, response: &Response) {
        for item in &response.output {
            if let Item::FunctionCall(call) = item
                && matches!(call.status, Some(ItemStatus::Completed) | None)
            {
                self.on_call(call.clone(), response.id.as_ref());
            }
        }
    }

    fn on_call(&mut self, call: FunctionCall, response_id: Option<&Id>) {
        if call.call_id.is_empty() {
            return self.complain(
                "invalid_call",
                format!("the model called `{}` without a call id", call.name),
            );
        }
        match self.calls.see(&call) {
            Sight::New => {}
            Sight::Again => return,
            Sight::MixedUp => {
                let message = format!(
                    "the call {} came again with another name or other arguments",
                    call.call_id
                );
                return self.complain("invalid_call", message);
            }
        }
        let Some(agent) = self.responses.agent(response_id).or(self.charge.agent()).cloned() else {
            return;
        };
        let response_id = response_id.or(self.responses.known("")).cloned();
        let item_id = call.id.clone().unwrap_or_else(|| Id::from(call.call_id.as_str()));
        self.upsert(
            Item::FunctionCall(FunctionCall {
                id: Some(item_id.clone()),
                ..call.clone()
            }),
            None,
            true,
        );
        match agent.find(&call.name) {
            Some(Callable::Tool(_)) if self.calls.count() >= MAX_OPEN => {
                let told = format!("The tool {} was not run: too many calls are open", call.name);
                self.refuse_call(&call, &item_id, "too_many_calls", "Too many open calls", told);
                self.calls.serve(response_id);
            }
            Some(Callable::Tool(tool)) => {
                let tool = Arc::clone(tool);
                self.make_call(agent, tool, call, item_id, response_id);
            }
            Some(Callable::Handoff(handoff)) => {
                let to = handoff.agent.clone();
                let on_handoff = handoff.on_handoff.as_ref().map(|tool| {
                    let made = FunctionCall {
                        name: tool.spec().name.clone(),
                        ..call.clone()
                    };
                    let run = ToolRun {
                        tool: Arc::clone(tool),
                        call: self.tool_call(&agent, &call),
                        scope: self.charge.context(),
                    };
                    Box::new(OnHandoff { made, run })
                });
                let cause = Cause::Call {
                    call_id: call.call_id,
                    item_id,
                    response_id,
                    asked_by: Arc::clone(&agent),
                    on_handoff,
                };
                self.want_change(&agent.name, to, cause);
            }
            // No answer is asked for, lest the model calls again and again.
            None => {
                let told = agent.tell_unknown(&call.name);
                self.refuse_call(&call, &item_id, "tool_not_found", "Tool not found", told);
            }
        }
    }

    fn tool_call(&self, agent: &ResolvedAgent, call: &FunctionCall) -> ToolCall {
        let arguments = parse_arguments(&call.arguments);
        ToolCall::new(call.call_id.as_str(), agent.name.as_str(), arguments)
            .context(self.options.context.clone())
    }

    /// Runs a tool, once guardrails and people have let it pass.
    fn make_call(
        &mut self,
        agent: Arc<ResolvedAgent>,
        tool: Arc<dyn Tool>,
        made: FunctionCall,
        item_id: Id,
        response_id: Option<Id>,
    ) {
        let span = self.function_span(&made, tool.mcp_server());
        let run = Box::new(ToolRun {
            tool,
            scope: span.context(),
            call: self.tool_call(&agent, &made),
        });
        let call = OpenCall {
            made,
            span,
            agent,
            item_id,
            response_id,
            guardrails: run.tool.guardrails(),
        };
        self.check_call(call, Next::Approve(run));
    }

    pub(super) fn run_tool(&mut self, call: OpenCall, run: Box<ToolRun>) {
        self.emit(call.start());
        self.calls.running.insert(call.made.call_id.clone(), call);
        self.outputs.push_back(Output::RunTool(run));
    }

    /// The span of a call, under the agent in charge (span rule P3); `mcp_server` is the one that runs the tool.
    pub(super) fn function_span(&self, call: &FunctionCall, mcp_server: Option<&str>) -> Span {
        let scope = self.charge.context();
        if !scope.is_recording() {
            return Span::noop();
        }
        let (name, input) = (call.name.clone(), Some(call.arguments.clone()));
        let data = SpanData::Function {
            name,
            input,
            output: None,
            mcp_data: mcp_server.map(|server| json!({"server": server})),
        };
        let mut span = scope.span_at(data, self.now);
        span.set_metadata(keys::CALL_ID, call.call_id.as_str());
        span
    }

    /// Does not run a call, and says so to the model, to the application and in a span.
    fn refuse_call(&mut self, call: &FunctionCall, item_id: &Id, code: &str, reason: &str, told: String) {
        let mut span = self.function_span(call, None);
        span.set_error(SpanError::new(reason).with_data(json!({"tool_name": call.name})));
        span.finish_at(self.now);
        self.answer_call(call.call_id.clone(), item_id, told.clone());
        self.turn.note(ResponseStatus::Failed, Some(told.clone()));
        self.complain(code, told);
    }

    pub(super) fn on_tool_done(&mut self, call_id: &str, result: Result<ToolOutput, ToolError>) {
        if self.charge.is_preparing(call_id) {
            return self.on_prepared(result);
        }
        if let Some(call) = self.calls.running.remove(call_id) {
            self.check_call(call, Next::Answer(result));
        }
    }

    pub(super) fn finish_call(&mut self, mut call: OpenCall, result: Result<ToolOutput, ToolError>) {
        let tool = &call.made.name;
        self.is_ending |= matches!(result, Ok(ToolOutput::EndSession(_)));
        let error = result.as_ref().err().map(|error| error.message().to_owned());
        let output = match result {
            Ok(output) => output.into_text(),
            Err(error) => call.agent.tell_failure(tool, error.message()),
        };
        note_result(&mut call.span, tool, error.as_deref().map_or(Ok(&output), Err));
        self.end_call(call, output, error);
    }

    /// A call is over, with what the model is told and what went wrong, if anything did.
    pub(super) fn end_call(&mut self, call: OpenCall, output: String, error: Option<String>) {
        let OpenCall {
            made,
            span,
            agent,
            item_id,
            response_id,
            guardrails: _,
        } = call;
        span.finish_at(self.now);
        self.emit(SessionEvent::ToolEnd {
            agent: agent.name.clone(),
            tool: made.name,
            call_id: made.call_id.clone(),
            output: output.clone(),
            error,
        });
        self.answer_call(made.call_id, &item_id, output);
        self.calls.serve(response_id);
    }

    /// Tells the model what its call came to.
    pub(super) fn answer_call(&mut self, call_id: String, item_id: &Id, output: String) {
        let change = self.history.set_output(item_id, &output);
        tell(&mut self.outputs, change);
        let item = Item::FunctionCallOutput(FunctionCallOutput {
            id: None,
            call_id,
            output,
        });
        self.send("output", ClientEvent::ItemCreate { item });
    }
}
