//! What guardrails say of answers (protocol.md section 6.6): when they look, and what follows when one objects.
//!
//! Each guardrail looks at one answer at a time, and while it does the next look waits for whatever comes until then: looks
//! never pile up. It has one span for each answer, from its first look to its verdict on the whole: a span for each look
//! would drown the trace of a long answer, and tell nothing more.

use std::sync::Arc;

use super::responses::Standing;
use super::trip::{Trip, judge};
use super::{CheckId, Core, GuardrailRun, Output};
use crate::agent::ResolvedAgent;
use crate::protocol::{Id, Item, Message, Part, Response, ResponseStatus};
use crate::session::{EndReason, SessionEvent};
use crate::tool::{Debounce, GuardrailCheck, GuardrailError, GuardrailPlace, Subject, Verdict};
use crate::trace::{Span, SpanData, SpanError, Timestamp, keys};

/// Answers that are watched at once at the most; the oldest of more is given up.
const MAX_ANSWERS: usize = 64;
/// Answers in one turn after which the model is told of an objection. It may not find words that pass.
const MAX_TRIPS: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Watch {
    answers: Vec<Answer>,
    /// How many answers were watched so far; the number of the next.
    watched: u64,
    /// How many answers of the conversation have begun.
    begun: u64,
    /// Objections since the user's turn.
    trips: usize,
}

/// An answer that is watched.
#[derive(Debug)]
struct Answer {
    number: u64,
    response_id: Option<Id>,
    agent: Arc<ResolvedAgent>,
    /// How many answers of the conversation had begun when its first words came.
    begun: u64,
    /// Whether it stands outside the conversation.
    outside: bool,
    /// The items whose words have come, the newest last; some perhaps more than once.
    items: Vec<Id>,
    /// The words, of all items.
    text: String,
    characters: u64,
    /// How many characters there must be for the next look.
    next_look: u64,
    /// One for each guardrail of the agent.
    looks: Vec<Look>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It goes on.
    Running,
    /// A guardrail has objected; the rest of it is of no interest.
    Tripped,
    /// All of it has come.
    Ended,
}

/// How far one guardrail is with an answer.
#[derive(Debug, Default)]
struct Look {
    /// Since it first looked.
    span: Option<Span>,
    is_looking: bool,
    /// Whether it is to look again, at whatever has come until then.
    is_due: bool,
    /// Bytes of the text that it has seen, or is looking at.
    seen: usize,
    /// Whether it has failed before, which is told once.
    has_failed: bool,
}

impl Watch {
    /// An answer has begun.
    pub(super) fn answer_begins(&mut self, in_conversation: bool) {
        self.begun += u64::from(in_conversation);
    }

    /// Whether an answer that has ended is still being looked at: only then it is known how the turn ends.
    pub(super) fn is_waited_for(&self) -> bool {
        self.answers.iter().any(|answer| answer.stage == Stage::Ended)
    }

    /// The user's turn has come.
    pub(super) fn turn_ends(&mut self) {
        self.trips = 0;
    }

    /// The place of an answer that has not ended.
    fn find(&self, response_id: Option<&Id>) -> Option<usize> {
        self.answers
            .iter()
            .rposition(|answer| answer.stage != Stage::Ended && answer.response_id.as_ref() == response_id)
    }
}

impl Answer {
    fn take(&mut self, item_id: &Id, words: &str) {
        if self.items.last() != Some(item_id) {
            if !self.items.is_empty() {
                self.text.push('\n');
            }
            self.items.push(item_id.clone());
        }
        self.text.push_str(words);
        self.characters += words.chars().count() as u64;
    }

    /// Whether it is time for a look. At most one for each piece, however long that is.
    fn is_due(&mut self) -> bool {
        let Debounce::Characters(step) = self.agent.guardrail_debounce else {
            return false;
        };
        let step = u64::from(step.max(1));
        let is_due = self.characters >= self.next_look.max(step);
        if is_due {
            self.next_look = (self.characters / step + 1) * step;
        }
        is_due
    }

    /// Takes the words as they are in the end, which may be others than came piece by piece.
    fn end(&mut self, response: &Response) {
        let messages = response.output.iter().filter_map(|item| match item {
            Item::Message(message) => Some(message),
            _ => None,
        });
        let texts: Vec<String> = messages.clone().map(Message::text).collect();
        let text = texts.join("\n");
        self.items
            .extend(messages.filter_map(|message| message.id.clone()));
        if !text.trim().is_empty() && text != self.text {
            self.text = text;
            self.looks.iter_mut().for_each(|look| look.seen = 0);
        }
    }

    fn is_looked_at(&self) -> bool {
        self.looks.iter().any(|look| look.is_looking)
    }

    /// An item is gone. Says whether it was the last of this answer's.
    fn forget(&mut self, item_id: &Id) -> bool {
        let known = self.items.len();
        self.items.retain(|own| own != item_id);
        if self.items.len() == known {
            return false;
        }
        if self.items.is_empty() {
            self.text.clear();
            (self.characters, self.next_look) = (0, 0);
            self.looks.iter_mut().for_each(|look| look.seen = 0);
        }
        self.items.is_empty()
    }

    fn name_of(&self, guardrail: usize) -> String {
        self.agent.output_guardrails[guardrail].name().to_owned()
    }

    /// Ends the spans; those of looks that have not come to their end say why.
    fn finish(self, now: Timestamp, why: &str) {
        for look in self.looks {
            look.finish(now, why);
        }
    }
}

impl Look {
    /// Ends its span, which says why if it has not come to its end.
    fn finish(self, now: Timestamp, why: &str) {
        let Some(mut span) = self.span else { return };
        if self.is_looking {
            span.set_error(SpanError::new(why));
        }
        span.finish_at(now);
    }
}

impl Core {
    /// Words of an answer have come, and are passed on.
    pub(super) fn watch_words(&mut self, response_id: &str, item_id: &Id, words: &str) {
        let agent = self.responses.agent_of(response_id).or(self.charge.agent());
        let Some(agent) = agent.filter(|agent| !agent.output_guardrails.is_empty()) else {
            return;
        };
        let known = self.responses.known(response_id);
        let place = match self.watch.find(known) {
            Some(place) => place,
            None => {
                let (agent, known) = (Arc::clone(agent), known.cloned());
                let outside = self.responses.standing(response_id) == Standing::Outside;
                self.begin_watch(known, agent, outside)
            }
        };
        let answer = &mut self.watch.answers[place];
        if answer.stage == Stage::Running {
            answer.take(item_id, words);
            if answer.is_due() {
                self.look_all(place);
            }
        }
    }

    fn begin_watch(&mut self, response_id: Option<Id>, agent: Arc<ResolvedAgent>, outside: bool) -> usize {
        if self.watch.answers.len() == MAX_ANSWERS {
            let oldest = self.watch.answers.remove(0);
            oldest.finish(self.now, "Too many responses were watched");
        }
        self.watch.watched += 1;
        self.watch.answers.push(Answer {
            number: self.watch.watched,
            response_id,
            begun: self.watch.begun,
            outside,
            items: Vec::new(),
            text: String::new(),
            characters: 0,
            next_look: 0,
            looks: agent.output_guardrails.iter().map(|_| Look::default()).collect(),
            stage: Stage::Running,
            agent,
        });
        self.watch.answers.len() - 1
    }

    /// An answer has ended: the guardrails look at the whole of it, as far as they have not.
    pub(super) fn end_watch(&mut self, response: &Response) {
        let id = response.id.as_ref();
        let name = id.map_or("", Id::as_str);
        let standing = self.responses.standing(name);
        let was_cut = standing == Standing::Late;
        let place = match self.watch.find(id) {
            Some(place) => place,
            None => {
                let agent = self.responses.agent(id).or(self.charge.agent());
                let Some(agent) = agent.filter(|agent| !was_cut && !agent.output_guardrails.is_empty())
                else {
                    return;
                };
                let outside = standing == Standing::Outside;
                self.begin_watch(id.cloned(), Arc::clone(agent), outside)
            }
        };
        let answer = &mut self.watch.answers[place];
        if answer.stage == Stage::Tripped {
            self.watch.answers.remove(place);
            return;
        }
        answer.stage = Stage::Ended;
        if !was_cut {
            answer.end(response);
        }
        self.look_all(place);
        self.finish_watch(place);
    }

    /// Has every guardrail look that has something new to see and is not looking already.
    fn look_all(&mut self, place: usize) {
        for guardrail in 0..self.watch.answers[place].looks.len() {
            self.look(place, guardrail);
        }
    }

    fn look(&mut self, place: usize, guardrail: usize) {
        let answer = &mut self.watch.answers[place];
        let look = &mut answer.looks[guardrail];
        if look.seen == answer.text.len() {
            return;
        }
        if look.is_looking {
            look.is_due = true;
            return;
        }
        (look.is_looking, look.seen) = (true, answer.text.len());
        let own = &answer.agent.output_guardrails[guardrail];
        let scope = self.charge.context();
        let span = look.span.get_or_insert_with(|| {
            let mut span = scope.span_at(SpanData::guardrail(own.name()), self.now);
            if let Some(id) = &answer.response_id {
                span.set_metadata(keys::RESPONSE_ID, id.as_str());
            }
            span
        });
        let text = answer.text.clone();
        let run = GuardrailRun {
            id: CheckId::Answer {
                answer: answer.number,
                guardrail,
            },
            guardrail: Arc::clone(own),
            check: GuardrailCheck::new(Subject::Output { text }, answer.agent.name.as_str())
                .context(self.options.context.clone()),
            scope: span.context(),
        };
        self.outputs.push_back(Output::RunGuardrail(Box::new(run)));
    }

    /// A look has come to its end.
    pub(super) fn on_looked(
        &mut self,
        answer: u64,
        guardrail: usize,
        result: Result<Verdict, GuardrailError>,
    ) {
        let Some(place) = self
            .watch
            .answers
            .iter()
            .position(|own| own.number == answer && own.stage != Stage::Tripped)
        else {
            return;
        };
        let answer = &mut self.watch.answers[place];
        let name = answer.name_of(guardrail);
        let look = &mut answer.looks[guardrail];
        look.is_looking = false;
        match judge(&name, look.span.get_or_insert_with(Span::noop), result) {
            Ok(None) => {}
            Ok(Some(trip)) => return self.trip(place, trip),
            Err(error) => self.look_failed(place, guardrail, &error),
        }
        if std::mem::take(&mut self.watch.answers[place].looks[guardrail].is_due) {
            self.look(place, guardrail);
        }
        self.finish_watch(place);
    }

    /// A guardrail that can't tell is passed over, and the application told, once for each answer.
    fn look_failed(&mut self, place: usize, guardrail: usize, error: &GuardrailError) {
        let answer = &mut self.watch.answers[place];
        let (name, agent) = (answer.name_of(guardrail), answer.agent.name.clone());
        let look = &mut answer.looks[guardrail];
        if !std::mem::replace(&mut look.has_failed, true) {
            let message = format!("the guardrail `{name}` could not look at what {agent} says: {error}");
            self.emit(SessionEvent::Warning { message });
        }
    }

    /// Forgets an answer that has ended, once every guardrail has seen the whole of it.
    fn finish_watch(&mut self, place: usize) {
        let answer = &self.watch.answers[place];
        if answer.stage == Stage::Ended && !answer.is_looked_at() {
            self.watch.answers.remove(place).finish(self.now, "");
        }
    }

    /// A guardrail objects: this answer is stopped, and the model told.
    fn trip(&mut self, place: usize, trip: Trip) {
        let Trip {
            guardrail: name,
            message,
            stops,
        } = trip;
        let answer = &mut self.watch.answers[place];
        let goes_on = answer.stage == Stage::Running;
        let response_id = answer.response_id.clone();
        let may_answer = !answer.outside && answer.begun == self.watch.begun;
        let agent = answer.agent.name.clone();
        answer.stage = Stage::Tripped;
        for look in std::mem::take(&mut answer.looks) {
            look.finish(self.now, "Another guardrail was first");
        }
        if !goes_on {
            self.watch.answers.remove(place);
        }
        self.emit(SessionEvent::Guardrail {
            guardrail: name.clone(),
            agent,
            place: GuardrailPlace::Output,
            message: message.clone(),
            response_id: response_id.clone(),
            tool: None,
            call_id: None,
        });
        self.stop_answer(response_id.as_ref(), goes_on);
        if stops {
            let guardrail = name;
            return self.end(EndReason::Guardrail { guardrail, message });
        }
        if may_answer {
            self.tell_objection(&name, message);
        }
    }

    /// Tells the model, which answers that, unless it has been told too often.
    fn tell_objection(&mut self, guardrail: &str, message: Option<String>) {
        self.watch.trips += 1;
        if self.watch.trips > MAX_TRIPS {
            let reason = format!(
                "the guardrail `{guardrail}` objected to {} answers in a row",
                self.watch.trips
            );
            return self.turn.note(ResponseStatus::Failed, Some(reason));
        }
        let text = message.unwrap_or_else(|| format!("guardrail triggered: {guardrail}"));
        self.say(vec![Part::InputText { text }]);
    }

    /// The item is gone, and its words with it.
    pub(super) fn drop_watch(&mut self, item_id: &Id) {
        let is_over = |answer: &mut Answer| answer.forget(item_id) && answer.stage == Stage::Ended;
        let over: Vec<_> = self.watch.answers.extract_if(.., is_over).collect();
        for answer in over {
            answer.finish(self.now, "The item was deleted before the check was done");
        }
    }

    /// The session is over.
    pub(super) fn give_up_watch(&mut self) {
        for answer in std::mem::take(&mut self.watch.answers) {
            answer.finish(self.now, "The session ended before the check was done");
        }
    }
}
