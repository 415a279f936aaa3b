//! What is heard, and what an interruption cuts (protocol.md sections 5.8, 6.2, 6.3; traps 7, 15, 16).

use super::*;

/// An answer of which a second of sound has come, with nothing of it looked at.
fn speaking() -> Rig {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.message_added("a", None, "assistant");
    rig.transcript("r1", "a", "hello");
    rig.audio("r1", "a", 1_000);
    rig.sent.clear();
    rig.events.clear();
    rig
}

/// Item and length of the only truncation sent.
fn truncated(rig: &mut Rig) -> (String, u64) {
    let frames = rig.sent_of("conversation.item.truncate");
    assert_eq!(frames.len(), 1);
    let item = frames[0]["item_id"].as_str().unwrap().to_owned();
    (item, frames[0]["audio_end_ms"].as_u64().unwrap())
}

fn interruptions(rig: &Rig) -> usize {
    let it = |event: &&SessionEvent| matches!(event, SessionEvent::AudioInterrupted { .. });
    rig.events.iter().filter(it).count()
}

#[test]
fn speech_cuts_what_is_heard_and_the_server_stops_its_answer() {
    let mut rig = speaking();
    rig.interrupts(true);
    rig.wait(ms(400));
    rig.speech_started();
    assert_eq!(rig.sent.len(), 1, "no cancel: the server does it");
    assert_eq!(truncated(&mut rig), ("a".into(), 400));
    assert_eq!(interruptions(&rig), 1);
}

#[test]
fn speech_stops_the_answer_where_the_server_does_not() {
    let mut rig = speaking();
    rig.interrupts(false);
    rig.wait(ms(400));
    rig.speech_started();
    assert_eq!(rig.sent(), ["conversation.item.truncate", "response.cancel"]);
}

#[test]
fn speech_without_sound_to_cut_stops_nothing() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.speech_started();
    assert_eq!(rig.sent(), [""; 0]);
}

#[test]
fn the_applications_interruption_cuts_first_and_then_cancels() {
    let mut rig = speaking();
    rig.interrupts(true);
    rig.wait(ms(250));
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent(), ["conversation.item.truncate", "response.cancel"]);
}

#[test]
fn what_still_plays_is_cut_after_its_answer_has_ended() {
    let mut rig = speaking();
    rig.done("r1");
    rig.wait(ms(600));
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent.len(), 1, "nothing to cancel");
    assert_eq!(truncated(&mut rig), ("a".into(), 600));
}

#[test]
fn what_was_heard_whole_is_left_alone() {
    let mut rig = speaking();
    rig.done("r1");
    rig.wait(ms(1_001));
    rig.speech_started();
    assert_eq!(rig.sent(), [""; 0]);
    assert_eq!(interruptions(&rig), 0);
}

#[test]
fn a_cut_is_never_longer_than_what_came() {
    let mut rig = speaking();
    rig.wait(ms(5_000));
    rig.command(Command::Interrupt);
    assert_eq!(truncated(&mut rig), ("a".into(), 1_000));
}

#[test]
fn an_item_of_which_no_sound_came_is_not_cut() {
    let mut rig = Rig::open();
    rig.created("r1");
    rig.transcript("r1", "a", "hello");
    rig.audio("r1", "a", 0);
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent(), ["response.cancel"]);
}

#[test]
fn the_same_sound_is_cut_once() {
    let mut rig = speaking();
    rig.wait(ms(100));
    rig.speech_started();
    rig.speech_started();
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent_of("conversation.item.truncate").len(), 1);
}

#[test]
fn the_applications_word_on_what_it_played_wins_over_the_clock() {
    let mut rig = speaking();
    rig.wait(ms(900));
    rig.played("a", 300 * 48);
    rig.command(Command::Interrupt);
    assert_eq!(truncated(&mut rig), ("a".into(), 300));
}

#[test]
fn a_cut_is_rounded_down_to_whole_milliseconds() {
    let mut rig = speaking();
    rig.played("a", 300 * 48 + 47);
    rig.command(Command::Interrupt);
    assert_eq!(truncated(&mut rig), ("a".into(), 300));
}

#[test]
fn reports_of_more_than_came_count_for_all_that_came() {
    let mut rig = speaking();
    rig.played("a", u64::MAX);
    rig.command(Command::Interrupt);
    assert_eq!(truncated(&mut rig), ("a".into(), 1_000), "its answer goes on");
    let mut rig = speaking();
    rig.done("r1");
    rig.played("a", 1_000 * 48);
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent(), [""; 0], "it was heard whole");
}

#[test]
fn what_was_played_stays_played() {
    let mut rig = speaking();
    rig.played("a", 300 * 48);
    rig.played("a", 200 * 48);
    rig.command(Command::Interrupt);
    assert_eq!(truncated(&mut rig), ("a".into(), 300));
}

#[test]
fn a_report_that_comes_after_the_cut_is_harmless() {
    let mut rig = speaking();
    rig.played("a", 250 * 48);
    rig.command(Command::Interrupt);
    rig.sent.clear();
    rig.events.clear();
    rig.played("a", 400 * 48);
    rig.played("never heard of", 400 * 48);
    assert_eq!((rig.sent(), rig.events.len()), (vec![], 0));
    assert_eq!(heard(&rig), [Some(250)]);
    rig.command(Command::Interrupt);
    assert_eq!(interruptions(&rig), 0);
}

#[test]
fn by_the_clock_nothing_is_heard_while_no_sound_is_there() {
    let mut rig = speaking();
    rig.wait(ms(4_000));
    rig.audio("r1", "a", 1_000);
    rig.wait(ms(200));
    rig.command(Command::Interrupt);
    assert_eq!(
        truncated(&mut rig),
        ("a".into(), 1_200),
        "it was silent for three seconds"
    );
}

/// How much was heard of each item that was cut.
fn heard(rig: &Rig) -> Vec<Option<u64>> {
    let heard = |item| match item {
        HistoryItem::Message { heard_ms, .. } => Some(heard_ms),
        _ => None,
    };
    rig.history().into_iter().filter_map(heard).collect()
}

#[test]
fn the_history_tells_at_once_how_much_was_heard() {
    let mut rig = speaking();
    assert_eq!(heard(&rig), [None]);
    rig.wait(ms(300));
    rig.speech_started();
    let updates: Vec<_> = rig.events.iter().map(|event| json!(event)).collect();
    let update = updates
        .iter()
        .find(|event| event["type"] == "history_updated")
        .unwrap();
    let item = &update["item"];
    assert_eq!(
        (&item["heard_ms"], &item["status"]),
        (&json!(300), &json!("incomplete"))
    );
    assert_eq!(item["content"][0]["transcript"], "hello", "all words that came");
    rig.events.clear();
    rig.server(json!({"type": "conversation.item.truncated", "item_id": "a", "content_index": 0, "audio_end_ms": 300}));
    assert_eq!(rig.events, [], "the server says the same");
    rig.server(
        json!({"type": "conversation.item.done", "item": {"id": "a", "type": "message", "role": "assistant",
        "status": "incomplete", "content": [{"type": "output_audio", "transcript": "hello the"}]}}),
    );
    assert_eq!(heard(&rig), [Some(300)]);
}

#[test]
fn the_history_tells_of_cuts_that_the_application_makes_itself() {
    let mut rig = speaking();
    rig.server(json!({"type": "conversation.item.truncated", "item_id": "a", "content_index": 0, "audio_end_ms": 120}));
    assert_eq!(heard(&rig), [Some(120)]);
}

#[test]
fn the_speech_span_tells_how_much_was_heard_and_who_says_so() {
    for (reports, heard, by) in [(false, 300, "clock"), (true, 250, "reports")] {
        let mut rig = speaking();
        if reports {
            rig.played("a", 250 * 48);
        }
        rig.wait(ms(300));
        rig.speech_started();
        let span = rig.span("gpt-realtime");
        let metadata = json!({"heard_ms": heard, "played_by": by});
        assert_eq!(json!(span.metadata), metadata);
    }
}

#[test]
fn speech_is_over_when_the_application_has_played_it_however_late() {
    let mut rig = speaking();
    rig.played("a", 48);
    rig.done("r1");
    rig.wait(ms(1_500));
    rig.input(Input::Time);
    rig.played("a", 900 * 48);
    assert!(rig.kind("speech").is_empty(), "by the clock it was heard whole");
    rig.speech_started();
    assert_eq!(truncated(&mut rig), ("a".into(), 900));
    assert_eq!(rig.only("speech").metadata.as_ref().unwrap()["heard_ms"], 900);

    let mut rig = speaking();
    rig.played("a", 48);
    rig.done("r1");
    rig.wait(ms(700));
    rig.played("a", 1_000 * 48);
    let span = rig.only("speech");
    assert_eq!(span.metadata.as_ref().unwrap()["heard_ms"], 1_000);
    assert_eq!(span.error, None);
}

#[test]
fn late_deltas_of_an_interrupted_answer_are_dropped() {
    let mut rig = speaking();
    rig.wait(ms(100));
    rig.command(Command::Interrupt);
    rig.events.clear();
    rig.audio("r1", "a", 100);
    rig.transcript("r1", "a", " and more");
    assert_eq!(rig.events, []);
    assert_eq!(rig.words(), ["hello"]);
    rig.done_with(
        "r1",
        json!({"status": "cancelled", "status_details": {"reason": "client_cancelled"}}),
    );
    rig.events.clear();
    rig.audio("r1", "a", 100);
    assert_eq!(rig.events, [], "after its end, too");
    rig.created("r2");
    rig.transcript("r2", "b", "next");
    assert_eq!(rig.words(), ["hello", "next"]);
}

#[test]
fn late_deltas_on_a_server_without_ids_are_dropped_too() {
    for interrupted_by_speech in [true, false] {
        let mut rig = Rig::open();
        rig.interrupts(true);
        rig.server(json!({"type": "response.created", "response": {}}));
        rig.audio("", "a", 1_000);
        rig.wait(ms(100));
        match interrupted_by_speech {
            true => rig.speech_started(),
            false => rig.command(Command::Interrupt),
        }
        rig.events.clear();
        rig.audio("", "a", 100);
        assert_eq!(rig.events, [], "by speech: {interrupted_by_speech}");
    }
}

#[test]
fn deltas_without_a_response_id_belong_to_the_running_answer() {
    let mut rig = Rig::open();
    rig.interrupts(true);
    rig.created("r1");
    rig.audio("", "a", 1_000);
    rig.wait(ms(100));
    rig.speech_started();
    rig.events.clear();
    rig.audio("", "a", 100);
    rig.audio("r1", "a", 100);
    assert_eq!(rig.events, []);
}

#[test]
fn sound_comes_in_whole_samples_however_it_was_split() {
    let mut rig = Rig::open();
    rig.created("r1");
    let delta = |base64: &str| json!({"type": "response.output_audio.delta", "response_id": "r1", "item_id": "a", "delta": base64});
    for bytes in [&[1_u8, 2, 3][..], &[4], &[], &[5, 6]] {
        rig.server(delta(&base64_simd::STANDARD.encode_to_string(bytes)));
    }
    let pieces: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::Audio { audio, .. } => Some(audio.to_vec()),
            _ => None,
        })
        .collect();
    assert_eq!(pieces, [vec![1, 2], vec![3, 4], vec![5, 6]]);
    rig.events.clear();
    rig.server(delta("!!!!"));
    assert_eq!(rig.errors(), ["invalid_audio"]);
}

#[test]
fn lengths_follow_the_format_the_server_told_last() {
    let mut rig = Rig::open();
    rig.server(json!({"type": "session.updated", "session":
        {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}}));
    rig.created("r1");
    let delta = base64_simd::STANDARD.encode_to_string([0; 8 * 100]);
    rig.server(
        json!({"type": "response.output_audio.delta", "response_id": "r1", "item_id": "a", "delta": delta}),
    );
    rig.wait(ms(5_000));
    rig.command(Command::Interrupt);
    assert_eq!(truncated(&mut rig), ("a".into(), 100));
}

#[test]
fn a_cut_item_keeps_its_words_and_counts_as_incomplete() {
    let mut rig = speaking();
    rig.wait(ms(100));
    rig.command(Command::Interrupt);
    rig.server(json!({"type": "conversation.item.truncated", "item_id": "a", "content_index": 0, "audio_end_ms": 100}));
    rig.server(
        json!({"type": "conversation.item.retrieved", "item": {"id": "a", "type": "message",
        "role": "assistant", "status": "completed", "content": [{"type": "output_audio", "audio": "AAAA"}]}}),
    );
    assert_eq!(rig.words(), ["hello"]);
    let HistoryItem::Message { status, content, .. } = &rig.history()[0] else {
        panic!("not a message")
    };
    assert_eq!(*status, crate::protocol::ItemStatus::Incomplete);
    assert!(
        matches!(&content[..], [Part::OutputAudio { audio: None, .. }]),
        "audio is not kept"
    );
}

#[test]
fn refused_truncations_are_no_errors() {
    let mut rig = Rig::open();
    rig.error("item_truncate_invalid_item_id", Some("truncate_3"));
    rig.server(
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "invalid_value",
        "message": "Audio content of 3700ms is already shorter than 3760ms", "param": "audio_end_ms"}}),
    );
    assert_eq!(rig.errors(), [""; 0]);
}

#[test]
fn a_deleted_item_is_not_cut() {
    let mut rig = speaking();
    rig.server(json!({"type": "conversation.item.deleted", "item_id": "a"}));
    rig.command(Command::Interrupt);
    assert_eq!(rig.sent(), ["response.cancel"]);
    assert_eq!(rig.history(), []);
}

#[test]
fn large_sound_of_the_user_goes_in_pieces_and_a_commit_after_it() {
    let mut rig = Rig::open();
    rig.command(Command::Audio {
        audio: vec![0; AUDIO_CHUNK * 2 + 1].into(),
        commit: true,
    });
    let append = "input_audio_buffer.append";
    assert_eq!(
        rig.sent(),
        [
            append,
            append,
            append,
            "input_audio_buffer.commit",
            "response.create"
        ]
    );
}

#[test]
fn the_users_speech_is_told_with_its_times() {
    let mut rig = Rig::open();
    rig.server(json!({"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 20}));
    rig.server(json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": 900}));
    rig.server(json!({"type": "input_audio_buffer.timeout_triggered", "item_id": "v", "audio_start_ms": 1, "audio_end_ms": 2}));
    assert!(matches!(
        &rig.events[..],
        [
            SessionEvent::SpeechStarted {
                audio_start_ms: Some(20),
                ..
            },
            SessionEvent::SpeechStopped {
                audio_end_ms: Some(900),
                ..
            },
            SessionEvent::InputAudioTimeoutTriggered { .. }
        ]
    ));
}
