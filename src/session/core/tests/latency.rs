//! How long the user waits: what a turn's end is known by, and what counts as the first of an answer.

use bytes::Bytes;

use super::work::said;
use super::*;
use crate::session::{FirstPlayed, Latency, LatencySummary, PlayedBy, TurnEndedBy};

impl Rig {
    /// The user's sound, as a microphone sends it: so many times 20 ms, each piece when it was heard whole.
    fn speak(&mut self, pieces: u64) {
        for _ in 0..pieces {
            self.wait(ms(20));
            let (audio, commit) = (vec![0; 960].into(), false);
            self.command(Command::Audio { audio, commit });
        }
    }

    /// The server goes by so much silence, or by meaning.
    fn detects(&mut self, silence_ms: Option<u64>) {
        let detection = match silence_ms {
            Some(silence) => json!({"type": "server_vad", "silence_duration_ms": silence}),
            None => json!({"type": "semantic_vad"}),
        };
        self.server(json!({"type": "session.updated", "session":
            {"audio": {"input": {"turn_detection": detection}}}}));
    }

    fn speech_stopped(&mut self, audio_end_ms: Option<u64>) {
        self.server(
            json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": audio_end_ms}),
        );
    }

    /// What was told of turns since the test last looked; other events are forgotten.
    fn latencies(&mut self) -> Vec<Latency> {
        let latency = |event| match event {
            SessionEvent::Latency(latency) => Some(latency),
            _ => None,
        };
        self.events.drain(..).filter_map(latency).collect()
    }

    fn latency(&mut self) -> Latency {
        let told = self.latencies();
        assert_eq!(told.len(), 1, "{told:?}");
        told[0]
    }

    fn summary(&mut self) -> LatencySummary {
        self.command(Command::Close);
        let Some(SessionEvent::SessionEnd { latency, .. }) = self.events.pop() else {
            panic!("no end")
        };
        *latency
    }

    /// An answer whose first word comes after 30 ms, and its first sound after 50.
    fn answers(&mut self, response: &str, item: &str) {
        self.created(response);
        self.wait(ms(30));
        self.transcript(response, item, "hello");
        self.wait(ms(20));
        self.audio(response, item, 1_000);
        self.wait(ms(5));
        self.transcript(response, item, " there");
        self.audio(response, item, 1_000);
        self.done(response);
    }

    fn metadata_of(&self, kind: &str, place: usize) -> Value {
        json!(self.kind(kind)[place].metadata)
    }
}

fn by_clock(millis: u64) -> Option<FirstPlayed> {
    played(millis, PlayedBy::Clock)
}

fn played(millis: u64, by: PlayedBy) -> Option<FirstPlayed> {
    let after = ms(millis);
    Some(FirstPlayed { after, by })
}

#[test]
fn a_written_turn_counts_from_its_message() {
    let mut rig = Rig::open();
    rig.say("hi");
    rig.wait(ms(10));
    rig.answers("r1", "a");
    let expected = Latency {
        turn: 1,
        ended_by: TurnEndedBy::Message,
        silence: None,
        first_word: Some(ms(40)),
        first_audio: Some(ms(60)),
        first_played: by_clock(60),
    };
    assert_eq!(rig.latency(), expected);
}

#[test]
fn a_latency_is_told_once_before_the_end_of_its_turn() {
    let mut rig = Rig::open();
    rig.say("hi");
    rig.answers("r1", "a");
    let kinds = rig.events.iter().rev().take(2).map(|event| match event {
        SessionEvent::Latency(_) => "latency",
        SessionEvent::TurnEnd { .. } => "turn_end",
        _ => "other",
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["turn_end", "latency"]);
    assert_eq!(rig.latencies().len(), 1);
}

#[test]
fn a_spoken_turn_counts_from_the_sending_of_the_sample_where_the_user_stopped() {
    let mut rig = Rig::open();
    rig.detects(Some(500));
    // A second of speech, and half a second of silence that the server waits for and counts as speech.
    rig.speak(75);
    rig.wait(ms(40));
    rig.speech_stopped(Some(1_500));
    rig.answers("r1", "a");
    let latency = rig.latency();
    assert_eq!(latency.ended_by, TurnEndedBy::SpeechStopped);
    assert_eq!(latency.silence, Some(ms(500)));
    assert_eq!(
        latency.first_word,
        Some(ms(500 + 40 + 30)),
        "the silence is part of the wait"
    );
    assert_eq!(latency.first_audio, Some(ms(500 + 40 + 50)));
}

#[test]
fn silence_of_which_the_server_does_not_tell_is_not_made_up() {
    let mut rig = Rig::open();
    rig.detects(None);
    rig.speak(75);
    rig.wait(ms(40));
    rig.speech_stopped(Some(1_480));
    rig.answers("r1", "a");
    let latency = rig.latency();
    assert_eq!(
        (latency.ended_by, latency.silence),
        (TurnEndedBy::SpeechStopped, None)
    );
    assert_eq!(latency.first_word, Some(ms(20 + 40 + 30)));
}

#[test]
fn a_turn_of_which_the_place_is_not_known_counts_from_the_news_of_its_end() {
    for place in [None, Some(90_000)] {
        let mut rig = Rig::open();
        rig.detects(Some(500));
        rig.speak(10);
        rig.wait(ms(700));
        rig.speech_stopped(place);
        rig.answers("r1", "a");
        let latency = rig.latency();
        let known = (latency.ended_by, latency.silence);
        assert_eq!(known, (TurnEndedBy::SpeechStoppedArrival, None), "{place:?}");
        assert_eq!(latency.first_word, Some(ms(30)));
    }
}

#[test]
fn a_committed_turn_counts_from_its_last_sample() {
    let mut rig = Rig::open();
    rig.speak(50);
    rig.wait(ms(70));
    rig.command(Command::Audio {
        audio: Bytes::new(),
        commit: true,
    });
    rig.answers("r1", "a");
    let latency = rig.latency();
    assert_eq!(latency.ended_by, TurnEndedBy::LastSample);
    assert_eq!(latency.first_word, Some(ms(70 + 30)));
    let audio = vec![0; 960].into();
    rig.command(Command::Audio { audio, commit: true });
    rig.answers("r2", "b");
    assert_eq!(rig.latency().first_word, Some(ms(30)), "it came with the commit");
}

#[test]
fn sound_and_commits_that_the_application_sends_as_events_count_too() {
    let mut rig = Rig::open();
    rig.detects(Some(200));
    let audio = base64_simd::STANDARD.encode_to_string([0; 4_800]);
    for _ in 0..10 {
        rig.wait(ms(100));
        rig.raw(json!({"type": "input_audio_buffer.append", "audio": audio}));
    }
    rig.raw(json!({"type": "input_audio_buffer.append", "audio": "!"}));
    rig.wait(ms(60));
    rig.speech_stopped(Some(1_000));
    rig.answers("r1", "a");
    assert_eq!(rig.latency().first_word, Some(ms(200 + 60 + 30)));
    rig.wait(ms(5));
    rig.raw(json!({"type": "input_audio_buffer.append", "audio": audio}));
    rig.wait(ms(5));
    rig.raw(json!({"type": "input_audio_buffer.commit"}));
    rig.answers("r2", "b");
    let latency = rig.latency();
    assert_eq!(latency.ended_by, TurnEndedBy::LastSample);
    assert_eq!(latency.first_word, Some(ms(5 + 30)));
}

#[test]
fn the_first_word_may_be_of_a_later_answer_to_the_same_turn() {
    let mut rig = Rig::open();
    rig.say("the weather?");
    rig.created("r1");
    rig.call("r1", "c", "weather", "{}");
    rig.done("r1");
    rig.wait(ms(200));
    rig.tool_done("c", "sunny");
    assert_eq!(rig.latencies(), []);
    rig.answers("r2", "a");
    let latency = rig.latency();
    assert_eq!((latency.turn, latency.first_word), (1, Some(ms(230))));
    assert_eq!(latency.first_audio, Some(ms(250)));
}

#[test]
fn an_empty_word_and_an_answer_outside_the_conversation_are_no_answer() {
    let mut rig = Rig::open();
    rig.raw(json!({"type": "response.create", "response": {"conversation": "none"}}));
    rig.say("hi");
    rig.server(json!({"type": "response.created", "response": {"id": "side", "conversation_id": null}}));
    rig.transcript("side", "b", "aside");
    rig.audio("side", "b", 10);
    rig.created("r1");
    rig.wait(ms(10));
    rig.transcript("r1", "a", "");
    rig.audio("side", "b", 10);
    rig.transcript("side", "b", "aside");
    rig.wait(ms(10));
    rig.transcript("r1", "a", "hello");
    rig.done("r1");
    rig.server(json!({"type": "response.done", "response":
        {"id": "side", "status": "completed", "conversation_id": null}}));
    let latency = rig.latency();
    assert_eq!((latency.first_word, latency.first_audio), (Some(ms(20)), None));
}

#[test]
fn each_of_two_messages_counts_from_itself() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.wait(ms(100));
    rig.say("two");
    rig.answers("r1", "a");
    rig.answers("r2", "b");
    let words: Vec<_> = rig.latencies().iter().map(|own| own.first_word).collect();
    assert_eq!(
        words,
        [Some(ms(100 + 30)), Some(ms(55 + 30))],
        "the second waits for the first answer"
    );
}

#[test]
fn words_of_the_answer_before_are_no_answer() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.created("r1");
    rig.transcript("r1", "a", "hel");
    rig.say("two");
    rig.wait(ms(10));
    rig.transcript("r1", "a", "lo");
    rig.audio("r1", "a", 10);
    rig.done("r1");
    rig.answers("r2", "b");
    let told = rig.latencies();
    assert_eq!(told[1].first_word, Some(ms(10 + 30)));
    assert_eq!(told[1].first_audio, Some(ms(10 + 50)));
}

#[test]
fn a_turn_without_an_answer_tells_nothing() {
    let mut rig = Rig::open();
    rig.say("hi");
    rig.created("r1");
    rig.done_with("r1", json!({"status": "failed"}));
    assert_eq!(rig.latencies(), []);
    rig.wait(ms(500));
    rig.raw(json!({"type": "response.create"}));
    rig.answers("r2", "a");
    assert_eq!(rig.latencies(), [], "the user did not wait for it");
    rig.say("hi");
    rig.error("bad_response_create", Some("create_6"));
    assert_eq!(rig.summary(), LatencySummary::default());
}

#[test]
fn what_plays_the_sound_knows_best_when_it_was_heard() {
    let mut rig = Rig::open();
    rig.say("hi");
    rig.created("r1");
    rig.wait(ms(50));
    rig.audio("r1", "a", 1_000);
    rig.wait(ms(90));
    rig.played("a", 0);
    rig.wait(ms(30));
    rig.played("a", 48 * 20);
    rig.wait(ms(20));
    rig.played("a", 48 * 40);
    rig.done("r1");
    let latency = rig.latency();
    assert_eq!(latency.first_audio, Some(ms(50)));
    assert_eq!(
        latency.first_played,
        played(150, PlayedBy::Reports),
        "20 ms before the first report"
    );
}

#[test]
fn a_report_never_tells_of_a_time_before_the_sound_came() {
    let mut rig = Rig::open();
    rig.say("hi");
    rig.created("r1");
    rig.wait(ms(50));
    rig.audio("r1", "a", 1_000);
    rig.played("a", 48 * 1_000);
    rig.done("r1");
    assert_eq!(rig.latency().first_played, played(50, PlayedBy::Reports));
}

#[test]
fn a_turn_that_is_over_before_it_is_heard_is_told_when_it_is() {
    let mut rig = Rig::open();
    rig.played("before", 1);
    rig.say("hi");
    rig.answers("r1", "a");
    assert_eq!(rig.latencies(), []);
    rig.wait(ms(100));
    rig.played("a", 48 * 10);
    assert_eq!(rig.latency().first_played, played(50 + 5 + 90, PlayedBy::Reports));
    rig.wait(ms(10));
    rig.played("a", 48 * 20);
    assert_eq!(rig.latencies(), [], "once");
}

#[test]
fn what_is_never_heard_is_told_when_that_is_certain() {
    let ends: [fn(&mut Rig); 3] = [
        |rig| rig.command(Command::Interrupt),
        |rig| {
            rig.say("next");
            rig.created("r2");
        },
        |rig| rig.command(Command::Close),
    ];
    for end in ends {
        let mut rig = Rig::open();
        rig.played("before", 1);
        rig.say("hi");
        rig.answers("r1", "a");
        assert_eq!(rig.latencies(), []);
        end(&mut rig);
        rig.played("a", 48);
        let latency = rig.latency();
        assert_eq!((latency.first_audio, latency.first_played), (Some(ms(50)), None));
    }
}

#[test]
fn by_the_clock_what_waits_behind_other_sound_is_not_heard_yet() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.answers("r1", "a");
    rig.say("two");
    rig.answers("r2", "b");
    let heard: Vec<_> = rig.latencies().iter().map(|own| own.first_played).collect();
    assert_eq!(heard, [by_clock(50), None]);
}

#[test]
fn a_barge_in_is_a_turn_of_its_own() {
    let mut rig = Rig::open();
    rig.interrupts(true);
    rig.say("tell me a story");
    rig.created("r1");
    rig.wait(ms(40));
    rig.audio("r1", "a", 5_000);
    rig.speak(20);
    rig.speech_started();
    rig.speak(20);
    rig.speech_stopped(Some(800));
    rig.done_with("r1", json!({"status": "cancelled"}));
    rig.answers("r2", "b");
    let told = rig.latencies();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        (told[0].first_audio, told[0].first_played),
        (Some(ms(40)), by_clock(40))
    );
    assert_eq!((told[1].turn, told[1].ended_by), (2, TurnEndedBy::SpeechStopped));
    assert_eq!(
        told[1].first_played,
        by_clock(50),
        "what was cut is in nobody's way"
    );
}

#[test]
fn the_end_of_a_session_sums_up_its_turns_the_last_one_too() {
    let mut rig = Rig::open();
    rig.say("one");
    rig.answers("r1", "a");
    rig.speak(10);
    rig.speech_stopped(Some(200));
    rig.created("r2");
    rig.wait(ms(70));
    rig.transcript("r2", "b", "he");
    rig.events.clear();
    rig.command(Command::Close);
    assert!(matches!(
        &rig.events[..],
        [SessionEvent::Latency(_), .., SessionEvent::SessionEnd { .. }]
    ));
    let Some(SessionEvent::SessionEnd { latency, .. }) = rig.events.pop() else {
        panic!("no end")
    };
    assert_eq!(latency.turns, 2);
    let ends = [(TurnEndedBy::SpeechStopped, 1), (TurnEndedBy::Message, 1)];
    assert_eq!(latency.ended_by, ends.into());
    assert_eq!(latency.first_word.percentiles().unwrap().max, ms(70));
    assert_eq!(latency.first_audio.percentiles().unwrap().count, 1);
    assert_eq!(latency.played_by, [(PlayedBy::Clock, 1)].into());
}

#[test]
fn latency_needs_no_trace() {
    let mut rig = Rig::with(agents(), |options| options.scope = Context::none());
    rig.carry_out();
    rig.server(json!({"type": "session.created", "session": {"id": "sess_1"}}));
    rig.updated();
    rig.events.clear();
    for (response, item) in [("r1", "a"), ("r2", "b")] {
        rig.say("hi");
        rig.answers(response, item);
        let latency = rig.latency();
        assert_eq!(
            (latency.first_word, latency.first_audio),
            (Some(ms(30)), Some(ms(50)))
        );
    }
    assert!(rig.memory.spans().is_empty());
}

#[test]
fn servers_that_give_no_ids_and_never_tell_of_an_answers_begin_are_measured_too() {
    let mut rig = Rig::open();
    for _ in 0..2 {
        rig.say("hi");
        rig.server(json!({"type": "response.created", "response": {}}));
        rig.wait(ms(20));
        rig.audio("", "", 10);
        rig.transcript("", "", "hello");
        rig.server(json!({"type": "response.done", "response": {"status": "completed"}}));
        assert_eq!(rig.latency().first_audio, Some(ms(20)));
    }
    rig.say("hi");
    rig.server(
        json!({"type": "response.output_item.added", "response_id": "r3", "item":
        {"id": "c", "type": "message", "role": "assistant", "content": []}}),
    );
    rig.wait(ms(20));
    rig.transcript("r3", "c", "hello");
    rig.done("r3");
    assert_eq!(rig.latency().first_word, Some(ms(20)));
}

#[test]
fn spans_tell_how_long_the_user_waited_where_the_first_came() {
    let mut rig = Rig::open();
    rig.say("the weather?");
    let asked = rig.now;
    rig.created("r1");
    rig.call("r1", "c", "weather", "{}");
    rig.done("r1");
    rig.tool_done("c", "sunny");
    rig.answers("r2", "a");
    rig.done_with(
        "r2",
        json!({"status": "completed", "output": said("a", "hello there")}),
    );
    rig.wait(ms(5_000));
    rig.input(Input::Time);
    let first = rig.metadata_of("generation", 0);
    assert_eq!(
        (&first["turn_ended_at"], &first["turn_ended_by"]),
        (&json!(asked), &json!("message"))
    );
    assert_eq!(first["first_word_ms"], Value::Null);
    let second = rig.metadata_of("generation", 1);
    assert_eq!(
        (&second["first_word_ms"], &second["first_audio_ms"]),
        (&json!(30.0), &json!(50.0))
    );
    let speech = json!({"first_played_ms": 50.0, "heard_ms": 2_000, "played_by": "clock"});
    assert_eq!(rig.metadata_of("speech", 0), speech);
}
