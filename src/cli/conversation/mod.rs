//! One conversation: turns go out one after the other, events come in, and something ends it.

mod approvals;
mod commands;
mod devices;
mod ends;
mod sound;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use realtime_run::session::{Session, SessionError, SessionEvent};
use realtime_run::transport::advice;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use self::approvals::Question;
use self::sound::Progress;
pub use self::sound::Voice;
use super::approver::Approver;
use super::duration;
use super::exit::ExitStatus;
use super::printer::Printer;
use super::render::Renderer;
use super::signals::{Signals, Wish};
use super::slash::Slash;
use super::turns::{Input, Turns};
use super::voice::{Devices, Tape};

/// How long the orderly end of a session may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// What may be typed ahead while an answer is under way.
const TYPED_AHEAD: usize = 64;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The moment by which the run must be over, and how long that was from its start.
    pub run: Option<(Instant, Duration)>,
    /// How long one turn may take.
    pub turn: Duration,
}

/// A change of agent under way.
type Switch = Pin<Box<dyn Future<Output = Result<(), SessionError>>>>;

/// A conversation with an open session.
pub struct Conversation {
    session: Session,
    /// The names of all agents, and the one in charge.
    agents: (Vec<String>, String),
    turns: Turns,
    renderer: Renderer,
    printer: Printer,
    limits: Limits,
    /// When the answer that is awaited must have ended; none when none is.
    turn_until: Option<Instant>,
    /// What spoken turns need; none where turns are written.
    voice: Option<Voice>,
    /// The microphone and the speaker.
    devices: Option<Devices>,
    /// On which goes what sounds.
    tape: Tape,
    /// Messages that wait for the turn to end.
    typed_ahead: VecDeque<String>,
    /// A change of agent that was asked for at the prompt.
    switching: Option<Switch>,
    approver: Approver,
    /// Calls that wait for a decision; the first is asked about.
    questions: VecDeque<Question>,
    /// Decisions on their way.
    deciding: JoinSet<Result<(), SessionError>>,
    /// The person is asked for a line and has not given one.
    is_asked: bool,
    /// Ctrl-C came, and nothing was said since: the next one ends the run.
    interrupted: bool,
    /// A turn failed at the prompt, where the conversation goes on.
    failed: bool,
    /// Something was said.
    has_spoken: bool,
    /// The last trouble that the server told of: a failure often follows for the same reason.
    told: Option<String>,
}

/// What happens next.
enum Wake {
    Signal(Wish),
    StdoutGone,
    RunTimeout(Duration),
    TurnTimeout,
    Event(SessionEvent),
    /// A turn that is being spoken went on.
    Progress(Progress),
    DeviceLost(anyhow::Error),
    /// The session is over, and all its events were told.
    Over,
    Switched(Result<(), SessionError>),
    Decided(Result<(), SessionError>),
    Input(Input),
}

impl Conversation {
    pub fn new(
        session: Session,
        agents: (Vec<String>, String),
        turns: Turns,
        approver: Approver,
        renderer: Renderer,
        printer: Printer,
        limits: Limits,
    ) -> Self {
        Self {
            session,
            agents,
            turns,
            renderer,
            printer,
            limits,
            turn_until: None,
            voice: None,
            devices: None,
            tape: Tape::default(),
            typed_ahead: VecDeque::new(),
            switching: None,
            approver,
            questions: VecDeque::new(),
            deciding: JoinSet::new(),
            is_asked: false,
            interrupted: false,
            failed: false,
            has_spoken: false,
            told: None,
        }
    }

    /// With turns that are spoken.
    pub fn with_voice(mut self, voice: Option<Voice>) -> Self {
        self.voice = voice;
        self
    }

    /// Through a microphone and a speaker.
    pub fn with_devices(mut self, devices: Option<Devices>) -> Self {
        self.devices = devices;
        self
    }

    /// With a tape of what sounds.
    pub fn with_tape(mut self, tape: Tape) -> Self {
        self.tape = tape;
        self
    }

    /// Holds it until something ends it.
    pub async fn hold(mut self, signals: &mut Signals) -> ExitStatus {
        let status = loop {
            let wake = self.wait(signals).await;
            if let Some(status) = self.on_wake(wake).await {
                break status;
            }
        };
        // Nothing more is sent, and the terminal is set back before anything more is said.
        self.voice = None;
        self.turns = Turns::None;
        self.finish_sound(status, signals).await;
        self.close(signals).await;
        status
    }

    async fn wait(&mut self, signals: &mut Signals) -> Wake {
        let hears_ahead = self.turns.are_typed() || !self.questions.is_empty();
        let is_users_turn = self.is_users_turn();
        let takes_input = self.switching.is_none()
            && (is_users_turn || hears_ahead && self.typed_ahead.len() < TYPED_AHEAD);
        let Self {
            session,
            turns,
            printer,
            limits,
            switching,
            deciding,
            typed_ahead,
            voice,
            devices,
            ..
        } = self;
        // Whoever speaks waits until the answer has been heard.
        let heard_at = voice.as_ref().and_then(Voice::heard_at);
        let heard_at = heard_at.filter(|_| is_users_turn && turns.are_left());
        let is_asked_for_quiet = is_users_turn && !turns.are_typed();
        let silence = devices
            .as_ref()
            .filter(|_| is_asked_for_quiet)
            .map(Devices::silence);
        // What must not be kept waiting comes first. All events come before the next input: the end of a turn is
        // never taken for that of the next.
        tokio::select! {
            biased;
            wish = signals.next() => Wake::Signal(wish),
            _ = printer.output().stdout_gone() => Wake::StdoutGone,
            limit = run_timeout(limits.run) => Wake::RunTimeout(limit),
            () = until(self.turn_until) => Wake::TurnTimeout,
            event = next_event(session, printer) => event.map_or(Wake::Over, Wake::Event),
            result = finished(switching), if switching.is_some() => Wake::Switched(result),
            Some(Ok(result)) = deciding.join_next() => Wake::Decided(result),
            progress = progress(voice) => Wake::Progress(progress),
            error = lost(devices) => Wake::DeviceLost(error),
            input = next_input(turns, typed_ahead, is_users_turn, (heard_at, silence)), if takes_input => Wake::Input(input),
        }
    }

    /// Does what is to be done; tells the exit status when that is the end.
    async fn on_wake(&mut self, wake: Wake) -> Option<ExitStatus> {
        match wake {
            Wake::Signal(Wish::Terminate) => Some(ExitStatus::Interrupted),
            Wake::Signal(Wish::Interrupt) => self.on_interrupt().await,
            Wake::StdoutGone => Some(ExitStatus::Success),
            Wake::RunTimeout(limit) => self.out_of_time(
                &format!("the run took longer than {}", duration::show(limit)),
                "--timeout",
            ),
            Wake::TurnTimeout => {
                let limit = duration::show(self.limits.turn);
                self.out_of_time(&format!("the turn took longer than {limit}"), "--turn-timeout")
            }
            Wake::Event(event) => {
                self.on_sound_event(&event).await;
                self.on_device_event(&event).await;
                self.on_event(&event)
            }
            Wake::Progress(progress) => self.on_progress(progress).await,
            Wake::DeviceLost(error) => self.on_device_lost(&error),
            Wake::Over => {
                self.printer.error("the session broke off", None);
                Some(ExitStatus::Failure)
            }
            Wake::Switched(result) => {
                self.switching = None;
                if let Err(error) = result {
                    self.printer.error(&error.to_string(), error.advice());
                }
                self.ask();
                None
            }
            Wake::Decided(result) => {
                self.on_decided(result);
                None
            }
            Wake::Input(input) => self.on_input(input).await,
        }
    }

    fn on_event(&mut self, event: &SessionEvent) -> Option<ExitStatus> {
        self.renderer.event(event, &self.printer);
        self.turns.show(event);
        self.tape.event(event);
        match event {
            SessionEvent::SessionStart { .. } => self.begin(),
            SessionEvent::Handoff { to, .. } => self.agents.1.clone_from(to),
            SessionEvent::ToolApprovalRequired {
                agent,
                tool,
                call_id,
                arguments,
            } => self.on_approval_required(agent, tool, call_id, arguments),
            SessionEvent::ToolStart { call_id, .. } | SessionEvent::ToolEnd { call_id, .. } => {
                self.on_settled(call_id);
            }
            SessionEvent::Error { error } => {
                let message = error.to_string();
                self.printer
                    .warning(&format!("the server says: {message}"), advice(error.code()));
                self.told = Some(message);
            }
            SessionEvent::Warning { message } => self.printer.warning(message, None),
            SessionEvent::TurnEnd { status, reason } => return self.on_turn_end(*status, reason.as_deref()),
            SessionEvent::SessionEnd { reason, .. } => return Some(self.on_session_end(reason)),
            _ => {}
        }
        None
    }

    fn begin(&mut self) {
        if self.turns.are_typed() && !self.turns.have_a_screen() {
            let hint = "Say something, or /help. Ctrl-C stops an answer, Ctrl-D ends the run.";
            self.printer.note(&self.printer.paint().dim(hint));
        }
        self.ask();
    }

    async fn on_interrupt(&mut self) -> Option<ExitStatus> {
        let is_second = std::mem::replace(&mut self.interrupted, true);
        if is_second || !self.turns.are_typed() {
            return Some(ExitStatus::Interrupted);
        }
        if !self.questions.is_empty() {
            self.refuse_all("interrupted");
        } else if self.turn_until.is_some() || self.is_sounding() {
            // If the session is over, an event tells it.
            let _ = self.session.interrupt().await;
        } else {
            self.printer
                .told(&self.printer.paint().dim("(Ctrl-C again or Ctrl-D ends the run)"));
        }
        None
    }

    async fn on_input(&mut self, input: Input) -> Option<ExitStatus> {
        self.is_asked = false;
        let Some(input) = self.take_answer(input) else {
            self.ask();
            return None;
        };
        let end = self.on_turn(input).await;
        self.show_question();
        end
    }

    async fn on_turn(&mut self, input: Input) -> Option<ExitStatus> {
        match input {
            Input::Key => self.on_key().await,
            Input::Message(message) if message.trim().is_empty() => self.ask(),
            Input::Message(message) if !self.is_users_turn() => self.typed_ahead.push_back(message),
            Input::Message(message) => self.say(message).await,
            Input::Sound(cue) => return self.speak(*cue),
            Input::Interrupt => {
                let end = self.on_interrupt().await;
                if end.is_none() {
                    self.ask();
                }
                return end;
            }
            Input::Slash(Slash::Quit) => return Some(self.status()),
            Input::Slash(command) => {
                self.on_slash(command).await;
                self.ask();
            }
            Input::Aside(_) => {}
            // Whoever is heard need not write.
            Input::End if self.is_live() && !self.turns.are_typed() => self.turns = Turns::None,
            Input::End => return Some(self.on_end_of_input()),
            Input::Unusable(why) => {
                self.printer.error(&why, None);
                return Some(ExitStatus::Usage);
            }
        }
        None
    }

    async fn say(&mut self, message: String) {
        if !self.turns.are_typed() || self.turns.have_a_screen() {
            self.renderer.message(&message, &self.printer);
        }
        self.tape.turn(false);
        self.interrupted = false;
        self.has_spoken = true;
        self.told = None;
        self.await_answer();
        tracing::info!(characters = message.chars().count(), "a turn goes out");
        // If the session is over, an event tells it.
        let _ = self.session.send_message(message).await;
    }

    /// An answer is due, and has so much time.
    fn await_answer(&mut self) {
        self.turn_until = Instant::now().checked_add(self.limits.turn);
    }

    /// Whether the user may say something: they are not speaking, and no answer is awaited.
    fn is_users_turn(&self) -> bool {
        self.turn_until.is_none() && !self.is_speaking()
    }

    fn is_speaking(&self) -> bool {
        self.voice.as_ref().is_some_and(Voice::is_speaking)
    }

    /// Lets the user speak, if it is their turn and they have not done so already.
    fn ask(&mut self) {
        let is_free = self.is_users_turn() && self.switching.is_none() && self.questions.is_empty();
        if is_free && self.typed_ahead.is_empty() {
            self.is_asked = self.turns.ask();
        }
    }

    /// Ends the session in an orderly way; another signal cuts it short.
    async fn close(&mut self, signals: &mut Signals) {
        let handle = self.session.handle();
        let (session, renderer, printer) = (&mut self.session, &mut self.renderer, &self.printer);
        let tape = &self.tape;
        // Without waiting for room: there are only as many as the session may have kept back.
        let last_events = async {
            while let Some(event) = session.next().await {
                renderer.event(&event, printer);
                tape.event(&event);
            }
        };
        let end = async { tokio::join!(handle.close(), last_events) };
        tokio::select! {
            biased;
            _ = signals.next() => {}
            _ = end => {}
            () = sleep(CLOSE_LIMIT) => {}
        }
        printer.end_words();
    }
}

/// Waits until the run must be over, and tells how long it was allowed.
pub async fn run_timeout(limit: Option<(Instant, Duration)>) -> Duration {
    match limit {
        Some((until, limit)) => {
            sleep_until(until).await;
            limit
        }
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The next event, once there is room to show it.
async fn next_event(session: &mut Session, printer: &Printer) -> Option<SessionEvent> {
    printer.output().room().await;
    session.next().await
}

async fn progress(voice: &mut Option<Voice>) -> Progress {
    match voice {
        Some(voice) => voice.progress().await,
        None => std::future::pending().await,
    }
}

async fn lost(devices: &mut Option<Devices>) -> anyhow::Error {
    match devices {
        Some(devices) => devices.lost().await,
        None => std::future::pending().await,
    }
}

async fn next_input(
    turns: &mut Turns,
    typed_ahead: &mut VecDeque<String>,
    is_users_turn: bool,
    (heard_at, silence): (Option<Instant>, Option<impl Future<Output = ()>>),
) -> Input {
    if let Some(moment) = heard_at {
        sleep_until(moment).await;
    }
    if let Some(silence) = silence {
        silence.await;
    }
    match typed_ahead.pop_front() {
        Some(message) if is_users_turn => Input::Message(message),
        Some(message) => {
            typed_ahead.push_front(message);
            turns.next(is_users_turn).await
        }
        None => turns.next(is_users_turn).await,
    }
}

async fn finished(switch: &mut Option<Switch>) -> Result<(), SessionError> {
    match switch {
        Some(switch) => switch.await,
        None => std::future::pending().await,
    }
}
