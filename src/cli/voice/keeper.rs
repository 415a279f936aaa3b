//! The thread that writes a run's sound into files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use realtime_run::audio;
use realtime_run::protocol::AudioFormat;

use super::files::{SoundFile, Stereo, TurnFiles, Written};
use super::tape::{Heard, Sound};
use super::timeline::{Part, Second, Timeline};

/// How often what is written is made readable, and time goes on when nothing happens.
const TICK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Keeper {
    formats: (AudioFormat, AudioFormat),
    timeline: Timeline,
    /// Bytes that are on their way to a file.
    waiting: Arc<AtomicU64>,
    /// What of them is not in the queue any more.
    taken: u64,
    /// The answers one after the other.
    answers: Option<SoundFile>,
    conversation: Option<(Stereo, TurnFiles)>,
    began: Option<Instant>,
}

impl Keeper {
    pub fn new(
        (input, output): (AudioFormat, AudioFormat),
        waiting: Arc<AtomicU64>,
        answers: Option<SoundFile>,
        conversation: Option<(Stereo, TurnFiles)>,
    ) -> Self {
        Self {
            formats: (input, output),
            timeline: Timeline::new(audio::sample_rate(input), audio::sample_rate(output)),
            waiting,
            taken: 0,
            answers,
            conversation,
            began: None,
        }
    }

    /// Writes until the end, and tells what became of the files.
    pub fn run(mut self, notes: &Receiver<Heard>) -> Vec<Written> {
        let mut flushed = Instant::now();
        loop {
            // The time of what is taken: more of it may wait.
            let now = match notes.recv_timeout(TICK) {
                Ok(Heard { what: Sound::End, .. }) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(heard) => {
                    let at = heard.at;
                    self.note(heard);
                    at
                }
                Err(RecvTimeoutError::Timeout) => Instant::now(),
            };
            if flushed.elapsed() >= TICK {
                flushed = Instant::now();
                self.settle(now);
                self.flush();
            }
        }
        while let Some(second) = self.timeline.rest() {
            self.write(&second);
        }
        self.finish()
    }

    fn note(&mut self, Heard { at, what }: Heard) {
        let now = at.saturating_duration_since(*self.began.get_or_insert(at));
        self.taken += what.bytes();
        let turns = self.conversation.as_mut().map(|(_, turns)| turns);
        match what {
            Sound::Begin => self.began = Some(at),
            Sound::Turn { fast } => {
                self.timeline.turn(fast, now);
                turns.into_iter().for_each(TurnFiles::begin);
            }
            Sound::User(bytes) => {
                let samples = audio::decode(&bytes, self.formats.0);
                turns.into_iter().for_each(|turns| turns.user(&samples));
                self.timeline.user(samples, now);
            }
            Sound::Speech { start_ms } => turns.into_iter().for_each(|turns| turns.speech(start_ms)),
            Sound::Answer => turns.into_iter().for_each(TurnFiles::answer),
            Sound::Assistant {
                item_id,
                content_index,
                audio: bytes,
            } => {
                let part = Part {
                    item_id,
                    content_index,
                    turn: turns.map_or(0, |turns| turns.turn()),
                };
                let samples = audio::decode(&bytes, self.formats.1);
                self.timeline.assistant(part, samples, now);
            }
            Sound::Cut {
                item_id,
                content_index,
                played_ms,
            } => self.timeline.cut(&item_id, content_index, played_ms, now),
            Sound::End => {}
        }
    }

    fn settle(&mut self, now: Instant) {
        let Some(began) = self.began else { return };
        let now = now.saturating_duration_since(began);
        while let Some(second) = self.timeline.settle(now) {
            self.write(&second);
        }
        // What is cut off or written makes room.
        let (user, assistant) = self.timeline.pending();
        let pending = user * bytes_of_sample(self.formats.0) + assistant * bytes_of_sample(self.formats.1);
        let gone = self.taken.saturating_sub(pending);
        self.taken -= gone;
        self.waiting.fetch_sub(gone, Ordering::Relaxed);
    }

    fn write(&mut self, second: &Second) {
        for (turn, samples) in &second.answers {
            if let Some(file) = &mut self.answers {
                file.mono(samples);
            }
            if let Some((_, turns)) = &mut self.conversation {
                turns.assistant(*turn, samples);
            }
        }
        if let Some((stereo, _)) = &mut self.conversation {
            stereo.second(second);
        }
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.answers {
            file.flush();
        }
        if let Some((stereo, turns)) = &mut self.conversation {
            stereo.flush();
            turns.flush();
        }
    }

    fn finish(self) -> Vec<Written> {
        let answers = self.answers.map(SoundFile::finish);
        let conversation = self
            .conversation
            .map(|(stereo, turns)| (stereo.finish(), turns.finish()));
        let (stereo, turns) = conversation.unzip();
        answers.into_iter().chain(stereo).chain(turns.flatten()).collect()
    }
}

fn bytes_of_sample(format: AudioFormat) -> u64 {
    format.bytes_per_second() / u64::from(audio::sample_rate(format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_or_cut_off_makes_room() {
        let waiting = Arc::new(AtomicU64::new(0));
        let formats = (AudioFormat::PCM24, AudioFormat::Pcmu);
        let mut keeper = Keeper::new(formats, Arc::clone(&waiting), None, None);
        let began = Instant::now();
        let note = |keeper: &mut Keeper, what: Sound| {
            waiting.fetch_add(what.bytes(), Ordering::Relaxed);
            keeper.note(Heard { at: began, what });
        };
        note(&mut keeper, Sound::Begin);
        note(&mut keeper, Sound::User(vec![0; 48_000].into()));
        let audio = vec![0; 80_000].into();
        note(
            &mut keeper,
            Sound::Assistant {
                item_id: "a".into(),
                content_index: 0,
                audio,
            },
        );
        // Six seconds of the time line are settled: the one that the user takes, and five of the answer behind it.
        let heard = began + Duration::from_secs(8);
        keeper.settle(heard);
        assert_eq!(waiting.load(Ordering::Relaxed), 80_000 - 5 * 8_000);
        let item_id = "a".into();
        note(
            &mut keeper,
            Sound::Cut {
                item_id,
                content_index: 0,
                played_ms: 6_000,
            },
        );
        keeper.settle(heard);
        assert_eq!(waiting.load(Ordering::Relaxed), 8_000);
    }
}
