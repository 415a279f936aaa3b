//! What the screen shows beside the conversation's text, and what keys do to it. Without a terminal.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use realtime_run::session::SessionEvent;
use tui_input::Input as Line;
use tui_input::backend::crossterm::EventHandler;

use crate::cli::slash::Slash;
use crate::cli::turns::Input;
use crate::cli::voice::Key;

/// Lines that a page key moves the conversation by.
const PAGE: usize = 10;

/// What the screen shows.
#[derive(Debug)]
pub struct View {
    /// All agents.
    pub agents: Vec<String>,
    /// The one in charge.
    pub agent: String,
    /// The model, once the session is open.
    pub model: String,
    /// Whether the user speaks, as the server hears it.
    pub user_speaks: bool,
    /// What the user says, as far as it is made out, until all of it is known.
    pub user_words: String,
    /// Whether an answer is under way.
    pub answers: bool,
    /// What the keys are for.
    pub mode: Mode,
    /// Lines that lie below the ones shown.
    pub below: usize,
    /// Calls that wait for approval.
    waiting: Vec<String>,
    /// The key to talk is down, or counts as such.
    talks: bool,
}

/// What keys are for.
#[derive(Debug, Default)]
pub enum Mode {
    /// Each does something.
    #[default]
    Keys,
    /// They write a line.
    Typing(Line),
    /// They choose the agent at this place of the list.
    Choosing(usize),
    /// They close the help.
    Help,
}

/// What a key asks for.
#[derive(Debug)]
pub enum Wish {
    /// Something that the conversation does.
    Of(Input),
    /// Something that is done to the microphone.
    Press(Key),
}

impl View {
    pub fn new(agents: Vec<String>, agent: String) -> Self {
        Self {
            agents,
            agent,
            model: String::new(),
            user_speaks: false,
            user_words: String::new(),
            answers: false,
            mode: Mode::default(),
            below: 0,
            waiting: Vec::new(),
            talks: false,
        }
    }

    /// Whether a call waits for approval, and a line that is typed decides on it.
    pub fn is_asked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes note of what happens.
    pub fn event(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::SessionStart { model, agent, .. } => {
                self.model.clone_from(model);
                self.agent.clone_from(agent);
            }
            SessionEvent::Handoff { to, .. } => self.agent.clone_from(to),
            SessionEvent::SpeechStarted { .. } => {
                self.user_speaks = true;
                self.user_words.clear();
            }
            SessionEvent::SpeechStopped { .. } => self.user_speaks = false,
            SessionEvent::InputTranscriptDelta { delta, .. } => self.user_words += delta,
            SessionEvent::InputTranscript { .. } | SessionEvent::InputTranscriptFailed { .. } => {
                self.user_words.clear();
            }
            SessionEvent::AgentStart { .. } => self.answers = true,
            SessionEvent::AgentEnd { .. } => self.answers = false,
            SessionEvent::ToolApprovalRequired { call_id, .. } => {
                self.waiting.push(call_id.clone());
                if let Mode::Keys | Mode::Help = self.mode {
                    self.mode = Mode::Typing(Line::default());
                }
            }
            SessionEvent::ToolStart { call_id, .. } | SessionEvent::ToolEnd { call_id, .. } => {
                self.waiting.retain(|waiting| waiting != call_id);
            }
            _ => {}
        }
    }

    /// Does what a key asks for, as far as it is about the screen; tells the rest.
    pub fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.kind == KeyEventKind::Release {
            let is_space = key.code == KeyCode::Char(' ');
            return (is_space && std::mem::take(&mut self.talks)).then_some(Wish::Press(Key::Up));
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Some(Wish::Of(Input::Interrupt)),
                KeyCode::Char('d') => return Some(Wish::Of(Input::End)),
                _ => {}
            }
        }
        match key.code {
            KeyCode::PageUp => self.below = self.below.saturating_add(PAGE),
            KeyCode::PageDown => self.below = self.below.saturating_sub(PAGE),
            _ => return self.key_in_mode(key),
        }
        None
    }

    fn key_in_mode(&mut self, key: KeyEvent) -> Option<Wish> {
        match &mut self.mode {
            Mode::Keys => self.command(key),
            Mode::Typing(line) => match key.code {
                KeyCode::Enter => {
                    let text = line.value_and_reset();
                    self.mode = Mode::Keys;
                    (!text.trim().is_empty()).then(|| Wish::Of(Input::typed(&text)))
                }
                KeyCode::Esc => {
                    self.mode = Mode::Keys;
                    None
                }
                _ => {
                    line.handle_event(&Event::Key(key));
                    None
                }
            },
            Mode::Choosing(place) => match key.code {
                KeyCode::Up => {
                    *place = place.saturating_sub(1);
                    None
                }
                KeyCode::Down => {
                    *place = (*place + 1).min(self.agents.len().saturating_sub(1));
                    None
                }
                KeyCode::Enter => {
                    let name = self.agents.get(*place).cloned();
                    self.mode = Mode::Keys;
                    name.map(|name| Wish::Of(Input::Slash(Slash::Agent(Some(name)))))
                }
                _ => {
                    self.mode = Mode::Keys;
                    None
                }
            },
            Mode::Help => {
                self.mode = Mode::Keys;
                None
            }
        }
    }

    fn command(&mut self, key: KeyEvent) -> Option<Wish> {
        match key.code {
            KeyCode::Char(' ') if key.kind == KeyEventKind::Press => return Some(self.talk()),
            KeyCode::Char('m') => return Some(Wish::Press(Key::Mute)),
            KeyCode::Char('i') | KeyCode::Esc => return Some(Wish::Of(Input::Slash(Slash::Interrupt))),
            KeyCode::Char('q') => return Some(Wish::Of(Input::Slash(Slash::Quit))),
            KeyCode::Char('t') | KeyCode::Enter => self.mode = Mode::Typing(Line::default()),
            KeyCode::Char('/') => self.mode = Mode::Typing(Line::new("/".to_owned())),
            KeyCode::Char('a') => {
                let place = self.agents.iter().position(|name| *name == self.agent);
                self.mode = Mode::Choosing(place.unwrap_or_default());
            }
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::End => self.below = 0,
            _ => {}
        }
        None
    }

    /// Most terminals don't tell when a key is let go of; there every other press does that.
    fn talk(&mut self) -> Wish {
        self.talks = !self.talks;
        Wish::Press(if self.talks { Key::Down } else { Key::Up })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use realtime_run::protocol::Id;

    fn view() -> View {
        View::new(
            vec!["Triage".into(), "Billing".into(), "Refunds".into()],
            "Billing".into(),
        )
    }

    /// What these keys ask for.
    fn press(view: &mut View, keys: &[KeyCode]) -> Vec<String> {
        let wishes = keys
            .iter()
            .filter_map(|code| view.key(KeyEvent::new(*code, KeyModifiers::NONE)));
        wishes.map(|wish| shown(&wish)).collect()
    }

    fn shown(wish: &Wish) -> String {
        match wish {
            Wish::Of(input) => format!("{input:?}"),
            Wish::Press(key) => format!("{key:?}"),
        }
    }

    fn write(view: &mut View, text: &str) -> Vec<String> {
        let keys: Vec<_> = text.chars().map(KeyCode::Char).collect();
        press(view, &keys)
    }

    #[test]
    fn letters_are_commands_until_a_line_is_typed() {
        let mut view = view();
        assert_eq!(write(&mut view, "m"), ["Mute"]);
        assert_eq!(write(&mut view, "i"), ["Slash(Interrupt)"]);
        assert!(write(&mut view, "thi mq").is_empty());
        let said = press(&mut view, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!(said, [r#"Message("hi m")"#]);
        assert_eq!(write(&mut view, "q"), ["Slash(Quit)"]);
    }

    #[test]
    fn a_slash_begins_a_command_as_at_the_prompt() {
        let mut view = view();
        assert!(write(&mut view, "/history").is_empty());
        assert_eq!(press(&mut view, &[KeyCode::Enter]), ["Slash(History)"]);
        assert!(
            press(&mut view, &[KeyCode::Enter, KeyCode::Enter]).is_empty(),
            "nothing was typed"
        );
    }

    #[test]
    fn an_agent_is_chosen_from_the_list() {
        let mut view = view();
        let wish = |name: &str| [format!("Slash(Agent(Some({name:?})))")];
        let a = KeyCode::Char('a');
        assert_eq!(
            press(&mut view, &[a, KeyCode::Down, KeyCode::Down, KeyCode::Enter]),
            wish("Refunds")
        );
        assert_eq!(
            press(&mut view, &[a, KeyCode::Up, KeyCode::Up, KeyCode::Enter]),
            wish("Triage")
        );
        assert!(press(&mut view, &[a, KeyCode::Esc, KeyCode::Down]).is_empty());
    }

    #[test]
    fn the_key_to_talk_goes_down_and_up_and_a_space_in_a_line_is_a_space() {
        let mut view = view();
        let space = KeyEvent::new(KeyCode::Char(' '), KeyModifiers::NONE);
        let with = |kind| KeyEvent { kind, ..space };
        let mut feed = |kind| view.key(with(kind)).map(|wish| shown(&wish));
        let [press, repeat, release] = [KeyEventKind::Press, KeyEventKind::Repeat, KeyEventKind::Release];
        let told = [press, repeat, release].map(&mut feed);
        assert_eq!(told, [Some("Down".into()), None, Some("Up".into())]);
        let untold = [press, press, press].map(&mut feed);
        assert_eq!(untold, ["Down", "Up", "Down"].map(|key| Some(key.to_owned())));
        assert_eq!(feed(release), Some("Up".into()));
        write(&mut view, "t");
        assert!(view.key(space).is_none());
        assert!(view.key(with(release)).is_none());
    }

    #[test]
    fn control_keys_hold_in_every_mode() {
        for mode in ["", "t", "a", "?"] {
            let mut view = view();
            write(&mut view, mode);
            let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
            let mut feed = |c| view.key(control(c)).map(|wish| shown(&wish));
            assert_eq!(feed('c'), Some("Interrupt".into()), "{mode}");
            assert_eq!(feed('d'), Some("End".into()), "{mode}");
        }
    }

    #[test]
    fn a_question_opens_the_line_until_the_call_is_settled() {
        let mut view = view();
        let text = |text: &str| text.to_owned();
        view.event(&SessionEvent::ToolApprovalRequired {
            agent: text("Billing"),
            tool: text("refund"),
            call_id: text("c1"),
            arguments: text("{}"),
        });
        assert!(view.is_asked());
        write(&mut view, "o");
        assert_eq!(press(&mut view, &[KeyCode::Enter]), [r#"Message("o")"#]);
        view.event(&SessionEvent::ToolStart {
            agent: text("Billing"),
            tool: text("refund"),
            call_id: text("c1"),
            arguments: text("{}"),
        });
        assert!(!view.is_asked());
    }

    #[test]
    fn what_the_user_says_runs_along_until_it_is_known() {
        let mut view = view();
        let item_id = Id::from("i");
        view.event(&SessionEvent::SpeechStarted {
            item_id: item_id.clone(),
            audio_start_ms: None,
        });
        assert!(view.user_speaks);
        for delta in ["What ", "is"] {
            view.event(&SessionEvent::InputTranscriptDelta {
                item_id: item_id.clone(),
                delta: delta.into(),
            });
        }
        assert_eq!(view.user_words, "What is");
        view.event(&SessionEvent::InputTranscript {
            item_id,
            transcript: "What is it?".into(),
            usage: None,
        });
        assert_eq!(view.user_words, "");
    }

    #[test]
    fn pages_move_the_conversation() {
        let mut view = view();
        press(&mut view, &[KeyCode::PageUp, KeyCode::PageUp, KeyCode::PageDown]);
        assert_eq!(view.below, PAGE);
        press(&mut view, &[KeyCode::End]);
        assert_eq!(view.below, 0);
    }
}
