//! The thread that owns the terminal: it draws and reads keys in turn.

use std::io::{self, Stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    Event, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags, poll, read,
};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
    supports_keyboard_enhancement,
};
use ratatui::crossterm::{cursor, execute};
use realtime_run::session::SessionEvent;
use tokio::sync::mpsc;

use super::draw::{self, Look};
use super::tail::Tail;
use super::view::{View, Wish};
use crate::cli::glyphs::Glyphs;
use crate::cli::output::Output;
use crate::cli::printer::Printer;
use crate::cli::turns::Input;
use crate::cli::voice::{Devices, Panel};

/// How long the screen stays as it is at least: 25 pictures a second move smoothly enough.
const FRAME: Duration = Duration::from_millis(40);
/// What a person may type before the conversation takes note of it.
const TYPED_AHEAD: usize = 16;

/// A person at a full screen. Dropping it sets the terminal back, and prints the conversation there.
pub struct Screen {
    inputs: mpsc::Receiver<Input>,
    view: Arc<Mutex<View>>,
    over: Arc<AtomicBool>,
    output: Output,
    tail: Arc<Tail>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When stderr or stdin is none that can be drawn on.
    pub fn start(
        (agents, agent): (Vec<String>, String),
        devices: &Devices,
        printer: &Printer,
    ) -> io::Result<Self> {
        let output = printer.output();
        let view = Arc::new(Mutex::new(View::new(agents, agent)));
        let tail = Arc::new(Tail::default());
        let over = Arc::new(AtomicBool::new(false));
        let (sender, inputs) = mpsc::channel(TYPED_AHEAD);
        output.drain();
        let terminal = FullScreen::enter()?;
        output.divert(&tail);
        let painter = Painter {
            terminal,
            view: Arc::clone(&view),
            tail: Arc::clone(&tail),
            panel: devices.panel(),
            look: Look {
                glyphs: Glyphs::of_locale(),
                colors: printer.paint().is_enabled(),
            },
            inputs: sender,
            over: Arc::clone(&over),
        };
        let thread = std::thread::Builder::new()
            .name("screen".into())
            .spawn(move || painter.run());
        let mut screen = Self {
            inputs,
            view,
            over,
            output: output.clone(),
            tail,
            thread: None,
        };
        screen.thread = Some(thread?);
        Ok(screen)
    }

    /// Shows an event.
    pub fn event(&self, event: &SessionEvent) {
        lock(&self.view).event(event);
    }

    /// Waits for what the person wants. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Input {
        self.inputs.recv().await.unwrap_or(Input::End)
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.inputs.close();
        self.over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
        self.output.undivert(&self.tail);
    }
}

/// The terminal while it is taken over.
struct FullScreen {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    tells_releases: bool,
}

impl FullScreen {
    fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        let tells_releases = supports_keyboard_enhancement().unwrap_or(false);
        let entered = execute!(io::stderr(), EnterAlternateScreen, cursor::Hide).and_then(|()| {
            if tells_releases {
                let flags = KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES
                    | KeyboardEnhancementFlags::REPORT_EVENT_TYPES;
                execute!(io::stderr(), PushKeyboardEnhancementFlags(flags))?;
            }
            Terminal::new(CrosstermBackend::new(io::stderr()))
        });
        match entered {
            Ok(terminal) => Ok(Self {
                terminal,
                tells_releases,
            }),
            Err(error) => {
                let _ = disable_raw_mode();
                Err(error)
            }
        }
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to set back.
        if self.tells_releases {
            let _ = execute!(io::stderr(), PopKeyboardEnhancementFlags);
        }
        let _ = execute!(io::stderr(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// What the thread holds.
struct Painter {
    terminal: FullScreen,
    view: Arc<Mutex<View>>,
    tail: Arc<Tail>,
    panel: Panel,
    look: Look,
    inputs: mpsc::Sender<Input>,
    over: Arc<AtomicBool>,
}

impl Painter {
    fn run(mut self) {
        while !self.over.load(Ordering::SeqCst) {
            if let Err(error) = self.draw().and_then(|()| self.take_keys()) {
                let why = format!("the terminal can't be used: {error}");
                let _ = self.inputs.blocking_send(Input::Unusable(why));
                return;
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let levels = self.panel.levels();
        let mut view = lock(&self.view);
        let (tail, look) = (&self.tail, self.look);
        self.terminal
            .terminal
            .draw(|frame| draw::draw(frame, &mut view, tail, &levels, look))?;
        Ok(())
    }

    /// Takes what was typed until the next picture is due.
    fn take_keys(&mut self) -> io::Result<()> {
        let mut wait = FRAME;
        while poll(wait)? {
            wait = Duration::ZERO;
            if let Event::Key(key) = read()? {
                let wish = lock(&self.view).key(key);
                match wish {
                    Some(Wish::Of(input)) => {
                        // When the conversation takes nothing, what is typed is lost: a person sees that.
                        let _ = self.inputs.try_send(input);
                    }
                    Some(Wish::Press(key)) => self.panel.press(key),
                    None => {}
                }
            }
        }
        Ok(())
    }
}

fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}
