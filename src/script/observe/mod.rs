//! What is seen of a conversation while a script is played.
//!
//! In: the session's events, each with its time. Out: a [`Window`] for each turn, with what happened, the transcript and
//! the first word and sound; and what decides when the next turn begins: whether the session is busy, which calls wait for
//! approval, when the answer was first heard. Nothing here waits or reads a clock.

mod answer;
mod window;
mod work;

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;

use self::answer::Answer;
pub(super) use self::window::Window;
use self::work::Call;
use super::happening::Happening;
use super::{EventKind, Line, Speaker};
use crate::protocol::{ResponseStatus, Role, Usage};
use crate::session::{EndReason, HistoryItem, SessionEvent};

/// Sees a conversation.
#[derive(Debug, Default)]
pub(super) struct Observer {
    window: Window,
    /// Whether the end of a turn is still to come.
    busy: bool,
    /// The answer that is under way. Events do not tell which one words belong to, so that there is but one.
    answer: Option<Answer>,
    /// The agent that answered last.
    agent: Option<String>,
    /// Whether it is told already that the answer was cut off.
    cut_off: bool,
    /// Calls that are not over.
    calls: HashMap<String, Call>,
    /// Calls that wait for approval: their tools by their ids, in the order in which they were made.
    waiting: IndexMap<String, String>,
    /// When the first word or sound of an answer came since the user last spoke.
    content_at: Option<Duration>,
    usage: Usage,
    end: Option<EndReason>,
}

impl Observer {
    /// Ends the window and begins another one.
    pub(super) fn next_window(&mut self, at: Duration) -> Window {
        self.calls.values_mut().for_each(|call| call.line = None);
        if let Some(answer) = &mut self.answer {
            answer.first_call = None;
        }
        self.window.end();
        std::mem::replace(&mut self.window, Window::new(at))
    }

    /// A turn begins, perhaps later than its window.
    pub(super) fn begin_turn(&mut self, at: Duration) {
        self.window.began_at = at;
        self.window.set_origin(at);
    }

    /// The user begins to say something: what is heard from now on is an answer to that.
    pub(super) fn user_begins(&mut self, line: impl Into<String>) {
        self.content_at = None;
        self.window.is_said = true;
        self.window.tell(Speaker::User, line);
    }

    /// What the user said or did has ended: times are told from here.
    pub(super) fn user_ended(&mut self, at: Duration) {
        self.window.set_origin(at);
    }

    /// Something is under way whose end is told as the end of a turn.
    pub(super) fn is_due(&mut self) {
        self.busy = true;
    }

    /// Puts a remark into the transcript.
    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.window.tell(Speaker::Note, text);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether an answer is being given.
    pub(super) fn is_answering(&self) -> bool {
        self.answer.is_some()
    }

    /// The calls that wait for approval: ids and tools.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&str, &str)> {
        self.waiting.iter().map(|(id, tool)| (id.as_str(), tool.as_str()))
    }

    /// A call is decided on, and waits no more.
    pub(super) fn is_decided(&mut self, call_id: &str) {
        self.waiting.shift_remove(call_id);
    }

    pub(super) fn content_at(&self) -> Option<Duration> {
        self.content_at
    }

    pub(super) fn happened(&self) -> &[Happening] {
        &self.window.happened
    }

    /// Why the session is over, if it is.
    pub(super) fn end(&self) -> Option<&EndReason> {
        self.end.as_ref()
    }

    /// Tokens of all answers so far.
    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Takes in an event that came at that time.
    pub(super) fn note(&mut self, at: Duration, event: &SessionEvent) {
        match event {
            SessionEvent::AgentStart { agent, .. } => {
                self.busy = true;
                self.cut_off = false;
                self.answer = Some(Answer::default());
                self.agent = Some(agent.clone());
            }
            SessionEvent::TextDelta { item_id, delta, .. }
            | SessionEvent::TranscriptDelta { item_id, delta, .. } => {
                self.hear(at, false);
                self.answer.get_or_insert_default().grow(item_id, delta);
            }
            SessionEvent::Audio { .. } => self.hear(at, true),
            SessionEvent::Latency(latency) => self.window.measure(latency),
            SessionEvent::Usage { usage, .. } => self.note_usage(usage),
            SessionEvent::AgentEnd {
                agent,
                status,
                reason,
                ..
            } => self.end_answer(at, agent, *status, reason.as_deref()),
            SessionEvent::AudioInterrupted { .. } => self.interrupted(at),
            SessionEvent::HistoryAdded { item } => self.note_entry(item, true),
            SessionEvent::HistoryUpdated { item } => self.note_entry(item, false),
            SessionEvent::InputTranscript { transcript, .. } => self.note_speech(transcript),
            SessionEvent::TurnEnd { status, reason } => self.end_turn(*status, reason.as_deref()),
            SessionEvent::SessionEnd { reason, .. } => self.end = Some(reason.clone()),
            other => self.note_work(at, other),
        }
    }

    fn hear(&mut self, at: Duration, is_sound: bool) {
        self.content_at.get_or_insert(at);
        self.window.hear(at, is_sound);
    }

    fn note_usage(&mut self, usage: &Usage) {
        self.usage.add(usage);
        self.answer.get_or_insert_default().usage = Some(usage.clone());
    }

    /// An answer has ended. What it said comes before the calls that it made, then what it cost.
    fn end_answer(&mut self, at: Duration, agent: &str, status: ResponseStatus, reason: Option<&str>) {
        let answer = self.answer.take().unwrap_or_default();
        let words = answer.words();
        let about = Happening {
            agent: Some(agent.to_owned()),
            usage: answer.usage.clone(),
            status,
            ..self.window.happening(EventKind::Response, at)
        };
        if status == ResponseStatus::Cancelled {
            self.interrupted(at);
        }
        let mut told = Vec::new();
        if !words.is_empty() {
            let (happened, lines) = (self.window.happened.len(), self.window.lines.len());
            let (happening, line) = answer.first_call.unwrap_or((happened, lines));
            let speaker = Speaker::Agent(agent.to_owned());
            self.insert_line(
                line,
                Line {
                    speaker,
                    text: words.clone(),
                },
            );
            told.push(Happening {
                words,
                ..about.clone()
            });
            if about.usage.is_some() {
                let kind = EventKind::Usage;
                told.push(Happening { kind, ..about });
            }
            self.window.happened.splice(happening..happening, told);
        } else if about.usage.is_some() {
            let kind = EventKind::Usage;
            self.window.happened.push(Happening { kind, ..about });
        }
        if let Some(fault) = fault(status, reason) {
            self.note_error(at, Some(agent.to_owned()), fault.clone());
            self.window.faults.push(fault);
        }
    }

    /// Puts in a line of the transcript; calls below it move down.
    fn insert_line(&mut self, place: usize, line: Line) {
        self.window.lines.insert(place, line);
        let below = self.calls.values_mut().filter_map(|call| call.line.as_mut());
        below.filter(|line| **line >= place).for_each(|line| *line += 1);
    }

    /// An answer is cut off: told once, however many of its parts are.
    fn interrupted(&mut self, at: Duration) {
        if !std::mem::replace(&mut self.cut_off, true) {
            self.remark("the answer is cut off");
            self.window.happened.push(Happening {
                agent: self.agent.clone(),
                ..self.window.happening(EventKind::Interrupted, at)
            });
        }
    }

    fn note_entry(&mut self, item: &HistoryItem, is_new: bool) {
        match item {
            HistoryItem::Message {
                item_id,
                role: Role::Assistant,
                ..
            } => {
                let words = item.text();
                match &mut self.answer {
                    Some(answer) if is_new => answer.add(item_id, words),
                    Some(answer) => answer.update(item_id, words),
                    None => {}
                }
            }
            HistoryItem::ToolCall {
                call_id,
                arguments,
                output: None,
                ..
            } => self
                .calls
                .entry(call_id.clone())
                .or_default()
                .arguments
                .clone_from(arguments),
            _ => {}
        }
    }

    /// The words of the user's speech have become known.
    fn note_speech(&mut self, transcript: &str) {
        let lines = &mut self.window.lines;
        match lines.iter_mut().find(|line| line.speaker == Speaker::User) {
            Some(line) => {
                line.text.push_str(": ");
                line.text.push_str(transcript);
            }
            None => self.window.tell(Speaker::User, transcript),
        }
    }

    fn note_error(&mut self, at: Duration, agent: Option<String>, words: String) {
        self.remark(format!("error: {words}"));
        self.window.happened.push(Happening {
            agent,
            words,
            status: ResponseStatus::Failed,
            ..self.window.happening(EventKind::Error, at)
        });
    }

    fn end_turn(&mut self, status: ResponseStatus, reason: Option<&str>) {
        self.busy = false;
        self.calls.clear();
        if self.window.faults.is_empty() {
            self.window.faults.extend(fault(status, reason));
        }
    }
}

/// What is wrong with an answer that ended so, if anything is.
fn fault(status: ResponseStatus, reason: Option<&str>) -> Option<String> {
    let what = match status {
        ResponseStatus::Failed => "the answer failed",
        ResponseStatus::Incomplete => "the answer is incomplete",
        _ => return None,
    };
    Some(match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    })
}

#[cfg(test)]
mod tests;
