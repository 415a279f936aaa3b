//! The table on a terminal of what is being played, below the lines of what has ended.
//!
//! It is drawn through the same queue as all other output, so that neither tears the other apart.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use realtime_run::script::Progress;

use crate::cli::output::{Output, Stream};
use crate::cli::smoke::{OnTurn, Time};
use crate::cli::style::in_one_line;

/// Rows for what is being played.
const ROWS: usize = 12;
/// Characters of a name that are shown.
const SHOWN: usize = 40;
/// How often it is drawn in a second.
const RATE: u8 = 10;
/// The terminal's columns, if it does not say.
const COLUMNS: u16 = 80;

/// The table.
#[derive(Debug)]
pub struct Live {
    table: MultiProgress,
    /// The last row: how far it all is.
    total: ProgressBar,
    /// The rows of what is being played, as many as there is room for.
    rows: HashMap<Time, ProgressBar>,
}

impl Live {
    /// A table of so many runs.
    pub fn start(output: &Output, runs: u64) -> Self {
        let canvas = Canvas {
            output: output.clone(),
            drawing: Mutex::default(),
        };
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(canvas), RATE);
        let table = MultiProgress::with_draw_target(target);
        let total = ProgressBar::new(runs).with_style(style("{bar:24} {pos}/{len}  {elapsed}  {msg}"));
        Self {
            total: table.add(total),
            table,
            rows: HashMap::new(),
        }
    }

    /// An attempt begins. What it comes to can be told on its row, if it has one.
    pub fn began(&mut self, time: Time, title: &str) -> Option<OnTurn> {
        if self.rows.len() == ROWS {
            return None;
        }
        let row = ProgressBar::new_spinner().with_style(style("{spinner} {prefix}  {msg}  {elapsed}"));
        let row = self.table.insert_before(&self.total, row);
        row.set_prefix(in_one_line(title, SHOWN));
        self.rows.insert(time, row.clone());
        let told = move |Progress { turn, turns }| row.set_message(format!("turn {turn} of {turns}"));
        Some(Arc::new(told))
    }

    /// An attempt has ended; `counts` tells how many have passed up to now, and how many not.
    pub fn ended(&mut self, time: Time, is_settled: bool, counts: String) {
        if let Some(row) = self.rows.remove(&time) {
            row.finish_and_clear();
            self.table.remove(&row);
        }
        if is_settled {
            self.total.inc(1);
            self.total.set_message(counts);
        }
    }

    /// Has something said above the table.
    pub fn above(&self, say: impl FnOnce()) {
        self.table.suspend(say);
    }

    /// Draws what has moved.
    pub fn tick(&self) {
        self.rows.values().for_each(ProgressBar::tick);
        self.total.tick();
    }

    /// How often to [`tick`](Self::tick).
    pub const TICK: Duration = Duration::from_millis(1_000 / RATE as u64);
}

impl Drop for Live {
    fn drop(&mut self) {
        // The terminal can't fail: it is the queue.
        let _ = self.table.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours, and right.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The terminal behind the queue of all output.
struct Canvas {
    output: Output,
    /// What is drawn since the last flush.
    drawing: Mutex<String>,
}

impl Canvas {
    fn drawing(&self) -> MutexGuard<'_, String> {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, text: &str) -> io::Result<()> {
        self.drawing().push_str(text);
        Ok(())
    }

    fn move_cursor(&self, by: usize, way: char) -> io::Result<()> {
        match by {
            0 => Ok(()),
            by => self.draw(&format!("\x1b[{by}{way}")),
        }
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        let columns = Stream::Stderr
            .columns()
            .and_then(|columns| columns.try_into().ok());
        columns.unwrap_or(COLUMNS)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        self.output.draw(&std::mem::take(&mut *self.drawing()));
        Ok(())
    }
}

impl fmt::Debug for Canvas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the terminal")
    }
}
