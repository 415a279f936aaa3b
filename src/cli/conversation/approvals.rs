//! Questions about calls that need approval: one is open at a time, the others wait behind it.

use realtime_run::session::{Decision, SessionError};

use super::Conversation;
use crate::cli::approver::{self, Approver, CHOICE};
use crate::cli::style::in_one_line;
use crate::cli::turns::Input;

/// Characters of a name that are shown.
const SHOWN: usize = 160;
/// Characters of arguments that are shown: they are what is decided on.
const ARGUMENTS_SHOWN: usize = 4_000;

/// A call that waits for a decision.
#[derive(Debug)]
pub(super) struct Question {
    call_id: String,
    tool: String,
    text: String,
    /// Whether the person has seen it.
    shown: bool,
}

impl Conversation {
    /// A call needs approval.
    pub(super) fn on_approval_required(&mut self, agent: &str, tool: &str, call_id: &str, arguments: &str) {
        let [agent, tool] = [agent, tool].map(|name| in_one_line(name, SHOWN));
        match self.approver {
            Approver::Settled(true) => self.decide(call_id.to_owned(), Decision::approve()),
            Approver::Settled(false) => self.decide(call_id.to_owned(), Decision::reject()),
            Approver::Nobody => {
                let message = format!("`{tool}` needs approval, and there is nobody to ask: it is not run");
                self.printer
                    .warning(&message, Some("--approve always lets every call run"));
                self.decide(call_id.to_owned(), Decision::reject());
            }
            Approver::Person | Approver::Program => {
                let paint = self.printer.paint();
                let arguments = in_one_line(arguments, ARGUMENTS_SHOWN);
                self.questions.push_back(Question {
                    call_id: call_id.to_owned(),
                    text: format!("{agent} wants to call {} {arguments}", paint.name(&tool)),
                    tool,
                    shown: false,
                });
                if let Err(error) = self.turns.listen() {
                    self.refuse_all(&format!("stdin can't be read ({error})"));
                }
                self.show_question();
            }
        }
    }

    /// A call runs, or is over: if there was a question about it, there is none any more.
    pub(super) fn on_settled(&mut self, call_id: &str) {
        let before = self.questions.len();
        self.questions.retain(|question| question.call_id != call_id);
        if self.questions.len() < before {
            self.show_question();
            self.ask();
        }
    }

    /// Takes what answers a question, and what can be nothing else; gives back all other input.
    pub(super) fn take_answer(&mut self, input: Input) -> Option<Input> {
        match (self.approver, input) {
            (Approver::Person, Input::Message(line) | Input::Aside(line)) if self.is_question_shown() => {
                self.take_typed(&line);
            }
            (Approver::Program, Input::Message(line)) => return self.take_written(line).map(Input::Message),
            (Approver::Program, Input::Aside(line)) => {
                if self.take_written(line).is_some() {
                    let message =
                        "a line of stdin is passed over: with -m or --audio-in they only approve or reject";
                    self.printer.warning(message, None);
                }
            }
            (_, Input::Aside(_)) => {}
            (_, Input::End) if !self.questions.is_empty() && !self.turns.are_typed() => {
                self.refuse_all("stdin has ended");
            }
            (_, input) => return Some(input),
        }
        None
    }

    /// Does not approve what is asked for.
    pub(super) fn refuse_all(&mut self, why: &str) {
        for question in std::mem::take(&mut self.questions) {
            self.printer
                .warning(&format!("{why}: `{}` is not approved", question.tool), None);
            self.decide(question.call_id, Decision::reject());
        }
    }

    pub(super) fn on_decided(&mut self, result: Result<(), SessionError>) {
        // If the session is over, an event tells it.
        if let Err(error @ SessionError::NotWaiting { .. }) = result {
            self.printer.warning(&error.to_string(), None);
        }
        self.show_question();
        self.ask();
    }

    fn take_typed(&mut self, line: &str) {
        let Some(decision) = approver::typed(line) else {
            return self.printer.told(CHOICE);
        };
        if let Some(question) = self.questions.pop_front() {
            self.decide(question.call_id, decision);
        }
    }

    fn take_written(&mut self, line: String) -> Option<String> {
        match approver::written(&line) {
            Some(Ok((call_id, decision))) => {
                self.questions.retain(|question| question.call_id != call_id);
                self.decide(call_id, decision);
                None
            }
            Some(Err(why)) => {
                let help = r#"write {"type":"approve","call_id":"…"} or {"type":"reject","call_id":"…","message":"…"}"#;
                self.printer.warning(
                    &format!("this line approves or rejects nothing: {why}"),
                    Some(help),
                );
                None
            }
            None => Some(line),
        }
    }

    fn decide(&mut self, call_id: String, decision: Decision) {
        let handle = self.session.handle();
        self.deciding
            .spawn(async move { handle.decide(call_id, decision).await });
    }

    fn is_question_shown(&self) -> bool {
        self.questions.front().is_some_and(|question| question.shown)
    }

    /// Shows the first question, unless a line is being typed or what was just decided may settle it.
    pub(super) fn show_question(&mut self) {
        if self.approver != Approver::Person || self.is_asked || !self.deciding.is_empty() {
            return;
        }
        if let Some(question) = self.questions.front_mut().filter(|question| !question.shown) {
            question.shown = true;
            self.printer.told(&format!("{}\n{CHOICE}", question.text));
        }
    }
}
