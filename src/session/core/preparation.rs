//! What takes the input of a handoff before the other agent takes over. It is a call like any other, with a span of its
//! own under the agent in charge (span rules P3, P4), and where it fails, so does the handoff (L6).

use std::time::Duration;

use super::calls::note_result;
use super::charge::{Change, Stage};
use super::{Core, Output, ToolRun};
use crate::protocol::FunctionCall;
use crate::tool::{ToolError, ToolOutput};
use crate::trace::{Span, SpanError, Timestamp};

/// How long it may take: no answer is asked for meanwhile.
pub(super) const PREPARE_LIMIT: Duration = Duration::from_secs(120);

/// What is to run.
#[derive(Debug)]
pub(super) struct OnHandoff {
    /// The model's call, by the tool's own name.
    pub(super) made: FunctionCall,
    pub(super) run: ToolRun,
}

/// What runs, and for which change of agent.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) change: Change,
    pub(super) until: Timestamp,
    made: FunctionCall,
    span: Span,
}

impl Preparation {
    pub(super) fn is_for(&self, call_id: &str) -> bool {
        self.made.call_id == call_id
    }

    /// It is no longer waited for. Gives back the change.
    pub(super) fn give_up(mut self, now: Timestamp, why: &str) -> Change {
        self.span.set_error(SpanError::new(why));
        self.span.finish_at(now);
        self.change
    }
}

/// Whether it can run now, without anybody being asked.
fn at_once(run: &ToolRun) -> Result<(), ToolError> {
    if !run.tool.guardrails().is_empty() {
        let why = "what takes its input has guardrails, and no handoff waits for those";
        return Err(ToolError::new(why));
    }
    match run.tool.needs_approval(&run.call)? {
        false => Ok(()),
        true => Err(ToolError::new(
            "what takes its input needs approval, and no handoff waits for that",
        )),
    }
}

impl Core {
    pub(super) fn prepare(&mut self, change: Change, on_handoff: OnHandoff) {
        let OnHandoff { made, mut run } = on_handoff;
        let span = self.function_span(&made, run.tool.mcp_server());
        let mut preparation = Preparation {
            change,
            until: self.now + PREPARE_LIMIT,
            made,
            span,
        };
        match at_once(&run) {
            Ok(()) => {
                run.scope = preparation.span.context();
                self.outputs.push_back(Output::RunTool(Box::new(run)));
                self.charge.set_stage(Stage::Preparing(preparation));
            }
            Err(error) => {
                note_result(
                    &mut preparation.span,
                    &preparation.made.name,
                    Err(error.message()),
                );
                preparation.span.finish_at(self.now);
                self.change_failed(preparation.change, error.message());
            }
        }
    }

    pub(super) fn on_prepared(&mut self, result: Result<ToolOutput, ToolError>) {
        let Some(mut preparation) = self.charge.take_preparation() else {
            return;
        };
        let result = result.map(ToolOutput::into_text);
        let told = result.as_deref().map_err(ToolError::message);
        note_result(&mut preparation.span, &preparation.made.name, told);
        preparation.span.finish_at(self.now);
        match told {
            Ok(_) => self.resolve_next(preparation.change),
            Err(error) => {
                self.change_failed(preparation.change, error);
                self.start_next_change();
            }
        }
    }
}
