//! The last of what was printed while a screen has the terminal.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that are kept; a conversation of hours has that many.
const KEPT: usize = 256 << 10;

/// The last of what was printed. When there is more than can be kept, the oldest lines go.
#[derive(Debug, Default)]
pub struct Tail(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    /// All but the last end with a line break.
    kept: VecDeque<String>,
    bytes: usize,
    dropped: bool,
}

impl Tail {
    /// Takes text as it is printed, in whole lines or parts of one.
    pub fn push(&self, text: &str) {
        let mut lines = self.lines();
        for piece in text.split_inclusive('\n') {
            match lines.kept.back_mut().filter(|line| !line.ends_with('\n')) {
                Some(open) => open.push_str(piece),
                None => lines.kept.push_back(piece.to_owned()),
            }
            lines.bytes += piece.len();
        }
        while lines.bytes > KEPT
            && lines.kept.len() > 1
            && let Some(oldest) = lines.kept.pop_front()
        {
            lines.bytes -= oldest.len();
            lines.dropped = true;
        }
    }

    /// The lines, the oldest first, without their ends.
    pub fn read<T>(&self, read: impl FnOnce(&mut dyn DoubleEndedIterator<Item = &str>) -> T) -> T {
        let lines = self.lines();
        read(&mut lines.kept.iter().map(|line| line.trim_end_matches('\n')))
    }

    /// All of it, to be printed where it can stay.
    pub fn take(&self) -> String {
        let lines = std::mem::take(&mut *self.lines());
        let note = if lines.dropped {
            "(earlier lines are not shown)\n"
        } else {
            ""
        };
        let mut text = String::from(note);
        text.extend(lines.kept);
        text
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(tail: &Tail) -> Vec<String> {
        tail.read(|lines| lines.map(str::to_owned).collect())
    }

    #[test]
    fn parts_become_lines() {
        let tail = Tail::default();
        for part in ["It is ", "sunny", " in Rome.\n  tool", " x\n", "\nand"] {
            tail.push(part);
        }
        assert_eq!(lines(&tail), ["It is sunny in Rome.", "  tool x", "", "and"]);
        assert_eq!(tail.take(), "It is sunny in Rome.\n  tool x\n\nand");
    }

    #[test]
    fn the_oldest_lines_go_when_there_are_too_many() {
        let tail = Tail::default();
        for number in 0..100_000 {
            tail.push(&format!("line {number}\n"));
        }
        let kept = lines(&tail);
        assert!(kept.len() < 40_000, "{}", kept.len());
        assert_eq!(kept.last().unwrap(), "line 99999");
        assert!(tail.take().starts_with("(earlier lines are not shown)\nline "));
    }

    #[test]
    fn a_line_longer_than_the_bound_does_not_take_the_program_along() {
        let tail = Tail::default();
        tail.push(&"x".repeat(2 * KEPT));
        tail.push("\nnext");
        assert_eq!(lines(&tail), ["next"]);
    }
}
