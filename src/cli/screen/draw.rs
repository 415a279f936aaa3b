//! The screen as it looks.

use std::collections::VecDeque;

use anstream::adapter::strip_str;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, List, ListState, Paragraph, Wrap};

use super::tail::Tail;
use super::view::{Mode, View};
use crate::cli::glyphs::Glyphs;
use crate::cli::style::{harmless, in_one_line};
use crate::cli::voice::{Levels, MicrophoneLevel, SpeakerLevel};

/// Columns of a level meter.
const METER: usize = 20;
/// The quietest sound that a meter shows.
const QUIETEST_DB: f32 = -60.0;

/// What the footer tells of keys.
const KEYS: [&str; 6] = ["m mute", "i interrupt", "t type", "a agent", "? help", "q quit"];
const HELP: &[(&str, &str)] = &[
    (
        "space",
        "talk: with --push-to-talk, once to begin and once to end, or as long as it is held",
    ),
    ("m", "mute the microphone, or let it be heard again"),
    ("i, Esc", "interrupt the answer"),
    ("t, Enter", "type a message, or the answer to a question"),
    ("/", "type a command, such as /history"),
    ("a", "put another agent in charge"),
    ("PgUp, PgDn", "move through the conversation; End is its end"),
    ("q, Ctrl-D", "quit; Ctrl-C interrupts, twice it quits"),
];

/// Frames where the locale has nothing but ASCII.
const ASCII_BORDER: border::Set<'_> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub glyphs: Glyphs,
    pub colors: bool,
}

impl Look {
    fn colored(self, color: Color) -> Style {
        if self.colors {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    /// The one, or the other where the locale has nothing but ASCII.
    fn or_ascii<T>(self, usual: T, ascii: T) -> T {
        if self.glyphs.is_ascii { ascii } else { usual }
    }

    fn framed(self) -> Block<'static> {
        Block::bordered().border_set(self.or_ascii(border::PLAIN, ASCII_BORDER))
    }
}

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, view: &mut View, tail: &Tail, levels: &Levels, look: Look) {
    let [header, conversation, user, assistant, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(title(view, look), header);
    draw_conversation(frame, conversation, view, tail, look);
    frame.render_widget(user_line(view, levels, look), user);
    frame.render_widget(assistant_line(view, levels, look), assistant);
    draw_footer(frame, footer, view, levels, look);
    match &view.mode {
        Mode::Help => draw_help(frame, conversation, look),
        Mode::Choosing(place) => draw_agents(frame, conversation, (view, *place), look),
        Mode::Keys | Mode::Typing(_) => {}
    }
}

fn title(view: &View, look: Look) -> Line<'static> {
    let agent = Span::styled(in_one_line(&view.agent, 60), look.colored(Color::Green).bold());
    let model = in_one_line(&view.model, 60);
    let about = if model.is_empty() {
        " opens…".to_owned()
    } else {
        format!(" on {model}")
    };
    Line::from(vec![
        Span::raw(" "),
        agent,
        Span::raw(look.glyphs.spell(&about).into_owned()).dim(),
    ])
}

fn draw_conversation(frame: &mut Frame<'_>, area: Rect, view: &mut View, tail: &Tail, look: Look) {
    let block = look.framed();
    let inner = block.inner(area);
    let (width, height) = (usize::from(inner.width).max(1), usize::from(inner.height));
    // Only as many lines as there is room for, counted from the end.
    let wanted = height + view.below;
    let lines = tail.read(|lines| {
        let mut rows = VecDeque::new();
        for line in lines.rev() {
            let line = &strip_str(line).to_string();
            for row in wrapped(line, width).into_iter().rev() {
                rows.push_front((row, tone(line, look)));
            }
            if rows.len() >= wanted {
                break;
            }
        }
        rows
    });
    view.below = view.below.min(lines.len().saturating_sub(height));
    let end = lines.len() - view.below;
    let start = end.saturating_sub(height);
    let shown: Vec<Line<'_>> = lines
        .range(start..end)
        .map(|(row, style)| Line::styled(row.as_str(), *style))
        .collect();
    frame.render_widget(Paragraph::new(shown), inner);
    let block = match view.below {
        0 => block,
        below => block.title_bottom(Line::from(format!(" {below} more lines below, End ")).right_aligned()),
    };
    frame.render_widget(block.dim(), area);
}

/// How a line looks, by what it is about.
fn tone(line: &str, look: Look) -> Style {
    if line.starts_with("> ") {
        Style::new().add_modifier(Modifier::BOLD)
    } else if line.starts_with("  ") {
        Style::new().add_modifier(Modifier::DIM)
    } else if line.starts_with("warning:") {
        look.colored(Color::Yellow)
    } else if line.starts_with("error:") {
        look.colored(Color::Red)
    } else {
        Style::new()
    }
}

/// A line in rows of so many columns, broken between words where that can be.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

    let mut rows = vec![String::new()];
    let mut used = 0;
    for word in harmless(line).split_inclusive(' ') {
        let columns = word.trim_end().width();
        if used > 0 && used + columns > width && columns <= width {
            rows.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            let columns = c.width().unwrap_or(0);
            if used + columns > width {
                // The space between two rows is seen by neither.
                if c == ' ' {
                    continue;
                }
                rows.push(String::new());
                used = 0;
            }
            if let Some(row) = rows.last_mut() {
                row.push(c);
            }
            used += columns;
        }
    }
    rows
}

fn user_line(view: &View, levels: &Levels, look: Look) -> Line<'static> {
    let state = levels.microphone.map_or("no microphone", |microphone| {
        user_state(microphone, view.user_speaks)
    });
    let level = levels.microphone.unwrap_or_default().level;
    let words = in_one_line(&last_of(&view.user_words, 200), 200);
    let mut spans = voice("you", level, state, view.user_speaks, look);
    spans.push(Span::raw(words).italic());
    Line::from(spans)
}

fn user_state(microphone: MicrophoneLevel, speaks: bool) -> &'static str {
    match microphone {
        MicrophoneLevel { is_muted: true, .. } => "muted",
        MicrophoneLevel { is_open: true, .. } if speaks => "speaking",
        MicrophoneLevel { is_open: true, .. } => "listening",
        MicrophoneLevel { has_key: true, .. } => "press space to talk",
        // The gate is shut: what is heard may be the assistant.
        MicrophoneLevel { .. } => "waiting",
    }
}

fn assistant_line(view: &View, levels: &Levels, look: Look) -> Line<'static> {
    let SpeakerLevel { level, is_sounding } = levels.speaker.unwrap_or_default();
    let state = match (is_sounding, view.answers) {
        (true, _) => "speaking",
        (false, true) => "answering",
        (false, false) => "",
    };
    let who = in_one_line(&view.agent, 12);
    Line::from(voice(&who, level, state, is_sounding, look))
}

fn voice(who: &str, level: f32, state: &str, is_active: bool, look: Look) -> Vec<Span<'static>> {
    let filled = meter(level);
    let color = if is_active { Color::Green } else { Color::Gray };
    let (full, empty) = (
        look.glyphs.full.to_string(),
        if look.colors {
            look.or_ascii("─", "-")
        } else {
            " "
        },
    );
    vec![
        Span::raw(format!(" {who:<13} ")),
        Span::styled(full.repeat(filled), look.colored(color)),
        Span::raw(empty.repeat(METER - filled)).dim(),
        Span::raw(format!("  {state:<20} ")),
    ]
}

/// The columns of a meter that a level, 0 to 1, fills; by its decibels, as loudness is heard.
fn meter(level: f32) -> usize {
    if level <= 0.0 {
        return 0;
    }
    let share = 1.0 - (20.0 * level.log10() / QUIETEST_DB);
    // Between 0 and METER.
    (share.clamp(0.0, 1.0) * METER as f32).round() as usize
}

/// The end of a text, of about so many bytes.
fn last_of(text: &str, bytes: usize) -> String {
    let start = text.len().saturating_sub(bytes);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at));
    text.get(start.unwrap_or_default()..)
        .unwrap_or_default()
        .to_owned()
}

fn draw_footer(frame: &mut Frame<'_>, area: Rect, view: &View, levels: &Levels, look: Look) {
    if let Mode::Typing(line) = &view.mode {
        let label = if view.is_asked() { " answer > " } else { " say > " };
        let label_width = u16::try_from(label.len()).unwrap_or(u16::MAX).min(area.width / 2);
        let [label_area, line_area] =
            Layout::horizontal([Constraint::Length(label_width), Constraint::Min(1)]).areas(area);
        let width = usize::from(line_area.width).max(2) - 1;
        let scroll = line.visual_scroll(width);
        let text = Paragraph::new(line.value()).scroll((0, u16::try_from(scroll).unwrap_or(u16::MAX)));
        frame.render_widget(Line::from(label).bold(), label_area);
        frame.render_widget(text, line_area);
        let column = u16::try_from(line.visual_cursor().saturating_sub(scroll)).unwrap_or(u16::MAX);
        frame.set_cursor_position(Position::new(line_area.x.saturating_add(column), line_area.y));
        return;
    }
    let has_key = levels.microphone.is_some_and(|microphone| microphone.has_key);
    let talk = has_key.then_some("space talk");
    let keys = talk.into_iter().chain(KEYS).collect::<Vec<_>>();
    let keys = keys.join(&format!(" {} ", look.or_ascii("·", "|")));
    frame.render_widget(Line::from(format!(" {keys}")).dim(), area);
}

fn draw_help(frame: &mut Frame<'_>, area: Rect, look: Look) {
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(key, what)| Line::from(vec![Span::raw(format!("{key:<11} ")).bold(), Span::raw(*what)]))
        .collect();
    let area = centered(area, 100, lines.len() + 4);
    frame.render_widget(Clear, area);
    let block = look.framed().title(" keys ");
    frame.render_widget(
        Paragraph::new(lines).wrap(Wrap { trim: false }).block(block),
        area,
    );
}

fn draw_agents(frame: &mut Frame<'_>, area: Rect, (view, place): (&View, usize), look: Look) {
    let names = view.agents.iter().map(|name| {
        let mark = if *name == view.agent { " (in charge)" } else { "" };
        format!("{}{mark}", in_one_line(name, 60))
    });
    let area = centered(area, 60, view.agents.len() + 2);
    frame.render_widget(Clear, area);
    let list = List::new(names)
        .block(look.framed().title(" agent "))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = ListState::default().with_selected(Some(place));
    frame.render_stateful_widget(list, area, &mut state);
}

/// An area in the middle of another, of at most this size.
fn centered(area: Rect, width: u16, height: usize) -> Rect {
    let height = u16::try_from(height).unwrap_or(u16::MAX);
    area.centered(Constraint::Max(width), Constraint::Max(height))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;

    const LOOK: Look = Look {
        glyphs: Glyphs::UNICODE,
        colors: false,
    };

    fn view() -> View {
        let mut view = View::new(vec!["Triage".into(), "Billing".into()], "Triage".into());
        view.model = "gpt-realtime-2.1".into();
        view
    }

    fn levels() -> Levels {
        Levels {
            microphone: Some(MicrophoneLevel {
                level: 0.1,
                is_open: true,
                ..MicrophoneLevel::default()
            }),
            speaker: Some(SpeakerLevel {
                level: 0.5,
                is_sounding: true,
            }),
        }
    }

    fn conversation() -> Tail {
        let tail = Tail::default();
        tail.push("\x1b[2mTriage on gpt-realtime-2.1\x1b[0m\n");
        tail.push("> What is the weather in Rome?\n  tool get_weather {\"city\":\"Rome\"}\n");
        tail.push("It is sunny in Rome, and it will stay so for the rest of the week, as far as anybody can tell.\n");
        tail
    }

    fn screen(width: u16, height: u16, view: &mut View, tail: &Tail, levels: &Levels) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| draw(frame, view, tail, levels, LOOK))
            .unwrap();
        terminal.backend().to_string()
    }

    fn press(view: &mut View, keys: &str) {
        for c in keys.chars() {
            view.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
    }

    #[test]
    fn a_conversation() {
        let mut view = view();
        view.user_speaks = true;
        view.user_words = "and tomor".into();
        insta::assert_snapshot!(screen(70, 14, &mut view, &conversation(), &levels()));
    }

    #[test]
    fn a_narrow_screen() {
        insta::assert_snapshot!(screen(30, 9, &mut view(), &conversation(), &levels()));
    }

    #[test]
    fn a_line_that_is_typed() {
        let mut view = view();
        press(&mut view, "thello there");
        insta::assert_snapshot!(screen(70, 8, &mut view, &conversation(), &Levels::default()));
    }

    #[test]
    fn the_choice_of_an_agent() {
        let mut view = view();
        press(&mut view, "a");
        insta::assert_snapshot!(screen(70, 14, &mut view, &conversation(), &levels()));
    }

    #[test]
    fn the_help() {
        let mut view = view();
        press(&mut view, "?");
        insta::assert_snapshot!(screen(100, 20, &mut view, &conversation(), &levels()));
    }

    #[test]
    fn earlier_lines_come_with_the_page_key_and_no_further_than_there_are() {
        let tail = Tail::default();
        (0..100).for_each(|number| tail.push(&format!("line {number}\n")));
        let mut view = view();
        view.below = 10;
        let shown = screen(30, 10, &mut view, &tail, &levels());
        assert!(shown.contains("line 89") && !shown.contains("line 90"), "{shown}");
        view.below = 1_000;
        let shown = screen(30, 10, &mut view, &tail, &levels());
        assert!(shown.contains("line 0 "), "{shown}");
        assert_eq!(view.below, 96);
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (2, 3), (5, 5), (200, 2), (3, 60)] {
            for keys in ["", "t", "a", "?"] {
                let mut view = view();
                press(&mut view, keys);
                screen(width, height, &mut view, &conversation(), &levels());
            }
        }
    }

    #[test]
    fn words_are_kept_whole_where_they_fit() {
        assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
        assert_eq!(
            wrapped("incomprehensible x", 5),
            ["incom", "prehe", "nsibl", "e x"]
        );
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
        assert_eq!(wrapped("日", 1), ["", "日"]);
    }

    #[test]
    fn meters_show_decibels() {
        assert_eq!(
            [0.0, 1e-9, 0.001, 0.0316, 1.0, 7.0].map(meter),
            [0, 0, 0, 10, 20, 20]
        );
    }
}
