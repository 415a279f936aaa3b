//! The session as a state machine without I/O.
//!
//! The contract: hand every input to [`Core::handle`] with the time at which it came; after each, drain
//! [`Core::poll_output`] until it gives nothing, and carry the outputs out in that order; come back with
//! [`Input::Time`] at [`Core::deadline`] if nothing else came before. The core never awaits, spawns, reads a
//! clock or knows a socket, so any order of events can be played to it in a test. Nor does it wait for a lock, but for
//! the moment in which what the run knows is looked up, to tell whether a call must be approved.
//!
//! Spans are started and finished here, at the times of the inputs; a processor takes them without blocking.

mod answers;
mod approval;
mod call_checks;
mod calls;
mod charge;
mod end;
mod entry;
mod exchange;
mod generation;
mod history;
mod latency;
mod messages;
mod playback;
mod preparation;
mod responses;
mod sent_audio;
mod sequencer;
mod speech;
#[cfg(test)]
mod tests;
mod transcription;
mod trip;
mod turn;
mod watch;

use std::collections::VecDeque;

use serde_json::Value;

use self::calls::Calls;
use self::charge::Charge;
use self::entry::Phase;
pub(super) use self::exchange::{CheckId, CoreOptions, GuardrailRun, Input, Output, ToolRun};
use self::generation::Generations;
pub use self::history::HistoryItem;
use self::history::{Change, History};
use self::latency::Latencies;
use self::playback::Playback;
use self::responses::Responses;
use self::sent_audio::SentAudio;
use self::sequencer::{Sequencer, own_id};
use self::speech::Speeches;
use self::transcription::Transcriptions;
use self::turn::Turn;
use self::watch::Watch;
use super::SessionEvent;
use super::command::Command;
use crate::protocol::{
    ApiError, ClientEvent, Id, Item, Message, Part, ResponseStatus, ServerEvent, SessionInfo,
    TranscriptionTotals, Usage,
};
use crate::trace::Timestamp;

/// Audio in one event at the most, in bytes: large pieces would hold up what comes after them.
const AUDIO_CHUNK: usize = 256 << 10;

pub(crate) struct Core {
    options: CoreOptions,
    /// The time of the input being handled.
    now: Timestamp,
    /// Since when the session can be used.
    opened_at: Timestamp,
    outputs: VecDeque<Output>,
    /// For event ids, by which errors are told apart.
    events_sent: u64,
    phase: Phase,
    /// Until when the session must be open.
    open_until: Timestamp,
    /// What the server said was wrong while it was being opened.
    refusal: Option<ApiError>,
    /// The server's word on the session, last heard.
    info: SessionInfo,
    charge: Charge,
    sequencer: Sequencer,
    responses: Responses,
    history: History,
    playback: Playback,
    sent_audio: SentAudio,
    calls: Calls,
    generations: Generations,
    speeches: Speeches,
    transcriptions: Transcriptions,
    watch: Watch,
    turn: Turn,
    latencies: Latencies,
    /// Whether the session ends with this turn, as the model wishes.
    is_ending: bool,
    /// Tokens of all answers.
    usage: Usage,
    /// What transcribing the user's speech has cost.
    transcription_usage: TranscriptionTotals,
    /// A fatal error after which the server's close is awaited, and until when.
    fatal: Option<(ApiError, Timestamp)>,
}

impl Core {
    /// A session about to be opened; the starting agent's span starts here (span rule L1).
    pub(crate) fn new(now: Timestamp, options: CoreOptions) -> Self {
        let charge = Charge::begin(now, &options);
        let open_until = now + options.open_limit;
        let mut core = Self {
            phase: Phase::Resolving { until: open_until },
            open_until,
            refusal: None,
            now,
            opened_at: now,
            outputs: VecDeque::new(),
            events_sent: 0,
            info: SessionInfo::default(),
            charge,
            sequencer: Sequencer::new(),
            responses: Responses::default(),
            history: History::default(),
            playback: Playback::default(),
            sent_audio: SentAudio::default(),
            calls: Calls::default(),
            generations: Generations::default(),
            speeches: Speeches::default(),
            transcriptions: Transcriptions::default(),
            watch: Watch::default(),
            turn: Turn::default(),
            latencies: Latencies::default(),
            is_ending: false,
            usage: Usage::default(),
            transcription_usage: TranscriptionTotals::default(),
            fatal: None,
            options,
        };
        core.resolve(core.options.agent.clone());
        core
    }

    /// Takes one input.
    pub(crate) fn handle(&mut self, now: Timestamp, input: Input<'_>) {
        if self.phase == Phase::Ended {
            return;
        }
        self.now = now;
        match input {
            Input::Server(event) if self.phase == Phase::Open && self.on_delta(&event) => return,
            Input::Server(event) => self.on_server_event(event),
            Input::Unreadable(error) => self.complain("unreadable_event", error.to_string()),
            Input::Resolved(result) => self.on_resolved(result),
            Input::Connected(result) => self.on_connected(result),
            Input::Command(command) => self.on_command(command),
            Input::ToolDone { call_id, result } => self.on_tool_done(&call_id, result),
            Input::GuardrailDone { id, result } => match id {
                CheckId::Answer { answer, guardrail } => self.on_looked(answer, guardrail, result),
                CheckId::Call { call_id, guardrail } => self.on_call_checked(&call_id, guardrail, result),
            },
            Input::Closed(close) => self.on_closed(close),
            Input::Aborted => self.abort(),
            Input::Time => self.on_time(),
        }
        self.settle();
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back at the latest.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let fatal = self.fatal.as_ref().map(|(_, until)| *until);
        [
            fatal,
            self.phase.deadline(),
            self.charge.deadline(),
            self.speeches.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether server events must wait until a tool that runs in line has ended.
    pub(crate) fn is_blocked(&self) -> bool {
        self.calls.are_running() && !self.charge.runs_tools_in_background()
    }

    /// The conversation so far.
    pub(crate) fn history(&self) -> impl Iterator<Item = &HistoryItem> {
        self.history.iter()
    }

    fn on_server_event(&mut self, event: ServerEvent<'_>) {
        if self.phase != Phase::Open && self.on_entry_event(&event) {
            return;
        }
        match event {
            ServerEvent::SessionCreated(info) => self.learn(info),
            ServerEvent::SessionUpdated(info) => {
                self.learn(info);
                self.on_settings_accepted();
            }
            ServerEvent::Error(error) => self.on_error(error),
            ServerEvent::ItemAdded(event) => {
                self.note_input(&event.item);
                self.upsert(event.item, event.previous_item_id.as_ref(), false)
            }
            ServerEvent::ItemDone(event) => {
                self.note_input(&event.item);
                self.upsert(event.item, event.previous_item_id.as_ref(), true)
            }
            ServerEvent::ItemRetrieved(event) => {
                self.upsert(event.item, event.previous_item_id.as_ref(), true)
            }
            ServerEvent::ItemTruncated(item) => {
                let change = self.history.truncate(&item.item_id, item.audio_end_ms);
                tell(&mut self.outputs, change);
            }
            ServerEvent::ItemDeleted(item) => self.on_deleted(item.item_id),
            ServerEvent::InputTranscriptDone(transcript) => self.on_input_transcript(transcript),
            ServerEvent::InputTranscriptFailed(failure) => {
                let (item_id, error) = (failure.item_id, Box::new(failure.error));
                self.fail_transcription(&item_id, &error);
                self.emit(SessionEvent::InputTranscriptFailed { item_id, error });
            }
            ServerEvent::SpeechStarted(item) => self.on_speech_started(item),
            ServerEvent::SpeechStopped(item) => {
                let (item_id, audio_end_ms) = (item.item_id, item.audio_end_ms);
                self.end_spoken_turn(audio_end_ms);
                self.emit(SessionEvent::SpeechStopped {
                    item_id,
                    audio_end_ms,
                });
            }
            ServerEvent::IdleTimeout(item) => {
                self.emit(SessionEvent::InputAudioTimeoutTriggered {
                    item_id: item.item_id,
                });
            }
            ServerEvent::ResponseCreated(response) => self.on_response_created(*response),
            ServerEvent::ResponseDone(response) => self.on_response_done(*response),
            ServerEvent::OutputItemDone(output) => self.on_output_item_done(output),
            ServerEvent::AudioDone(part) => {
                let (item_id, content_index) = (part.item_id, part.content_index);
                self.end_speech(&item_id);
                self.emit(SessionEvent::AudioEnd {
                    item_id,
                    content_index,
                });
            }
            ServerEvent::TextDone(text) => self.on_words_done(text, false),
            ServerEvent::TranscriptDone(text) => self.on_words_done(text, true),
            ServerEvent::OutputItemAdded(output) => self.on_output_item_added(output),
            ServerEvent::AudioCommitted(item) => self.on_audio_committed(&item.item_id),
            ServerEvent::Other(_) => {}
            delta @ (ServerEvent::TextDelta(_)
            | ServerEvent::TranscriptDelta(_)
            | ServerEvent::AudioDelta(_)
            | ServerEvent::InputTranscriptDelta(_)) => {
                self.on_delta(&delta); // of a call that was joined in the middle of an answer
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Message(content) => {
                self.end_written_turn();
                self.say(content);
            }
            Command::Audio { audio, commit } => {
                self.sent_audio.push(self.now, audio.len(), self.input_format());
                for start in (0..audio.len()).step_by(AUDIO_CHUNK) {
                    let chunk = audio.slice(start..audio.len().min(start + AUDIO_CHUNK));
                    self.send("audio", ClientEvent::AudioAppend { audio: chunk });
                }
                if commit {
                    self.end_committed_turn();
                    self.send("commit", ClientEvent::AudioCommit);
                    self.sequencer.request();
                }
            }
            Command::Interrupt => self.interrupt(),
            Command::UpdateAgent { agent, ticket } => self.update_agent(agent, ticket),
            Command::Decide {
                call_id,
                decision,
                ticket,
            } => {
                let result = self.decide(&call_id, decision);
                self.outputs.push_back(Output::Reply { ticket, result });
            }
            Command::Played(played) => self.on_played(&played),
            Command::Raw(event) => self.send_raw(event),
            Command::Close => self.close(),
        }
    }

    fn say(&mut self, content: Vec<Part>) {
        let item = Item::Message(Message::user(content));
        self.send("item", ClientEvent::ItemCreate { item });
        self.sequencer.request();
    }

    fn send_raw(&mut self, event: serde_json::Map<String, Value>) {
        match event.get("type").and_then(Value::as_str) {
            Some("response.create") => {
                let event_id = self.next_event_id("create");
                if let Some(event) = self.sequencer.request_raw(event, &event_id) {
                    self.outputs
                        .push_back(Output::Send(event_id, ClientEvent::Raw(event)));
                }
            }
            Some("session.update") => {
                let event_id = self.next_event_id("update");
                self.charge.expect_answer(own_id(&event, &event_id), false);
                self.outputs
                    .push_back(Output::Send(event_id, ClientEvent::Raw(event)));
            }
            kind => {
                match kind {
                    Some("input_audio_buffer.append") => self.note_raw_audio(&event),
                    Some("input_audio_buffer.commit") => self.end_committed_turn(),
                    _ => {}
                }
                self.send("raw", ClientEvent::Raw(event));
            }
        }
    }

    fn on_error(&mut self, error: ApiError) {
        if self.on_settings_refused(&error) {
            return;
        }
        let refused = self.sequencer.refused(&error);
        if error.is_benign_race() {
            tracing::debug!(
                code = error.code(),
                "a race between client and server went the other way"
            );
            return;
        }
        let lost_message = error
            .event_id
            .as_deref()
            .is_some_and(|id| id.starts_with("item_"));
        if refused || lost_message {
            self.turn.note(ResponseStatus::Failed, Some(error.to_string()));
        }
        if error.is_fatal() {
            self.fatal = Some((error.clone(), self.now + end::FATAL_GRACE));
        }
        self.emit(SessionEvent::Error { error });
    }

    fn on_time(&mut self) {
        if let Some((error, until)) = &self.fatal
            && self.now >= *until
        {
            let error = error.clone();
            return self.fail(error);
        }
        self.on_entry_time();
        self.on_change_time();
    }

    /// After every input but a delta: asks for the next answer if it is time, and notices the end of a turn.
    fn settle(&mut self) {
        if self.phase != Phase::Open {
            return;
        }
        self.finish_heard_speeches();
        if self.calls.take_served(|id| !self.responses.is_running(id)) {
            self.sequencer.request();
        }
        if self.sequencer.is_ready() {
            let event_id = self.next_event_id("create");
            if let Some(event) = self.sequencer.next(&event_id) {
                self.latencies.ask();
                self.outputs.push_back(Output::Send(event_id, event));
            }
        }
        let busy = self.sequencer.is_busy()
            || self.calls.are_open()
            || self.charge.is_changing()
            || self.watch.is_waited_for();
        if let Some((status, reason)) = self.turn.update(busy) {
            self.watch.turn_ends();
            self.end_latency();
            self.emit(SessionEvent::TurnEnd { status, reason });
            if self.is_ending {
                self.close();
            }
        }
    }

    fn upsert(&mut self, item: Item, previous: Option<&Id>, is_final: bool) {
        let change = self.history.upsert(item, previous, is_final);
        tell(&mut self.outputs, change);
    }

    fn learn(&mut self, info: SessionInfo) {
        if let Some(format) = info.output_format {
            self.playback.set_format(format);
        }
        self.info = SessionInfo {
            id: info.id.or(self.info.id.take()),
            model: info.model.or(self.info.model.take()),
            ..info
        };
    }

    fn next_event_id(&mut self, kind: &str) -> String {
        self.events_sent += 1;
        format!("{kind}_{}", self.events_sent)
    }

    /// Sends an event under a new id, which tells what it was about.
    fn send(&mut self, kind: &str, event: ClientEvent) -> String {
        let event_id = self.next_event_id(kind);
        self.outputs.push_back(Output::Send(event_id.clone(), event));
        event_id
    }

    fn emit(&mut self, event: SessionEvent) {
        self.outputs.push_back(Output::Emit(event));
    }

    /// Tells the application of trouble that the session itself found.
    fn complain(&mut self, code: &str, message: String) {
        let kind = "client_error".to_owned();
        let error = ApiError {
            kind,
            code: Some(code.to_owned()),
            message,
            ..ApiError::default()
        };
        self.emit(SessionEvent::Error { error });
    }
}

/// Tells the application of a change in the conversation.
fn tell(outputs: &mut VecDeque<Output>, change: Change<'_>) {
    let event = match change {
        Change::Added(item) => SessionEvent::HistoryAdded {
            item: Box::new(item.clone()),
        },
        Change::Updated(item) => SessionEvent::HistoryUpdated {
            item: Box::new(item.clone()),
        },
        Change::None => return,
    };
    outputs.push_back(Output::Emit(event));
}
