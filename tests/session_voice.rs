//! Our own session and the simulator, over a socket: the user speaks, is answered, and speaks again into the answer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::time::Duration;

use realtime_run::agent::{Agent, Agents};
use realtime_run::audio;
use realtime_run::protocol::{AudioFormat, ResponseStatus};
use realtime_run::session::{Session, SessionEvent};
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
