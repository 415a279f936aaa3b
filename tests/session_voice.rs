//! Our own session and the simulator, over a socket: the user speaks, is answered, and speaks again into the answer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::time::Duration;

use realtime_run::agent::{Agent, Agents};
use realtime_run::audio;
use realtime_run::protocol::{AudioFormat, ResponseStatus};
use realtime_run::session::{HistoryItem, PlayedBy, Session, SessionEvent, TurnEndedBy};
use realtime_run::simulator::{Options, Pace, Scenario, Simulator};
use realtime_run::transport::Endpoint;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);
const PCM: AudioFormat = AudioFormat::PCM24;

async fn open(pace: Pace) -> (Simulator, Session) {
    open_with(Options {
        pace,
        ..Options::default()
    })
    .await
}

async fn open_with(options: Options) -> (Simulator, Session) {
    let simulator = Simulator::bind_with("127.0.0.1:0", options).await.unwrap();
    let session = Session::builder(Agents::new(Agent::new("Assistant")))
        .endpoint(Endpoint::new(&simulator.url()).unwrap())
        .without_tracing()
        .connect();
    let session = timeout(LIMIT, session).await.unwrap().unwrap();
    (simulator, session)
}

/// As a microphone does: sound, and then silence that goes on long enough for the semantic detector of the defaults.
async fn speak(session: &Session) {
    let handle = session.handle();
    let sound = audio::tone(300.0, Duration::from_millis(900), PCM);
    let silence = vec![0; 48 * 3_000];
    for chunk in [sound, silence].concat().chunks(48 * 40) {
        handle.send_audio(chunk.to_vec(), false).await.unwrap();
    }
}

/// Events up to the first that is meant, which is the last of them.
async fn until(
    session: &mut Session,
    what: &str,
    is_meant: impl Fn(&SessionEvent) -> bool,
) -> Vec<SessionEvent> {
    let wait = async {
        let mut events = Vec::new();
        while let Some(event) = session.next().await {
            if let SessionEvent::Error { error } = &event {
                panic!("waiting for {what}: {error:?}");
            }
            let is_last = is_meant(&event);
            events.push(event);
            if is_last {
                return events;
            }
        }
        panic!("the session ended before {what}")
    };
    timeout(LIMIT, wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

fn is_turn_end(event: &SessionEvent) -> bool {
    matches!(event, SessionEvent::TurnEnd { .. })
}

#[tokio::test]
async fn speech_is_a_turn_and_is_answered() {
    let (_simulator, mut session) = open(Pace::Fast).await;
    speak(&session).await;
    let events = until(&mut session, "the end of the turn", is_turn_end).await;
    let position = |what: &str, is_meant: fn(&SessionEvent) -> bool| {
        let position = events.iter().position(is_meant);
        position.unwrap_or_else(|| panic!("{what} did not come"))
    };
    let order = [
        position("the start of speech", |event| {
            matches!(
                event,
                SessionEvent::SpeechStarted {
                    audio_start_ms: Some(0),
                    ..
                }
            )
        }),
        position("its end", |event| {
            matches!(
                event,
                SessionEvent::SpeechStopped {
                    audio_end_ms: Some(2_912),
                    ..
                }
            )
        }),
        position(
            "its words",
            |event| matches!(event, SessionEvent::InputTranscript { transcript, .. } if transcript == "2.9 seconds of audio"),
        ),
        position("sound", |event| matches!(event, SessionEvent::Audio { .. })),
    ];
    assert!(order.is_sorted(), "{order:?}");
    let SessionEvent::TurnEnd { status, .. } = events.last().unwrap() else {
        unreachable!()
    };
    assert_eq!(*status, ResponseStatus::Completed);
}

#[tokio::test]
async fn speech_into_an_answer_stops_it_and_is_answered_itself() {
    let (_simulator, mut session) = open(Pace::Realtime).await;
    let handle = session.handle();
    handle
        .send_message("Say a good many words that take some seconds to be heard to their end")
        .await
        .unwrap();
    until(&mut session, "sound", |event| {
        matches!(event, SessionEvent::Audio { .. })
    })
    .await;
    speak(&session).await;
    let events = until(&mut session, "the interruption", |event| {
        matches!(event, SessionEvent::AgentEnd { .. })
    })
    .await;
    assert!(
        events
            .iter()
            .any(|event| matches!(event, SessionEvent::AudioInterrupted { .. })),
        "the application stops playing"
    );
    let SessionEvent::AgentEnd { status, .. } = events.last().unwrap() else {
        unreachable!()
    };
    assert_eq!(*status, ResponseStatus::Cancelled);
    let events = until(&mut session, "the answer to it", |event| {
        matches!(event, SessionEvent::AgentEnd { .. })
    })
    .await;
    let said: String = events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::TranscriptDelta { delta, .. } => Some(delta.as_str()),
            _ => None,
        })
        .collect();
    assert!(said.contains("seconds of audio"), "{said}");
}

/// Whether this is the truncation that the client sends, and of how much.
fn truncated_at(event: &SessionEvent) -> Option<u64> {
    match event {
        SessionEvent::RawClientEvent { event } if event["type"] == "conversation.item.truncate" => {
            event["audio_end_ms"].as_u64()
        }
        _ => None,
    }
}

#[tokio::test]
async fn an_interruption_cuts_the_answer_exactly_where_it_was_played_to() {
    for by_speech in [true, false] {
        let simulator = Simulator::bind("127.0.0.1:0").await.unwrap();
        let session = Session::builder(Agents::new(Agent::new("Assistant")))
            .endpoint(Endpoint::new(&simulator.url()).unwrap())
            .without_tracing()
            .raw_events(true)
            .connect();
        let mut session = timeout(LIMIT, session).await.unwrap().unwrap();
        let handle = session.handle();
        let words = "Say a good many words that take some seconds to be heard to their end";
        handle.send_message(words).await.unwrap();
        // The simulator is much faster than the sound lasts, so that all is here when some of it was heard.
        let events = until(&mut session, "the end of the turn", is_turn_end).await;
        let sound = events.iter().find_map(|event| match event {
            SessionEvent::Audio { item_id, .. } => Some(item_id.clone()),
            _ => None,
        });
        let item_id = sound.unwrap();
        for played in (0..=250).step_by(50) {
            handle.report_played(&item_id, 0, played * 48 + 7);
        }
        match by_speech {
            true => speak(&session).await,
            false => handle.interrupt().await.unwrap(),
        }
        let events = until(&mut session, "the server's word on the cut", |event| {
            matches!(event, SessionEvent::RawServerEvent { event } if event["type"] == "conversation.item.truncated")
        })
        .await;
        assert_eq!(
            events.iter().find_map(truncated_at),
            Some(250),
            "by speech: {by_speech}"
        );
        let stop =
            |event: &SessionEvent| matches!(event, SessionEvent::AudioInterrupted { played_ms: 250, .. });
        assert!(events.iter().any(stop));
        handle.report_played(&item_id, 0, 400 * 48);
        let history = handle.history().await.unwrap();
        let cut = history.iter().find(|item| *item.id() == item_id);
        let Some(HistoryItem::Message { heard_ms, .. }) = cut else {
            panic!("not a message: {cut:?}")
        };
        assert_eq!(*heard_ms, Some(250));
    }
}

#[tokio::test]
async fn a_spoken_turn_tells_how_long_the_user_waited() {
    let (_simulator, mut session) = open(Pace::Fast).await;
    speak(&session).await;
    let events = until(&mut session, "the end of the turn", is_turn_end).await;
    let latency = events.iter().find_map(|event| match event {
        SessionEvent::Latency(latency) => Some(*latency),
        _ => None,
    });
    let latency = latency.unwrap();
    assert_eq!((latency.turn, latency.ended_by), (1, TurnEndedBy::SpeechStopped));
    let (word, sound) = (latency.first_word.unwrap(), latency.first_audio.unwrap());
    let heard = latency.first_played.unwrap();
    assert!(
        Duration::ZERO < word && word <= sound && sound < LIMIT,
        "{latency:?}"
    );
    assert_eq!((heard.after, heard.by), (sound, PlayedBy::Clock));
}

#[tokio::test]
async fn a_scenario_says_what_is_made_out_of_each_turn() {
    let text = r#"
        otherwise = "fail"
        transcripts = ["Is it sunny?", { fail = { message = "too much noise" } }]

        [[steps]]
        when = { user_says = "sunny" }
        then = [{ say = "It is." }]
    "#;
    let scenario = Scenario::parse("sunny.toml", text).unwrap();
    let (_simulator, mut session) = open_with(Options::default().with_scenario(&scenario)).await;
    speak(&session).await;
    let events = until(&mut session, "the end of the first turn", is_turn_end).await;
    let heard = |event: &SessionEvent| matches!(event, SessionEvent::InputTranscript { transcript, .. } if transcript == "Is it sunny?");
    assert!(events.iter().any(heard), "{events:?}");
    let answered = |event: &SessionEvent| matches!(event, SessionEvent::AgentEnd { status, .. } if *status == ResponseStatus::Completed);
    assert!(events.iter().any(answered), "the step for these words was taken");
    speak(&session).await;
    let failed = |event: &SessionEvent| matches!(event, SessionEvent::InputTranscriptFailed { error, .. } if error.message == "too much noise");
    until(&mut session, "the failed transcription", failed).await;
}
