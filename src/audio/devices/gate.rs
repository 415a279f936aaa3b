//! Keeps the assistant from hearing itself: while it is heard, a microphone is let through only when it is clearly louder
//! than the echo.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::capture::Chunk;
use crate::audio::encode;
use crate::protocol::AudioFormat;

/// How much louder than its echo the user has to be: 6 dB.
const MARGIN: f32 = 2.0;
/// What is quieter than this (-40 dBFS) is nobody who speaks.
const QUIET: f32 = 0.01;
/// How long the user has to be loud enough before the gate opens: shorter is a door or a cough.
const LOUD_FOR: Duration = Duration::from_millis(60);
/// How long the gate stays open in the pauses of speech.
const PAUSE: Duration = Duration::from_millis(500);
/// How long an echo may follow on what is played: the device's own delay, and the room's.
const TAIL: Duration = Duration::from_millis(300);
/// How long the gate listens to the first echo before it can open: by then it knows how loud echoes are here.
const LEARNING: Duration = Duration::from_millis(300);
/// Sound that is kept while the gate is shut, and let through when it opens: how a word begins.
const HELD: Duration = Duration::from_millis(200);
/// How fast the estimate of the echo rises and falls with each chunk.
const RISE: f32 = 0.2;
const FALL: f32 = 0.02;

/// What is let through of a microphone.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Sound for the session, in the order in which it was spoken; silence stands for what was held back.
    pub audio: Vec<Bytes>,
    /// The user cuts in on the assistant.
    pub barge_in: bool,
}

/// The gate between a microphone and a session. It works on time that is handed to it.
#[derive(Debug)]
pub struct Gate {
    format: AudioFormat,
    /// The loudest that was played of late.
    played: f32,
    played_at: Option<Instant>,
    /// How loud an echo is, as a multiple of what is played.
    echo: f32,
    /// For how long echoes were listened to, up to [`LEARNING`].
    learned: Duration,
    /// For how long the user has been loud enough.
    loud: Duration,
    open_until: Option<Instant>,
    /// Chunks that wait behind the shut gate, and how long they are.
    held: VecDeque<Chunk>,
    held_length: Duration,
}

impl Gate {
    /// A gate for sound of this format, which knows nothing of its echoes yet.
    pub fn new(format: AudioFormat) -> Self {
        Self {
            format,
            played: 0.0,
            played_at: None,
            echo: 1.0,
            learned: Duration::ZERO,
            loud: Duration::ZERO,
            open_until: None,
            held: VecDeque::new(),
            held_length: Duration::ZERO,
        }
    }

    /// Whether the microphone is held back now.
    pub fn is_shut(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes what the microphone heard until `now`, while `played` was how loud the assistant is (the root of the mean
    /// square, 0 for silence).
    pub fn take(&mut self, now: Instant, chunk: Chunk, played: f32) -> Passed {
        self.follow(now, played, chunk.length);
        if self.played_at.is_none_or(|at| now >= at + TAIL) {
            return self.leave(chunk);
        }
        let threshold = QUIET.max(MARGIN * self.echo * self.played);
        if self.open_until.is_some_and(|until| now < until) {
            if chunk.level > threshold / MARGIN {
                self.open_until = Some(now + PAUSE);
            }
            return self.release(Chunk::clone(&chunk), false);
        }
        if self.learned < LEARNING {
            self.learned += chunk.length;
            self.learn(chunk.level);
        } else if chunk.level > threshold {
            self.loud += chunk.length;
            if self.loud >= LOUD_FOR {
                self.loud = Duration::ZERO;
                self.open_until = Some(now + PAUSE);
                return self.release(chunk, true);
            }
        } else {
            self.loud = Duration::ZERO;
            self.learn(chunk.level);
        }
        self.hold(chunk)
    }

    /// Keeps up with how loud the assistant is: rises at once, and falls as slowly as echoes do.
    fn follow(&mut self, now: Instant, played: f32, length: Duration) {
        let fall = (-length.as_secs_f32() / TAIL.as_secs_f32()).exp();
        self.played = played.max(self.played * fall);
        if played > QUIET / 10.0 {
            self.played_at = Some(now);
        }
    }

    fn learn(&mut self, level: f32) {
        if self.played > QUIET {
            let echo = level / self.played;
            let speed = if echo > self.echo { RISE } else { FALL };
            self.echo += (echo - self.echo) * speed;
        }
    }

    /// The assistant is silent: everything goes through, and what was held back was its echo.
    fn leave(&mut self, chunk: Chunk) -> Passed {
        self.loud = Duration::ZERO;
        self.open_until = None;
        let mut audio: Vec<_> = std::mem::take(&mut self.held)
            .iter()
            .map(|held| self.silence(held))
            .collect();
        self.held_length = Duration::ZERO;
        audio.push(chunk.audio);
        Passed {
            audio,
            barge_in: false,
        }
    }

    fn release(&mut self, chunk: Chunk, barge_in: bool) -> Passed {
        self.held_length = Duration::ZERO;
        let held = std::mem::take(&mut self.held);
        Passed {
            audio: held.into_iter().chain([chunk]).map(|chunk| chunk.audio).collect(),
            barge_in,
        }
    }

    fn hold(&mut self, chunk: Chunk) -> Passed {
        self.held_length += chunk.length;
        self.held.push_back(chunk);
        let mut passed = Passed::default();
        while self.held_length > HELD
            && let Some(old) = self.held.pop_front()
        {
            self.held_length -= old.length;
            passed.audio.push(self.silence(&old));
        }
        passed
    }

    fn silence(&self, chunk: &Chunk) -> Bytes {
        silence(chunk.audio.len(), self.format)
    }
}

/// So many bytes of silence.
pub(super) fn silence(bytes: usize, format: AudioFormat) -> Bytes {
    let samples = match format {
        AudioFormat::Pcm { .. } => bytes / 2,
        AudioFormat::Pcmu | AudioFormat::Pcma => bytes,
    };
    encode(std::iter::repeat_n(0, samples), format).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(20);

    /// A microphone and a clock.
    struct Rig {
        gate: Gate,
        now: Instant,
        /// Chunks of sound and of silence that came through, and times the user cut in.
        heard: (usize, usize, usize),
    }

    impl Rig {
        fn new() -> Self {
            Self {
                gate: Gate::new(AudioFormat::PCM24),
                now: Instant::now(),
                heard: (0, 0, 0),
            }
        }

        /// Goes on for a while with a microphone and an assistant this loud.
        fn run(&mut self, ms: u64, mic: f32, played: f32) -> (usize, usize, usize) {
            self.heard = (0, 0, 0);
            for _ in 0..ms / 20 {
                self.now += STEP;
                let chunk = Chunk {
                    audio: Bytes::from_static(&[1; 960]),
                    level: mic,
                    length: STEP,
                };
                let passed = self.gate.take(self.now, chunk, played);
                let sound = passed.audio.iter().filter(|audio| audio[0] == 1).count();
                self.heard.0 += sound;
                self.heard.1 += passed.audio.len() - sound;
                self.heard.2 += usize::from(passed.barge_in);
            }
            self.heard
        }
    }

    #[test]
    fn with_a_silent_assistant_everything_goes_through() {
        assert_eq!(Rig::new().run(1_000, 0.001, 0.0), (50, 0, 0));
    }

    #[test]
    fn an_echo_becomes_silence_of_the_same_length() {
        for echo in [0.01, 0.3, 0.9, 1.5] {
            let mut rig = Rig::new();
            assert_eq!(rig.run(5_000, 0.2 * echo, 0.2), (0, 240, 0), "{echo}");
            assert!(rig.gate.is_shut());
            // The tail of the echo is kept back, too; then all is free again.
            let (sound, silence, barge_ins) = rig.run(1_000, 0.001, 0.0);
            assert_eq!((sound + silence, barge_ins), (60, 0), "{echo}");
            assert_eq!(silence, 24, "{echo}");
            assert!(!rig.gate.is_shut());
        }
    }

    #[test]
    fn whoever_is_clearly_louder_than_the_echo_cuts_in_with_the_beginning_of_the_word() {
        let mut rig = Rig::new();
        rig.run(3_000, 0.1, 0.2);
        let (sound, _, barge_ins) = rig.run(200, 0.5, 0.2);
        assert_eq!(
            (sound, barge_ins),
            (18, 1),
            "the last eight chunks from behind the gate, too"
        );
        assert!(!rig.gate.is_shut());
    }

    #[test]
    fn a_short_noise_does_not_cut_in() {
        let mut rig = Rig::new();
        rig.run(3_000, 0.1, 0.2);
        assert_eq!(rig.run(40, 0.9, 0.2).2, 0);
        assert_eq!(rig.run(1_000, 0.1, 0.2), (0, 50, 0));
    }

    #[test]
    fn pauses_in_speech_leave_it_open_and_the_end_shuts_it() {
        let mut rig = Rig::new();
        rig.run(3_000, 0.1, 0.2);
        rig.run(200, 0.5, 0.2);
        assert_eq!(rig.run(400, 0.05, 0.2), (20, 0, 0));
        assert_eq!(rig.run(200, 0.5, 0.2), (10, 0, 0));
        rig.run(600, 0.05, 0.2);
        assert!(rig.gate.is_shut());
    }

    #[test]
    fn with_headphones_an_ordinary_voice_cuts_in() {
        let mut rig = Rig::new();
        rig.run(3_000, 0.002, 0.3);
        assert_eq!(rig.run(100, 0.08, 0.3).2, 1);
    }

    #[test]
    fn what_was_learned_holds_for_the_next_answer() {
        let mut rig = Rig::new();
        rig.run(3_000, 0.1, 0.2);
        rig.run(3_000, 0.001, 0.0);
        assert_eq!(rig.run(100, 0.5, 0.2).2, 1);
    }
}
