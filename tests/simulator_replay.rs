//! Replays to a bare client: what it is sent and when, and what it is told when it goes another way.

mod simulator_client;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use realtime_run::agent::{Agent, Agents};
use realtime_run::recording::Recording;
use realtime_run::session::{Session, SessionEvent};
use realtime_run::simulator::{Difference, Options, Replay, ReplayMode, Simulator, Speed};
use realtime_run::transport::Endpoint;
use serde_json::{Value, json};
use simulator_client::{Client, LIMIT, simulator_with};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Bytes, Message};

fn client(event: Value) -> Value {
    json!({"from": "client", "event": event})
}

fn server(event: Value) -> Value {
    json!({"from": "server", "event": event})
}

fn closed(by: Option<&str>, code: u16, reason: &str) -> Value {
    json!({"from": "recorder", "event": {"type": "connection.closed", "by": by, "code": code, "reason": reason}})
}

fn created() -> Value {
    server(json!({"type": "session.created", "session": {"id": "s"}}))
}

fn message(id: &str, text: &str) -> Value {
    json!({"type": "conversation.item.create", "event_id": format!("e_{id}"), "item": {
        "id": id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}})
}

fn output(call_id: &str, output: &str) -> Value {
    json!({"type": "conversation.item.create", "item":
        {"type": "function_call_output", "call_id": call_id, "output": output}})
}

fn create() -> Value {
    json!({"type": "response.create"})
}

fn response(kind: &str, id: &str, status: &str) -> Value {
    server(json!({"type": kind, "response": {"id": id, "status": status}}))
}

/// A question and its answer.
fn turn() -> Vec<Value> {
    vec![
        created(),                                                                                  // 1
        client(json!({"type": "session.update", "session": {"type": "realtime", "voice": "ash"}})), // 2
        server(json!({"type": "session.updated"})),                                                 // 3
        client(message("mine", "Hello")),                                                           // 4
        client(create()),                                                                           // 5
        server(json!({"type": "conversation.item.added", "item": {"id": "mine"}})),                 // 6
        response("response.created", "r", "in_progress"),                                           // 7
        server(json!({"type": "response.output_text.delta", "response_id": "r", "delta": "Hi"})),   // 8
        response("response.done", "r", "completed"),                                                // 9
    ]
}

/// Deviations as they were reported.
type Reports = Arc<Mutex<Vec<(u64, usize, Difference)>>>;

/// A simulator that plays these rows, and what it reports.
async fn play(rows: &[Value], mode: ReplayMode, speed: &str) -> (Simulator, Reports) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording.jsonl");
    let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let reports = Reports::default();
    let told = Arc::clone(&reports);
    let replay = Replay::new(&Recording::load(&path).unwrap(), mode)
        .speed(speed.parse::<Speed>().unwrap())
        .on_deviation(move |deviation| {
            let report = (deviation.client, deviation.line, deviation.difference.clone());
            told.lock().unwrap().push(report);
        });
    let options = Options {
        replay: Some(replay),
        ..Options::default()
    };
    (simulator_with(options).await, reports)
}

async fn strict(rows: &[Value]) -> (Simulator, Reports) {
    play(rows, ReplayMode::Strict, "1").await
}

/// Brings a client to where `turn` begins.
async fn open(simulator: &Simulator) -> Client {
    let mut client = Client::open(simulator).await;
    client
        .send(json!({"type": "session.update", "session": {"type": "realtime", "voice": "ash"}}))
        .await;
    client.next("session.updated").await;
    client
}

/// Leaves, and waits until that is known.
async fn leave(mut client: Client, simulator: Simulator) {
    client.socket.close(None).await.unwrap();
    while client.frame().await.is_some_and(|frame| frame.is_ok()) {}
    simulator.shutdown().await;
}

fn taken(reports: &Reports) -> Vec<(u64, usize, Difference)> {
    std::mem::take(&mut reports.lock().unwrap())
}

/// How the connection ended: the code and reason of the close frame, if there was one.
async fn end(client: &mut Client) -> Option<(u16, String)> {
    let mut end = None;
    // The reply to the close frame goes out as the end is read.
    while let Some(Ok(frame)) = client.frame().await {
        if let Message::Close(frame) = frame {
            let frame = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
            end = Some(frame.unwrap_or((1005, String::new())));
        }
    }
    end
}

#[tokio::test]
async fn who_follows_hears_it_all_with_ids_of_its_own() {
    let (simulator, reports) = strict(&turn()).await;
    let mut peer = open(&simulator).await;
    peer.send(message("other", "Hello")).await;
    peer.send(json!({"type": "response.create", "event_id": "e", "response": {}}))
        .await;
    let heard = peer.until("response.done").await;
    let kinds: Vec<_> = heard
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "conversation.item.added",
            "response.created",
            "response.output_text.delta",
            "response.done"
        ]
    );
    assert_eq!(heard[0]["item"]["id"], "other");
    leave(peer, simulator).await;
    assert_eq!(taken(&reports), []);
}

#[tokio::test]
async fn other_content_is_told_with_its_row_and_place_and_the_replay_goes_on() {
    let (simulator, reports) = strict(&turn()).await;
    let mut peer = Client::open(&simulator).await;
    peer.send(
        json!({"type": "session.update", "event_id": "u", "session": {"type": "realtime", "voice": "sage"}}),
    )
    .await;
    let error = peer.next("error").await["error"].take();
    assert_eq!(
        (&error["code"], &error["param"], &error["event_id"]),
        (&json!("replay_deviation"), &json!("session.voice"), &json!("u"))
    );
    let told = error["message"].as_str().unwrap();
    assert!(told.contains("line 2:") && told.contains("\"sage\""), "{told}");
    peer.next("session.updated").await;

    peer.send(message("mine", "Bye")).await;
    assert_eq!(peer.next("error").await["error"]["param"], "item.content[0].text");
    peer.send(json!({"type": "response.create", "response": {"instructions": "Be short."}}))
        .await;
    assert_eq!(
        peer.next("error").await["error"]["param"],
        "response.instructions"
    );
    peer.next("response.done").await;
    leave(peer, simulator).await;

    let content = |line, event: &str, path: &str, recorded: &str, sent: &str| {
        let difference = Difference::Content {
            event: event.to_owned(),
            path: path.to_owned(),
            recorded: recorded.to_owned(),
            sent: sent.to_owned(),
        };
        (1, line, difference)
    };
    let expected = [
        content(2, "`session.update`", "session.voice", "\"ash\"", "\"sage\""),
        content(
            4,
            "`conversation.item.create` (message)",
            "item.content[0].text",
            "\"Hello\"",
            "\"Bye\"",
        ),
        content(
            5,
            "`response.create`",
            "response.instructions",
            "nothing",
            "\"Be short.\"",
        ),
    ];
    assert_eq!(taken(&reports), expected);
}

#[tokio::test]
async fn another_event_is_told_and_ends_the_connection() {
    let frames = [
        (Message::text(create().to_string()), "`response.create`"),
        (Message::text("nonsense"), "a text that is no event"),
        (
            Message::Binary(Bytes::from_static(&[0xff])),
            "bytes that are no event",
        ),
    ];
    for (frame, sent) in frames {
        let (simulator, reports) = strict(&turn()).await;
        let mut peer = open(&simulator).await;
        peer.send_frame(frame).await;
        let told = peer.next("error").await["error"]["message"].take();
        assert!(told.as_str().unwrap().contains(sent), "{told}");
        let reason = "the client deviates from the recording at line 4".to_owned();
        assert_eq!(end(&mut peer).await, Some((1008, reason)));
        simulator.shutdown().await;
        let difference = Difference::Order {
            expected: "`conversation.item.create` (message)".to_owned(),
            sent: sent.to_owned(),
        };
        assert_eq!(taken(&reports), [(1, 4, difference)]);
    }
}

#[tokio::test]
async fn an_event_after_the_end_is_told() {
    let (simulator, reports) = strict(&turn()).await;
    let mut peer = open(&simulator).await;
    for event in [message("mine", "Hello"), create()] {
        peer.send(event).await;
    }
    peer.next("response.done").await;
    peer.send(create()).await;
    peer.next("error").await;
    assert!(end(&mut peer).await.is_some());
    simulator.shutdown().await;
    let sent = "`response.create`".to_owned();
    assert_eq!(taken(&reports), [(1, 9, Difference::AfterEnd { sent })]);
}

#[tokio::test]
async fn who_leaves_early_is_told_of_with_the_row_that_is_missing() {
    let (simulator, reports) = strict(&turn()).await;
    let mut peer = open(&simulator).await;
    peer.send(message("mine", "Hello")).await;
    leave(peer, simulator).await;
    let expected = "`response.create`".to_owned();
    assert_eq!(taken(&reports), [(1, 5, Difference::Left { expected })]);

    // Cut off without a close frame, in the middle of an answer that would take for ever.
    let mut rows = turn();
    rows[7]["at_ms"] = 0.into();
    rows[8]["at_ms"] = 3_600_000.into();
    let (simulator, reports) = strict(&rows).await;
    let mut peer = open(&simulator).await;
    for event in [message("mine", "Hello"), create()] {
        peer.send(event).await;
    }
    peer.next("response.output_text.delta").await;
    drop(peer);
    simulator_reports(&reports).await;
    let unheard = "`response.done`".to_owned();
    assert_eq!(taken(&reports), [(1, 9, Difference::LeftUnheard { unheard })]);
    simulator.shutdown().await;
}

async fn simulator_reports(reports: &Reports) {
    let started = Instant::now();
    while reports.lock().unwrap().is_empty() {
        assert!(started.elapsed() < LIMIT, "waited in vain for a report");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn outputs_of_tools_may_come_in_any_order_but_not_after_the_request_for_an_answer() {
    let rows = [
        created(),
        client(output("a", "{\"sky\": \"clear\"}")),
        client(output("b", "two")),
        client(create()),
        response("response.created", "r", "in_progress"),
    ];
    let (simulator, reports) = strict(&rows).await;
    let mut peer = Client::open(&simulator).await;
    for event in [output("b", "two"), output("a", "{\"sky\":\"clear\"}"), create()] {
        peer.send(event).await;
    }
    peer.next("response.created").await;
    leave(peer, simulator).await;
    assert_eq!(taken(&reports), []);

    let (simulator, reports) = strict(&rows).await;
    let mut peer = Client::open(&simulator).await;
    for event in [output("b", "three"), create()] {
        peer.send(event).await;
    }
    assert_eq!(peer.next("error").await["error"]["param"], "item.output");
    peer.next("error").await;
    assert!(end(&mut peer).await.is_some());
    simulator.shutdown().await;
    let lines: Vec<_> = taken(&reports).into_iter().map(|(_, line, _)| line).collect();
    assert_eq!(lines, [3, 2]);
}

#[tokio::test]
async fn an_output_of_another_call_is_told() {
    let rows = [created(), client(output("a", "one"))];
    let (simulator, reports) = strict(&rows).await;
    let mut peer = Client::open(&simulator).await;
    peer.send(output("x", "one")).await;
    assert_eq!(peer.next("error").await["error"]["param"], "item.call_id");
    leave(peer, simulator).await;
    assert_eq!(taken(&reports).len(), 1);
}

#[tokio::test]
async fn a_lenient_replay_waits_for_the_recorded_types_only() {
    let mut rows = turn();
    rows.insert(3, client(message("another", "before")));
    let (simulator, reports) = play(&rows, ReplayMode::Lenient, "1").await;
    let mut peer = Client::open(&simulator).await;
    let events = [
        json!({"type": "session.update", "session": {"type": "realtime", "voice": "sage"}}),
        json!({"type": "session.update", "session": {"type": "realtime"}}),
        json!({"type": "made.up"}),
        message("x", "What else?"),
        json!({"type": "conversation.item.retrieve", "item_id": "x"}),
        create(),
    ];
    for event in events {
        peer.send(event).await;
    }
    peer.send_frame(Message::text("nonsense")).await;
    peer.next("response.done").await;
    // Nothing would ever answer this.
    peer.send(create()).await;
    assert_eq!(
        end(&mut peer).await,
        Some((1000, "the recording ends here".to_owned()))
    );
    simulator.shutdown().await;
    assert_eq!(taken(&reports), []);
}

#[tokio::test]
async fn every_client_gets_it_from_the_start_and_reports_tell_them_apart() {
    let (simulator, reports) = strict(&turn()).await;
    let mut first = open(&simulator).await;
    let mut second = open(&simulator).await;
    first.send(message("mine", "Hello")).await;
    second.send(message("mine", "Bye")).await;
    for peer in [&mut first, &mut second] {
        peer.send(create()).await;
    }
    first.next("response.done").await;
    second.next("error").await;
    second.next("response.done").await;
    simulator.shutdown().await;
    let clients: Vec<_> = taken(&reports)
        .into_iter()
        .map(|(client, line, _)| (client, line))
        .collect();
    assert_eq!(clients, [(2, 4)]);
}

#[tokio::test]
async fn the_end_is_the_recorded_one() {
    let session_expired = "Your session hit the maximum duration of 60 minutes.";
    let cases = [
        (
            closed(Some("server"), 1001, session_expired),
            Some((1001, session_expired.to_owned())),
        ),
        (closed(Some("server"), 1005, ""), Some((1005, String::new()))),
        (closed(None, 1006, "reset"), None),
    ];
    for (row, expected) in cases {
        let (simulator, reports) = strict(&[created(), row]).await;
        let mut peer = Client::open(&simulator).await;
        assert_eq!(end(&mut peer).await, expected);
        simulator.shutdown().await;
        assert_eq!(taken(&reports), []);
    }
}

#[tokio::test]
async fn frames_that_are_no_events_are_played_as_they_were() {
    let rows = [
        created(),
        json!({"from": "server", "text": "{\"type\": \"torn"}),
        json!({"from": "server", "base64": "//4="}),
        server(json!({"type": "ping"})),
    ];
    let (simulator, _) = strict(&rows).await;
    let mut peer = Client::open(&simulator).await;
    let mut frames = Vec::new();
    for _ in 0..2 {
        frames.push(peer.frame().await.unwrap().unwrap());
    }
    assert_eq!(
        frames,
        [
            Message::text("{\"type\": \"torn"),
            Message::binary(vec![0xff, 0xfe])
        ]
    );
    peer.next("ping").await;
}

/// How long a turn takes whose answer was recorded 300 ms after the question, after a pause of an hour.
async fn time_of_a_turn(speed: &str) -> Duration {
    let mut rows = turn();
    let hour = 3_600_000;
    for (row, at) in rows.iter_mut().zip([
        0,
        0,
        0,
        hour,
        hour,
        hour + 100,
        hour + 100,
        hour + 200,
        hour + 300,
    ]) {
        row["at_ms"] = at.into();
    }
    let (simulator, _) = play(&rows, ReplayMode::Strict, speed).await;
    let mut peer = open(&simulator).await;
    let started = Instant::now();
    for event in [message("mine", "Hello"), create()] {
        peer.send(event).await;
    }
    peer.next("response.done").await;
    started.elapsed()
}

#[tokio::test]
async fn the_recorded_times_are_kept_scaled_or_left_out() {
    // What the client took to ask is its own affair, here as there.
    let recorded = time_of_a_turn("1").await;
    assert!(recorded >= Duration::from_millis(290), "{recorded:?}");
    let slow = time_of_a_turn("0.5").await;
    assert!(slow >= Duration::from_millis(590), "{slow:?}");
    // No bound from above but the hour: machines are busy at times.
    assert!(time_of_a_turn("max").await < LIMIT);
    assert!(time_of_a_turn("1000").await < LIMIT);
}

#[tokio::test]
async fn speech_is_detected_when_sound_has_come_and_how_it_is_cut_does_not_count() {
    let append = || client(json!({"type": "input_audio_buffer.append", "audio": "AAAA"}));
    let rows = [
        created(),
        append(),
        append(),
        server(json!({"type": "input_audio_buffer.speech_started"})),
        append(),
        server(json!({"type": "input_audio_buffer.speech_stopped"})),
        server(json!({"type": "input_audio_buffer.committed"})),
        append(),
        server(json!({"type": "input_audio_buffer.speech_started"})),
    ];
    let (simulator, reports) = strict(&rows).await;
    let mut peer = Client::open(&simulator).await;
    let sound = json!({"type": "input_audio_buffer.append", "audio": "AQIDBAUG"});
    peer.send(sound.clone()).await;
    let heard = peer.until("input_audio_buffer.committed").await;
    assert_eq!(heard.len(), 3);
    for _ in 0..3 {
        peer.send(sound.clone()).await;
    }
    peer.next("input_audio_buffer.speech_started").await;
    leave(peer, simulator).await;
    assert_eq!(taken(&reports), []);

    let (simulator, reports) = strict(&rows).await;
    let peer = Client::open(&simulator).await;
    leave(peer, simulator).await;
    let expected = "`input_audio_buffer.append`".to_owned();
    assert_eq!(taken(&reports), [(1, 2, Difference::Left { expected })]);
}

#[tokio::test]
async fn left_out_sound_is_played_as_silence_of_its_length() {
    let rows = [
        created(),
        server(
            json!({"type": "response.output_audio.delta", "response_id": "r", "delta": "[3 bytes of audio]"}),
        ),
    ];
    let (simulator, _) = strict(&rows).await;
    let mut peer = Client::open(&simulator).await;
    assert_eq!(peer.next("response.output_audio.delta").await["delta"], "AAAA");
}

#[tokio::test]
async fn any_path_will_do_and_a_server_that_stops_lets_clients_know() {
    let (simulator, _) = strict(&[created()]).await;
    let url = simulator
        .url()
        .replace("/v1/realtime", "/voice-live/realtime?api-version=1");
    let mut peer = Client::connect(&url).await;
    peer.next("session.created").await;
    let (_, end) = tokio::join!(simulator.shutdown(), end(&mut peer));
    assert_eq!(end.map(|(code, _)| code), Some(1001));
}

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings");

/// The recorded events of a side, one by one.
fn sent_by(rows: &[Value], from: &str) -> Vec<Value> {
    let own = rows.iter().filter(|row| row["from"] == from);
    own.map(|row| row["event"].clone()).collect()
}

#[tokio::test]
async fn recordings_of_real_servers_are_played_as_they_are() {
    let Ok(folder) = std::fs::read_dir(RECORDINGS) else {
        return eprintln!("skipped: there are no recordings at {RECORDINGS}");
    };
    let paths = folder.map(|entry| entry.unwrap().path());
    let paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    assert!(!paths.is_empty(), "no recording in {RECORDINGS}");
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let rows: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for mode in [ReplayMode::Strict, ReplayMode::Lenient] {
            let (simulator, reports) = play(&rows, mode, "1").await;
            let mut peer = Client::connect(&simulator.url()).await;
            for event in sent_by(&rows, "client") {
                peer.send(event).await;
            }
            let mut heard = Vec::new();
            for expected in sent_by(&rows, "server") {
                assert_eq!(peer.event().await, expected, "{}", path.display());
                heard.push(expected);
            }
            leave(peer, simulator).await;
            assert_eq!(taken(&reports), [], "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_session_speaks_to_a_recorded_server() {
    let path = format!("{RECORDINGS}/openai-server-vad.jsonl");
    if !std::path::Path::new(&path).exists() {
        return eprintln!("skipped: there is no {path}");
    }
    let replay = Replay::new(&Recording::load(&path).unwrap(), ReplayMode::Lenient);
    let options = Options {
        replay: Some(replay),
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let endpoint = Endpoint::new(&simulator.url()).unwrap();
    let agents = Agents::new(Agent::new("Assistant"));
    let opening = Session::builder(agents).endpoint(endpoint).connect();
    let mut session = timeout(LIMIT, opening).await.unwrap().unwrap();
    for _ in 0..3 {
        session.send_audio(vec![0; 480], false).await.unwrap();
    }
    let (mut said, mut answer) = (Vec::new(), String::new());
    loop {
        match timeout(LIMIT, session.next()).await.unwrap().unwrap() {
            SessionEvent::InputTranscript { transcript, .. } => said.push(transcript),
            SessionEvent::TranscriptDelta { delta, .. } => answer += &delta,
            SessionEvent::TurnEnd { .. } => break,
            SessionEvent::Error { error } => panic!("{error}"),
            _ => {}
        }
    }
    session.close().await;
    simulator.shutdown().await;
    said.push(answer);
    let expected = [
        "Hello, my name is Marcelo.",
        "Hello, Marcelo! Great to meet you. How can I help you today?",
    ];
    assert_eq!(said, expected);
}
