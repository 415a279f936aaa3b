//! Calls that must be approved before they run (protocol.md section 6.5, rule 6). They wait, and the session goes on;
//! each is settled once: by the application, by a change of agent, or by the end of the session.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::json;

use super::call_checks::Next;
use super::calls::OpenCall;
use super::{Core, ToolRun};
use crate::protocol::Id;
use crate::session::decision::{Decision, Ruling};
use crate::session::{SessionError, SessionEvent};
use crate::tool::Tool;
use crate::trace::{Span, SpanError, Timestamp, keys};

#[derive(Debug, Default)]
pub(super) struct Approvals {
    /// By call ids, in the order in which they were made.
    waiting: IndexMap<String, Waiting>,
    /// What holds for all calls of a tool.
    standing: HashMap<ToolKey, Ruling>,
}

#[derive(Debug)]
struct Waiting {
    call: OpenCall,
    run: Box<ToolRun>,
    since: Timestamp,
}

/// A tool's name and its MCP server: lists of servers are made anew with each activation, so that nothing else lasts.
type ToolKey = (String, Option<String>);

fn key(tool: &dyn Tool) -> ToolKey {
    (tool.spec().name.clone(), tool.mcp_server().map(str::to_owned))
}

impl Approvals {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    #[cfg(test)]
    pub(super) fn waiting_ids(&self) -> Vec<String> {
        self.waiting.keys().cloned().collect()
    }

    /// Whether a call of this answer waits.
    pub(super) fn is_awaited(&self, response_id: Option<&Id>) -> bool {
        self.waiting
            .values()
            .any(|waiting| waiting.call.response_id.as_ref() == response_id)
    }

    /// Ends the spans of what still waits: the session is over.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        for (_, Waiting { mut call, since, .. }) in self.waiting.drain(..) {
            note(&mut call.span, "withdrawn", since, now);
            let error = SpanError::new("The session ended before the call was approved");
            call.span.set_error(error);
            call.span.finish_at(now);
        }
    }
}

/// Tells in a call's span what was decided, and how long that took.
fn note(span: &mut Span, decided: &str, since: Timestamp, now: Timestamp) {
    let waited = now.saturating_duration_since(since).as_millis();
    let waited = u64::try_from(waited).unwrap_or(u64::MAX);
    span.set_metadata(keys::APPROVAL, decided);
    span.set_metadata(keys::APPROVAL_WAITED_MS, waited);
}

impl Core {
    /// A call must be approved: asks for that, unless it was said before what holds for the tool.
    pub(super) fn want_approval(&mut self, call: OpenCall, run: Box<ToolRun>) {
        let since = self.now;
        let waiting = Waiting { call, run, since };
        if let Some(ruling) = self.calls.approvals.standing.get(&key(&*waiting.run.tool)) {
            let ruling = ruling.clone();
            return self.settle_call(waiting, ruling);
        }
        let made = &waiting.call.made;
        let event = SessionEvent::ToolApprovalRequired {
            agent: waiting.call.agent.name.clone(),
            tool: made.name.clone(),
            call_id: made.call_id.clone(),
            arguments: made.arguments.clone(),
        };
        self.calls.approvals.waiting.insert(made.call_id.clone(), waiting);
        self.emit(event);
    }

    /// The application has decided on a call.
    pub(super) fn decide(&mut self, call_id: &str, decision: Decision) -> Result<(), SessionError> {
        let Decision { ruling, always } = decision;
        let approvals = &mut self.calls.approvals;
        let Some(waiting) = approvals.waiting.shift_remove(call_id) else {
            return Err(SessionError::NotWaiting {
                call_id: call_id.to_owned(),
            });
        };
        let mut settled = vec![waiting];
        if always {
            let tool = key(&*settled[0].run.tool);
            let same = |_: &String, waiting: &mut Waiting| key(&*waiting.run.tool) == tool;
            settled.extend(approvals.waiting.extract_if(.., same).map(|(_, waiting)| waiting));
            approvals.standing.insert(tool, ruling.clone());
        }
        for waiting in settled {
            self.settle_call(waiting, ruling.clone());
        }
        Ok(())
    }

    fn settle_call(&mut self, waiting: Waiting, ruling: Ruling) {
        let Waiting { mut call, run, since } = waiting;
        match ruling {
            Ruling::Approved => {
                note(&mut call.span, "approved", since, self.now);
                self.check_call(call, Next::Run(run));
            }
            Ruling::Rejected(message) => {
                note(&mut call.span, "rejected", since, self.now);
                let told = message.unwrap_or_else(|| call.agent.tell_refusal(&call.made.name));
                self.reject(call, "Tool call was not approved", told);
            }
        }
    }

    /// Another agent takes charge: what the one before wanted is no longer asked for.
    pub(super) fn withdraw_approvals(&mut self, to: &str) {
        for (_, Waiting { mut call, since, .. }) in std::mem::take(&mut self.calls.approvals.waiting) {
            note(&mut call.span, "withdrawn", since, self.now);
            let tool = &call.made.name;
            let told = format!("The tool {tool} was not run: it was not approved before {to} took over.");
            self.reject(call, "Tool call was not approved before a handoff", told);
        }
    }

    /// Answers a call that does not run.
    fn reject(&mut self, mut call: OpenCall, reason: &str, told: String) {
        let error = SpanError::new(reason).with_data(json!({"tool_name": call.made.name}));
        call.span.set_error(error);
        self.end_call(call, told, Some("not approved".to_owned()));
    }
}
