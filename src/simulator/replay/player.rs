use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::compare::{are_counterparts, first_difference, is_tool_output};
use super::deviation::describe;
use super::ids::Ids;
use super::script::{Action, Awaited, Since, Step};
use super::{Deviation, Difference, Replay, ReplayMode};
use crate::recording::{Ending, Frame};
use crate::scrub::Scrub;

/// One client's way through a recording, without I/O. Its frames go into [`receive`](Self::receive); what is to be done
/// comes from [`next`](Self::next).
pub(super) struct Player {
    replay: Replay,
    client: u64,
    /// The next step.
    step: usize,
    /// When the one before was due, or the connection opened.
    stepped: Instant,
    /// When each of what is awaited came.
    came: Vec<Option<Instant>>,
    /// How much of it has come without a gap.
    leading: usize,
    /// When each of the sounds began.
    heard: Vec<Instant>,
    ids: Ids,
    /// Errors for the client, ahead of all else.
    errors: VecDeque<String>,
    /// How it ends before its time.
    end: Option<Ending>,
}

/// What to do now.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Send this.
    Send(Frame),
    /// End the connection.
    End(Ending),
    /// Wait for the client, or for this moment.
    Wait(Option<Instant>),
}

impl Player {
    pub(super) fn new(replay: &Replay, now: Instant) -> Self {
        Self {
            client: replay.clients.fetch_add(1, Ordering::Relaxed) + 1,
            step: 0,
            stepped: now,
            came: vec![None; replay.script.awaited.len()],
            leading: 0,
            heard: Vec::new(),
            ids: Ids::default(),
            errors: VecDeque::new(),
            end: None,
            replay: replay.clone(),
        }
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        if let Some(error) = self.errors.pop_front() {
            return Next::Send(Frame::Text(error));
        }
        if let Some(end) = &self.end {
            return Next::End(end.clone());
        }
        let replay = self.replay.clone();
        let Some(step) = replay.script.steps.get(self.step) else {
            return Next::Wait(None);
        };
        if self.leading < step.needs || self.heard.len() < step.needs_sounds {
            return Next::Wait(None);
        }
        let due = self.due(step);
        if due > now {
            return Next::Wait(Some(due));
        }
        self.step += 1;
        // Not now: steps that are late must not make all that follow later still.
        self.stepped = due;
        match &step.action {
            Action::Send(frame) => Next::Send(self.in_own_ids(frame)),
            Action::End(ending) => Next::End(ending.clone()),
        }
    }

    /// When a step whose needs are met is to be taken.
    fn due(&self, step: &Step) -> Instant {
        let script = &self.replay.script;
        let (moment, at) = match step.since {
            Since::Awaited(n) => (
                self.came.get(n).copied().flatten(),
                script.awaited.get(n).and_then(|a| a.at),
            ),
            Since::Sound(n) => (
                self.heard.get(n).copied(),
                script.sounds.get(n).and_then(|s| s.at),
            ),
            Since::Step => {
                let before = self.step.checked_sub(1).and_then(|n| script.steps.get(n));
                (None, before.map_or(Some(Duration::ZERO), |before| before.at))
            }
        };
        let gap = match (at, step.at) {
            (Some(from), Some(to)) => self.replay.speed.scale(to.saturating_sub(from)),
            _ => Duration::ZERO,
        };
        moment.unwrap_or(self.stepped) + gap
    }

    fn in_own_ids(&self, frame: &Frame) -> Frame {
        let mut frame = frame.clone();
        if let Frame::Event(event) = &mut frame {
            self.ids.put_into(event);
        }
        frame
    }

    /// Takes in a frame of the client.
    pub(super) fn receive(&mut self, now: Instant, mut frame: Frame) {
        if self.end.is_some() {
            return;
        }
        if frame.kind() == "input_audio_buffer.append" {
            return self.hear(now);
        }
        if let Frame::Event(event) = &mut frame {
            // Compared with a recording, from which they were taken, too.
            Scrub::default().clean_fields(event);
        }
        match self.replay.mode {
            ReplayMode::Strict => self.follow(now, &frame),
            ReplayMode::Lenient => self.make_do_with(now, &frame),
        }
    }

    fn hear(&mut self, now: Instant) {
        let sound = self.replay.script.sounds.get(self.heard.len());
        if sound.is_some_and(|sound| sound.after <= self.step) {
            self.heard.push(now);
        }
    }

    /// Takes the event for the next one that is awaited if it has its type.
    fn make_do_with(&mut self, now: Instant, frame: &Frame) {
        let replay = self.replay.clone();
        match replay.script.awaited.get(self.leading) {
            Some(awaited) if awaited.frame.kind() == frame.kind() => {
                self.arrived(now, self.leading, awaited, frame)
            }
            Some(_) => {}
            None if frame.kind() == "response.create" && self.is_through() => {
                self.end = Some(ending(1000, "the recording ends here".to_owned()));
            }
            None => {}
        }
    }

    /// Whether all has been sent, and nothing more would come.
    fn is_through(&self) -> bool {
        self.step >= self.replay.script.steps.len()
    }

    /// Takes the event for what it must be, and tells how it differs.
    fn follow(&mut self, now: Instant, frame: &Frame) {
        let replay = self.replay.clone();
        let script = &replay.script;
        let Some(expected) = script.awaited.get(self.leading) else {
            let sent = describe(frame);
            return self.give_up(script.last_line, Difference::AfterEnd { sent }, frame);
        };
        let found = self.counterpart(frame);
        let same_type = expected.frame.kind() == frame.kind();
        match found.or_else(|| same_type.then_some(self.leading)) {
            Some(n) => {
                if let Some(awaited) = script.awaited.get(n) {
                    self.compare(awaited, frame);
                    self.arrived(now, n, awaited, frame);
                }
            }
            None => {
                let difference = Difference::Order {
                    expected: describe(&expected.frame),
                    sent: describe(frame),
                };
                self.give_up(expected.line, difference, frame);
            }
        }
    }

    /// What the event stands for: the next that is awaited; of outputs of tools any, as they come when they are ready.
    fn counterpart(&self, frame: &Frame) -> Option<usize> {
        let Frame::Event(sent) = frame else { return None };
        let awaited = self.replay.script.awaited.iter().enumerate().skip(self.leading);
        for (n, awaited) in awaited {
            let Frame::Event(recorded) = &awaited.frame else {
                return None;
            };
            let is_missing = self.came.get(n).is_some_and(Option::is_none);
            if is_missing && are_counterparts(recorded, sent) {
                return Some(n);
            }
            if is_missing && !(is_tool_output(recorded) && is_tool_output(sent)) {
                return None;
            }
        }
        None
    }

    fn compare(&mut self, awaited: &Awaited, frame: &Frame) {
        let (Frame::Event(recorded), Frame::Event(sent)) = (&awaited.frame, frame) else {
            return;
        };
        let mut recorded = recorded.clone();
        self.ids.put_into(&mut recorded);
        if let Some(place) = first_difference(&recorded, sent) {
            let difference = Difference::Content {
                event: describe(&awaited.frame),
                path: place.path.clone(),
                recorded: place.recorded,
                sent: place.sent,
            };
            self.deviates(awaited.line, difference, Some(&place.path), frame);
        }
    }

    fn arrived(&mut self, now: Instant, n: usize, awaited: &Awaited, frame: &Frame) {
        if let Some(came) = self.came.get_mut(n) {
            *came = Some(now);
        }
        while self.came.get(self.leading).is_some_and(Option::is_some) {
            self.leading += 1;
        }
        if let (Frame::Event(recorded), Frame::Event(sent)) = (&awaited.frame, frame) {
            self.ids.learn(recorded, sent);
        }
    }

    /// The client goes another way: nothing recorded fits what comes after.
    fn give_up(&mut self, line: usize, difference: Difference, frame: &Frame) {
        self.deviates(line, difference, None, frame);
        // 1008 is for a message that violates what was agreed.
        self.end = Some(ending(
            1008,
            format!("the client deviates from the recording at line {line}"),
        ));
    }

    fn deviates(&mut self, line: usize, difference: Difference, param: Option<&str>, frame: &Frame) {
        let deviation = self.report(line, difference);
        let event_id = match frame {
            Frame::Event(event) => event.get("event_id").cloned(),
            _ => None,
        };
        let error = json!({
            "type": "error",
            "event_id": format!("event_replay_{line}"),
            "error": {
                "type": "invalid_request_error",
                "code": "replay_deviation",
                "message": format!("This is not as it was recorded, {deviation}."),
                "param": param,
                "event_id": event_id,
            },
        });
        self.errors.push_back(error.to_string());
    }

    fn report(&self, line: usize, difference: Difference) -> Deviation {
        let deviation = Deviation {
            line,
            client: self.client,
            difference,
        };
        (self.replay.report)(&deviation);
        deviation
    }

    /// The client has left; in a strict replay not before its time.
    pub(super) fn leave(&mut self) {
        if self.replay.mode == ReplayMode::Lenient || self.end.is_some() {
            return;
        }
        let script = &self.replay.script;
        let steps = script.steps.get(self.step..).unwrap_or_default();
        let silent = steps.first().filter(|step| self.heard.len() < step.needs_sounds);
        if let Some(missing) = script.awaited.get(self.leading) {
            let expected = describe(&missing.frame);
            self.report(missing.line, Difference::Left { expected });
        } else if let Some(sound) = silent.and_then(|_| script.sounds.get(self.heard.len())) {
            let expected = "`input_audio_buffer.append`".to_owned();
            self.report(sound.line, Difference::Left { expected });
        } else if let Some((line, unheard)) = steps.iter().find_map(unheard) {
            self.report(line, Difference::LeftUnheard { unheard });
        }
    }
}

/// The end of an answer that was not sent. What else a server says at last, such as rate limits, need not be heard.
fn unheard(step: &Step) -> Option<(usize, String)> {
    match &step.action {
        Action::Send(frame) if frame.kind() == "response.done" => Some((step.line, describe(frame))),
        _ => None,
    }
}

fn ending(code: u16, reason: String) -> Ending {
    Ending {
        by: Some(crate::recording::Side::Server),
        code,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Entry, Recording, Row, Side};

    const MS: Duration = Duration::from_millis(1);

    /// A player of frames of the server at these times, and of the client where it says so.
    fn player(rows: &[(u32, Side)], now: Instant) -> Player {
        let row = |(n, (at, from)): (usize, &(u32, Side))| {
            let row = Row {
                at: Some(*at * MS),
                entry: Entry::Frame {
                    from: *from,
                    frame: Frame::read(br#"{"type":"response.create"}"#),
                },
            };
            (n + 1, row)
        };
        let recording = Recording {
            rows: rows.iter().enumerate().map(row).collect(),
            is_torn: false,
        };
        Player::new(&Replay::new(&recording, ReplayMode::Strict), now)
    }

    #[test]
    fn steps_that_are_late_do_not_add_up() {
        let start = Instant::now();
        let rows: Vec<_> = (1..=100).map(|n| (20 * n, Side::Server)).collect();
        let mut player = player(&rows, start);
        for n in 1..=100 {
            let due = start + n * 20 * MS;
            assert_eq!(player.next(due - MS), Next::Wait(Some(due)));
            // As late as timers are.
            assert!(matches!(player.next(due + 5 * MS), Next::Send(_)));
        }
        assert_eq!(player.next(start + Duration::from_secs(9)), Next::Wait(None));
    }

    #[test]
    fn time_counts_from_what_the_client_sent() {
        let start = Instant::now();
        let rows = [(0, Side::Server), (5_000, Side::Client), (5_030, Side::Server)];
        let mut player = player(&rows, start);
        assert!(matches!(player.next(start), Next::Send(_)));
        assert_eq!(player.next(start + Duration::from_secs(60)), Next::Wait(None));
        let asked = start + 7 * MS;
        player.receive(asked, Frame::read(br#"{"type":"response.create"}"#));
        assert_eq!(player.next(asked), Next::Wait(Some(asked + 30 * MS)));
        assert!(matches!(player.next(asked + 30 * MS), Next::Send(_)));
    }
}
