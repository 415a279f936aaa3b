//! What the simulator refuses, and how (protocol.md section 5.11).

mod simulator_client;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use simulator_client::{Client, call, find, outputs, simulator, weather_tool};

/// Sends each event with an id, and expects the refusal and that the session lives on.
async fn assert_refused(client: &mut Client, mut event: Value, code: &str, param: Option<&str>) -> Value {
    event["event_id"] = "mine_1".into();
    let error = client.refused(event.clone()).await;
    assert_eq!(error["code"], code, "{event}: {error}");
    assert_eq!(
        error["param"],
        param.map_or(Value::Null, Value::from),
        "{event}: {error}"
    );
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(
        error["event_id"], "mine_1",
        "the id of the event at fault comes back"
    );
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty())
    );
    error
}

#[tokio::test]
async fn frames_that_are_no_events() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    for frame in ["{", "", "[]", "3", "null", "\"text\""] {
        client.send_frame(Message::text(frame)).await;
        let error = client.next("error").await;
        assert_eq!(error["error"]["code"], "invalid_json", "{frame}");
        assert_eq!(error["error"]["event_id"], Value::Null);
    }
    client.send_frame(Message::binary(b"{}".to_vec())).await;
    assert_eq!(client.next("error").await["error"]["code"], "invalid_event");
    client.turn("Are you still there?").await;
}

#[tokio::test]
async fn events_with_something_wrong_in_them() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let update = |session: Value| json!({"type": "session.update", "session": session});
    let item = |item: Value| json!({"type": "conversation.item.create", "item": item});
    let cases = [
        (json!({}), "invalid_event", None),
        (json!({"type": 7}), "invalid_event", None),
        (json!({"type": "response.make"}), "invalid_value", Some("type")),
        (
            json!({"type": "response.create", "extra": 1}),
            "unknown_parameter",
            Some("extra"),
        ),
        (
            json!({"type": "session.update"}),
            "missing_required_parameter",
            Some("session"),
        ),
        (
            update(json!({})),
            "missing_required_parameter",
            Some("session.type"),
        ),
        (
            update(json!({"type": "other"})),
            "invalid_value",
            Some("session.type"),
        ),
        (
            update(json!({"type": "realtime", "modalities": []})),
            "unknown_parameter",
            Some("session.modalities"),
        ),
        (
            update(
                json!({"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "x": 1}}}}),
            ),
            "unknown_parameter",
            Some("session.audio.input.turn_detection.x"),
        ),
        (
            update(json!({"type": "realtime", "instructions": 1})),
            "invalid_type",
            Some("session.instructions"),
        ),
        (
            update(json!({"type": "realtime", "tools": [weather_tool(), {"type": "function"}]})),
            "missing_required_parameter",
            Some("session.tools[1].name"),
        ),
        (
            update(
                json!({"type": "realtime", "tools": [{"type": "function", "name": "f", "description": "x".repeat(1_025)}]}),
            ),
            "string_above_max_length",
            Some("session.tools[0].description"),
        ),
        (
            update(json!({"type": "realtime", "max_output_tokens": 0})),
            "invalid_value",
            Some("session.max_output_tokens"),
        ),
        (
            json!({"type": "input_audio_buffer.append"}),
            "missing_required_parameter",
            Some("audio"),
        ),
        (
            json!({"type": "input_audio_buffer.append", "audio": "***"}),
            "invalid_value",
            Some("audio"),
        ),
        (
            item(json!({"type": "message", "role": "user"})),
            "missing_required_parameter",
            Some("item.content"),
        ),
        (item(json!({"type": "thing"})), "invalid_value", Some("item.type")),
        (
            item(json!({"type": "message", "role": "assistant", "content": [{"type": "output_audio"}]})),
            "missing_required_parameter",
            Some("item.content[0].text"),
        ),
        (
            item(
                json!({"type": "message", "role": "system", "content": [{"type": "output_text", "text": ""}]}),
            ),
            "invalid_value",
            Some("item.content[0].type"),
        ),
        (
            json!({"type": "response.create", "response": {"input": [{"type": "message"}]}}),
            "missing_required_parameter",
            Some("response.input[0].role"),
        ),
        (
            json!({"type": "conversation.item.truncate", "item_id": "a", "content_index": 0}),
            "missing_required_parameter",
            Some("audio_end_ms"),
        ),
    ];
    for (event, code, param) in cases {
        assert_refused(&mut client, event, code, param).await;
    }
    let error = assert_refused(&mut client, json!({"type": "x"}), "invalid_value", Some("type")).await;
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("'session.update'") && message.ends_with("and 'response.cancel'."),
        "{message}"
    );
}

#[tokio::test]
async fn a_refused_update_changes_nothing() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client.update(json!({"instructions": "First."})).await;
    let half_good = json!({"type": "session.update", "session": {
        "type": "realtime", "instructions": "Second.", "voice": "ash",
    }});
    assert_refused(&mut client, half_good, "unknown_parameter", Some("session.voice")).await;
    let session = client.update(json!({})).await;
    assert_eq!(session["instructions"], "First.");
}

#[tokio::test]
async fn items_that_do_not_exist() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    for (verb, code) in [
        ("delete", "item_delete_invalid_item_id"),
        ("retrieve", "item_retrieve_invalid_item_id"),
    ] {
        let event = json!({"type": format!("conversation.item.{verb}"), "item_id": "item_x"});
        let error = assert_refused(&mut client, event, code, None).await;
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| message.contains("'item_x'")),
            "{error}"
        );
    }
    let event = json!({
        "type": "conversation.item.truncate", "item_id": "item_x", "content_index": 0, "audio_end_ms": 0,
    });
    assert_refused(&mut client, event, "item_truncate_invalid_item_id", None).await;
    let output = json!({"type": "function_call_output", "call_id": "call_x", "output": ""});
    let event = json!({"type": "conversation.item.create", "item": output});
    assert_refused(&mut client, event, "invalid_tool_call_id", None).await;
    let message = json!({"type": "message", "role": "user", "content": []});
    let event = json!({"type": "conversation.item.create", "item": message, "previous_item_id": "item_x"});
    assert_refused(&mut client, event, "item_create_invalid_previous_item_id", None).await;
    let input = json!([{"type": "item_reference", "id": "item_x"}]);
    let event = json!({"type": "response.create", "response": {"input": input}});
    assert_refused(&mut client, event, "item_reference_invalid_item_id", None).await;
}

#[tokio::test]
async fn responses_at_the_wrong_time() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let cancel = json!({"type": "response.cancel"});
    assert_refused(&mut client, cancel, "response_cancel_not_active", None).await;

    // Two requests in one segment: the second is there before the first can be done.
    client.say(&"word ".repeat(3_000)).await;
    client.respond().await;
    let created = client.next("response.created").await;
    let again = json!({"type": "response.create"});
    let error = assert_refused(
        &mut client,
        again,
        "conversation_already_has_active_response",
        None,
    )
    .await;
    let id = created["response"]["id"].as_str().expect("an id");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.contains(id)),
        "{error}"
    );
    let other = json!({"type": "response.cancel", "response_id": "resp_x"});
    assert_refused(&mut client, other, "response_cancel_not_active", None).await;
    client.send(json!({"type": "response.cancel"})).await;
    client.next("response.done").await;
}

#[tokio::test]
async fn too_little_audio_is_no_turn() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let commit = json!({"type": "input_audio_buffer.commit"});
    let error = assert_refused(
        &mut client,
        commit.clone(),
        "input_audio_buffer_commit_empty",
        None,
    )
    .await;
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.contains("0.00ms")),
        "{error}"
    );
    let audio = base64_simd::STANDARD.encode_to_string(vec![0; 9_600]);
    client
        .send(json!({"type": "input_audio_buffer.append", "audio": audio}))
        .await;
    client.send(json!({"type": "input_audio_buffer.clear"})).await;
    client.next("input_audio_buffer.cleared").await;
    assert_refused(&mut client, commit, "input_audio_buffer_commit_empty", None).await;
}

#[tokio::test]
async fn truncation_is_checked_against_the_audio() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let events = client.turn("One two three").await;
    // "You said: One two three" is five words of 200 ms.
    let spoken = outputs(&events)[0]["id"].clone();
    let heard = find(&events, "conversation.item.added")["item"]["id"].clone();
    let truncate = |id: &Value, index: u32, ms: u32| json!({"type": "conversation.item.truncate", "item_id": id, "content_index": index, "audio_end_ms": ms});
    let error = assert_refused(
        &mut client,
        truncate(&spoken, 0, 1_001),
        "invalid_value",
        Some("audio_end_ms"),
    )
    .await;
    assert_eq!(
        error["message"],
        "Audio content of 1000ms is already shorter than 1001ms"
    );
    assert_refused(
        &mut client,
        truncate(&heard, 0, 0),
        "unsupported_content_type",
        None,
    )
    .await;
    assert_refused(
        &mut client,
        truncate(&spoken, 1, 0),
        "unsupported_content_type",
        None,
    )
    .await;

    client.send(truncate(&spoken, 0, 1_000)).await;
    let truncated = client.next("conversation.item.truncated").await;
    assert_eq!(
        (&truncated["item_id"], &truncated["audio_end_ms"]),
        (&spoken, &json!(1_000))
    );
}

#[tokio::test]
async fn the_voice_is_locked_by_the_first_sound() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let voice = |voice: &str| json!({"audio": {"output": {"voice": voice}}});
    client.update(voice("ash")).await;
    client.turn("Hello").await;
    client.update(voice("ash")).await;
    let change = json!({"type": "session.update", "session": {
        "type": "realtime", "audio": {"output": {"voice": "marin"}},
    }});
    assert_refused(&mut client, change, "cannot_update_voice", None).await;
}

#[tokio::test]
async fn an_output_may_come_while_the_response_runs_but_only_for_a_known_call() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client
        .update(json!({"tools": [weather_tool()], "output_modalities": ["text"]}))
        .await;
    let call = call(&client.turn("What is the weather in Rome?").await);
    let events = client.answer_call(&call, "Sunny").await;
    let added = find(&events, "conversation.item.added");
    assert_eq!(added["previous_item_id"], call["id"]);
    let keys: Vec<_> = added["item"].as_object().expect("an item").keys().collect();
    assert_eq!(
        keys,
        ["type", "id", "call_id", "output"],
        "neither status nor object"
    );
}
