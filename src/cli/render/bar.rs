//! Bars for stretches of time, to one scale.

use realtime_run::trace::Timestamp;
use std::time::Duration;

use super::cell::width;
use crate::cli::duration;
use crate::cli::glyphs::Glyphs;

/// Cells from one moment on the axis to the next, at the least.
const TICK_CELLS: usize = 12;

/// Microseconds of a minute.
const MINUTE: u64 = 60_000_000;

/// A stretch of time over a number of cells.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    start: Timestamp,
    /// Microseconds, at least one.
    length: u64,
    cells: usize,
}

/// What of a span has a place on the scale.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    pub start: Timestamp,
    /// `None` if it is not known.
    pub end: Option<Timestamp>,
    /// When the first of what it brought was there.
    pub mark: Option<Timestamp>,
}

impl Scale {
    pub fn new(start: Timestamp, end: Timestamp, cells: usize) -> Self {
        let length = end.as_micros().saturating_sub(start.as_micros());
        Self {
            start,
            length: length.max(1),
            cells,
        }
    }

    /// The bar, with the cells before it.
    pub fn bar(&self, stretch: Stretch, glyphs: Glyphs) -> String {
        let halves = 2 * self.cells;
        let start = self.place(stretch.start, halves).min(halves - 1);
        let end = stretch.end.map_or(halves, |end| self.place_after(end, halves));
        let end = end.clamp(start + 1, halves);
        let mark = stretch
            .mark
            .map(|mark| self.place(mark, self.cells).min(self.cells - 1));
        let cell = |cell: usize| {
            let covers = |half| (start..end).contains(&half);
            match (covers(2 * cell), covers(2 * cell + 1)) {
                _ if mark == Some(cell) => glyphs.mark,
                (true, true) if stretch.end.is_none() => glyphs.open,
                (true, true) => glyphs.full,
                (true, false) => glyphs.left,
                (false, true) => glyphs.right,
                (false, false) => ' ',
            }
        };
        let bar: String = (0..self.cells).map(cell).collect();
        bar.trim_end().to_owned()
    }

    /// Moments since the start, each at its place.
    pub fn axis(&self, glyphs: Glyphs) -> String {
        let step = self.step();
        let mut line = String::new();
        for moment in (0..self.length).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let place = usize::try_from(u128::from(moment) * self.cells as u128 / u128::from(self.length))
                .unwrap_or(0);
            let label = match moment {
                0 => "0".to_owned(),
                _ => glyphs
                    .spell(&duration::show(Duration::from_micros(moment)))
                    .into_owned(),
            };
            let label = format!("{}{label}", glyphs.tick);
            if place + width(&label) <= self.cells && place >= width(&line) {
                line += &" ".repeat(place - width(&line));
                line += &label;
            }
        }
        line
    }

    /// Microseconds from one moment on the axis to the next: the least round number for which there is room.
    fn step(&self) -> u64 {
        let least = u128::from(self.length) * TICK_CELLS as u128 / self.cells as u128;
        let tens = (0..8).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
        let minutes = [1, 2, 5, 10, 30].map(|minutes| minutes * MINUTE);
        let hours = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 60 * MINUTE * 10_u64.pow(power)));
        let mut steps = tens.filter(|step| *step < MINUTE).chain(minutes).chain(hours);
        steps.find(|step| u128::from(*step) >= least).unwrap_or(u64::MAX)
    }

    /// The place of a moment among so many.
    fn place(&self, moment: Timestamp, places: usize) -> usize {
        let since = u128::from(moment.as_micros().saturating_sub(self.start.as_micros()));
        usize::try_from(since * places as u128 / u128::from(self.length)).unwrap_or(places)
    }

    /// The place that begins when a moment is over, or with it.
    fn place_after(&self, moment: Timestamp, places: usize) -> usize {
        let since = u128::from(moment.as_micros().saturating_sub(self.start.as_micros()));
        usize::try_from((since * places as u128).div_ceil(u128::from(self.length))).unwrap_or(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000 + micros)
    }

    fn bar(start: u64, end: Option<u64>, mark: Option<u64>) -> String {
        let scale = Scale::new(at(0), at(100), 10);
        let stretch = Stretch {
            start: at(start),
            end: end.map(at),
            mark: mark.map(at),
        };
        scale.bar(stretch, Glyphs::of_locale_named(None))
    }

    #[test]
    fn bars_are_to_scale_by_half_cells() {
        assert_eq!(bar(0, Some(100), None), "━━━━━━━━━━");
        assert_eq!(bar(10, Some(30), None), " ━━");
        assert_eq!(bar(15, Some(35), None), " ╺━╸");
        assert_eq!(bar(20, Some(20), None), "  ╸");
        assert_eq!(bar(100, Some(100), None), "         ╺");
    }

    #[test]
    fn what_goes_on_is_open_and_what_came_first_is_marked() {
        assert_eq!(bar(50, None, None), "     ╍╍╍╍╍");
        assert_eq!(bar(0, Some(60), Some(25)), "━━╋━━━");
        assert_eq!(bar(30, Some(30), Some(30)), "   ╋");
    }

    #[test]
    fn moments_outside_stay_within_the_cells() {
        let scale = Scale::new(at(0), at(0), 4);
        let far = Stretch {
            start: at(0),
            end: Some(at(u64::MAX / 2)),
            mark: Some(at(u64::MAX / 2)),
        };
        assert_eq!(scale.bar(far, Glyphs::of_locale_named(None)), "━━━╋");
    }

    #[test]
    fn the_axis_has_round_moments_where_there_is_room() {
        let axis = |length, cells| Scale::new(at(0), at(length), cells).axis(Glyphs::of_locale_named(None));
        assert_eq!(axis(3_000_000, 40), "╷0           ╷1.00 s      ╷2.00 s");
        assert_eq!(axis(100, 10), "╷0");
        assert_eq!(axis(0, 10), "╷0");
        assert_eq!(axis(50 * MINUTE, 40), "╷0                      ╷30 min");
    }
}
